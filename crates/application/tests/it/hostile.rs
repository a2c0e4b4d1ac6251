//! Archives that nobody packed with good intent.

use std::fs;
use std::path::Path;

use application::{Bounds, Contents, UnpackError, unpack};
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use crate::archive::unpacked;

/// An archive that is written header by header, whatever they say.
struct Raw(Builder<Vec<u8>>);

impl Raw {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// Adds an entry. The path and the target are written as they are, of which the library would refuse some.
    fn with(mut self, kind: EntryType, path: &str, target: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let fields = header.as_old_mut();
        fields.name[..path.len()].copy_from_slice(path.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o7777);
        header.set_uid(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, path: &str) -> Self {
        self.with(EntryType::Regular, path, "", b"x")
    }

    fn folder(self, path: &str) -> Self {
        self.with(EntryType::Directory, path, "", b"")
    }

    fn link(self, path: &str, target: &str) -> Self {
        self.with(EntryType::Symlink, path, target, b"")
    }

    /// The name of the next entry, as GNU writes long ones.
    fn long(self, kind: EntryType, name: &[u8]) -> Self {
        self.with(kind, "././@LongLink", "", name)
    }

    fn archive(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    /// Why it is refused; and nothing lies beside the folder that it was unpacked into.
    fn refusal(self) -> String {
        let (around, contents) = unpacked(&self.archive(), Bounds::default());
        assert_eq!(names(around.path()), ["in"]);
        contents.unwrap_err().to_string()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn paths_and_links_that_lead_out_are_refused() {
    let refusals = [
        Raw::new().file("/etc/x").refusal(),
        Raw::new().file("../x").refusal(),
        Raw::new().folder("a").file("a/../../x").refusal(),
        Raw::new().long(EntryType::GNULongName, b"../x\0").file("harmless").refusal(),
        Raw::new().file("a\u{1b}b").refusal(),
        Raw::new().link("a", "/etc").refusal(),
        Raw::new().link("a", "../x").refusal(),
        Raw::new().link("a", "b/../../x").refusal(),
        Raw::new().long(EntryType::GNULongLink, b"/etc\0").link("a", "b").refusal(),
        Raw::new().link("a", "").refusal(),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    the archive holds "/etc/x": it must name a file below the application's folder, without ".."
    the archive holds "../x": it must name a file below the application's folder, without ".."
    the archive holds "a/../../x": it must name a file below the application's folder, without ".."
    the archive holds "../x": it must name a file below the application's folder, without ".."
    the archive holds "a\u{1b}b": its name must be UTF-8 without control characters: rename it
    the archive holds the link a to "/etc": link to what lies in the folder, by a relative path
    the archive holds the link a to "../x": link to what lies in the folder, by a relative path
    the archive holds the link a to "b/../../x": link to what lies in the folder, by a relative path
    the archive holds the link a to "/etc": link to what lies in the folder, by a relative path
    the archive holds the link a to "": link to what lies in the folder, by a relative path
    "#);
}

#[test]
fn nothing_is_written_through_a_link_or_over_what_is_there() {
    let refusals = [
        Raw::new().folder("b").link("a", "b").file("a/x").refusal(),
        Raw::new().folder("b").link("a", "b").folder("a/x").refusal(),
        Raw::new().link("a", "b").file("a").refusal(),
        Raw::new().file("a").file("a").refusal(),
        Raw::new().file("a").folder("a").refusal(),
        Raw::new().folder("a").link("a", "b").refusal(),
        Raw::new().file("a").file("a/x").refusal(),
        Raw::new().file("a/x").refusal(),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    the archive holds a/x before its folder: pack it again
    the archive holds a/x before its folder: pack it again
    the archive holds a twice: pack it again
    the archive holds a twice: pack it again
    the archive holds a twice: pack it again
    the archive holds a twice: pack it again
    the archive holds a/x before its folder: pack it again
    the archive holds a/x before its folder: pack it again
    ");
}

#[test]
fn what_no_application_is_made_of_is_refused() {
    let kinds = [
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Continuous,
        EntryType::GNUSparse,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ];
    for kind in kinds {
        let refusal = Raw::new().file("a").with(kind, "b", "a", b"").refusal();
        assert!(refusal.contains("use files, folders and symbolic links"), "{refusal}");
    }
}

#[test]
fn what_is_too_much_is_refused_before_it_is_read() {
    let bounds = Bounds { entries: 3, bytes: 1 << 20 };
    let refused = |archive: &[u8]| unpacked(archive, bounds).1.unwrap_err();
    let many = Raw::new().file("a").file("b").file("c").file("d").archive();
    assert!(matches!(refused(&many), UnpackError::TooMany(_)));
    let half = vec![0; 600 << 10];
    let large = Raw::new().with(EntryType::Regular, "a", "", &half);
    let large = large.with(EntryType::Regular, "b", "", &half).archive();
    assert!(matches!(refused(&large), UnpackError::TooLarge(_)));
    let in_folders = Raw::new().with(EntryType::Directory, "a", "", &half);
    let in_folders = in_folders.with(EntryType::Directory, "b", "", &half).archive();
    assert!(matches!(refused(&in_folders), UnpackError::TooLarge(_)));
    let names = (0..10).fold(Raw::new(), |raw, _| raw.long(EntryType::GNULongName, b"a\0"));
    assert!(matches!(refused(&names.archive()), UnpackError::TooMany(_)));
    let name = Raw::new().long(EntryType::GNULongName, &[b'a'; 5000]).file("a").refusal();
    assert!(
        name.starts_with("the archive holds \"a name of 5000 bytes\": it is too long"),
        "{name}"
    );
    // It says that it holds 8 EiB, and holds one byte.
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_path("a").unwrap();
    header.set_size(1 << 63);
    header.set_cksum();
    let liar = [header.as_bytes().as_slice(), b"x"].concat();
    assert!(matches!(refused(&liar), UnpackError::TooLarge(_)));
}

#[test]
fn what_is_refused_says_the_bound() {
    let bounds = Bounds { entries: 1, bytes: 3 };
    let refusal = |raw: Raw| unpacked(&raw.archive(), bounds).1.unwrap_err().to_string();
    let deep = (1..=64).fold(Raw::new(), |raw, depth| {
        let path = vec!["d"; depth].join("/");
        raw.long(EntryType::GNULongName, path.as_bytes()).folder("d")
    });
    let deeper = deep.long(EntryType::GNULongName, ("d/".repeat(64) + "x").as_bytes());
    let refusals = [
        refusal(Raw::new().file("a").file("b")),
        refusal(Raw::new().with(EntryType::Regular, "a", "", b"four")),
        deeper.file("x").refusal(),
        Raw::new().long(EntryType::GNULongName, &[b'n'; 300]).file("x").refusal(),
    ];
    let refusals = refusals.join("\n").replace("d/", "").replace(&"n".repeat(300), "n");
    insta::assert_snapshot!(refusals, @r#"
    the archive holds more than 1 files, folders and links: leave out what the application does not need
    the archive holds more than 3 bytes: leave out what the application does not need
    the archive holds "x": it lies too deep: use up to 64 names, those of its folders and its own
    the archive holds "n": it is too long: use names of up to 255 bytes, 1024 with their folders
    "#);
}

#[test]
fn a_folder_that_holds_anything_is_not_unpacked_into() {
    let folder = crate::harness::folder(&[("a", "")]);
    let error = unpack([].as_slice(), folder.path(), Bounds::default()).unwrap_err();
    assert!(matches!(error, UnpackError::NotEmpty(_)), "{error}");
}

#[test]
fn rights_of_a_stranger_are_dropped() {
    use std::os::unix::fs::MetadataExt as _;
    let (around, contents) =
        unpacked(&Raw::new().folder("d/").file("d/a").archive(), Bounds::default());
    contents.unwrap();
    for place in ["in/d", "in/d/a"] {
        let metadata = fs::metadata(around.path().join(place)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o755, "{place}");
    }
}

fn any_entry() -> impl Strategy<Value = (u8, String, String, Vec<u8>)> {
    let path = "/?(\\.\\./|\\./|a/|b/|l/){0,3}(a|b|l|\\.\\.)?/?";
    (
        prop::sample::select(b"0000555222113467xgLKS".to_vec()),
        path,
        path,
        prop::collection::vec(any::<u8>(), 0..20),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_an_archive_holds_nothing_is_written_outside(
        entries in prop::collection::vec(any_entry(), 1..8),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let raw = entries.iter().fold(Raw::new(), |raw, (kind, path, target, content)| {
            raw.with(EntryType::new(*kind), path, target, content)
        });
        let mut archive = raw.archive();
        for (at, byte) in flips {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        let (around, contents) = unpacked(&archive, Bounds { entries: 100, bytes: 1 << 20 });
        prop_assert_eq!(names(around.path()), ["in"]);
        stays_inside(&around.path().join("in"));
        if let Ok(contents) = contents {
            prop_assert!(is_as_told(&around.path().join("in"), &contents));
        }
    }
}

/// No link leads out, as the kernel follows it.
fn stays_inside(top: &Path) {
    let top = top.canonicalize().unwrap();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let place = folder.join(name);
            let metadata = place.symlink_metadata().unwrap();
            if metadata.is_dir() {
                folders.push(place);
            } else if let Ok(real) = place.canonicalize() {
                assert!(real.starts_with(&top), "{} is {}", place.display(), real.display());
            }
        }
    }
}

/// What is said to have been unpacked was.
fn is_as_told(folder: &Path, contents: &Contents) -> bool {
    contents.iter().all(|(path, _)| folder.join(path.as_str()).symlink_metadata().is_ok())
}
