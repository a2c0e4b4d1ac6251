//! `bellows validate`: all that is wrong with the operator's files, without changing anything.

use nix::unistd::geteuid;

use crate::cli::Place;
use crate::tree::Tree;
use crate::up;

/// Reads all files of a tree, and checks what they say against each other and this host.
pub(crate) async fn run(place: &Place) -> anyhow::Result<()> {
    let tree = Tree::load(place)?;
    up::check(&tree).await?;
    let count = tree.services.len();
    let services = if count == 1 { "one service" } else { &format!("{count} services") };
    println!("bellows.toml and {services}: nothing is wrong.");
    if !geteuid().is_root() {
        println!(
            "Secrets, and what is deployed by now, are for root to compare with: run it with sudo."
        );
    }
    Ok(())
}
