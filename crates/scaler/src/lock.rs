//! Locks of values that are whole at any moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a value that a panic elsewhere cannot have spoilt.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
