//! Images: root file systems made by the recipes in `rootfs/`, one for each digest of what went in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::egress::Egress;
use model::names::ImageName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::image_error::ImageError;
use super::images::{Draft, ensure_closed, folders_but, remove_images};
use super::recipe_file::{ImageStart, RecipeFile};
use crate::command::{CommandLine, Runner, is_installed};
use crate::files::{FileError, file_error, sync_file_system};

/// The name of a recipe's file.
const RECIPE: &str = "recipe.toml";

/// How long a recipe may take. Debian's userland took 41 s on two cores.
const BUILD_DEADLINE: Duration = Duration::from_secs(1800);

/// The variable in which a script finds the folders of what its image stands on, the nearest first, with `:`
/// between them.
const BASES: &str = "BASES";

/// How an image is made: the folder `rootfs/NAME` with the program `build`, which fills the folder
/// that is its first argument, and the file `recipe.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    name: ImageName,
    script: PathBuf,
    /// The binaries that go in, in the order of the recipe.
    binaries: Vec<PathBuf>,
    /// The arguments with which the first binary checks a service's configuration; empty when it
    /// cannot.
    check: Vec<String>,
    start: ImageStart,
    /// What makes the image that this one stands on.
    base: Option<Box<Recipe>>,
    /// What installs the packages of an application, if this image has applications, and what that may reach.
    packages: Option<PathBuf>,
    egress: Egress,
    /// The programs of the host that the script calls, with their Debian packages.
    needs: BTreeMap<String, String>,
    /// The files of the host that the script copies.
    host_files: Vec<PathBuf>,
}

/// A finished image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its root file system, or what it adds to that of its base. Files belong to the users that they belong
    /// to in an instance.
    pub folder: PathBuf,
    /// The folders of the images that it stands on, the nearest first; none where it is whole by itself.
    pub bases: Vec<PathBuf>,
    /// The digest of all that went in, in hex.
    pub digest: String,
    /// What an instance runs.
    pub start: ImageStart,
}

impl Image {
    /// Its own folder and those that it stands on, the topmost first.
    pub(super) fn stack(&self) -> Vec<&Path> {
        [&self.folder].into_iter().chain(&self.bases).map(PathBuf::as_path).collect()
    }
}

impl Recipe {
    /// Reads the recipe of an image, and those of what it stands on. `recipes` are the folders `rootfs`, of which
    /// the first counts that has a recipe of this name, `binaries` the folder that holds this project's programs.
    ///
    /// # Errors
    /// When a recipe, its script or one of its binaries is missing or wrong.
    pub fn load(
        name: &ImageName,
        recipes: &[PathBuf],
        binaries: &Path,
    ) -> Result<Self, ImageError> {
        Self::load_below(&[], name, recipes, binaries)
    }

    /// The same, of an image on which these stand.
    fn load_below(
        above: &[&ImageName],
        name: &ImageName,
        recipes: &[PathBuf],
        binaries: &Path,
    ) -> Result<Self, ImageError> {
        let folder = folder_of(name, recipes);
        let file = folder.join(RECIPE);
        let recipe: RecipeFile = config_file::read(&file)?;
        let above = [above, &[name]].concat();
        let base = match &recipe.base {
            None => None,
            Some(base) if above.contains(&base) => {
                return Err(ImageError::Circle { recipe: file, base: base.as_str().to_owned() });
            }
            Some(base) if !folder_of(base, recipes).exists() => {
                return Err(ImageError::NoBase { recipe: file, base: base.as_str().to_owned() });
            }
            Some(base) => Some(Box::new(Self::load_below(&above, base, recipes, binaries)?)),
        };
        let start = recipe.start();
        let RecipeFile { binaries: names, check, needs, host_files, egress, .. } = recipe;
        let packages = Some(folder.join("packages")).filter(|file| file.is_file());
        let script = folder.join("build");
        let binaries: Vec<_> = names.iter().map(|name| binaries.join(name)).collect();
        let missing = [&script].into_iter().chain(&binaries).find(|file| !file.is_file());
        if let Some(missing) = missing {
            return Err(ImageError::Missing { recipe: file, missing: missing.clone() });
        }
        let name = name.clone();
        Ok(Self { name, script, binaries, check, start, base, packages, egress, needs, host_files })
    }

    /// The script that installs the packages of an application in a container that stands on this image, if there is
    /// one, and what that may reach.
    pub(crate) fn packages(&self) -> Option<(&Path, &Egress)> {
        Some((self.packages.as_deref()?, &self.egress))
    }

    /// The digest of the script, the start, the binaries, the host's files and what the image stands on, in hex.
    fn digest(&self) -> Result<String, FileError> {
        let mut hash = Sha256::new();
        match &self.start {
            ImageStart::Init(init) => hash.update(init.as_bytes()),
            ImageStart::Command(words) | ImageStart::Application { command: words, .. } => {
                hash.update(format!("{words:?}"));
            }
        }
        for file in [&self.script].into_iter().chain(&self.binaries) {
            let content = fs::read(file).map_err(file_error("read", file))?;
            hash.update(u64::try_from(content.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(&content);
        }
        for file in &self.host_files {
            // One that is not there is as one that is empty: the script says whether it can do without.
            hash.update(Sha256::digest(fs::read(file).unwrap_or_default()));
        }
        if let Some(base) = &self.base {
            hash.update(base.digest()?);
        }
        Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Has the image's own program check the configuration that it would read in an instance, where
    /// the recipe says how.
    ///
    /// # Errors
    /// [`ImageError::Application`] with what the program says.
    pub async fn check(
        &self,
        runner: &impl Runner,
        application: &toml::Table,
    ) -> Result<(), ImageError> {
        let (Some(program), false) = (self.binaries.first(), self.check.is_empty()) else {
            return Ok(());
        };
        let command = CommandLine::new(program).args(&self.check).arg("/dev/stdin");
        let command = command.input(application.to_string());
        runner.run(&command).await.map(drop).map_err(ImageError::Application)
    }

    /// The name of the image's folder, with this digest.
    fn folder_name(&self, digest: &str) -> String {
        format!("{}-{digest}", self.name.as_str())
    }

    /// This recipe and those of what its image stands on.
    fn with_bases(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |recipe| recipe.base.as_deref())
    }

    /// Makes the image below `images`, and before it what it stands on, unless they are there. Each is built under
    /// a temporary name and renamed when it is whole and on disk, so that a crash leaves no half an image that is
    /// used.
    ///
    /// # Errors
    /// When a recipe fails or the disk does.
    pub async fn ensure(&self, runner: &impl Runner, images: &Path) -> Result<Image, ImageError> {
        ensure_closed(images)?;
        let bases: Vec<&Self> = self.with_bases().skip(1).collect();
        let mut stack: Vec<PathBuf> = Vec::new();
        for base in bases.into_iter().rev() {
            stack.insert(0, base.ensure_alone(runner, images, &stack).await?);
        }
        let folder = self.ensure_alone(runner, images, &stack).await?;
        Ok(Image { folder, bases: stack, digest: self.digest()?, start: self.start.clone() })
    }

    /// Makes the folder of this image alone, which is to stand on these.
    async fn ensure_alone(
        &self,
        runner: &impl Runner,
        images: &Path,
        bases: &[PathBuf],
    ) -> Result<PathBuf, ImageError> {
        let folder = images.join(self.folder_name(&self.digest()?));
        if folder.exists() {
            return Ok(folder);
        }
        self.check_needs(images)?;
        let Draft { folder: draft, lock } = Draft::make(images, self.name.as_str())?;
        let mut command = CommandLine::new(&self.script).arg(&draft).deadline(BUILD_DEADLINE);
        command = command.args(&self.binaries).holding(lock);
        if !bases.is_empty() {
            let bases: Vec<&OsStr> = bases.iter().map(|base| base.as_os_str()).collect();
            command = command.env(BASES, bases.join(OsStr::new(":")));
        }
        runner
            .run(&command)
            .await
            .map_err(|source| ImageError::Build { image: self.name.as_str().to_owned(), source })?;
        sync_file_system(&draft)?;
        fs::rename(&draft, &folder).map_err(file_error("rename", &draft))?;
        Ok(folder)
    }

    /// That the programs of the host are there which are called where the image, or what it stands on, is not yet
    /// below `images`.
    ///
    /// # Errors
    /// [`ImageError::Needs`] when one is not.
    pub fn check_needs(&self, images: &Path) -> Result<(), ImageError> {
        for Self { name, needs, .. } in self.with_bases().filter(|recipe| !recipe.is_made(images)) {
            if let Some((program, package)) = needs.iter().find(|it| !is_installed(it.0)) {
                let (program, package) = (program.clone(), package.clone());
                return Err(ImageError::Needs {
                    image: name.as_str().to_owned(),
                    program,
                    package,
                });
            }
        }
        Ok(())
    }

    fn is_made(&self, images: &Path) -> bool {
        self.digest().is_ok_and(|digest| images.join(self.folder_name(&digest)).exists())
    }
}

/// The folder of the recipe of this name: the first that is there.
fn folder_of(name: &ImageName, recipes: &[PathBuf]) -> PathBuf {
    let folders = || recipes.iter().map(|recipes| recipes.join(name.as_str()));
    folders().find(|folder| folder.exists()).or_else(|| folders().next()).unwrap_or_default()
}

/// The names of this project's programs that the recipes below `recipes` put into images. A recipe that
/// cannot be read, which no service can use, has none.
pub fn programs_of_recipes(recipes: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(recipes).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| config_file::read(&entry.path().join(RECIPE)).ok());
    files.flat_map(|RecipeFile { binaries, .. }| binaries).collect()
}

/// Removes every image below `images` that none of these recipes makes and that is not among `stood_on`, the
/// folders that templates stand on: those of earlier versions, and what a crash left half made, where nobody writes to
/// it any more. Returns how many there were.
///
/// # Errors
/// When one cannot be removed.
pub fn remove_other_images(
    images: &Path,
    recipes: &[Recipe],
    stood_on: &BTreeSet<PathBuf>,
) -> Result<usize, FileError> {
    remove_images(images, &needed(images, recipes, stood_on)?)
}

/// The folders that it would remove, those in which an image is being made among them.
///
/// # Errors
/// When what goes into one cannot be read.
pub fn other_images(
    images: &Path,
    recipes: &[Recipe],
    stood_on: &BTreeSet<PathBuf>,
) -> Result<Vec<PathBuf>, FileError> {
    Ok(folders_but(images, &needed(images, recipes, stood_on)?))
}

/// What these recipes make, with what it stands on, and what templates stand on.
fn needed(
    images: &Path,
    recipes: &[Recipe],
    stood_on: &BTreeSet<PathBuf>,
) -> Result<BTreeSet<PathBuf>, FileError> {
    let recipes = recipes.iter().flat_map(Recipe::with_bases);
    let made = recipes.map(|recipe| Ok(images.join(recipe.folder_name(&recipe.digest()?))));
    let made = made.collect::<Result<BTreeSet<_>, FileError>>()?;
    Ok(made.union(stood_on).cloned().collect())
}

#[cfg(test)]
mod base_tests;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::super::images::close_images;
    use super::*;
    use crate::command::HostRunner;

    /// A recipe that copies one binary, and fails once the file `fail` is there.
    fn recipe(root: &Path) -> Recipe {
        let folder = root.join("rootfs/tiny");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(root.join("bin")).unwrap();
        let script =
            format!("#!/bin/sh\nset -eu\ncp \"$2\" \"$1\"\n! test -e {}/fail\n", root.display());
        fs::write(folder.join("build"), script).unwrap();
        fs::set_permissions(folder.join("build"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.join("recipe.toml"), "binaries = [\"tool\"]\ninit = \"/tool\"\n").unwrap();
        fs::write(root.join("bin/tool"), "1").unwrap();
        Recipe::load(&"tiny".parse().unwrap(), &[root.join("rootfs")], &root.join("bin")).unwrap()
    }

    #[tokio::test]
    async fn an_image_is_made_once_for_each_version_of_what_goes_in() {
        let root = tempfile::tempdir().unwrap();
        let recipe = recipe(root.path());
        let images = root.path().join("images");
        let first = recipe.ensure(&HostRunner, &images).await.unwrap();
        assert_eq!(fs::read_to_string(first.folder.join("tool")).unwrap(), "1");
        assert_eq!(recipe.ensure(&HostRunner, &images).await.unwrap(), first);
        fs::write(root.path().join("bin/tool"), "2").unwrap();
        let second = recipe.ensure(&HostRunner, &images).await.unwrap();
        assert_ne!(second.folder, first.folder);
        assert_eq!(fs::read_to_string(second.folder.join("tool")).unwrap(), "2");
        fs::create_dir(images.join(".tiny-draft")).unwrap();
        let remove = |recipes: &[Recipe]| remove_other_images(&images, recipes, &BTreeSet::new());
        assert_eq!(remove(std::slice::from_ref(&recipe)).unwrap(), 2);
        assert!(second.folder.exists() && !first.folder.exists());
        assert_eq!(remove(&[recipe]).unwrap(), 0);
        let nowhere = Path::new("/does/not/exist");
        assert_eq!(remove_other_images(nowhere, &[], &BTreeSet::new()).unwrap(), 0);
    }

    #[tokio::test]
    async fn another_file_of_the_host_that_goes_in_is_another_image() {
        let root = tempfile::tempdir().unwrap();
        let recipe = Recipe { host_files: vec![root.path().join("host")], ..recipe(root.path()) };
        let without = recipe.digest().unwrap();
        fs::write(root.path().join("host"), "1").unwrap();
        let first = recipe.digest().unwrap();
        fs::write(root.path().join("host"), "2").unwrap();
        assert!(recipe.digest().unwrap() != first && first != without);
    }

    #[tokio::test]
    async fn nobody_else_lists_images_or_puts_a_file_into_one() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let recipe = recipe(root.path());
        let script = "#!/bin/sh\nmkdir \"$1/tmp\"\nchmod 1777 \"$1/tmp\"\nchmod 755 \"$1\"\n";
        fs::write(&recipe.script, script).unwrap();
        let images = root.path().join("images");
        let image = recipe.ensure(&HostRunner, &images).await.unwrap();
        let planted = image.folder.join("tmp/planted");
        let can = |program: &str, place: &Path| {
            let mut stranger = Command::new("setpriv");
            stranger.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]).arg(place);
            stranger.output().unwrap().status.success()
        };
        assert!(!can("ls", &images) && !can("touch", &planted));
        // As an earlier release left them.
        fs::set_permissions(&images, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(can("ls", &images) && can("touch", &planted));
        assert!(matches!(
            recipe.ensure(&HostRunner, &images).await,
            Err(ImageError::StoodOpen { .. })
        ));
        close_images(&images, &BTreeSet::new()).unwrap();
        assert_eq!(recipe.ensure(&HostRunner, &images).await.unwrap(), image);
        assert!(!can("ls", &images) && !can("touch", &planted));
        assert!(image.folder.join("tmp").exists() && !planted.exists(), "it is built anew");
    }

    #[tokio::test]
    async fn the_images_own_program_judges_what_it_will_be_given() {
        let root = tempfile::tempdir().unwrap();
        let mut recipe = recipe(root.path());
        let application: toml::Table = toml::from_str("burst = 0").unwrap();
        recipe.check(&HostRunner, &application).await.unwrap();
        recipe.binaries = vec!["/bin/grep".into()];
        recipe.check = vec!["burst = 1".to_owned()];
        let error = recipe.check(&HostRunner, &application).await.unwrap_err();
        assert!(matches!(error, ImageError::Application(_)), "{error}");
        recipe.check = vec!["burst = 0".to_owned()];
        recipe.check(&HostRunner, &application).await.unwrap();
    }

    #[tokio::test]
    async fn a_failed_recipe_leaves_no_image() {
        let root = tempfile::tempdir().unwrap();
        let recipe = recipe(root.path());
        let images = root.path().join("images");
        fs::write(root.path().join("fail"), "").unwrap();
        assert!(recipe.ensure(&HostRunner, &images).await.is_err());
        assert!(!images.join(format!("tiny-{}", recipe.digest().unwrap())).exists());
        fs::remove_file(root.path().join("fail")).unwrap();
        assert!(recipe.ensure(&HostRunner, &images).await.is_ok());
    }

    #[test]
    fn every_shipped_recipe_loads_and_has_a_script() {
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rootfs");
        let programs = tempfile::tempdir().unwrap();
        for name in programs_of_recipes(&recipes) {
            fs::write(programs.path().join(name), "").unwrap();
        }
        let mut loaded = Vec::new();
        for entry in fs::read_dir(&recipes).unwrap().flatten().filter(|it| it.path().is_dir()) {
            let name = entry.file_name().into_string().unwrap();
            let recipe = Recipe::load(
                &name.parse().unwrap(),
                std::slice::from_ref(&recipes),
                programs.path(),
            )
            .unwrap();
            let mode = fs::metadata(&recipe.script).unwrap().permissions().mode();
            assert_eq!(mode & 0o111, 0o111, "{} is not executable", recipe.script.display());
            loaded.push(name);
        }
        assert!(loaded.iter().any(|name| name == "object-store"), "{loaded:?}");
    }

    #[test]
    fn a_wrong_recipe_is_refused_with_file_and_key() {
        let root = tempfile::tempdir().unwrap();
        recipe(root.path());
        let file = root.path().join("rootfs/tiny/recipe.toml");
        let refused = |text: &str, expected: &str| {
            fs::write(&file, text).unwrap();
            let error =
                Recipe::load(&"tiny".parse().unwrap(), &[root.path().join("rootfs")], root.path());
            let error = error.unwrap_err().to_string();
            assert!(error.contains("rootfs/tiny/recipe.toml"), "{error}");
            assert!(error.contains(expected), "{error}");
        };
        refused("init = \"tool\"", "line 1: init is \"tool\": use one line");
        refused("init = \"/a\\nlxc.cap.keep = sys_admin\"", "use one line");
        refused(
            "init = \"/a\"\nbinaries = [\"../x\"]",
            "line 2: binaries is [\"../x\"]: use names",
        );
        refused("init = \"/a\"\nbinaries = [\"typo\"]", "/typo is not there; build the project");
        refused("init = \"/a\"\ncheck = [\"--check\"]", "use it with binaries");
        refused("inti = \"/a\"", "unknown field `inti`");
        refused("binaries = [\"tool\"]", "command is not there: use it for a program");
        refused("init = \"/a\"\ncommand = [\"/a\"]", "command is beside init: use it for");
        refused("command = []", "command is []: use the program");
        refused("init = \"/a\"\negress = [\"pypi.org\"]", "`pypi.org` has no port");
    }
}
