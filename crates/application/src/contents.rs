//! What goes along of a folder, and the digest that says whether it is the same.

use std::collections::BTreeMap;
use std::fmt;

use sha2::Digest as _;
use sha2::Sha256;

use crate::path::EntryPath;

/// What goes along of a folder, in the order of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(pub(crate) BTreeMap<EntryPath, Entry>);

/// A part of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file.
    File(File),
    /// A symbolic link, with where it leads.
    Link(String),
}

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Its size in bytes.
    pub size: u64,
    /// Whether it can be run.
    pub executable: bool,
    /// When it was changed last, in seconds since 1970. No part of the digest.
    pub modified: u64,
    /// The digest of its content.
    pub content: Digest,
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// The form of what the digest is made of; another form has another text, and so other digests.
const FORM: &[u8] = b"bellows application 1\n";

impl Contents {
    /// Each entry with its path, in the order of paths.
    pub fn iter(&self) -> impl Iterator<Item = (&EntryPath, &Entry)> {
        self.0.iter()
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        let sizes = self.0.values().map(|entry| match entry {
            Entry::File(file) => file.size,
            Entry::Folder | Entry::Link(_) => 0,
        });
        sizes.sum()
    }

    /// One digest of all paths, contents, targets of links, and of which files can be run: the same for the same
    /// contents, wherever and whosever they are.
    pub fn digest(&self) -> Digest {
        let mut hasher = Sha256::new_with_prefix(FORM);
        for (path, entry) in &self.0 {
            add_text(&mut hasher, path.as_str());
            match entry {
                Entry::Folder => hasher.update(b"d"),
                Entry::File(file) => {
                    hasher.update(if file.executable { b"x" } else { b"f" });
                    hasher.update(file.content.0);
                }
                Entry::Link(target) => {
                    hasher.update(b"l");
                    add_text(&mut hasher, target);
                }
            }
        }
        Digest::of(hasher)
    }
}

/// With its length before it, no text can look like two.
pub(crate) fn add_text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text);
}

impl Digest {
    pub(crate) fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(entries: &[(&str, Entry)]) -> Contents {
        let paths = entries
            .iter()
            .map(|(path, entry)| (EntryPath::new(path.as_bytes()).unwrap(), entry.clone()));
        Contents(paths.collect())
    }

    fn file(content: &str, executable: bool, modified: u64) -> Entry {
        let hasher = Sha256::new_with_prefix(content);
        let size = content.len() as u64;
        Entry::File(File { size, executable, modified, content: Digest::of(hasher) })
    }

    #[test]
    fn the_digest_is_of_all_but_the_time() {
        let of = |entries: &[_]| contents(entries).digest();
        let link = |target: &str| Entry::Link(target.to_owned());
        let base = of(&[("a", file("x", false, 1)), ("l", link("a"))]);
        assert_eq!(of(&[("l", link("a")), ("a", file("x", false, 2))]), base);
        for other in [
            of(&[("a", file("y", false, 1)), ("l", link("a"))]),
            of(&[("a", file("x", true, 1)), ("l", link("a"))]),
            of(&[("b", file("x", false, 1)), ("l", link("a"))]),
            of(&[("a", file("x", false, 1)), ("l", link("b"))]),
            of(&[("a", file("x", false, 1)), ("l", Entry::Folder)]),
            of(&[("a", file("x", false, 1))]),
        ] {
            assert_ne!(other, base);
        }
    }

    /// Images are kept by it, so that another would make all of them anew.
    #[test]
    fn the_digest_stays_as_it_is_over_releases() {
        insta::assert_snapshot!(contents(&[("a", file("x", true, 1)), ("d", Entry::Folder)]).digest(), @"c11674e60fdb2f7438225ae71026c465c376844dc07fe235111c2c99cf5f2a76");
    }
}
