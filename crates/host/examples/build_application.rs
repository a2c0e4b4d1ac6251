//! Builds the image of an application by hand, as root, and prints what its build writes as it comes:
//!
//! ```sh
//! cargo build -p init -p egress -p static-server
//! cargo run -p host --example build_application -- examples/hello-flask hello-flask /var/tmp/bellows-builds
//! ```
//!
//! The third argument is a folder for images, caches and all else, which is kept for the next build.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use application::{Bounds, detect, read};
use host::build::{Application, Builds};
use host::command::HostRunner;
use host::lxc::Recipe;
use host::settings::Settings;
use model::names::ServiceName;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("use FOLDER SERVICE STATE");
    let (folder, service, state) = (PathBuf::from(next()?), next()?, PathBuf::from(next()?));
    let service: ServiceName = service.parse()?;
    let mut settings = Settings::load(None)?;
    settings.paths.state = std::path::absolute(&state)?;
    settings.paths.run = settings.paths.state.join("run");

    let found = read(&folder, Bounds::default())?;
    let chosen = detect(&found, None)?;
    chosen.notes.iter().for_each(|note| println!("{note}"));
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rootfs");
    let programs = std::env::current_exe()?;
    let programs = programs.ancestors().nth(2).ok_or("no folder of programs")?;
    let recipe = Recipe::load(&chosen.image().parse()?, &[recipes], programs)?;
    let base = recipe.ensure(&HostRunner, &settings.paths.state.join("images")).await?;

    let builds = Builds::new(&settings, HostRunner);
    let builds = builds.with_programs(programs.join("init"), programs.join("egress"));
    let begun = Instant::now();
    let application = Application {
        service: &service,
        found: &found,
        chosen: &chosen,
        base: &base,
        recipe: &recipe,
    };
    let image = builds.build_application(&application, |line| println!("{line}")).await?;
    println!("{} in {:.1} s", image.folder.display(), begun.elapsed().as_secs_f64());
    Ok(())
}
