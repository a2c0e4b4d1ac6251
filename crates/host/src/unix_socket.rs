//! Sockets in the file system on which a program is spoken to.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::unistd::Gid;

use crate::files::{FileError, file_error, remove_file};

/// Listens at `path`, in the place of a socket that an earlier process left there. Root may connect, and
/// the members of `group` where there is one.
///
/// # Errors
/// The folder is missing or not writable.
pub fn listen(path: &Path, group: Option<Gid>) -> Result<UnixListener, FileError> {
    remove_file(path)?;
    // To connect takes the right to write. The usual umask gives it to the owner alone, until here:
    let listener = UnixListener::bind(path).map_err(file_error("listen at", path))?;
    if let Some(group) = group {
        chown(path, None, Some(group.as_raw())).map_err(file_error("give away", path))?;
    }
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(file_error("protect", path))?;
    listener.set_nonblocking(true).map_err(file_error("listen at", path))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_takes_the_place_of_the_one_before_and_is_its_groups_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.sock");
        drop(listen(&path, None).unwrap());
        assert!(UnixStream::connect(&path).is_err());
        let _listener = listen(&path, Some(Gid::from_raw(12_345))).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        let status = fs::metadata(&path).unwrap();
        assert_eq!((status.mode() & 0o7777, status.gid()), (0o660, 12_345));
        let _listener = listen(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }
}
