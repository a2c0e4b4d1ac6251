//! A program that root has run as a user without rights, once, and waits for.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::prctl::set_no_new_privs;

use super::supervise::Account;
use super::{Limits, UnitError};
use crate::command::SEARCH_PATH;

/// What starts `program` as this user, with these limits and nothing of this process's environment. What the program
/// writes goes where this process writes.
///
/// The limits are this process's own from then on, and it and all that it starts win no rights by any file: call it in
/// one that exists for this alone.
///
/// # Errors
/// There is no such user, or the operating system refuses it: this process is not root's.
pub fn as_user(program: &Path, user: &str, limits: Limits) -> Result<Command, UnitError> {
    let account = Account::find(user)?;
    let refused = |source| UnitError::Limits { limits, source };
    set_no_new_privs().map_err(refused)?;
    limits.set().map_err(refused)?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        // Root's other groups go with it.
        .uid(account.user.as_raw())
        .gid(account.group.as_raw());
    Ok(command)
}
