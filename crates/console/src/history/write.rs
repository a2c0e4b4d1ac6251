//! What is written and removed, in statements. The caller has the transaction.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use rusqlite::{Connection, params};

use super::read;
use super::retention::{Class, Cut, Held};
use crate::events::{Event, reasons};
use crate::series::encoding::{encode_instances, encode_service};
use crate::series::point::{Row, merged};

/// How much is spent on making turns small: ten of a second are a fourteenth with this, and no smaller by a tenth with
/// 6, which takes twice the time.
const SMALL: Compression = Compression::new(3);

/// What came in about a second.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// Seconds that are over.
    pub rows: Vec<Row>,
    /// All turns. Those with a sequence number are kept longer.
    pub turns: Vec<Arc<Tick>>,
    /// Turns that the scaler's record told later, since they were missed.
    pub recalled: Vec<Tick>,
    /// What happened.
    pub events: Vec<Event>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.turns.is_empty()
            && self.recalled.is_empty()
            && self.events.is_empty()
    }

    /// The moment of the first turn.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.turns.iter().map(|tick| tick.at).min()
    }
}

/// Writes what came.
pub(super) fn write(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    for row in &batch.rows {
        write_row(connection, Class::Seconds, row)?;
    }
    let mut by_service: BTreeMap<&ServiceName, Vec<&Tick>> = BTreeMap::new();
    for tick in &batch.turns {
        by_service.entry(&tick.service).or_default().push(tick);
        if tick.sequence > 0 {
            write_changed(connection, tick)?;
        }
    }
    batch.recalled.iter().try_for_each(|tick| write_changed(connection, tick))?;
    let sql = "INSERT OR REPLACE INTO turns (service, at, ticks) VALUES (?, ?, ?)";
    let mut statement = connection.prepare_cached(sql)?;
    for (service, ticks) in by_service {
        let Some(first) = ticks.first() else { continue };
        statement.execute(params![service.as_str(), millis(first.at), packed(&ticks)])?;
    }
    batch.events.iter().try_for_each(|event| write_event(connection, event))
}

fn write_row(connection: &Connection, class: Class, row: &Row) -> rusqlite::Result<()> {
    let table: &str = class.into();
    // A minute is made when all of it is there; made again later, some of its seconds may have gone.
    let or = if class == Class::Minutes { "IGNORE" } else { "REPLACE" };
    let sql = format!(
        "INSERT OR {or} INTO {table} (service, at, figures, instances) VALUES (?, ?, ?, ?)"
    );
    let (point, instances) = (encode_service(&row.point), encode_instances(&row.instances));
    let mut statement = connection.prepare_cached(&sql)?;
    statement.execute(params![row.service.as_str(), number(row.second), point, instances])?;
    Ok(())
}

/// A turn that the scaler's record keeps. It may come twice: as it happens, and when the record is asked for what was missed.
fn write_changed(connection: &Connection, tick: &Tick) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO changed (at, service, sequence, reasons, tick) VALUES (?, ?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![
        millis(tick.at),
        tick.service.as_str(),
        number(tick.sequence),
        words(tick),
        packed(&[tick]),
    ])?;
    Ok(())
}

fn write_event(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    let sql = "INSERT INTO events (at, service, kind, event) VALUES (?, ?, ?, ?)";
    // Plain data with texts as keys cannot fail to be JSON.
    let text = serde_json::to_string(event).unwrap_or_default();
    let service = event.service.as_ref().map(ServiceName::as_str);
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(params![millis(event.at), service, event.happened.kind(), text])?;
    Ok(())
}

/// The reasons of a turn and what was blocked, each between spaces.
fn words(tick: &Tick) -> String {
    let reasons = reasons(tick).iter().map(|it| format!("{it:?} "));
    let blocked = tick.blocked.iter().map(|it| format!("{it:?} "));
    std::iter::once(" ".to_owned()).chain(reasons).chain(blocked).collect()
}

/// Turns as JSON, one a line, made small.
fn packed(ticks: &[&Tick]) -> Vec<u8> {
    let mut text = Vec::new();
    for tick in ticks {
        // Plain data with texts as keys cannot fail to be JSON, and memory takes what is written.
        let _ = serde_json::to_writer(&mut text, tick);
        text.push(b'\n');
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), SMALL);
    let _ = encoder.write_all(&text);
    encoder.finish().unwrap_or_default()
}

/// Makes the minutes between two seconds of those seconds that are there, both being the first of a minute.
pub(super) fn make_minutes(connection: &Connection, from: u64, to: u64) -> rusqlite::Result<()> {
    for service in read::services(connection, Class::Seconds)? {
        let rows = read::rows(connection, Class::Seconds, &service, (from, to), usize::MAX)?;
        for minute in rows.chunk_by(|a, b| a.second / 60 == b.second / 60) {
            let second = minute.first().map_or(from, |row| row.second / 60 * 60);
            if let Some(row) = merged(second, minute) {
                write_row(connection, Class::Minutes, &row)?;
            }
        }
    }
    Ok(())
}

/// Removes what a cut says, and says how many rows that were.
pub(super) fn remove(connection: &Connection, cut: Cut) -> rusqlite::Result<usize> {
    let table: &str = cut.class.into();
    let before = match cut.class {
        Class::Seconds | Class::Minutes => number(cut.before.as_millis().div_ceil(1000)),
        Class::Turns | Class::Changed | Class::Events => millis(cut.before),
    };
    match cut.class {
        Class::Changed | Class::Events => {
            let sql = format!("DELETE FROM {table} WHERE at < ?");
            connection.prepare_cached(&sql)?.execute([before])
        }
        Class::Turns | Class::Seconds | Class::Minutes => {
            let sql = format!("DELETE FROM {table} WHERE service = ? AND at < ?");
            let mut statement = connection.prepare_cached(&sql)?;
            let services = read::services(connection, cut.class)?;
            services.iter().map(|it| statement.execute(params![it.as_str(), before])).sum()
        }
    }
}

/// What each class takes. Every page of the file is looked at.
pub(super) fn held(connection: &Connection) -> rusqlite::Result<Vec<Held>> {
    let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
    let sql = "SELECT coalesce(tbl_name, name), sum(pgsize) FROM dbstat LEFT JOIN sqlite_schema USING (name) \
               WHERE aggregate = TRUE GROUP BY 1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        bytes.insert(row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default());
    }
    let classes = <Class as strum::IntoEnumIterator>::iter();
    let held = classes.map(|class| {
        let table: &str = class.into();
        let bytes = bytes.get(table).copied().unwrap_or_default();
        Ok(Held { class, bytes, span: read::span(connection, class)? })
    });
    held.collect()
}

/// The bytes of the file that something is in.
pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let value = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let used = (value("page_count")? - value("freelist_count")?) * value("page_size")?;
    Ok(u64::try_from(used).unwrap_or_default())
}

pub(super) fn millis(at: Timestamp) -> i64 {
    number(at.as_millis())
}

/// SQLite's numbers have a sign. What is past the year 292 million is cut there.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
