//! Sources of programs, which are served to nobody.

use std::path::Path;

use crate::contents::Entry;
use crate::folder::Found;
use crate::path::EntryPath;

/// What the names of sources end with, in any case. Browsers run none of them, so no page needs one; those of
/// JavaScript and of the languages that are made into it are not here, since pages have them too.
const EXTENSIONS: [&str; 29] = [
    "asp", "aspx", "c", "cc", "cgi", "clj", "cpp", "cr", "cs", "ex", "exs", "go", "hs", "java",
    "jsp", "kt", "lua", "nim", "php", "phtml", "pl", "py", "rb", "rs", "scala", "swift", "vb",
    "wsgi", "zig",
];

/// Files of the folder itself that say how a program is built or what it needs. `package.json` is not here: pages
/// may be built with it.
const MANIFESTS: [&str; 12] = [
    "Cargo.toml",
    "Gemfile",
    "Pipfile",
    "build.gradle",
    "build.gradle.kts",
    "composer.json",
    "config.ru",
    "deno.json",
    "go.mod",
    "mix.exs",
    "pom.xml",
    "setup.cfg",
];

/// The first source of a program, of those of Python if there are any.
pub(super) fn first(found: &Found) -> Option<&EntryPath> {
    of_python(found).or_else(|| files(found).find(|path| is_source(path)))
}

/// The first source of Python.
pub(super) fn of_python(found: &Found) -> Option<&EntryPath> {
    files(found).find(|path| is_python(path))
}

/// Whether it is a source of Python.
pub(super) fn is_python(path: &EntryPath) -> bool {
    extension(path).is_some_and(|extension| extension == "py")
}

fn is_source(path: &EntryPath) -> bool {
    let is_manifest = path.parent().is_none() && MANIFESTS.contains(&path.name());
    is_manifest || extension(path).is_some_and(|it| EXTENSIONS.contains(&it.as_str()))
}

fn extension(path: &EntryPath) -> Option<String> {
    Path::new(path.name()).extension()?.to_str().map(str::to_ascii_lowercase)
}

fn files(found: &Found) -> impl Iterator<Item = &EntryPath> {
    let entries = found.contents.iter();
    entries.filter(|(_, entry)| matches!(entry, Entry::File(_))).map(|(path, _)| path)
}
