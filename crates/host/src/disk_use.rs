//! What files take of the disk, counted as it comes free when they are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The bytes of a block, whatever the file system's own are (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// Counts what comes free when several places are removed one after the other: a file of several names is counted with
/// the last of them, and one that has a name elsewhere not at all.
#[derive(Debug, Default)]
pub struct DiskUse {
    /// Of how many names of each file with several this knows.
    names: BTreeMap<Id, u64>,
    folders: BTreeSet<Id>,
}

/// What tells one file of a host from all others.
type Id = (u64, u64);

impl DiskUse {
    /// What comes free when this is removed, a file or a folder with all that is in it, after all that was asked about
    /// before. What is mounted there is not counted, nor what cannot be read.
    pub fn of(&mut self, place: &Path) -> u64 {
        let Ok(top) = fs::symlink_metadata(place) else { return 0 };
        let mut bytes = 0;
        let mut left = vec![(place.to_owned(), top.clone())];
        while let Some((path, found)) = left.pop() {
            if found.dev() != top.dev() || !self.is_freed(&found) {
                continue;
            }
            bytes += found.blocks() * BLOCK_BYTES;
            if found.is_dir() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                left.extend(entries.filter_map(|it| Some((it.path(), it.metadata().ok()?))));
            }
        }
        bytes
    }

    fn is_freed(&mut self, found: &Metadata) -> bool {
        let id = (found.dev(), found.ino());
        if found.is_dir() {
            return self.folders.insert(id);
        }
        if found.nlink() == 1 {
            return true;
        }
        let names = self.names.entry(id).or_insert(0);
        *names += 1;
        *names == found.nlink()
    }
}

/// What a file takes of the disk, which is less than its length where it has holes.
pub(crate) fn allocated(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |found| found.blocks() * BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_of_several_names_comes_free_once_and_with_the_last_of_them() {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str| root.path().join(name);
        for name in ["one", "two"] {
            fs::create_dir_all(place(name).join("inner")).unwrap();
        }
        let folders = DiskUse::default().of(&place("one"));
        fs::write(place("one/file"), vec![1; 100_000]).unwrap();
        let file = allocated(&place("one/file"));
        assert!(file >= 100_000);
        assert_eq!(DiskUse::default().of(&place("one")), folders + file);
        fs::hard_link(place("one/file"), place("one/inner/again")).unwrap();
        assert_eq!(DiskUse::default().of(&place("one")), folders + file);
        fs::hard_link(place("one/file"), place("two/file")).unwrap();
        let mut both = DiskUse::default();
        assert_eq!(both.of(&place("one")), folders, "the other has it still");
        assert_eq!(both.of(&place("two")), folders + file);
        assert_eq!(both.of(&place("two")), 0, "it is asked about once");
    }

    #[test]
    fn holes_take_nothing_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let empty = DiskUse::default().of(&folder);
        File::create(folder.join("sparse")).unwrap().set_len(1 << 40).unwrap();
        std::os::unix::fs::symlink("/usr", folder.join("link")).unwrap();
        assert_eq!(DiskUse::default().of(&folder), empty);
        assert_eq!(DiskUse::default().of(&root.path().join("none")), 0);
    }
}
