//! What folders that lie on each other show, as an overlay of them would.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where what is seen at a path is: in the topmost of the folders, which come first, that has it, where no
/// folder above hides it. No link is followed, not even one that leads to a folder.
pub(super) fn find(folders: &[&Path], path: &str) -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        // A file or a link is a folder to nobody.
        places.retain(|place| is_folder(place));
        places = beside(&places, name);
    }
    places.into_iter().next()
}

/// The places of a name in these folders: of several folders all, for they are seen as one; of anything else the
/// one that hides what is below it.
fn beside(folders: &[PathBuf], name: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for place in folders.iter().map(|folder| folder.join(name)) {
        match fs::symlink_metadata(&place) {
            Err(_) => {}
            Ok(found) if found.is_dir() => places.push(place),
            Ok(found) => {
                // A device without a number says that what is below is gone.
                let is_whiteout = found.file_type().is_char_device() && found.rdev() == 0;
                if places.is_empty() && !is_whiteout {
                    places.push(place);
                }
                break;
            }
        }
    }
    places
}

fn is_folder(place: &Path) -> bool {
    fs::symlink_metadata(place).is_ok_and(|found| found.is_dir())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_topmost_is_seen_and_hides_what_is_below_and_no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in
            ["upper/etc", "upper/both", "lower/etc", "lower/both", "lower/gone", "lower/opt"]
        {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for file in ["upper/etc/group", "lower/etc/group", "lower/etc/passwd", "lower/opt/file"] {
            fs::write(at(file), "").unwrap();
        }
        fs::write(at("lower/gone/file"), "").unwrap();
        symlink("/etc", at("upper/opt")).unwrap();
        symlink("/etc", at("lower/link")).unwrap();
        fs::create_dir(at("upper/link")).unwrap();
        let made = Command::new("mknod").arg(at("upper/gone")).args(["c", "0", "0"]).status();
        assert!(made.unwrap().success());
        let folders = [at("upper"), at("lower")];
        let find = |path: &str| find(&folders.each_ref().map(PathBuf::as_path), path);
        assert_eq!(find(""), Some(at("upper")));
        assert_eq!(find("/etc/group"), Some(at("upper/etc/group")));
        assert_eq!(find("etc/passwd"), Some(at("lower/etc/passwd")));
        assert_eq!(find("both"), Some(at("upper/both")));
        assert_eq!(find("opt"), Some(at("upper/opt")));
        for hidden in ["opt/file", "opt/passwd", "link/passwd", "gone", "gone/file", "etc/group/x"]
        {
            assert_eq!(find(hidden), None, "{hidden}");
        }
    }
}
