//! What is packed comes out as it was.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use application::{Bounds, Contents, Found, PackError, UnpackError, pack, unpack};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::any_folder::{any_folder, make};
use crate::harness::{allow_to_run, folder, found, write};

pub(crate) fn packed(found: &Found) -> Vec<u8> {
    let mut archive = Vec::new();
    pack(found, &mut archive).unwrap();
    archive
}

/// Unpacks into a new folder, below another one so that what leads out of it can be seen.
pub(crate) fn unpacked(archive: &[u8], bounds: Bounds) -> (TempDir, Result<Contents, UnpackError>) {
    let around = tempfile::tempdir().unwrap();
    let contents = unpack(archive, &around.path().join("in"), bounds);
    (around, contents)
}

#[test]
fn rights_times_and_owners_are_those_of_an_application() {
    let folder = folder(&[("private", "x")]);
    let run = write(folder.path(), "run", b"y");
    allow_to_run(&run);
    // Set-user-id, and writable for all.
    fs::set_permissions(&run, fs::Permissions::from_mode(0o4777)).unwrap();
    fs::set_permissions(folder.path().join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    let (around, contents) = unpacked(&packed(&found(folder.path())), Bounds::default());
    contents.unwrap();
    let mode =
        |name: &str| fs::metadata(around.path().join("in").join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("private"), mode("run")), (0o644, 0o755));
    let time = |place: &std::path::Path| fs::metadata(place).unwrap().mtime();
    assert_eq!(time(&around.path().join("in/run")), time(&run));
}

#[test]
fn long_paths_and_targets_come_through() {
    let name = "n".repeat(200);
    let folder = folder(&[(&format!("{name}/{name}/{name}"), "x")]);
    symlink(format!("{name}/{name}/{name}"), folder.path().join("link")).unwrap();
    let found = found(folder.path());
    let (_around, contents) = unpacked(&packed(&found), Bounds::default());
    assert_eq!(contents.unwrap(), found.contents);
}

/// The library writes them as it would write paths.
#[test]
fn targets_of_links_are_kept_to_the_letter() {
    let folder = folder(&[("d/", "")]);
    for (name, target) in [("a", "..//d/./x/"), ("b", "."), ("c", "./a")] {
        symlink(target, folder.path().join("d").join(name)).unwrap();
    }
    let found = found(folder.path());
    let (_around, contents) = unpacked(&packed(&found), Bounds::default());
    assert_eq!(contents.unwrap(), found.contents);
}

#[test]
fn a_file_that_changed_since_it_was_read_is_not_packed() {
    for content in ["xy", "", "xxx"] {
        let folder = folder(&[("a", "xx")]);
        let found = found(folder.path());
        write(folder.path(), "a", content.as_bytes());
        let packed = pack(&found, std::io::sink());
        if content == "xxx" {
            // What came behind the content that was read is left out.
            let (_around, contents) = unpacked(&self::packed(&found), Bounds::default());
            assert_eq!(contents.unwrap().digest(), found.contents.digest());
        } else {
            assert!(matches!(packed, Err(PackError::Changed { .. })), "{content}: {packed:?}");
        }
    }
    let folder = folder(&[("a", "xx")]);
    let found = found(folder.path());
    fs::remove_file(folder.path().join("a")).unwrap();
    symlink("/etc/passwd", folder.path().join("a")).unwrap();
    assert!(matches!(pack(&found, std::io::sink()), Err(PackError::Unread { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_packed_and_unpacked_is_the_same(parts in any_folder()) {
        let folder = make(&parts);
        let first = found(folder.path());
        let (around, contents) = unpacked(&packed(&first), Bounds::default());
        let contents = contents.unwrap();
        prop_assert_eq!(contents.digest(), first.contents.digest());
        // Read where it was unpacked, it is the same again.
        let again = found(&around.path().join("in"));
        prop_assert_eq!(&again.contents, &first.contents);
        prop_assert_eq!(packed(&again), packed(&first));
    }

    #[test]
    fn an_archive_that_was_cut_is_refused_or_has_another_digest(
        parts in any_folder(), share in 0.0..1.0_f64
    ) {
        let folder = make(&parts);
        write(folder.path(), "last", b"x");
        let found = found(folder.path());
        let archive = packed(&found);
        // Two blocks of zeros are its end, and say nothing.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let length = ((archive.len() - 1024) as f64 * share) as usize;
        let (_around, contents) = unpacked(&archive[..length], Bounds::default());
        if let Ok(contents) = contents {
            prop_assert_ne!(contents.digest(), found.contents.digest());
        }
    }
}
