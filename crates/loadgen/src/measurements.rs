//! What the requests of a load measure while they run.

use std::sync::{Mutex, MutexGuard, PoisonError};

use run::Recorder;

use crate::serving::ServingLog;

/// What the requests measure while they run.
#[derive(Debug)]
pub(crate) struct Measurements {
    recorder: Mutex<Recorder>,
    serving: Mutex<ServingLog>,
}

impl Measurements {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self { recorder: Mutex::new(recorder), serving: Mutex::default() }
    }

    pub(crate) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn serving(&self) -> MutexGuard<'_, ServingLog> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
