//! The archive: one file that its owner alone may read, and that is written over nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::code::Code;
use crate::error::{BadInput, Coded};

/// It holds how a host is set up, which is nobody else's business.
const MODE: u32 = 0o600;

/// Makes the file.
///
/// # Errors
/// One of that name is there, or it cannot be made.
pub(super) fn create(file: &Path) -> Result<File, BadInput> {
    let created = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file);
    created.map_err(|error| {
        let name = file.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let told = anyhow!("{name} is there already: choose another name, or remove it");
                BadInput::new(Coded::new(Code::FileExists, told))
            }
            _ => BadInput::new(anyhow!(error).context(format!("{name} cannot be made"))),
        }
    })
}

/// Writes texts under these names, in a folder of the archive's own.
///
/// # Errors
/// The disk is full.
pub(super) fn write<'a>(
    file: File,
    folder: &str,
    texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    at_s: u64,
) -> anyhow::Result<()> {
    let mut archive = Builder::new(GzEncoder::new(file, Compression::default()));
    let told = "the archive cannot be written; check the disk";
    for (name, text) in texts {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(text.len() as u64);
        header.set_mode(MODE);
        header.set_mtime(at_s);
        let path = format!("{folder}/{name}");
        archive.append_data(&mut header, path, text.as_bytes()).context(told)?;
    }
    archive.into_inner().and_then(GzEncoder::finish).and_then(|file| file.sync_all()).context(told)
}
