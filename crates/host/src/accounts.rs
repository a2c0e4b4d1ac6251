//! The users and groups of this host that Bellows knows: its operators, the console, the way out, the load
//! balancer.
//!
//! They are read from the host's files. The C library would ask further sources for an account that is not
//! there, such as systemd, by loading a library, which ends a static program with a segmentation fault.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use nix::unistd::{Gid, Uid};

use crate::command::{CommandError, CommandLine, Runner};
use crate::files::{FileError, ensure_private_folder, file_error};

/// Whose members may do with Bellows what root may.
pub const OPERATORS: &str = "bellows-operators";

/// Whom the console runs as, a user without rights. Its group has the same name.
pub const CONSOLE: &str = "bellows";

/// Whom the proxy runs as by which instances reach what their services may: a user of its own, since it is
/// the one program that both instances and strangers speak to. Its group has the same name.
pub const EGRESS: &str = "bellows-egress";

/// The user that the load balancer runs as: Debian's package makes it.
pub const LOAD_BALANCER: &str = "haproxy";

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// Makes the operators' group and the users of the console and of the way out where they are missing, and
/// says whether one was.
///
/// They stay when Bellows is taken down: files may be theirs, and ids are not to be given to others.
///
/// # Errors
/// A command failed.
pub async fn ensure(runner: &impl Runner) -> Result<bool, CommandError> {
    let group = group(OPERATORS).is_none();
    if group {
        runner.run(&CommandLine::new("groupadd").args(["--system", OPERATORS])).await?;
    }
    let console = ensure_user(runner, CONSOLE).await?;
    let egress = ensure_user(runner, EGRESS).await?;
    Ok(group || console || egress)
}

/// Makes a folder that is this user's alone, or makes it so.
///
/// # Errors
/// The folder above is not writable.
pub fn ensure_folder_of(user: &str, folder: &Path) -> Result<(), FileError> {
    ensure_private_folder(folder)?;
    let (user, group) = self::user(user).zip(self::group(user)).unzip();
    // Without the user the folder stays root's, and the program that it is for cannot be started either.
    chown(folder, user.map(Uid::as_raw), group.map(Gid::as_raw))
        .map_err(file_error("give away", folder))
}

/// Makes a user without rights unless there is one of this name, and says whether there was none.
async fn ensure_user(runner: &impl Runner, name: &str) -> Result<bool, CommandError> {
    if user(name).is_some() {
        return Ok(false);
    }
    let nowhere = ["--no-create-home", "--home-dir", "/nonexistent"];
    let nothing = ["--shell", "/usr/sbin/nologin", "--system"];
    // A group of that name is left when somebody removed the user.
    let group = match self::group(name) {
        Some(_) => vec!["--gid", name],
        None => vec!["--user-group"],
    };
    let words = nowhere.into_iter().chain(nothing).chain(group).chain([name]);
    runner.run(&CommandLine::new("useradd").args(words)).await?;
    Ok(true)
}

/// The id of a group; `None` where the host has none of that name.
pub fn group(name: &str) -> Option<Gid> {
    id_of(&fs::read_to_string(GROUPS).ok()?, name).map(Gid::from_raw)
}

/// The id of a user; `None` where the host has none of that name.
pub fn user(name: &str) -> Option<Uid> {
    id_of(&fs::read_to_string(USERS).ok()?, name).map(Uid::from_raw)
}

/// The name of the user with this id; `None` where the host has none.
pub fn user_name(id: u32) -> Option<String> {
    name_of(&fs::read_to_string(USERS).ok()?, id).map(str::to_owned)
}

/// `passwd(5)` and `group(5)`: `NAME:PASSWORD:ID:...`.
fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse().ok()?))
    })
}

fn id_of(text: &str, name: &str) -> Option<u32> {
    entries(text).find(|(known, _)| *known == name).map(|(_, id)| id)
}

fn name_of(text: &str, id: u32) -> Option<&str> {
    entries(text).find(|(_, known)| *known == id).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_folder_of_a_user_is_closed_to_all_others() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("state/console");
        for _ in 0..2 {
            ensure_folder_of("daemon", &folder).unwrap();
            let data = fs::metadata(&folder).unwrap();
            assert_eq!(
                (data.mode() & 0o7777, Some(Uid::from_raw(data.uid()))),
                (0o700, user("daemon"))
            );
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn names_and_ids_are_those_of_the_host() {
        assert_eq!(group("root"), Some(Gid::from_raw(0)));
        assert_eq!(group("no-such-group"), None);
        assert_eq!(user("root"), Some(Uid::from_raw(0)));
        assert_eq!(user("no-such-user"), None);
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(3_999_999_999), None);
    }

    #[test]
    fn a_line_that_is_no_account_is_passed_over() {
        let text =
            "# a comment\n\n+::::::\nanna:x:1000:1000:Anna:/home/anna:/bin/sh\nben:x\nbo:x:12\n";
        assert_eq!(id_of(text, "anna"), Some(1000));
        assert_eq!((id_of(text, "ben"), id_of(text, "bo")), (None, Some(12)));
        assert_eq!(name_of(text, 12), Some("bo"));
    }
}
