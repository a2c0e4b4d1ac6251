//! One line of a file of requirements: what pip reads because of it. Only what is surely known is told; pip has more
//! ways to name a file than any list of them.

use crate::detect::requirements::name;

/// What pip reads because of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing of the folder: it names packages, or where they are elsewhere.
    Elsewhere,
    /// Another file of requirements or constraints, named from the folder of the file that names it.
    File(&'a str),
    /// That cannot be told.
    Unknown,
}

/// Options that take nothing.
const FLAGS: [&str; 4] = ["--no-index", "--pre", "--prefer-binary", "--require-hashes"];

/// Options that take names of packages or hosts.
const NAMES: [&str; 3] = ["--no-binary", "--only-binary", "--trusted-host"];

/// Options that take an address. Without a scheme it is a folder.
const ADDRESSES: [&str; 3] = ["--index-url", "--extra-index-url", "-i"];

/// Options that take another file, each in its own line: of two, pip reads both.
const FILES: [&str; 2] = ["--requirement", "--constraint"];
const FILES_SHORT: [&str; 2] = ["-r", "-c"];

/// What the names of files end with that pip installs, also where they stand alone, without a folder.
const ARCHIVES: [&str; 11] =
    [".whl", ".zip", ".gz", ".tgz", ".tar", ".bz2", ".tbz", ".xz", ".txz", ".tlz", ".lz"];

impl<'a> Line<'a> {
    /// Reads a line without its comment, as pip joins it.
    pub(super) fn read(line: &'a str) -> Self {
        // Variables are whatever the build has, and quotes and escapes make one word of several.
        if line.contains(['$', '\\']) {
            return Self::Unknown;
        }
        if !line.starts_with('-') {
            return if names_packages(line) { Self::Elsewhere } else { Self::Unknown };
        }
        if line.contains(['"', '\'']) {
            return Self::Unknown;
        }
        if let Some(file) = named_file(line) {
            return Self::File(file);
        }
        if are_harmless(line) { Self::Elsewhere } else { Self::Unknown }
    }
}

/// The file that a line names which names nothing else: `-r FILE`, `-rFILE`, `--requirement FILE`,
/// `--requirement=FILE`.
fn named_file(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let (first, second, third) = (words.next()?, words.next(), words.next());
    let file = match second {
        Some(file) => (FILES.contains(&first) || FILES_SHORT.contains(&first)).then_some(file)?,
        None => {
            let long = |option: &&str| first.strip_prefix(*option)?.strip_prefix('=');
            let short = |option: &&str| first.strip_prefix(*option);
            FILES.iter().find_map(long).or_else(|| FILES_SHORT.iter().find_map(short))?
        }
    };
    (third.is_none() && !file.is_empty()).then_some(file)
}

/// Whether a line is of options that read nothing.
fn are_harmless(line: &str) -> bool {
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        let (option, value) =
            word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        let is_harmless = match option {
            flag if FLAGS.contains(&flag) => value.is_none(),
            option if NAMES.contains(&option) => value.or_else(|| words.next()).is_some(),
            option if ADDRESSES.contains(&option) => {
                // Of a short one the sign is part of what it takes.
                let value = value.filter(|_| option.starts_with("--"));
                value.or_else(|| words.next()).is_some_and(is_elsewhere)
            }
            _ => false,
        };
        if !is_harmless {
            return false;
        }
    }
    true
}

/// Whether a line names packages alone, or an address, with nothing but hashes behind them.
fn names_packages(line: &str) -> bool {
    let options = line.find(" -").map_or("", |at| &line[at..]);
    let requirement = line[..line.len() - options.len()].trim();
    let is_hash = |word: &str| word.starts_with("--hash=") && !word.contains(['"', '\'']);
    if !options.split_whitespace().all(is_hash) {
        return false;
    }
    let what = requirement.split(';').next().unwrap_or_default().trim();
    if is_elsewhere(what) {
        return true;
    }
    match what.split_once('@') {
        Some((before, address)) => name(before).is_some() && is_elsewhere(address.trim()),
        None => name(what).is_some() && !requirement.contains('/') && !is_archive(what),
    }
}

/// Whether it is the address of another host.
fn is_elsewhere(address: &str) -> bool {
    let schemes = ["https://", "http://"];
    schemes.iter().any(|scheme| address.starts_with(scheme))
        && !address.contains(char::is_whitespace)
}

/// Whether it is the name of a file that pip installs, with or without extras.
fn is_archive(what: &str) -> bool {
    let what = what.split('[').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    ARCHIVES.iter().any(|end| what.ends_with(end)) || what.ends_with(".lzma")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_packages_or_other_hosts_reads_nothing() {
        for line in [
            "flask",
            "flask==3.0 --hash=sha256:ab --hash=sha256:cd",
            "uvicorn[standard] >=0.2,<1 ; python_version > \"3.8\" and sys_platform == 'linux'",
            "zope.interface~=5",
            "x @ https://x.example/x.whl",
            "x@https://x.example/x.tar.gz ; python_version>'3'",
            "https://x.example/x-1.0-py3-none-any.whl --hash=sha256:ab",
            "--pre",
            "--no-index --pre",
            "--index-url https://x.example/simple",
            "--index-url=https://x.example/simple --extra-index-url http://y.example",
            "-i https://x.example/simple --trusted-host x.example",
            "--no-binary :all: --only-binary=flask,x",
        ] {
            assert_eq!(Line::read(line), Line::Elsewhere, "{line}");
        }
    }

    #[test]
    fn another_file_is_known_when_it_is_all_that_a_line_names() {
        for (line, file) in [
            ("-r base.txt", "base.txt"),
            ("-rbase.txt", "base.txt"),
            ("-c\tconstraints/x.txt", "constraints/x.txt"),
            ("--requirement=base.txt", "base.txt"),
            ("--constraint  base.txt", "base.txt"),
            // As pip reads it.
            ("-r=base.txt", "=base.txt"),
        ] {
            assert_eq!(Line::read(line), Line::File(file), "{line}");
        }
    }

    #[test]
    fn what_may_read_the_folder_is_never_told_to_read_less() {
        for line in [
            "-e .",
            "--editable=.",
            ".",
            "./vendored",
            "vendored/x.whl",
            "x-1.0-py3-none-any.whl",
            "x-1.0-py3-none-any.whl[extra] ; python_version > '3'",
            "x-1.0.TAR.GZ",
            "x-1.0.zip --hash=sha256:ab",
            "flask==1.zip",
            "flask -e .",
            "flask --hash=sha256:ab --find-links wheels",
            "flask --config-settings x=y",
            "x @ file:///build/input/x.whl",
            "x @ ./x",
            "x @ x.whl",
            "x @ git+https://x.example/x",
            "x @ https://x.example/x y",
            "file:x.whl",
            "--find-links wheels",
            "-f wheels",
            "-fwheels",
            "--pre --find-links wheels",
            "--pre -e .",
            "--index-url ./index",
            "--index-url=index",
            "--index-url file:///build/input/index",
            "-i index",
            "-iindex",
            "-i=https://x.example",
            "--index-url",
            "--extra-index-url 'https://x.example' --find-links=wheels",
            "--trusted-host",
            "--require-hashes=x",
            "-r a.txt -r b.txt",
            "-r a.txt --find-links wheels",
            "--pre -r a.txt",
            "-r 'a b.txt'",
            "-r",
            "--requirement",
            "--requirement=",
            "--req a.txt",
            "--requirements a.txt",
            "x @ https://${HOST}/x",
            "flask \\",
            "flask 3",
        ] {
            assert_eq!(Line::read(line), Line::Unknown, "{line}");
        }
    }
}
