//! The folders of an instance in which something is mounted, checked: they have paths of their own and
//! fit in its memory.

use super::stateful::STATEFUL;
use super::{Mount, WritableFolder};
use crate::value::{Invalid, check, within};

/// What Bellows itself keeps below the state directory. An instance that could write there would
/// say what the scaler does, or what other instances run.
const OWN_FOLDERS: [&str; 14] = [
    "images",
    "jobs",
    "services",
    "releases",
    "id_ranges",
    "id_range_of_builds",
    "output",
    "secrets",
    "builds",
    "console",
    "deploys",
    "experiments",
    "rehearsals",
    STATEFUL,
];

/// The folders of an instance in which nothing of a service's own is mounted: the kernel's and LXC's, and
/// that of its configuration.
const TAKEN_FOLDERS: [&str; 4] = ["/proc", "/sys", "/dev", "/etc/bellows"];

/// Checks each folder, and that they fit together and in the memory of an instance.
pub(super) fn check_all(
    mounts: &[Mount],
    writable: &[WritableFolder],
    memory_mib: u32,
) -> Result<(), Invalid> {
    for (index, mount) in mounts.iter().enumerate() {
        mount.check().map_err(|error| error.of_item("instance.mounts", index))?;
    }
    for (index, folder) in writable.iter().enumerate() {
        folder.check().map_err(|error| error.of_item("instance.writable", index))?;
    }
    let sizes: u64 = writable.iter().map(|folder| u64::from(folder.size_mib)).sum();
    check(
        sizes < u64::from(memory_mib),
        "instance.writable",
        format!("{sizes} MiB in all"),
        "less than instance.memory_mib, of which it is a part",
    )?;
    for (index, folder) in writable.iter().enumerate() {
        let others = writable.iter().enumerate().filter(|(other, _)| *other != index);
        let others = others.map(|(_, other)| &other.path).chain(mounts.iter().map(|it| &it.target));
        let path = &folder.path;
        let apart = |other: &String| !lies_in(path, other) && !lies_in(other, path);
        check(
            others.into_iter().all(apart),
            "instance.writable",
            path,
            "a path apart from those of the other folders of instance.writable and instance.mounts",
        )?;
    }
    Ok(())
}

/// Whether `path` is `folder` or below it.
pub(super) fn lies_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether this is an absolute path below the root whose parts need no escape anywhere.
fn is_plain_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_plain))
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

impl WritableFolder {
    fn check(&self) -> Result<(), Invalid> {
        check(
            is_plain_path(&self.path),
            "instance.writable.path",
            &self.path,
            "an absolute path of a-z, A-Z, 0-9, `-` and `_`",
        )?;
        let taken = TAKEN_FOLDERS.iter().any(|folder| lies_in(&self.path, folder));
        check(
            self.path == "/dev/shm" || (!taken && !lies_in("/etc/bellows", &self.path)),
            "instance.writable.path",
            &self.path,
            "another folder: of those in /dev, only /dev/shm; none in /proc or /sys, and not /etc",
        )?;
        within("instance.writable.size_mib", self.size_mib, 1..=1_048_576, "1 to 1048576 (MiB)")
    }
}

impl Mount {
    /// Checks the name of a folder that a file gives as a source.
    pub(super) fn check_source(source: &str) -> Result<(), Invalid> {
        check(
            is_plain(source),
            "instance.mounts.source",
            source,
            "the name of a folder below the state directory: a-z, A-Z, 0-9, `-` and `_`",
        )?;
        check(
            !OWN_FOLDERS.contains(&source),
            "instance.mounts.source",
            source,
            "another name: this folder of the state directory is Bellows' own",
        )
    }

    fn check(&self) -> Result<(), Invalid> {
        check(
            is_plain_path(&self.target),
            "instance.mounts.target",
            &self.target,
            "an absolute path of a-z, A-Z, 0-9, `-` and `_`",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};
    use crate::service::RootAccess;

    #[test]
    fn folders_to_write_to_have_room_in_the_memory_and_places_of_their_own() {
        let with = |lines: &str| {
            parse(&GOOD.replacen("processes = 64", &format!("processes = 64\n{lines}"), 1))
        };
        let spec = with(
            "root = \"read_only\"\nwritable = [{ path = \"/tmp\", size_mib = 8 }, \
             { path = \"/dev/shm\", size_mib = 55, exec = true }]",
        );
        let instance = spec.unwrap().instance;
        assert_eq!(instance.root, RootAccess::ReadOnly);
        assert_eq!(instance.writable.iter().map(|it| it.exec).collect::<Vec<_>>(), [false, true]);
        assert_eq!(instance.layer_mib, None);
        let writable = parse(GOOD).unwrap().instance;
        assert_eq!((writable.root, writable.layer_mib), (RootAccess::Writable, Some(1024)));
        assert_eq!(with("layer_mib = 16").unwrap().instance.layer_mib, Some(16));
        let error = with("layer_mib = 15").unwrap_err();
        assert!(error.contains("instance.layer_mib is 15: use 16 to 1048576 (MiB)"), "{error}");
        let error = with("layer_mib = 16\nroot = \"read_only\"").unwrap_err();
        assert!(error.contains("instance.layer_mib is 16: use it with root"), "{error}");
        let cases = [
            ("\"/tmp\", size_mib = 64", "instance.writable is 64 MiB in all: use less than"),
            ("\"/tmp\", size_mib = 0", "instance.writable[0].size_mib is 0: use 1 to 1048576"),
            ("\"/a/../b\", size_mib = 1", "instance.writable[0].path is /a/../b: use an absolute"),
            ("\"/\", size_mib = 1", "instance.writable[0].path is /: use an absolute path"),
            ("\"/a,size=9g\", size_mib = 1", "instance.writable[0].path is /a,size=9g: use an"),
            ("\"/proc/x\", size_mib = 1", "instance.writable[0].path is /proc/x: use another"),
            ("\"/dev\", size_mib = 1", "instance.writable[0].path is /dev: use another folder"),
            ("\"/etc/bellows\", size_mib = 1", "is /etc/bellows: use another folder"),
            ("\"/objects/x\", size_mib = 1", "instance.writable is /objects/x: use a path apart"),
            ("\"/objects\", size_mib = 1", "instance.writable is /objects: use a path apart"),
        ];
        for (text, message) in cases {
            let error = with(&format!("writable = [{{ path = {text} }}]")).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        assert!(with("writable = [{ path = \"/objects-2\", size_mib = 1 }]").is_ok());
        let error = with("root = \"none\"").unwrap_err();
        assert!(error.contains("unknown variant `none`, expected `writable` or `read_only`"));
    }
}
