//! What is done now and then: minutes are made, and what is too old or too much goes.

use std::time::Duration;

use model::time::Timestamp;
use rusqlite::Connection;

use super::file::JOURNAL_BYTES;
use super::retention::{Class, Cut, by_age, by_size};
use super::write::{held, make_minutes, remove, used_bytes};

/// How often minutes are made.
const MINUTES_EVERY: Duration = Duration::from_secs(10);

/// How often what is too old or too much goes.
const CUT_EVERY: Duration = Duration::from_secs(60);

/// A second is in the file so long after its end: a turn of the next one ends it, and batches are written once a second.
const SECONDS_SETTLE: Duration = Duration::from_secs(5);

/// Cuts in one round. Each takes a tenth of a class.
const CUTS_AT_ONCE: usize = 20;

/// When what was done last.
#[derive(Debug, Default)]
pub(super) struct Housekeeping {
    minutes: Option<Timestamp>,
    cut: Option<Timestamp>,
}

impl Housekeeping {
    /// Does what is due; gives what is in the file now, where that was looked at.
    pub(super) fn run(
        &mut self,
        connection: &mut Connection,
        size_bytes: u64,
        now: Timestamp,
    ) -> rusqlite::Result<Option<u64>> {
        // Also where the clock was set back.
        let is_due = |last: Option<Timestamp>, every| {
            last.is_none_or(|last| now < last || now.since(last) >= every)
        };
        if is_due(self.minutes, MINUTES_EVERY) {
            // All that seconds are there for when it begins; what went before is made already.
            let back = if self.minutes.is_none() { 28 } else { 2 };
            let to = minute(now.before(SECONDS_SETTLE));
            let transaction = connection.transaction()?;
            make_minutes(&transaction, to.saturating_sub(back * 60), to)?;
            transaction.commit()?;
            self.minutes = Some(now);
        }
        if !is_due(self.cut, CUT_EVERY) {
            return Ok(None);
        }
        self.cut = Some(now);
        cut(connection, size_bytes.saturating_sub(JOURNAL_BYTES), now).map(Some)
    }
}

/// The first second of a moment's minute.
fn minute(at: Timestamp) -> u64 {
    at.as_millis() / 60_000 * 60
}

/// Removes what is too old, and then what is too much.
fn cut(connection: &mut Connection, most_bytes: u64, now: Timestamp) -> rusqlite::Result<u64> {
    let apart = |connection: &mut Connection, cut: Cut| {
        let transaction = connection.transaction()?;
        let removed = remove(&transaction, cut)?;
        transaction.commit()?;
        Ok::<_, rusqlite::Error>(removed)
    };
    for too_old in by_age(now) {
        apart(connection, too_old)?;
    }
    for _ in 0..CUTS_AT_ONCE {
        if used_bytes(connection)? <= most_bytes {
            break;
        }
        let Some(too_much) = by_size(&held(connection)?, most_bytes) else { break };
        let removed = apart(connection, too_much)?;
        let class: &str = Class::into(too_much.class);
        tracing::info!(class, removed, "the history is full: the oldest of it goes");
    }
    give_back(connection, most_bytes)?;
    used_bytes(connection)
}

/// Gives the disk what is free within a file that was allowed to be larger once.
fn give_back(connection: &Connection, most_bytes: u64) -> rusqlite::Result<()> {
    let value = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, page) = (value("page_count")?, value("page_size")?.max(1));
    let most = i64::try_from(most_bytes).unwrap_or(i64::MAX) / page;
    if pages > most {
        let sql = format!("PRAGMA incremental_vacuum({})", pages - most);
        let mut statement = connection.prepare(&sql)?;
        let mut steps = statement.query([])?;
        while steps.next()?.is_some() {}
    }
    Ok(())
}
