//! Storing an object: whole and on disk, or not at all.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::fs::{fdatasync, flock, openat, renameat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::fields::Fields;
use super::name::FileName;
use super::record::{self, Head};
use super::{Store, StoreError, failed, if_there};
use crate::condition::Condition;
use crate::id::ObjectId;
use crate::tag::ContentHash;

/// An object on its way to the disk, invisible until [`commit`](Self::commit). Dropping it
/// removes what was written.
#[derive(Debug)]
pub struct Upload {
    incoming: Incoming,
    id: ObjectId,
    fields: Fields,
    start: u64,
    length: u64,
    hasher: Sha256,
}

/// What became of an upload.
#[derive(Debug)]
pub struct Stored {
    /// Whether the id was new.
    pub created: bool,
    /// The hash of the content.
    pub hash: ContentHash,
    /// To be held until the client is told.
    pub claim: Claim,
}

/// As long as it is held, [`Store::clear`] in any process leaves the object alone: an object that
/// is acknowledged after a clear has returned must still be there.
#[derive(Clone, Debug)]
pub struct Claim(#[expect(dead_code, reason = "the open file holds the lock")] Arc<File>);

/// A file in the folder `incoming`, locked as long as it is open, so that no sweep takes it.
#[derive(Debug)]
struct Incoming {
    store: Store,
    name: String,
    file: Arc<File>,
    placed: bool,
}

impl Store {
    /// Begins to store an object.
    pub fn begin(&self, id: ObjectId, fields: Fields) -> Result<Upload, StoreError> {
        let incoming = Incoming::create(self.clone()).map_err(failed("create a file"))?;
        let start = record::head_bytes(&id, &fields);
        Ok(Upload { incoming, id, fields, start, length: 0, hasher: Sha256::new() })
    }

    /// Whether `condition` holds. Unless the stripe is locked, that may have changed when this
    /// returns.
    pub fn check(&self, id: &ObjectId, condition: &Condition) -> Result<(), StoreError> {
        // Without a condition the file is not read, so a damaged object can be replaced.
        if condition.is_none() {
            return Ok(());
        }
        let current = self.get(id)?.map(|object| object.validators());
        condition.check(current).map_err(StoreError::Unmet)
    }

    /// The file of an object, if there is one, to be dropped after the stripe.
    ///
    /// The kernel frees a file at the end of its last use. If that is a rename over it, the locks
    /// of both folders are held meanwhile, and no upload can begin: with `discard`, 4 ms for 4 KiB
    /// and 230 ms for 1 GiB, of which 0.1 ms remain if the file is in use until later.
    pub(super) fn keep_open(&self, name: &FileName) -> Result<Option<OwnedFd>, StoreError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&self.folders.objects, name.as_str(), flags, Mode::empty());
        if_there(opened).map_err(failed("look for an object"))
    }
}

impl Upload {
    /// Adds `part` to the content.
    pub fn write(&mut self, part: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(part);
        let offset = self.start + self.length;
        self.incoming.file.write_all_at(part, offset).map_err(failed("write an object"))?;
        self.length += part.len() as u64;
        Ok(())
    }

    /// Puts the object in place if `condition` holds, and returns when it is on disk.
    pub fn commit(self, condition: &Condition) -> Result<Stored, StoreError> {
        let Self { mut incoming, id, fields, length, hasher, .. } = self;
        let hash = ContentHash::from_bytes(hasher.finalize().into());
        let name = FileName::of(&id);
        let head = record::encode(&Head { id: id.clone(), fields, hash, length });
        incoming.file.write_all_at(&head, 0).map_err(failed("write an object"))?;
        fdatasync(&*incoming.file).map_err(failed("sync an object"))?;

        let store = incoming.store.clone();
        let stripe = store.folders.stripes.lock(&name)?;
        store.check(&id, condition)?;
        // Dropped on return.
        let replaced = store.keep_open(&name)?;
        incoming.place(&name).map_err(failed("put an object in place"))?;
        drop(stripe);

        store.sync_objects()?;
        Ok(Stored { created: replaced.is_none(), hash, claim: Claim(incoming.file.clone()) })
    }
}

impl Incoming {
    fn create(store: Store) -> Result<Self, Errno> {
        // Process ids repeat from container to container; 128 random bits do not.
        let name = format!("{:032x}", rand::random::<u128>());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = openat(&store.folders.incoming, &name, flags, mode)?;
        let incoming = Self { store, name, file: Arc::new(file.into()), placed: false };
        flock(&*incoming.file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(incoming)
    }

    fn place(&mut self, name: &FileName) -> Result<(), Errno> {
        let folders = &self.store.folders;
        renameat(&folders.incoming, &self.name, &folders.objects, name.as_str())?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        if let Err(error) = unlinkat(&self.store.folders.incoming, &self.name, AtFlags::empty()) {
            tracing::warn!(%error, name = self.name, "an unfinished upload stays until the sweep");
        }
    }
}
