//! What installing the packages of a Python application reads: a few texts, or all of its folder.

mod line;

use std::collections::BTreeSet;
use std::path::PathBuf;

use sha2::Digest as _;
use sha2::Sha256;

use crate::contents::{Digest, Entry, add_text};
use crate::detect::Declared;
use crate::detect::requirements::logical_lines;
use crate::folder::Found;
use crate::path::EntryPath;

use self::line::Line;

/// How deep `-r` and `-c` lead from file to file.
const DEPTH_MAX: usize = 8;

/// The form of what the digest is made of.
const FORM: &[u8] = b"bellows packages 1\n";

/// What installing the packages of an application reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// What says which packages those are: a file, or `.` for a project that says it as it is built.
    pub declared: &'static str,
    /// The files that are read; `None` where any of the folder may be.
    pub files: Option<BTreeSet<EntryPath>>,
}

impl Needed {
    /// What is read where the packages are declared like this. Where that cannot be told, it is all of the folder: then
    /// they are installed anew whenever something in it changes.
    pub fn of(found: &Found, declared: Declared) -> Self {
        let needed = Self::of_lines(found, declared);
        let files = needed.files.filter(|_| !looks_like_an_address(found));
        Self { files, ..needed }
    }

    /// The same, by what the lines say alone.
    fn of_lines(found: &Found, declared: Declared) -> Self {
        match declared {
            Declared::Requirements => {
                let mut files = BTreeSet::new();
                let is_told = add(found, "requirements.txt", DEPTH_MAX, &mut files);
                Self { declared: "requirements.txt", files: is_told.then_some(files) }
            }
            Declared::Project => match found.text("pyproject.toml").is_some_and(is_static) {
                true => {
                    let file = EntryPath::new(b"pyproject.toml").into_iter().collect();
                    Self { declared: "pyproject.toml", files: Some(file) }
                }
                false => Self { declared: ".", files: None },
            },
        }
    }

    /// The paths of what is read, of what goes along of the folder alone.
    pub fn paths(&self, found: &Found) -> BTreeSet<PathBuf> {
        let entries = found.contents.iter().filter(|(path, entry)| match &self.files {
            None => !matches!(entry, Entry::Folder),
            Some(files) => files.contains(*path),
        });
        entries.map(|(path, _)| path.as_str().into()).collect()
    }

    /// The digest of all that is read.
    pub fn digest(&self, found: &Found) -> Digest {
        let mut hasher = Sha256::new_with_prefix(FORM);
        add_text(&mut hasher, self.declared);
        match &self.files {
            None => add_text(&mut hasher, &found.contents.digest().to_string()),
            Some(files) => {
                for (path, entry) in found.contents.iter().filter(|(path, _)| files.contains(*path))
                {
                    let Entry::File(file) = entry else { continue };
                    add_text(&mut hasher, path.as_str());
                    add_text(&mut hasher, &file.content.to_string());
                }
            }
        }
        Digest::of(hasher)
    }
}

/// Adds a file of requirements and those that it names; says whether these are all that is read.
fn add(found: &Found, path: &str, depth: usize, files: &mut BTreeSet<EntryPath>) -> bool {
    let (Some(text), Some(depth)) = (found.text(path), depth.checked_sub(1)) else { return false };
    let Ok(entry) = EntryPath::new(path.as_bytes()) else { return false };
    files.insert(entry);
    is_plain(text)
        && logical_lines(text).iter().all(|line| match Line::read(line) {
            Line::Elsewhere => true,
            // Named from the folder of the file that names it.
            Line::File(other) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let other = other.strip_prefix("./").unwrap_or(other);
                add(found, format!("{folder}/{other}").trim_start_matches('/'), depth, files)
            }
            Line::Unknown => false,
        })
}

/// Whether pip reads a file as the text that it is here: the first two lines may name another encoding.
fn is_plain(text: &str) -> bool {
    let mut first = text.split('\n').take(2);
    !first
        .any(|line| line.starts_with('#') && (line.contains("coding:") || line.contains("coding=")))
}

/// Whether something of a folder is where pip looks first for the file that an address such as `x @ https://x.example/x`
/// would be as a path.
fn looks_like_an_address(found: &Found) -> bool {
    let mut first = found.contents.iter().filter_map(|(path, _)| path.as_str().split('/').next());
    first.any(|name| name.ends_with(':'))
}

/// Whether a project lists what it depends on, so that nothing of it need be run to tell. pip is given the list as the
/// lines of a file.
fn is_static(text: &str) -> bool {
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    let Some(project) = table.get("project") else { return false };
    let is_made = |value: &toml::Value| value.as_str() == Some("dependencies");
    let made = project.get("dynamic").and_then(toml::Value::as_array);
    let listed = project.get("dependencies").and_then(toml::Value::as_array);
    let listed = listed.into_iter().flatten().filter_map(toml::Value::as_str);
    let lines = listed.collect::<Vec<_>>().join("\n");
    !made.is_some_and(|made| made.iter().any(is_made))
        && is_plain(&lines)
        && logical_lines(&lines).iter().all(|line| Line::read(line) == Line::Elsewhere)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::{Bounds, read};

    fn found(files: &[(&str, &str)]) -> (tempfile::TempDir, Found) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let found = read(folder.path(), Bounds::default()).unwrap();
        (folder, found)
    }

    fn of(files: &[(&str, &str)], declared: Declared) -> (String, Option<String>) {
        let (_folder, found) = found(files);
        let needed = Needed::of(&found, declared);
        let paths = needed
            .files
            .map(|files| files.iter().map(EntryPath::as_str).collect::<Vec<_>>().join(" "));
        (needed.declared.to_owned(), paths)
    }

    #[test]
    fn requirements_that_name_packages_alone_are_read_with_the_files_that_they_name() {
        let files = [
            (
                "requirements.txt",
                "flask==3.0 --hash=sha256:ab\n-r requirements/base.txt\n-c constraints.txt\n",
            ),
            (
                "requirements/base.txt",
                "--extra-index-url https://x.example/simple\nx @ https://x.example/x.whl\n",
            ),
            ("constraints.txt", "werkzeug<4\n"),
            ("app.py", ""),
        ];
        let (declared, files) = of(&files, Declared::Requirements);
        assert_eq!(declared, "requirements.txt");
        assert_eq!(files.unwrap(), "constraints.txt requirements.txt requirements/base.txt");
    }

    #[test]
    fn where_a_line_may_read_the_folder_it_is_all_that_is_read() {
        for text in [
            "flask\n-e .",
            "x-1.0-py3-none-any.whl",
            "--pre --find-links wheels",
            "--index-url index",
            "-r missing.txt",
            "-r requirements.txt",
            "-r ../requirements.txt",
            "-r /build/input/requirements.txt",
            // A comment has no next line; one behind a requirement has.
            "# a comment \\\n-e .",
            "  # a comment \\\n-e .",
            // Python's lines end with more than a line feed.
            "flask # a comment\r-e .",
            "flask # a comment\u{85}-e .",
            "flask # a comment\x0c-e .",
            "# -*- coding: utf-7 -*-\n+AC0-e .",
        ] {
            let (_, files) = of(&[("requirements.txt", text)], Declared::Requirements);
            assert_eq!(files, None, "{text:?}");
        }
        let files = [("requirements.txt", "x @ https://h/x"), ("x @ https:/h/x/setup.py", "")];
        assert_eq!(of(&files, Declared::Requirements).1, None, "a folder that is called like it");
    }

    #[test]
    fn what_a_comment_swallows_reads_nothing() {
        for text in ["flask # a comment \\\n-e .", "# -e .", "flask \\\n  >= 3"] {
            let (_, files) = of(&[("requirements.txt", text)], Declared::Requirements);
            assert_eq!(files.as_deref(), Some("requirements.txt"), "{text:?}");
        }
    }

    #[test]
    fn a_project_that_lists_what_it_depends_on_is_read_alone() {
        let of = |text| of(&[("pyproject.toml", text)], Declared::Project);
        let listed = "[project]\nname = 'x'\ndependencies = ['flask']";
        assert_eq!(of(listed), ("pyproject.toml".to_owned(), Some("pyproject.toml".to_owned())));
        for other in [
            "[project]\ndynamic = ['dependencies']",
            "[project]\ndependencies = ['x @ file:///x']",
            "[project]\ndependencies = ['x-1.0-py3-none-any.whl']",
            "[project]\ndependencies = ['''flask;\n-e .''']",
            "[project]\ndependencies = ['-r /build/input/requirements.txt']",
            "[tool.poetry.dependencies]\nflask = '^3'",
        ] {
            assert_eq!(of(other), (".".to_owned(), None), "{other}");
        }
    }

    #[test]
    fn the_digest_is_of_what_is_read_and_of_nothing_else() {
        let needed = |requirements: &str, source: &str| {
            let files =
                [("requirements.txt", requirements), ("a/app.py", source), (".env", "SECRET=1")];
            let (_folder, found) = found(&files);
            let needed = Needed::of(&found, Declared::Requirements);
            let paths: Vec<_> = needed.paths(&found).into_iter().collect();
            (needed.digest(&found), paths)
        };
        let all = [Path::new("a/app.py"), Path::new("requirements.txt")];
        assert_eq!(needed("-e .", "").1, all, "and nothing that stays out");
        assert_eq!(needed("flask", "").1, all[1..]);
        let digest = |requirements, source| needed(requirements, source).0;
        assert_eq!(digest("flask", "a = 1"), digest("flask", "a = 2"));
        assert_ne!(digest("flask", ""), digest("flask<3", ""));
        assert_ne!(digest("-e .", "a = 1"), digest("-e .", "a = 2"));
    }
}
