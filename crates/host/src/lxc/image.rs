//! Images: root file systems made by the recipes in `rootfs/`, kept by the digest of what went in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::names::ImageName;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{FileError, file_error, sync};
use crate::command::{CommandError, CommandLine, Runner};

/// How long a recipe may take. Debian's userland took 41 s on two cores.
const BUILD_DEADLINE: Duration = Duration::from_secs(1800);

/// An image that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The recipe's own file is wrong.
    #[error("{}: {message}", file.display())]
    Recipe {
        /// The file `recipe.toml`.
        file: PathBuf,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// The recipe failed.
    #[error("the recipe of image {image} failed")]
    Build {
        /// The image.
        image: String,
        /// How its script ended.
        source: CommandError,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// How an image is made: the folder `rootfs/NAME` with the program `build`, which fills the folder
/// that is its only argument, and the file `recipe.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    name: ImageName,
    script: PathBuf,
    /// The binaries that go in, in the order of the recipe.
    binaries: Vec<PathBuf>,
    /// What an instance runs first.
    init: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecipe {
    #[serde(default)]
    binaries: Vec<String>,
    init: String,
}

/// A finished image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its root file system. Files belong to the users that they belong to in an instance.
    pub folder: PathBuf,
    /// The digest of all that went in, in hex.
    pub digest: String,
    /// What an instance runs first.
    pub init: String,
}

impl Recipe {
    /// Reads the recipe of an image. `recipes` is the folder `rootfs`, `binaries` the folder that
    /// holds this project's programs.
    ///
    /// # Errors
    /// When the recipe or one of its binaries is missing or wrong.
    pub fn load(name: &ImageName, recipes: &Path, binaries: &Path) -> Result<Self, ImageError> {
        let folder = recipes.join(name.as_str());
        let file = folder.join("recipe.toml");
        let text = fs::read_to_string(&file).map_err(file_error("read", &file))?;
        let wrong = |message: String| ImageError::Recipe { file: file.clone(), message };
        let raw: RawRecipe = toml::from_str(&text)
            .map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        if !raw.init.starts_with('/') || raw.init.contains(|c: char| c.is_control()) {
            let allowed =
                "use one line that starts with the absolute path of a program in the image";
            return Err(wrong(format!("init = {:?} is not allowed; {allowed}", raw.init)));
        }
        if let Some(binary) = raw.binaries.iter().find(|name| name.contains('/')) {
            let allowed = "use names of this project's programs";
            return Err(wrong(format!("binaries: {binary:?} is not allowed; {allowed}")));
        }
        Ok(Self {
            name: name.clone(),
            script: folder.join("build"),
            binaries: raw.binaries.iter().map(|binary| binaries.join(binary)).collect(),
            init: raw.init,
        })
    }

    /// The digest of the script, the init and the binaries, in hex.
    fn digest(&self) -> Result<String, FileError> {
        let mut hash = Sha256::new();
        hash.update(self.init.as_bytes());
        for file in [&self.script].into_iter().chain(&self.binaries) {
            let content = fs::read(file).map_err(file_error("read", file))?;
            hash.update(u64::try_from(content.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(&content);
        }
        Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Makes the image below `images` unless it is there. It is built under a temporary name and
    /// renamed when it is whole and on disk, so that a crash leaves no half an image that is used.
    ///
    /// # Errors
    /// When the recipe fails or the disk does.
    pub async fn ensure(&self, runner: &impl Runner, images: &Path) -> Result<Image, ImageError> {
        let digest = self.digest()?;
        let folder = images.join(format!("{}-{digest}", self.name.as_str()));
        let image = Image { folder: folder.clone(), digest, init: self.init.clone() };
        if folder.exists() {
            return Ok(image);
        }
        let draft = images.join(format!(".{}-draft", self.name.as_str()));
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(file_error("remove", &draft))?;
        }
        fs::create_dir_all(&draft).map_err(file_error("make", &draft))?;
        let mut command = CommandLine::new(&self.script).arg(&draft).deadline(BUILD_DEADLINE);
        command = command.args(&self.binaries);
        runner
            .run(&command)
            .await
            .map_err(|source| ImageError::Build { image: self.name.as_str().to_owned(), source })?;
        sync(&draft)?;
        fs::rename(&draft, &folder).map_err(file_error("rename", &draft))?;
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
        Recipe::load(&"tiny".parse().unwrap(), &root.join("rootfs"), &root.join("bin")).unwrap()
    }

    #[tokio::test]
    async fn an_image_is_made_once_for_each_version_of_what_goes_in() {
        let root = tempfile::tempdir().unwrap();
        let recipe = recipe(root.path());
        let images = root.path().join("images");
        fs::write(root.path().join("bin/tool"), "1").unwrap();
        let first = recipe.ensure(&HostRunner, &images).await.unwrap();
        assert_eq!(fs::read_to_string(first.folder.join("tool")).unwrap(), "1");
        assert_eq!(recipe.ensure(&HostRunner, &images).await.unwrap(), first);
        fs::write(root.path().join("bin/tool"), "2").unwrap();
        let second = recipe.ensure(&HostRunner, &images).await.unwrap();
        assert_ne!(second.folder, first.folder);
        assert_eq!(fs::read_to_string(second.folder.join("tool")).unwrap(), "2");
    }

    #[tokio::test]
    async fn a_failed_recipe_leaves_no_image() {
        let root = tempfile::tempdir().unwrap();
        let recipe = recipe(root.path());
        let images = root.path().join("images");
        fs::write(root.path().join("bin/tool"), "1").unwrap();
        fs::write(root.path().join("fail"), "").unwrap();
        assert!(recipe.ensure(&HostRunner, &images).await.is_err());
        assert!(!images.join(format!("tiny-{}", recipe.digest().unwrap())).exists());
        fs::remove_file(root.path().join("fail")).unwrap();
        assert!(recipe.ensure(&HostRunner, &images).await.is_ok());
    }

    #[test]
    fn every_shipped_recipe_loads_and_has_a_script() {
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rootfs");
        let mut loaded = Vec::new();
        for entry in fs::read_dir(&recipes).unwrap().flatten().filter(|it| it.path().is_dir()) {
            let name = entry.file_name().into_string().unwrap();
            let recipe = Recipe::load(&name.parse().unwrap(), &recipes, Path::new("/bin")).unwrap();
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
                Recipe::load(&"tiny".parse().unwrap(), &root.path().join("rootfs"), root.path());
            let error = error.unwrap_err().to_string();
            assert!(error.contains("rootfs/tiny/recipe.toml: "), "{error}");
            assert!(error.contains(expected), "{error}");
        };
        refused("init = \"tool\"", "init = \"tool\" is not allowed; use one line");
        refused("init = \"/a\\nlxc.cap.keep = sys_admin\"", "is not allowed");
        refused("init = \"/a\"\nbinaries = [\"../x\"]", "\"../x\" is not allowed");
        refused("inti = \"/a\"", "unknown field `inti`");
    }
}
