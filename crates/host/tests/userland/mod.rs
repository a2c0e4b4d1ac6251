//! The images of `rootfs/debian` and `rootfs/python`, made once for all tests of this build and kept: that takes
//! half a minute and the network.

use std::path::Path;

use host::command::HostRunner;
use host::lxc::{Image, Recipe};
use tokio::sync::OnceCell;

/// The image of `rootfs/python`, which adds nothing to `rootfs/debian`.
pub(crate) async fn python() -> Image {
    static MADE: OnceCell<Image> = OnceCell::const_new();
    MADE.get_or_init(make).await.clone()
}

async fn make() -> Image {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rootfs");
    let images = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    let recipe = Recipe::load(&"python".parse().unwrap(), &[recipes], Path::new("/none")).unwrap();
    let made = recipe.ensure(&HostRunner, &images).await;
    made.unwrap_or_else(|error| panic!("run `scripts/setup benches`: {error:?}"))
}
