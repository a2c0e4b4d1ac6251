//! Reading objects: a small one whole, a large one part by part.

use std::fs::File;
use std::io;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::name::FileName;
use super::record::{self, Head, MAX_HEAD_BYTES, RecordError};
use super::{Store, StoreError, failed};
use crate::id::ObjectId;

/// Objects whose file has up to this many bytes are read whole at once.
const WHOLE_BYTES: u64 = 64 * 1024;

const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Whether to wait for the disk, or to give up with [`Errno::AGAIN`] where it would take that.
#[derive(Clone, Copy)]
enum Patience {
    CachedOnly,
    Disk,
}

/// An object as it was when it was opened. Replacing or deleting it does not change it.
#[derive(Debug)]
pub struct Object {
    /// What is known of it.
    pub head: Head,
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

impl Store {
    /// The object, if all that is needed is in the kernel's caches; returns without waiting.
    /// `None` says nothing: ask [`get`](Self::get).
    pub fn get_cached(&self, id: &ObjectId) -> Option<Object> {
        self.find(id, Patience::CachedOnly).ok()?
    }

    /// The object, or `None` if there is none of this id.
    pub fn get(&self, id: &ObjectId) -> Result<Option<Object>, StoreError> {
        self.find(id, Patience::Disk)
    }

    fn find(&self, id: &ObjectId, patience: Patience) -> Result<Option<Object>, StoreError> {
        let name = FileName::of(id);
        let Some(file) = self.open_object(&name, patience)? else {
            return Ok(None);
        };
        match read_object(file, patience).map_err(failed("read an object"))? {
            Ok(object) if object.head.id == *id => Ok(Some(object)),
            Ok(_) => Err(damaged(&name, RecordError::OtherId)),
            Err(error) => Err(damaged(&name, error)),
        }
    }

    /// The head of a file whose name does not tell its id.
    pub(super) fn head_in(&self, name: &FileName) -> Result<Option<Head>, StoreError> {
        let Some(file) = self.open_object(name, Patience::Disk)? else {
            return Ok(None);
        };
        let read = read_object(file, Patience::Disk).map_err(failed("read an object"))?;
        read.map(|object| Some(object.head)).map_err(|error| damaged(name, error))
    }

    fn open_object(&self, name: &FileName, patience: Patience) -> Result<Option<File>, StoreError> {
        match open_file(&self.folders.objects, name.as_str(), patience) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed("open an object")(error)),
        }
    }
}

impl ContentFile {
    /// Reads `length` bytes of the content from `offset`, if they are in the page cache.
    pub fn read_cached(&self, offset: u64, length: usize) -> Option<Bytes> {
        let bytes = read_at(&self.file, self.start + offset, length, Patience::CachedOnly);
        bytes.ok().map(Bytes::from)
    }

    /// Reads `length` bytes of the content from `offset`.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let bytes = read_at(&self.file, self.start + offset, length, Patience::Disk)?;
        Ok(bytes.into())
    }
}

fn damaged(name: &FileName, source: RecordError) -> StoreError {
    StoreError::Damaged { name: name.as_str().to_owned(), source }
}

pub(super) fn open_waiting(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    open_file(folder, name, Patience::Disk)
}

fn open_file(folder: &OwnedFd, name: &str, patience: Patience) -> Result<OwnedFd, Errno> {
    match patience {
        Patience::CachedOnly => openat2(folder, name, FILE, Mode::empty(), ResolveFlags::CACHED),
        Patience::Disk => openat(folder, name, FILE, Mode::empty()),
    }
}

fn read_object(file: File, patience: Patience) -> Result<Result<Object, RecordError>, Errno> {
    let file_bytes = u64::try_from(fstat(&file)?.st_size).unwrap_or(0);
    let wanted = if file_bytes <= WHOLE_BYTES { file_bytes } else { MAX_HEAD_BYTES as u64 };
    let wanted = usize::try_from(wanted).unwrap_or(MAX_HEAD_BYTES);
    let bytes = Bytes::from(read_at(&file, 0, wanted, patience)?);
    Ok(record::decode(&bytes, file_bytes).map(|head| {
        let start = record::head_bytes(&head.id, &head.content_type);
        let content = if bytes.len() as u64 == file_bytes {
            // The head ends within the bytes that it was read from.
            Content::Whole(bytes.slice(usize::try_from(start).unwrap_or(bytes.len())..))
        } else {
            Content::File(ContentFile { file, start })
        };
        Object { head, content }
    }))
}

/// Reads exactly `length` bytes. The file of an object never changes, so fewer are an error.
fn read_at(file: &File, offset: u64, length: usize, patience: Patience) -> Result<Vec<u8>, Errno> {
    let flags = match patience {
        Patience::CachedOnly => ReadWriteFlags::NOWAIT,
        Patience::Disk => ReadWriteFlags::empty(),
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
