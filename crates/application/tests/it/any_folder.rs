//! Folders of any kind.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::harness::allow_to_run;

/// A part of a folder.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Folder(BTreeMap<String, Part>),
    File { content: Vec<u8>, executable: bool },
    Link(String),
}

/// A folder with folders, files and links in it, some of which stay out.
pub(crate) fn any_folder() -> impl Strategy<Value = BTreeMap<String, Part>> {
    let content = vec(any::<u8>(), 0..2000);
    let leaf = prop_oneof![
        3 => (content, any::<bool>())
            .prop_map(|(content, executable)| Part::File { content, executable }),
        1 => "(\\.\\./){0,3}[ab]{0,2}(/[ab])?".prop_filter("no target", |target| !target.is_empty())
            .prop_map(Part::Link),
    ];
    let part = leaf
        .prop_recursive(4, 24, 4, |inner| btree_map(name(), inner, 0..4).prop_map(Part::Folder));
    btree_map(name(), part, 0..6)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{1,2}(\\.log)?",
        "[a-z\u{E9}\u{1F600} '\"$-]{1,8}",
        "[n]{101,120}",
        Just(".env".to_owned()),
    ]
}

/// Makes it.
pub(crate) fn make(parts: &BTreeMap<String, Part>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    make_in(folder.path(), parts);
    folder
}

fn make_in(folder: &std::path::Path, parts: &BTreeMap<String, Part>) {
    for (name, part) in parts {
        let place = folder.join(name);
        match part {
            Part::Folder(parts) => {
                fs::create_dir(&place).unwrap();
                make_in(&place, parts);
            }
            Part::File { content, executable } => {
                fs::write(&place, content).unwrap();
                if *executable {
                    allow_to_run(&place);
                }
            }
            Part::Link(target) => symlink(target, &place).unwrap(),
        }
    }
}
