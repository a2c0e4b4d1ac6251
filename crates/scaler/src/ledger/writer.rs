//! Writes the ledger on a thread of its own, in the order in which it is told: the loop waits for no disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use policy::ledger::Entry;

use crate::json_lines::JsonLines;

/// What is to be written.
#[derive(Debug)]
enum Write {
    Add(Entry),
    /// All that there is, in the place of what was written.
    Replace(Vec<Entry>),
    /// Nothing; somebody waits until all before is written.
    Flush(mpsc::Sender<()>),
}

/// The way to the thread, which ends with it.
#[derive(Debug)]
pub(super) struct Writer {
    writes: mpsc::Sender<Write>,
    has_failed: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(file: JsonLines) -> io::Result<Self> {
        let (writes, told) = mpsc::channel();
        let has_failed = Arc::new(AtomicBool::new(false));
        let failed = Arc::clone(&has_failed);
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || run(file, &told, &failed))?;
        Ok(Self { writes, has_failed })
    }

    /// Adds a line.
    pub(super) fn add(&self, entry: Entry) {
        self.send(Write::Add(entry));
    }

    /// Writes all anew.
    pub(super) fn replace(&self, entries: Vec<Entry>) {
        self.send(Write::Replace(entries));
    }

    /// Whether something could not be written since all was written anew.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Waits until all that was told is written.
    pub(super) fn flush(&self) {
        let (done, written) = mpsc::channel();
        self.send(Write::Flush(done));
        // That the thread is gone is in the log.
        let _ = written.recv();
    }

    fn send(&self, write: Write) {
        if self.writes.send(write).is_err() {
            tracing::error!("nobody writes the ledger any more");
        }
    }
}

fn run(mut file: JsonLines, told: &mpsc::Receiver<Write>, has_failed: &AtomicBool) {
    for write in told {
        let written = match write {
            Write::Add(entry) => file.add(&entry),
            Write::Replace(entries) => {
                let replaced = file.replace(&entries);
                has_failed.fetch_and(replaced.is_err(), Ordering::Relaxed);
                replaced
            }
            Write::Flush(done) => {
                let _ = done.send(());
                Ok(())
            }
        };
        if let Err(error) = written {
            has_failed.store(true, Ordering::Relaxed);
            tracing::error!(%error, "the ledger is kept in memory only: check the state directory's disk");
        }
    }
}
