//! What goes along, and what stays out.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use application::{Bounds, Entry, Why, read};

use proptest::prelude::*;

use crate::harness::{allow_to_run, folder, found, paths, write};

fn refused(folder: &Path, bounds: Bounds) -> String {
    let error = read(folder, bounds).unwrap_err().to_string();
    error.replace(&folder.display().to_string(), "DIR")
}

#[test]
fn what_belongs_to_the_application_goes_along() {
    let folder =
        folder(&[("app.py", "a"), ("static/x.css", "b"), (".config/y", ""), ("empty/", "")]);
    allow_to_run(&write(folder.path(), "run.sh", b"#!/bin/sh\n"));
    symlink("static/x.css", folder.path().join("link")).unwrap();
    let found = found(folder.path());
    let expected =
        [".config", ".config/y", "app.py", "empty", "link", "run.sh", "static", "static/x.css"];
    assert_eq!(paths(&found), expected);
    let entries: Vec<&Entry> = found.contents.iter().map(|(_, entry)| entry).collect();
    assert!(matches!(entries[2], Entry::File(file) if file.size == 1 && !file.executable));
    assert!(matches!(entries[5], Entry::File(file) if file.size == 10 && file.executable));
    assert_eq!(*entries[4], Entry::Link("static/x.css".to_owned()));
    assert_eq!((found.contents.bytes(), found.left_out.lines().count()), (12, 0));
}

#[test]
fn what_does_not_is_told_by_reason_with_the_first_names() {
    let folder = folder(&[
        ("app.py", ""),
        (".git/config", ""),
        ("lib/.git", "gitdir: elsewhere"),
        (".env", "PASSWORD=x"),
        (".env.local", ""),
        (".envrc", "export PASSWORD=x"),
        ("deep/.env.production", ""),
        ("deep/.env.test", ""),
        (".environment", ""),
        (".gitignore", "*.log\n/data/\n"),
        ("a.log", ""),
        ("data/big", ""),
        ("deep/data/small", ""),
        ("__pycache__/app.pyc", ""),
        ("venv/pyvenv.cfg", ""),
        ("venv/lib/x.py", ""),
        ("environment", ""),
        ("bellows.toml", ""),
        ("deep/bellows.toml", ""),
    ]);
    symlink("/etc/passwd", folder.path().join("deep/passwd")).unwrap();
    symlink("../..", folder.path().join("deep/up")).unwrap();
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    let made = Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    assert!(made.success());
    let found = found(folder.path());
    let expected = [
        ".environment",
        ".gitignore",
        "app.py",
        "deep",
        "deep/bellows.toml",
        "deep/data",
        "deep/data/small",
        "environment",
        "lib",
    ];
    assert_eq!(paths(&found), expected);
    assert_eq!((found.left_out.count(Why::Environment), found.left_out.count(Why::NoFile)), (5, 2));
    insta::assert_snapshot!(found.left_out.lines().collect::<Vec<_>>().join("\n"), @"
    bellows.toml: read by Bellows alone
    .git/, lib/.git: the project's history
    .env, .env.local, .envrc and 2 more: secrets belong to `bellows secret set`
    a.log, data/: named in .gitignore
    __pycache__/, venv/: Python makes it again
    deep/passwd, deep/up: a link that leads out of the folder
    pipe, socket: neither a file nor a folder nor a link
    ");
}

#[test]
fn the_innermost_gitignore_that_says_anything_decides_and_none_above_the_folder_does() {
    let outer = folder(&[
        (".gitignore", "*\n"),
        ("app/.gitignore", "*.txt\nbuild/\n!keep.txt\nsub/only.md\n"),
        ("app/a.txt", ""),
        ("app/keep.txt", ""),
        ("app/sub/.gitignore", "!a.txt\n"),
        ("app/sub/a.txt", ""),
        ("app/sub/b.txt", ""),
        ("app/sub/only.md", ""),
        ("app/build/.gitignore", "!x\n"),
        ("app/build/x", ""),
        ("app/other/build", "a file"),
    ]);
    let found = found(&outer.path().join("app"));
    let expected =
        [".gitignore", "keep.txt", "other", "other/build", "sub", "sub/.gitignore", "sub/a.txt"];
    assert_eq!(paths(&found), expected);
}

/// The files that git would add.
fn files_of_git(folder: &Path) -> Vec<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // Patterns of the user's own are no part of the folder.
    git(&["-c", "init.templateDir=", "init", "--quiet"]);
    git(&["config", "core.excludesFile", "/dev/null"]);
    let listed = git(&["ls-files", "--others", "--exclude-standard", "-z"]);
    let mut files: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
    files.sort_unstable();
    files
}

/// The files that go along.
fn files_of_ours(folder: &Path) -> Vec<String> {
    let found = found(folder);
    let files = found.contents.iter().filter(|(_, entry)| matches!(entry, Entry::File(_)));
    files.map(|(path, _)| path.to_string()).collect()
}

#[test]
fn patterns_are_read_as_git_reads_them() {
    let patterns = "# a comment\n*.py[co]\n/top\ndir/\na/**/z\n\\#hash\nspace\\ \n!dir/kept\nx?z\n";
    let folder = folder(&[(".gitignore", patterns)]);
    for file in [
        "a.pyc",
        "a.py",
        "top",
        "sub/top",
        "dir/kept",
        "sub/dir/b",
        "sub/dir2",
        "a/z",
        "a/b/c/z",
        "#hash",
        "space ",
        "xyz",
        "xz",
        "a/zz",
    ] {
        write(folder.path(), file, b"");
    }
    assert_eq!(files_of_ours(folder.path()), files_of_git(folder.path()));
}

/// Some lines of patterns.
fn patterns() -> impl Strategy<Value = String> {
    let line = "!?/?(\\*\\*/)?(a|b|c|\\*|a\\*|\\?|[ab])(/(a|b|\\*\\*|\\*))?/?";
    prop::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n") + "\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_patterns_git_and_ours_agree(
        own in patterns(),
        deeper in patterns(),
        files in prop::collection::btree_set("([abc]/){0,3}[abc]{1,2}x", 1..12),
    ) {
        let folder = folder(&[(".gitignore", own.as_str()), ("a/.gitignore", deeper.as_str())]);
        for file in &files {
            write(folder.path(), file, b"");
        }
        prop_assert_eq!(files_of_ours(folder.path()), files_of_git(folder.path()), "{}", own);
    }
}

#[test]
fn what_cannot_go_along_is_refused_with_what_to_do() {
    let small = Bounds { entries: 4, bytes: 3 << 20 };
    let many = folder(&[("a", ""), ("b/1", ""), ("b/2", ""), ("b/3", "")]);
    let large = folder(&[("a", "x")]);
    for name in ["data/1", "data/2"] {
        write(large.path(), name, &vec![0; 2 << 20]);
    }
    let pattern = folder(&[(".gitignore", "*.log\n[z-a]\n")]);
    let text = folder(&[("requirements.txt", &"#".repeat((1 << 20) + 1))]);
    let control = folder(&[("a\tb", "")]);
    let file = folder(&[("a", "")]);
    let refusals = [
        refused(many.path(), small),
        refused(large.path(), small),
        refused(pattern.path(), small),
        refused(text.path(), small),
        refused(control.path(), small),
        refused(&file.path().join("a"), small),
        refused(Path::new("/nowhere/at/all"), small),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    there are more than 4 files, folders and links, 4 of the first ones in b: name in .gitignore what the application does not need
    the files have 5 MiB, and 3 are allowed; data has 4 of them: name in .gitignore what the application does not need
    DIR/.gitignore, line 2, is no pattern that is understood: correct it or take it out
    DIR/requirements.txt is larger than 1048576 bytes: shorten it
    "DIR/a\tb": its name must be UTF-8 without control characters: rename it
    DIR is no folder: name the folder that holds the application
    DIR is no folder: name the folder that holds the application
    "#);
}

#[test]
fn the_digest_is_the_same_wherever_and_whosever_the_folder_is() {
    let files = [("app.py", "a"), ("d/x", "b")];
    let (one, other) = (folder(&files), folder(&files));
    fs::set_permissions(other.path().join("app.py"), fs::Permissions::from_mode(0o600)).unwrap();
    write(other.path(), ".git/HEAD", b"ref");
    let digest = found(one.path()).contents.digest();
    assert_eq!(found(other.path()).contents.digest(), digest);
    allow_to_run(&other.path().join("app.py"));
    assert_ne!(found(other.path()).contents.digest(), digest);
}

/// Names that no path of an application may have.
const ODD: [&[u8]; 3] = [b"a\xff.log", b"a\n.log", b"a\x1b[2J.log"];

fn odd(name: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

#[test]
fn what_stays_out_may_be_called_anything() {
    let folder = folder(&[(".gitignore", "*.log\n/data/\n"), ("app.py", ""), ("data/x", "")]);
    for name in ODD {
        fs::write(folder.path().join(odd(name)), b"").unwrap();
        fs::write(folder.path().join("data").join(odd(name)), b"").unwrap();
        let link = [b".env.", name].concat();
        symlink("app.py", folder.path().join(odd(&link))).unwrap();
    }
    let found = found(folder.path());
    assert_eq!(paths(&found), [".gitignore", "app.py"]);
    insta::assert_snapshot!(found.left_out.lines().collect::<Vec<_>>().join("\n"), @r#"
    ".env.a\n.log", ".env.a\u{1b}[2J.log", ".env.a\xFF.log": secrets belong to `bellows secret set`
    "a\n.log", "a\u{1b}[2J.log", "a\xFF.log" and 1 more: named in .gitignore
    "#);
}

#[test]
fn what_goes_along_has_a_name_that_can_be_told() {
    let refusals = ODD.map(|name| {
        let folder = folder(&[("sub/", "")]);
        fs::write(folder.path().join("sub").join(odd(name)), b"").unwrap();
        refused(folder.path(), Bounds::default())
    });
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    "DIR/sub/a\xFF.log": its name must be UTF-8 without control characters: rename it
    "DIR/sub/a\n.log": its name must be UTF-8 without control characters: rename it
    "DIR/sub/a\u{1b}[2J.log": its name must be UTF-8 without control characters: rename it
    "#);
}

/// Not even where a folder is swapped for a link again and again while it is read.
#[test]
fn no_link_that_takes_the_place_of_a_folder_is_followed() {
    let outside = folder(&[("x", "a secret of somebody else"), ("y", "another")]);
    let folder = folder(&[("d/x", "ours")]);
    let (place, aside) = (folder.path().join("d"), folder.path().with_extension("aside"));
    let first = found(folder.path());
    fs::rename(&place, &aside).unwrap();
    symlink(outside.path(), &place).unwrap();
    let packed = application::pack(&first, std::io::sink());
    assert!(matches!(packed, Err(application::PackError::Unread { .. })), "{packed:?}");
    fs::remove_file(&place).unwrap();
    fs::rename(&aside, &place).unwrap();
    let swapping = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while swapping.load(Ordering::Relaxed) {
                fs::rename(&place, &aside).unwrap();
                symlink(outside.path(), &place).unwrap();
                fs::remove_file(&place).unwrap();
                fs::rename(&aside, &place).unwrap();
            }
        });
        let bytes: Vec<u64> = (0..2_000)
            .filter_map(|_| read(folder.path(), Bounds::default()).ok())
            .map(|found| found.contents.bytes())
            .collect();
        swapping.store(false, Ordering::Relaxed);
        assert!(bytes.iter().all(|bytes| [0, 4].contains(bytes)), "{bytes:?}");
    });
}
