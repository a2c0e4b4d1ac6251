//! Releases of Bellows: what was built, installed whole into a folder that root owns, each under the
//! digest of all that it holds. What runs runs from there, and needs no source tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use procfs::process::all_processes;
use sha2::{Digest, Sha256};

use crate::files::{FileError, file_error, remove_tree, replace_link, sync_file_system};

/// The folder of policies that have a name, in a tree and in a release.
pub const POLICIES: &str = "loadgen/policies";

/// That of scenarios.
pub const SCENARIOS: &str = "loadgen/scenarios";

/// The folder of the releases, in the state directory.
const FOLDER: &str = "releases";

/// The link to the release in force.
const CURRENT: &str = "current";

/// How many are kept: the one in force and those before it.
const KEPT: usize = 3;

/// What a release is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Where each file comes from, by its path in the release.
    files: BTreeMap<PathBuf, PathBuf>,
}

impl Content {
    /// Adds a file as `path`.
    pub fn add(&mut self, path: impl Into<PathBuf>, source: PathBuf) {
        self.files.insert(path.into(), source);
    }

    /// Adds all files below a folder as those below `path`. A folder that is not there has none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add_folder(&mut self, path: &Path, source: &Path) -> Result<(), FileError> {
        let entries = match fs::read_dir(source) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(file_error("read", source))?,
        };
        for entry in entries {
            let entry = entry.map_err(file_error("read", source))?;
            let (path, source) = (path.join(entry.file_name()), entry.path());
            match source.is_dir() {
                true => self.add_folder(&path, &source)?,
                false => self.add(path, source),
            }
        }
        Ok(())
    }

    /// Copies all files below `folder`, and gives the digest of what was copied.
    fn copy(&self, folder: &Path) -> Result<String, FileError> {
        for (path, source) in &self.files {
            let target = folder.join(path);
            make_folder(target.parent().unwrap_or(folder))?;
            fs::copy(source, &target).map_err(file_error("copy", source))?;
            // Others may have been able to write to it where it comes from, or not to read it.
            let data = fs::metadata(&target).map_err(file_error("read", &target))?;
            let mode = fs::Permissions::from_mode(if is_program(&data) { 0o755 } else { 0o644 });
            fs::set_permissions(&target, mode)
                .map_err(file_error("change the mode of", &target))?;
        }
        digest(folder)
    }
}

/// The releases below one state directory.
#[derive(Debug, Clone)]
pub struct Releases {
    folder: PathBuf,
}

impl Releases {
    /// The releases in this state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// The state directory of the release that a program belongs to; `None` for one that is not
    /// installed.
    pub fn state_of(program: &Path) -> Option<&Path> {
        let folder = program.ancestors().nth(2)?;
        let is_release = folder.file_name().is_some_and(|name| name == FOLDER);
        if is_release { folder.parent() } else { None }
    }

    /// The link to the release in force, under which its programs are found.
    pub fn current(&self) -> PathBuf {
        self.folder.join(CURRENT)
    }

    /// The folder of the release in force, if there is one.
    pub fn in_force(&self) -> Option<PathBuf> {
        fs::canonicalize(self.current()).ok()
    }

    /// Installs a release unless it is there, puts it in force, and says whether it was not. A release
    /// is copied under a hidden name and renamed when it is whole and on disk. One that is there and
    /// is not whole is made anew.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn install(&self, content: &Content) -> Result<bool, FileError> {
        let draft = self.folder.join(".draft");
        remove_tree(&draft)?;
        make_folder(&draft)?;
        let digest = content.copy(&draft)?;
        let folder = self.folder.join(&digest);
        if self::digest(&folder).is_ok_and(|held| held == digest) {
            remove_tree(&draft)?;
        } else {
            remove_tree(&folder)?;
            sync_file_system(&draft)?;
            fs::rename(&draft, &folder).map_err(file_error("rename", &draft))?;
        }
        replace_link(&self.current(), Path::new(&digest))
    }

    /// Removes all but the latest releases, what a crash left half made, and none that is in force or
    /// whose programs run. Gives the number of those removed.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove_old(&self) -> Result<usize, FileError> {
        let old = self.old();
        for folder in &old {
            remove_tree(folder)?;
        }
        Ok(old.len())
    }

    /// The folders of those that it would remove.
    pub fn old(&self) -> Vec<PathBuf> {
        let mut releases = self.list();
        releases.sort_by_key(|(_, made)| std::cmp::Reverse(*made));
        let used = self.used();
        let earlier = releases.into_iter().skip(KEPT).map(|(folder, _)| folder);
        earlier.filter(|folder| !used.contains(folder)).collect()
    }

    /// The folders of the releases, and when each was put in force first.
    fn list(&self) -> Vec<(PathBuf, SystemTime)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let release = |entry: fs::DirEntry| {
            let data = entry.metadata().ok().filter(fs::Metadata::is_dir)?;
            Some((entry.path(), data.modified().ok()?))
        };
        entries.filter_map(release).collect()
    }

    /// The release in force, and those whose programs run.
    fn used(&self) -> BTreeSet<PathBuf> {
        let programs = all_processes().into_iter().flatten().flatten();
        let programs = programs.filter_map(|process| process.exe().ok());
        let releases = programs.filter_map(|program| Some(program.parent()?.to_owned()));
        releases.chain(self.in_force()).collect()
    }

    /// Links `link` to the program `name` of whatever release is in force. Says whether it does now
    /// and did not; `None` where a file of somebody else stands.
    ///
    /// # Errors
    /// When the link cannot be made.
    pub fn link(&self, link: &Path, name: &str) -> Result<Option<bool>, FileError> {
        let target = self.current().join(name);
        let end = Path::new(FOLDER).join(CURRENT).join(name);
        let is_ours = match fs::read_link(link) {
            Ok(held) => held.ends_with(&end),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_ours {
            return Ok(None);
        }
        if let Some(folder) = link.parent() {
            make_folder(folder)?;
        }
        replace_link(link, &target).map(Some)
    }
}

/// A digest of all files below a folder: their paths, whether they are programs, and their bytes.
fn digest(folder: &Path) -> Result<String, FileError> {
    let mut content = Content::default();
    content.add_folder(Path::new(""), folder)?;
    let mut hash = Sha256::new();
    for (path, file) in &content.files {
        let path = path.as_os_str().as_encoded_bytes();
        let data = fs::metadata(file).map_err(file_error("read", file))?;
        let bytes = fs::read(file).map_err(file_error("read", file))?;
        hash.update(path.len().to_be_bytes());
        hash.update(path);
        hash.update([u8::from(is_program(&data))]);
        hash.update(bytes.len().to_be_bytes());
        hash.update(&bytes);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn is_program(data: &fs::Metadata) -> bool {
    data.permissions().mode() & 0o111 != 0
}

fn make_folder(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder).map_err(file_error("make", folder))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A tree with a program and a recipe, and releases of it.
    struct World {
        root: tempfile::TempDir,
        releases: Releases,
    }

    impl World {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let releases = Releases::new(&root.path().join("state"));
            fs::create_dir_all(root.path().join("tree/rootfs/tiny")).unwrap();
            let world = Self { root, releases };
            fs::copy("/usr/bin/sleep", world.tree().join("bellows")).unwrap();
            world.edit("first");
            world
        }

        fn tree(&self) -> PathBuf {
            self.root.path().join("tree")
        }

        fn edit(&self, text: &str) {
            fs::write(self.tree().join("rootfs/tiny/build"), text).unwrap();
        }

        fn install(&self) -> bool {
            let mut content = Content::default();
            content.add("bellows", self.tree().join("bellows"));
            content.add_folder(Path::new("rootfs"), &self.tree().join("rootfs")).unwrap();
            self.releases.install(&content).unwrap()
        }

        fn recipe(&self) -> String {
            fs::read_to_string(self.releases.current().join("rootfs/tiny/build")).unwrap()
        }
    }

    #[test]
    fn a_release_is_installed_once_for_each_content_and_outlives_the_tree() {
        let world = World::new();
        assert!(world.install());
        assert!(!world.install());
        let first = world.releases.in_force().unwrap();
        world.edit("second");
        assert_eq!(world.recipe(), "first");
        assert!(world.install());
        assert_ne!(world.releases.in_force().unwrap(), first);
        fs::remove_dir_all(world.tree()).unwrap();
        assert_eq!(world.recipe(), "second");
        let program = world.releases.in_force().unwrap().join("bellows");
        assert!(Command::new(&program).arg("0").status().unwrap().success());
        assert_eq!(Releases::state_of(&program), Some(world.root.path().join("state").as_path()));
        assert_eq!(Releases::state_of(Path::new("/usr/bin/bellows")), None);
    }

    #[test]
    fn what_is_installed_can_be_run_by_all_and_written_by_its_owner_alone() {
        let world = World::new();
        let file = world.tree().join("bellows");
        for (number, theirs) in [0o700, 0o777].into_iter().enumerate() {
            fs::set_permissions(&file, fs::Permissions::from_mode(theirs)).unwrap();
            world.edit(&number.to_string());
            assert!(world.install());
            let mode = |path: &str| {
                let data = fs::metadata(world.releases.current().join(path)).unwrap();
                data.permissions().mode() & 0o7777
            };
            assert_eq!((mode("bellows"), mode("rootfs/tiny/build")), (0o755, 0o644));
        }
    }

    #[test]
    fn a_release_that_is_not_whole_is_made_anew() {
        let world = World::new();
        world.install();
        let folder = world.releases.in_force().unwrap();
        fs::write(folder.join("rootfs/tiny/build"), "fir").unwrap();
        fs::create_dir_all(world.root.path().join("state/releases/.draft/half")).unwrap();
        assert!(!world.install());
        assert_eq!(
            (world.recipe().as_str(), world.releases.in_force().unwrap()),
            ("first", folder)
        );
        assert!(!world.releases.current().join("half").exists());
    }

    #[test]
    fn old_releases_go_and_those_in_use_stay() {
        let world = World::new();
        world.install();
        let first = world.releases.in_force().unwrap();
        let mut runs = Command::new(first.join("bellows")).arg("60").spawn().unwrap();
        for text in ["second", "third", "fourth", "fifth", "sixth"] {
            std::thread::sleep(std::time::Duration::from_millis(20));
            world.edit(text);
            world.install();
        }
        assert_eq!(world.releases.remove_old().unwrap(), 2);
        assert!(first.exists(), "a program of it runs");
        assert_eq!(world.releases.list().len(), KEPT + 1);
        assert_eq!(world.recipe(), "sixth");
        runs.kill().unwrap();
        runs.wait().unwrap();
        assert_eq!(world.releases.remove_old().unwrap(), 1);
        assert!(!first.exists());
    }

    #[test]
    fn a_link_of_ours_is_moved_and_a_file_of_somebody_else_stays() {
        let world = World::new();
        world.install();
        let link = world.root.path().join("bin/bellows");
        assert_eq!(world.releases.link(&link, "bellows").unwrap(), Some(true));
        assert_eq!(world.releases.link(&link, "bellows").unwrap(), Some(false));
        assert!(Command::new(&link).arg("0").status().unwrap().success());
        let elsewhere = Releases::new(&world.root.path().join("elsewhere"));
        assert_eq!(elsewhere.link(&link, "bellows").unwrap(), Some(true));
        fs::remove_file(&link).unwrap();
        fs::write(&link, "theirs").unwrap();
        assert_eq!(world.releases.link(&link, "bellows").unwrap(), None);
        assert_eq!(fs::read_to_string(&link).unwrap(), "theirs");
    }
}
