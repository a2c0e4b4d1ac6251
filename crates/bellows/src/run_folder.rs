//! The folder of sockets and locks, which is nobody else's.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use host::files::{FileError, file_error};

/// Root's to list and to write. Others reach what they know the name of and may use, such as the
/// operators their socket.
const MODE: u32 = 0o711;

/// Makes the folder, or makes it as it should be.
pub(crate) fn ensure(run: &Path) -> Result<(), FileError> {
    fs::create_dir_all(run).map_err(file_error("make", run))?;
    fs::set_permissions(run, Permissions::from_mode(MODE)).map_err(file_error("protect", run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_could_list_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("run/bellows");
        fs::create_dir_all(&run).unwrap();
        ensure(&run).unwrap();
        assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o7777, MODE);
    }
}
