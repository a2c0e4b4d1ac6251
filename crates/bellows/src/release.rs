//! The release that this program is part of, or is made into one by `up`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use host::lxc::{ImageError, Recipe, programs_of_recipes};
use host::releases::{Content, POLICIES, Releases, SCENARIOS};
use host::settings::Settings;
use model::names::ImageName;

use crate::programs::{BELLOWS, CONSOLE, EGRESS, LOAD_GENERATOR, REPORT, SCALER};
use crate::progress::Outcome;
use crate::share;

/// The folder of the images' recipes, in a tree and in a release.
pub(crate) const RECIPES: &str = "rootfs";

/// The load generator, as it is built.
const BUILT_LOAD_GENERATOR: &str = "loadgen";

/// What starts programs in instances that are not this project's own.
const INIT: &str = "init";

/// Installs what was built, with the recipes, policies and scenarios of the tree, and puts it in force. Where the
/// release in force is that of this program, there is nothing to install, and no tree is needed.
pub(crate) fn install(tree: &Path, settings: &Settings) -> anyhow::Result<Outcome> {
    let releases = Releases::new(&settings.paths.state);
    let programs = programs_folder()?;
    if releases.in_force().as_deref() == Some(&programs) {
        return Ok(Outcome::Unchanged);
    }
    let data = if Releases::state_of(&own_path()?).is_some() { &programs } else { tree };
    let mut content = Content::default();
    // A folder with services alone does not take from the release in force what it does not have.
    let data_of = |folder: &str| {
        let own = data.join(folder);
        if own.is_dir() { own } else { releases.current().join(folder) }
    };
    for folder in [RECIPES, POLICIES, SCENARIOS] {
        content.add_folder(Path::new(folder), &data_of(folder))?;
    }
    for name in [BELLOWS, SCALER, CONSOLE, EGRESS, INIT, REPORT] {
        content.add(name, programs.join(name));
    }
    content.add(LOAD_GENERATOR, load_generator(&programs));
    // Recipes whose programs were not built are for services that nobody has.
    let of_recipes = programs_of_recipes(&data_of(RECIPES)).into_iter();
    for name in of_recipes.filter(|name| programs.join(name).is_file()) {
        content.add(&name, programs.join(&name));
    }
    let draft = tempfile::tempdir().context("no folder can be made; check the disk of /tmp")?;
    share::add(&mut content, draft.path())?;
    let changed = releases.install(&content)?;
    let digest = releases.in_force().unwrap_or_default();
    let digest = digest.file_name().unwrap_or_default().to_string_lossy();
    Ok(Outcome::changed_if(changed, format!("{digest} installed")))
}

/// The load generator among these programs. In a release the name that it is built by is a folder's.
fn load_generator(programs: &Path) -> PathBuf {
    let installed = programs.join(LOAD_GENERATOR);
    if installed.is_file() { installed } else { programs.join(BUILT_LOAD_GENERATOR) }
}

/// Links the command `bellows` to the release in force. A file of somebody else there stays.
pub(crate) fn link(settings: &Settings) -> anyhow::Result<Outcome> {
    let link = settings.paths.bin.join(BELLOWS);
    let changed = Releases::new(&settings.paths.state).link(&link, BELLOWS)?;
    Ok(Outcome::changed_if(changed == Some(true), format!("{} made", link.display())))
}

/// How the release in force is called, and why not by the usual name.
pub(crate) fn command(settings: &Settings) -> String {
    let (link, releases) = (settings.paths.bin.join(BELLOWS), Releases::new(&settings.paths.state));
    let installed = releases.current().join(BELLOWS);
    if fs::read_link(&link).is_ok_and(|held| held == installed) {
        return link.display().to_string();
    }
    format!("{} ({} is somebody else's and stays)", installed.display(), link.display())
}

/// Where data with this path is: in the tree, or else in the release that this program is part of.
pub(crate) fn find(tree: &Path, path: impl AsRef<Path>) -> PathBuf {
    let in_tree = tree.join(&path);
    let installed = programs_folder().map(|programs| programs.join(path));
    match installed {
        Ok(installed) if !in_tree.exists() && installed.exists() => installed,
        _ => in_tree,
    }
}

/// The recipe of this name, of the release in force.
///
/// # Errors
/// It is not there, or cannot be used.
pub(crate) fn recipe(name: &ImageName, settings: &Settings) -> Result<Recipe, ImageError> {
    let release = Releases::new(&settings.paths.state).current();
    Recipe::load(name, &[release.join(RECIPES)], &release)
}

/// All recipes of the release in force that can be used.
pub(crate) fn recipes(settings: &Settings) -> Vec<Recipe> {
    let folder = Releases::new(&settings.paths.state).current().join(RECIPES);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    names.filter_map(|name| recipe(&name, settings).ok()).collect()
}

/// The folder that holds this project's programs: that of this one.
pub(crate) fn programs_folder() -> anyhow::Result<PathBuf> {
    Ok(own_path()?.parent().unwrap_or(Path::new("/")).to_owned())
}

/// The path of this program, where no link leads any further.
pub(crate) fn own_path() -> anyhow::Result<PathBuf> {
    env::current_exe()
        .context("the path of this program cannot be told; check that /proc is mounted")
}
