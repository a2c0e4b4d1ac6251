//! The memory of what happened: one SQLite file within a set size, written by one thread in one transaction a second, and
//! read by others that it never waits for.
//!
//! What cannot be written is missing, and a gap says so; the console goes on without. A file that cannot be read is put
//! aside, never removed at once, and begun anew.

mod file;
mod housekeeping;
mod read;
mod readers;
pub mod retention;
mod schema;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::names::{InstanceName, ServiceName};
use model::tick::Tick;
use model::time::Timestamp;
use serde::Serialize;
use strum::IntoEnumIterator as _;

pub use file::{Aside, OpenError};
pub use read::{Numbered, Wanted};
pub use readers::ReadError;
pub use write::Batch;
pub use writer::Recorder;

use crate::events::Kind;
use crate::series::point::{InstancePoint, ServicePoint};
use readers::Readers;
use retention::Class;

/// The smallest size that a history can be set to, in bytes: the journal takes a part of it.
pub const SIZE_MIN_BYTES: u64 = 32 * 1024 * 1024;

/// Where the history is, and what it may take on the disk.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// What it and its journal may take together.
    pub size_bytes: u64,
}

/// How the history does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// What is in the file, in bytes.
    pub used_bytes: u64,
    /// What it and its journal may take.
    pub size_bytes: u64,
    /// Why nothing is recorded now; `None` where it is.
    pub problem: Option<String>,
    /// Where the history is that was put aside since the console started, and why.
    pub aside: Option<AsideStatus>,
    /// Seconds that could not be written since the console started.
    pub seconds_missed: u64,
}

/// A history that was put aside.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AsideStatus {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// What there is of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Kept {
    /// Which.
    pub class: Class,
    /// For how long it is kept, in seconds.
    pub kept_s: u64,
    /// The oldest of it; `None` where there is none.
    pub from_ms: Option<Timestamp>,
    /// The newest of it.
    pub to_ms: Option<Timestamp>,
}

/// The step of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One second.
    Second,
    /// One minute.
    Minute,
}

impl Step {
    /// Its length.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }

    const fn class(self) -> Class {
        match self {
            Self::Second => Class::Seconds,
            Self::Minute => Class::Minutes,
        }
    }
}

/// What the writer tells the readers.
#[derive(Debug)]
struct Shared {
    place: Place,
    status: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    status: Status,
    /// Another with each file that was begun.
    generation: u64,
}

impl Shared {
    fn new(place: Place) -> Self {
        let status = Status {
            used_bytes: 0,
            size_bytes: place.size_bytes,
            problem: Some("it is being opened".to_owned()),
            aside: None,
            seconds_missed: 0,
        };
        Self { place, status: Mutex::new(Inner { status, generation: 0 }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The history, to be read. Answers come from the disk, on threads of their own.
#[derive(Debug, Clone)]
pub struct History {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
}

/// Opens the history on a thread of its own, which writes it. Nothing fails here: what is wrong is in its [`Status`], and
/// the thread tries again every 10 s.
pub fn open(place: Place) -> (Recorder, History) {
    let shared = Arc::new(Shared::new(place));
    let readers = Arc::new(Readers::new(Arc::clone(&shared)));
    (Recorder::start(Arc::clone(&shared)), History { shared, readers })
}

impl History {
    /// How it does.
    pub fn status(&self) -> Status {
        self.shared.lock().status.clone()
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.shared.place.file
    }

    /// What there is of each class.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn kept(&self) -> Result<Vec<Kept>, ReadError> {
        let kept = |connection: &rusqlite::Connection, class: Class| {
            let span = read::span(connection, class)?;
            let (from_ms, to_ms) = span.unzip();
            Ok(Kept { class, kept_s: class.age().as_secs(), from_ms, to_ms })
        };
        self.readers.read(move |it| Class::iter().map(|class| kept(it, class)).collect()).await
    }

    /// The figures of a service from a second to before another, oldest first, at most so many. What is missing is missing.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn service_series(
        &self,
        service: ServiceName,
        step: Step,
        span: (u64, u64),
        limit: usize,
    ) -> Result<Vec<(u64, ServicePoint)>, ReadError> {
        let read = move |it: &_| read::service_series(it, step.class(), &service, span, limit);
        self.readers.read(read).await
    }

    /// The figures of an instance, likewise.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn instance_series(
        &self,
        instance: InstanceName,
        step: Step,
        span: (u64, u64),
        limit: usize,
    ) -> Result<Vec<(u64, InstancePoint)>, ReadError> {
        let read = move |it: &_| read::instance_series(it, step.class(), &instance, span, limit);
        self.readers.read(read).await
    }

    /// Every turn of a service from a moment to before another, oldest first, at most so many.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn turns(
        &self,
        service: ServiceName,
        span: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Tick>, ReadError> {
        self.readers.read(move |it| read::turns(it, &service, span, limit)).await
    }

    /// Turns that changed something, oldest first, and the number to go on after; with this code among their reasons or
    /// what was blocked.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn changed(
        &self,
        wanted: Wanted,
        reason: Option<String>,
    ) -> Result<(Vec<Tick>, Option<u64>), ReadError> {
        self.readers.read(move |it| read::changed(it, &wanted, reason.as_deref())).await
    }

    /// The last turn of a service up to a moment that is kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn turn_at(
        &self,
        service: ServiceName,
        at: Timestamp,
    ) -> Result<Option<Tick>, ReadError> {
        self.readers.read(move |it| read::turn_at(it, &service, at)).await
    }

    /// Events, oldest first.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn events(
        &self,
        wanted: Wanted,
        kind: Option<Kind>,
    ) -> Result<Vec<Numbered>, ReadError> {
        self.readers.read(move |it| read::events(it, &wanted, kind)).await
    }

    /// The last sequence number of the scaler's record that is here; 0 where none is.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn last_sequence(&self) -> Result<u64, ReadError> {
        self.readers.read(read::last_sequence).await
    }
}
