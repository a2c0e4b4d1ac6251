//! A lock on a file that is held for life: the kernel lets go of it when its holder dies, however
//! it dies.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::files::{FileError, file_error, names_in};

/// Whoever can open a file can lock it: its owner alone.
const MODE: u32 = 0o600;

/// How soon a lock that another process holds is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// A process that another thread of ours starts has all of our files open until its program begins, which takes a
/// millisecond or, on a busy machine, some more. So often it is tried again.
const BETWEEN_PROGRAMS: u32 = 10;

/// After so long.
const MOMENT: Duration = Duration::from_millis(2);

/// A lock that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is held by process {holder}; stop that first", file.display())]
    Held {
        /// The lock's file.
        file: PathBuf,
        /// The process that holds it, as it says itself.
        holder: String,
    },
    /// The file cannot be used.
    #[error("{} cannot be used as a lock; check that its folder exists and belongs to root", file.display())]
    File {
        /// The lock's file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A lock that this process holds until the value is dropped. The file stays, or goes while it is held: who waited for it
/// sees that, since two processes would else hold a lock on two files of one name.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

impl Lock {
    /// Takes the lock, and waits so long for another process to let go of it.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's process id, after that.
    pub async fn acquire_within(file: &Path, within: Duration) -> Result<Self, LockError> {
        let started = Instant::now();
        loop {
            match Self::acquire(file) {
                Err(LockError::Held { .. }) if started.elapsed() < within => {
                    tokio::time::sleep(PAUSE).await;
                }
                result => return result,
            }
        }
    }

    /// Takes the lock, or says at once who has it.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's process id.
    pub fn acquire(file: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::File { file: file.to_owned(), source };
        // The file opens without truncation: it holds the name of another holder until ours.
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .open(file)
            .map_err(failed)?;
        // One that an earlier release made could be opened, and so be locked, by anybody.
        open.set_permissions(Permissions::from_mode(MODE)).map_err(failed)?;
        let mut held = match Flock::lock(open, FlockArg::LockExclusiveNonblock) {
            Ok(held) if is_at(&held, file) => held,
            // Who held it has removed the file, and somebody may hold another one under its name.
            Ok(_) => return Self::acquire(file),
            Err((mut open, Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                open.read_to_string(&mut holder).map_err(failed)?;
                let holder = match holder.trim() {
                    "" => "(unknown)".to_owned(),
                    holder => holder.to_owned(),
                };
                return Err(LockError::Held { file: file.to_owned(), holder });
            }
            Err((_, error)) => return Err(failed(error.into())),
        };
        let write = |open: &mut File| {
            open.set_len(0)?;
            open.rewind()?;
            writeln!(open, "{}", std::process::id())
        };
        write(&mut held).map_err(failed)?;
        Ok(Self { _held: held })
    }
}

/// Whether an open file is the one that now has this name.
fn is_at(open: &File, file: &Path) -> bool {
    let id = |found: &fs::Metadata| (found.dev(), found.ino());
    matches!((open.metadata(), fs::metadata(file)), (Ok(open), Ok(named)) if id(&open) == id(&named))
}

/// A lock that many hold together, or one alone, until the value is dropped.
#[derive(Debug)]
pub struct SharedLock {
    _held: Flock<File>,
}

impl SharedLock {
    /// Takes the lock beside others, and waits so long for whoever has it alone.
    ///
    /// # Errors
    /// [`LockError::Held`] after that.
    pub async fn share_within(file: &Path, within: Duration) -> Result<Self, LockError> {
        let started = Instant::now();
        loop {
            match Self::take(file, FlockArg::LockSharedNonblock)? {
                Some(held) => return Ok(held),
                None if started.elapsed() < within => tokio::time::sleep(PAUSE).await,
                None => {
                    let holders: Vec<_> = holders(file).iter().map(u32::to_string).collect();
                    let holder = holders.join(", ");
                    return Err(LockError::Held { file: file.to_owned(), holder });
                }
            }
        }
    }

    /// Takes the lock where nobody else has it.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn alone(file: &Path) -> Result<Option<Self>, LockError> {
        Self::take(file, FlockArg::LockExclusiveNonblock)
    }

    /// Whether somebody has the lock of this file alone, be it this type's or a [`Lock`]. To ask keeps nobody from it for
    /// longer than that takes.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn is_held_alone(file: &Path) -> Result<bool, LockError> {
        Ok(Self::take(file, FlockArg::LockSharedNonblock)?.is_none())
    }

    fn take(file: &Path, how: FlockArg) -> Result<Option<Self>, LockError> {
        let failed = |source| LockError::File { file: file.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(MODE);
        match Flock::lock(options.open(file).map_err(failed)?, how) {
            Ok(held) => Ok(Some(Self { _held: held })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(failed(error.into())),
        }
    }
}

/// Takes a lock that is to be handed to programs ([`CommandLine::holding`](crate::command::CommandLine::holding)):
/// it is let go when this process and all of them have closed the file, so that who is killed leaves it to what he
/// started. `None` while somebody holds it.
///
/// `std` does not unlock a file that it drops. It is open for reading alone, and empty: to a program that reads its
/// standard input it is as good as none.
///
/// # Errors
/// When the file cannot be made or locked.
pub(crate) fn lock_for_programs(file: &Path) -> Result<Option<Arc<File>>, FileError> {
    let mut options = OpenOptions::new();
    let made = options.write(true).create(true).truncate(false).mode(MODE).open(file);
    drop(made.map_err(file_error("make", file))?);
    let open = File::open(file).map_err(file_error("open", file))?;
    for _ in 0..BETWEEN_PROGRAMS {
        match open.try_lock() {
            Ok(()) => return Ok(Some(Arc::new(open))),
            Err(TryLockError::WouldBlock) => std::thread::sleep(MOMENT),
            Err(TryLockError::Error(error)) => return Err(file_error("lock", file)(error)),
        }
    }
    Ok(None)
}

/// The ids of the processes that have a lock's file open, this one aside: the kernel names the one that took it, which
/// may have ended since.
pub(crate) fn holders(file: &Path) -> Vec<u32> {
    let Ok(lock) = fs::metadata(file) else { return Vec::new() };
    let is_it = |open: fs::DirEntry| {
        fs::metadata(open.path()).is_ok_and(|it| (it.dev(), it.ino()) == (lock.dev(), lock.ino()))
    };
    let opened = |id: &u32| fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    let names = names_in(Path::new("/proc")).unwrap_or_default();
    let ids = names.iter().filter_map(|name| name.parse().ok());
    let others = ids.filter(|id| *id != std::process::id());
    let mut holders: Vec<u32> = others.filter(|id| opened(id).any(is_it)).collect();
    holders.sort_unstable();
    holders
}

/// The end of a sentence: how processes are ended, where their ids are known.
pub(crate) fn to_kill(ids: &[u32]) -> String {
    let ids: String = ids.iter().map(|id| format!(" {id}")).collect();
    if ids.is_empty() { ids } else { format!(" (`kill{ids}`)") }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// As what another thread starts has it until its program begins.
    #[test]
    fn a_lock_that_somebody_has_for_a_moment_alone_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lock");
        let lock = lock_for_programs(&file).unwrap().unwrap();
        let copy = lock.try_clone().unwrap();
        drop(lock);
        let moment = std::thread::spawn(move || {
            std::thread::sleep(MOMENT);
            drop(copy);
        });
        assert!(lock_for_programs(&file).unwrap().is_some());
        moment.join().unwrap();
    }

    #[tokio::test]
    async fn a_lock_that_many_share_is_had_alone_once_all_of_them_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("images.lock");
        let share = || SharedLock::share_within(&file, Duration::from_millis(30));
        let (one, two) = (share().await.unwrap(), share().await.unwrap());
        assert!(SharedLock::alone(&file).unwrap().is_none());
        drop(one);
        assert!(SharedLock::alone(&file).unwrap().is_none());
        drop(two);
        assert!(!SharedLock::is_held_alone(&file).unwrap());
        let alone = SharedLock::alone(&file).unwrap().unwrap();
        assert!(SharedLock::is_held_alone(&file).unwrap());
        assert!(matches!(share().await, Err(LockError::Held { .. })));
        drop(alone);
        assert!(share().await.is_ok());
    }

    #[test]
    fn a_lock_whose_file_was_removed_meanwhile_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.lock");
        let first = Lock::acquire(&file).unwrap();
        let late = File::open(&file).unwrap();
        assert!(is_at(&late, &file));
        fs::remove_file(&file).unwrap();
        drop(first);
        assert!(!is_at(&late, &file));
        let _second = Lock::acquire(&file).unwrap();
        assert!(!is_at(&late, &file), "it is another file of the same name");
    }

    /// Without a look at the name, two of these 4 had it in each of 3 runs.
    #[test]
    fn a_lock_that_its_holders_remove_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.lock");
        let holders = AtomicU32::new(0);
        let until = Instant::now() + Duration::from_millis(200);
        let hold = || {
            while Instant::now() < until {
                let Ok(lock) = Lock::acquire(&file) else { continue };
                assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                std::thread::yield_now();
                holders.fetch_sub(1, Ordering::SeqCst);
                fs::remove_file(&file).unwrap();
                drop(lock);
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(hold))));
    }

    #[test]
    fn a_second_holder_is_refused_with_the_firsts_process_id() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scaler.lock");
        let first = Lock::acquire(&file).unwrap();
        let error = Lock::acquire(&file).unwrap_err().to_string();
        assert!(error.contains(&format!("held by process {}", std::process::id())), "{error}");
        drop(first);
        assert!(Lock::acquire(&file).is_ok());
    }

    #[test]
    fn a_lock_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scaler.lock");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let _lock = Lock::acquire(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Lock::acquire(Path::new("/does/not/exist/x.lock")).unwrap_err();
        assert!(error.to_string().starts_with("/does/not/exist/x.lock cannot be used"));
    }
}
