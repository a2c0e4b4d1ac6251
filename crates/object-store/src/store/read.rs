//! Reading objects: a small one whole, a large one part by part.

use std::fs::File;
use std::io;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::name::FileName;
use super::record::{self, Head, MAX_HEAD_BYTES, RecordError};
use super::{Store, StoreError, failed, if_there};
use crate::condition::Validators;
use crate::id::ObjectId;

/// Objects whose file has up to this many bytes are read whole at once.
const WHOLE_BYTES: u64 = 64 * 1024;

const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a read may come from.
#[derive(Clone, Copy)]
enum Source {
    /// The kernel's caches; without waiting, and with [`Errno::AGAIN`] when the data is not there.
    Cache,
    /// The disk, for which the thread may have to wait.
    Disk,
}

/// An object as it was when it was opened. Replacing or deleting it does not change it.
#[derive(Debug)]
pub struct Object {
    /// What its file says of it.
    pub head: Head,
    /// When it was stored, in whole seconds.
    pub modified: SystemTime,
    /// Its content.
    pub content: Content,
}

/// The content of an object.
#[derive(Debug)]
pub enum Content {
    /// All of it.
    Whole(Bytes),
    /// A file to read it from.
    File(ContentFile),
}

/// The open file of a large object.
#[derive(Debug)]
pub struct ContentFile {
    file: File,
    /// Where the content begins in the file.
    start: u64,
}

impl Object {
    /// What tells it from its other versions.
    pub fn validators(&self) -> Validators {
        Validators { hash: Some(self.head.hash), modified: Some(self.modified) }
    }
}

impl Store {
    /// The object, if all that is needed is in the kernel's caches; returns without waiting.
    /// `None` does not mean that there is no object: ask [`get`](Self::get) then.
    pub fn get_cached(&self, id: &ObjectId) -> Option<Object> {
        self.find(id, Source::Cache).ok()?
    }

    /// The object, or `None` if there is none of this id.
    pub fn get(&self, id: &ObjectId) -> Result<Option<Object>, StoreError> {
        self.find(id, Source::Disk)
    }

    fn find(&self, id: &ObjectId, source: Source) -> Result<Option<Object>, StoreError> {
        let name = FileName::of(id);
        let object = self.find_file(&name, source)?;
        match object {
            Some(object) if object.head.id != *id => Err(damaged(&name, RecordError::OtherId)),
            object => Ok(object),
        }
    }

    /// The head of a file whose name does not tell its id.
    pub(super) fn head_in(&self, name: &FileName) -> Result<Option<Head>, StoreError> {
        Ok(self.find_file(name, Source::Disk)?.map(|object| object.head))
    }

    /// The object in the file of that name, whichever it is.
    fn find_file(&self, name: &FileName, source: Source) -> Result<Option<Object>, StoreError> {
        let opened = if_there(open_file(&self.folders.objects, name.as_str(), source));
        let Some(file) = opened.map_err(failed("open an object"))? else {
            return Ok(None);
        };
        let read = read_object(file.into(), source).map_err(failed("read an object"))?;
        read.map(Some).map_err(|error| damaged(name, error))
    }
}

impl ContentFile {
    /// Reads `length` bytes of the content from `offset`, if they are in the page cache.
    pub fn read_cached(&self, offset: u64, length: usize) -> Option<Bytes> {
        let bytes = read_at(&self.file, self.start + offset, length, Source::Cache);
        bytes.ok().map(Bytes::from)
    }

    /// Reads `length` bytes of the content from `offset`.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let bytes = read_at(&self.file, self.start + offset, length, Source::Disk)?;
        Ok(bytes.into())
    }
}

fn damaged(name: &FileName, source: RecordError) -> StoreError {
    StoreError::Damaged { name: name.as_str().to_owned(), source }
}

pub(super) fn open_waiting(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    open_file(folder, name, Source::Disk)
}

fn open_file(folder: &OwnedFd, name: &str, source: Source) -> Result<OwnedFd, Errno> {
    match source {
        Source::Cache => openat2(folder, name, FILE, Mode::empty(), ResolveFlags::CACHED),
        Source::Disk => openat(folder, name, FILE, Mode::empty()),
    }
}

fn read_object(file: File, source: Source) -> Result<Result<Object, RecordError>, Errno> {
    let status = fstat(&file)?;
    let file_bytes = u64::try_from(status.st_size).unwrap_or(0);
    // When the file was written; nothing is written to it once it is in place.
    let written = Duration::from_secs(u64::try_from(status.st_mtime).unwrap_or(0));
    // RFC 9110, 8.8.2.1: never in the future, even if the clock was set back.
    let modified = (SystemTime::UNIX_EPOCH + written).min(SystemTime::now());
    let wanted = if file_bytes <= WHOLE_BYTES { file_bytes } else { MAX_HEAD_BYTES as u64 };
    let wanted = usize::try_from(wanted).unwrap_or(MAX_HEAD_BYTES);
    let bytes = Bytes::from(read_at(&file, 0, wanted, source)?);
    Ok(record::decode(&bytes, file_bytes).map(|head| {
        let start = record::head_bytes(&head.id, &head.fields);
        let content = if bytes.len() as u64 == file_bytes {
            // The head ends within the bytes that it was read from.
            Content::Whole(bytes.slice(usize::try_from(start).unwrap_or(bytes.len())..))
        } else {
            Content::File(ContentFile { file, start })
        };
        Object { head, modified, content }
    }))
}

/// Reads exactly `length` bytes. The file of an object never changes, so fewer are an error.
fn read_at(file: &File, offset: u64, length: usize, source: Source) -> Result<Vec<u8>, Errno> {
    let flags = match source {
        Source::Cache => ReadWriteFlags::NOWAIT,
        Source::Disk => ReadWriteFlags::empty(),
    };
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        let rest = &mut [IoSliceMut::new(&mut bytes[done..])];
        match preadv2(file, rest, offset + done as u64, flags) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
