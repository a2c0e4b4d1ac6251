//! The check that there is room for images, objects and what instances write.

use super::finding::{Verdict, bad};

/// What a small installation needs: images of a few MB, a Debian userland of 186 MB, and room for objects.
const MINIMUM_MIB: u64 = 1024;

/// The room below one folder.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) folder: String,
    /// What a user of the file system may still write, or why that is not known.
    pub(super) free_mib: Result<u64, String>,
}

/// Whether there is room below every folder.
pub(super) fn disk(rooms: &[Room]) -> Verdict {
    let (mut enough, mut problems) = (Vec::new(), Vec::new());
    for Room { folder, free_mib } in rooms {
        match free_mib {
            Ok(free) if *free >= MINIMUM_MIB => enough.push(format!("{free} MiB at {folder}")),
            Ok(free) => {
                problems.push(format!("{free} MiB free at {folder}, {MINIMUM_MIB} MiB are needed"));
            }
            Err(error) => problems.push(format!("the room at {folder} cannot be read: {error}")),
        }
    }
    if problems.is_empty() {
        return Ok(format!("free: {}", enough.join(", ")));
    }
    bad(
        problems.join("; "),
        "make room, or set paths.state and paths.lxc in bellows.toml to a larger file system",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Finding;
    use super::*;

    fn room(free_mib: Result<u64, String>) -> Room {
        Room { folder: "/var/lib/bellows".to_owned(), free_mib }
    }

    #[test]
    fn one_full_file_system_is_enough_to_fail() {
        assert!(disk(&[room(Ok(MINIMUM_MIB))]).is_ok());
        let verdict = disk(&[room(Ok(5000)), room(Ok(MINIMUM_MIB - 1))]);
        insta::assert_snapshot!(Finding { check: "disk", verdict }, @r"
        FAIL  disk             1023 MiB free at /var/lib/bellows, 1024 MiB are needed
                               cure: make room, or set paths.state and paths.lxc in bellows.toml to a larger file system
        ");
        assert!(disk(&[room(Err("denied".to_owned()))]).is_err());
    }
}
