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
/// any more, or is gone, reaches nobody.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn isolate(interface: &str) -> Result<(), FileError> {
    let file = Path::new(INTERFACES).join(interface).join("brport/isolated");
    let written = OpenOptions::new().write(true).open(&file).and_then(|mut it| it.write_all(b"1"));
    match written {
        Err(error) if !is_gone(&error) => Err(file_error("write", &file)(error)),
        _ => Ok(()),
    }
}

/// Isolates the ports of all instances on a bridge; those of others are left as they are.
///
/// # Errors
/// The kernel refuses, or does not tell the ports.
pub(super) fn isolate_all(bridge: &str) -> Result<(), FileError> {
    let folder = Path::new(INTERFACES).join(bridge).join("brif");
    let ports = match fs::read_dir(&folder) {
        Err(error) if is_gone(&error) => return Ok(()),
        ports => ports.map_err(file_error("read", &folder))?,
    };
    for name in ports.flatten().filter_map(|port| port.file_name().into_string().ok()) {
        if slots::of_interface(&name).is_some() {
            isolate(&name)?;
        }
    }
    Ok(())
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}
