//! Deleting objects, one or all.

use rustix::fs::{AtFlags, Dir, FlockOperation, flock, unlinkat};
use rustix::io::Errno;

use super::name::{FileName, Meaning};
use super::read::open_waiting;
use super::{Store, StoreError, failed, if_there};
use crate::condition::Condition;
use crate::id::ObjectId;

impl Store {
    /// Deletes the object if `condition` holds, and returns when that is on disk: whether there
    /// was one.
    pub fn delete(&self, id: &ObjectId, condition: &Condition) -> Result<bool, StoreError> {
        let name = FileName::of(id);
        let stripe = self.folders.stripes.lock(&name)?;
        self.check(id, condition)?;
        let _last_use = self.keep_open(&name)?;
        let existed = self.unlink(&name)?;
        drop(stripe);
        if existed {
            self.sync_objects()?;
        }
        Ok(existed)
    }

    /// Deletes every object that was acknowledged before the call, and returns when that is on
    /// disk: how many there were. An object whose [`Claim`](super::Claim) is held, because its
    /// client was not told of it yet, survives.
    pub fn clear(&self) -> Result<u64, StoreError> {
        let mut deleted = 0;
        let entries = Dir::read_from(&self.folders.objects).map_err(failed("list the objects"))?;
        for entry in entries {
            let entry = entry.map_err(failed("list the objects"))?;
            let (name, meaning) = FileName::parse(entry.file_name().to_bytes());
            if meaning != Meaning::Foreign && self.clear_one(&name)? {
                deleted += 1;
            }
        }
        self.sync_objects()?;
        Ok(deleted)
    }

    fn clear_one(&self, name: &FileName) -> Result<bool, StoreError> {
        // The stripe keeps the name bound to the file that is looked at.
        let stripe = self.folders.stripes.lock(name)?;
        let opened = if_there(open_waiting(&self.folders.objects, name.as_str()));
        let Some(file) = opened.map_err(failed("open an object"))? else {
            return Ok(false);
        };
        let deleted = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => self.unlink(name),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(failed("lock an object")(error)),
        };
        // Before the file is closed: see `keep_open`.
        drop(stripe);
        deleted
    }

    fn unlink(&self, name: &FileName) -> Result<bool, StoreError> {
        let objects = &self.folders.objects;
        let unlinked = if_there(unlinkat(objects, name.as_str(), AtFlags::empty()));
        Ok(unlinked.map_err(failed("delete an object"))?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Fields, Stored};

    fn put(store: &Store, id: &ObjectId) -> Stored {
        let mut upload = store.begin(id.clone(), Fields::default()).unwrap();
        upload.write(b"content").unwrap();
        upload.commit(&Condition::default()).unwrap()
    }

    #[test]
    fn a_clear_in_another_process_spares_what_is_not_acknowledged_and_takes_what_is() {
        let folder = tempfile::tempdir().unwrap();
        // A lock belongs to an open file: two stores in one process are like two processes.
        let [ours, other] = [(), ()].map(|()| Store::open(folder.path()).unwrap());
        let [told, untold] = ["told", "untold"].map(|id| ObjectId::new(id).unwrap());
        drop(put(&ours, &told).claim);
        let stored = put(&ours, &untold);
        assert_eq!(other.clear().unwrap(), 1);
        assert!(other.get(&told).unwrap().is_none());
        assert!(other.get(&untold).unwrap().is_some());
        drop(stored.claim);
        assert_eq!(other.clear().unwrap(), 1);
        assert!(other.get(&untold).unwrap().is_none());
    }

    #[test]
    fn an_upload_replaced_before_it_is_acknowledged_does_not_spare_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let id = ObjectId::new("a").unwrap();
        let replaced = put(&store, &id);
        drop(put(&store, &id).claim);
        assert_eq!(store.clear().unwrap(), 1);
        assert!(store.get(&id).unwrap().is_none());
        drop(replaced);
    }
}
