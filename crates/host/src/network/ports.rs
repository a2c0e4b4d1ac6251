//! The ports of the bridge that are instances': each is isolated, so that the bridge itself passes nothing from one
//! to another, whatever becomes of the firewall.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use nix::errno::Errno;

use crate::files::{FileError, file_error};
use crate::slots;

const INTERFACES: &str = "/sys/class/net";

/// Isolates the port of an interface: it then reaches the host and no other isolated port. One that is on no bridge
/// any more, or is gone, reaches nobody: that is no error, and said.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn isolate(interface: &str) -> Result<bool, FileError> {
    let file = Path::new(INTERFACES).join(interface).join("brport/isolated");
    let written = OpenOptions::new().write(true).open(&file).and_then(|mut it| it.write_all(b"1"));
    match written {
        Err(error) if is_gone(&error) => Ok(false),
        written => written.map(|()| true).map_err(file_error("write", &file)),
    }
}

/// Isolates the ports of all instances on a bridge; those of others are left as they are. One that cannot be
/// isolated keeps no other from it.
///
/// # Errors
/// The kernel refuses one, or does not tell the ports.
pub(super) fn isolate_all(bridge: &str) -> Result<(), FileError> {
    let folder = Path::new(INTERFACES).join(bridge).join("brif");
    let ports = match fs::read_dir(&folder) {
        Err(error) if is_gone(&error) => return Ok(()),
        ports => ports.map_err(file_error("read", &folder))?,
    };
    let names = ports.flatten().filter_map(|port| port.file_name().into_string().ok());
    let ours = names.filter(|name| slots::of_interface(name).is_some());
    let refused: Vec<_> = ours.filter_map(|name| isolate(&name).err()).collect();
    refused.into_iter().next().map_or(Ok(()), Err)
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}
