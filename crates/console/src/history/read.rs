//! What is read, each by an index and bounded by its caller.

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use model::names::{InstanceName, ServiceName};
use model::tick::Tick;
use model::time::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Params, params};
use serde::Serialize;

use super::retention::Class;
use super::write::{millis, number};
use crate::events::{Event, Happened, Kind};
use crate::series::encoding::{decode_instances, decode_service};
use crate::series::point::{InstancePoint, Row, ServicePoint};

/// Most bytes that a pack of turns is allowed to become: one of a second with thousands of instances has 1 MB.
const PACK_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// An event with the number after which to go on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Numbered {
    /// Rises from each event to the next.
    pub id: u64,
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Of which service; `None` of the whole host.
    pub service: Option<ServiceName>,
    /// What.
    #[serde(rename = "what")]
    pub happened: Happened,
}

impl Numbered {
    fn new(id: u64, Event { at, service, happened }: Event) -> Self {
        Self { id, at, service, happened }
    }
}

impl From<Numbered> for Event {
    fn from(Numbered { id: _, at, service, happened }: Numbered) -> Self {
        Self { at, service, happened }
    }
}

/// Which turns or events.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those after this number; `None` for the newest.
    pub since: Option<u64>,
    /// Of this service.
    pub service: Option<ServiceName>,
    /// So many at most.
    pub limit: usize,
}

impl Wanted {
    /// The newest ones, of all services.
    pub fn newest(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }
}

/// The services that a class has something of.
pub(super) fn services(
    connection: &Connection,
    class: Class,
) -> rusqlite::Result<Vec<ServiceName>> {
    let table: &str = class.into();
    // From each to the next by the index: `DISTINCT` would go through all rows.
    let sql = format!(
        "WITH RECURSIVE own(name) AS (SELECT min(service) FROM {table} UNION ALL \
         SELECT (SELECT min(service) FROM {table} WHERE service > name) FROM own WHERE name IS NOT NULL) \
         SELECT name FROM own WHERE name IS NOT NULL"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let names = statement.query_map([], |row| parsed(0, row.get::<_, String>(0)?.parse()))?;
    names.collect()
}

/// The oldest moment of a class and the newest.
pub(super) fn span(
    connection: &Connection,
    class: Class,
) -> rusqlite::Result<Option<(Timestamp, Timestamp)>> {
    let (table, unit): (&str, u64) = match class {
        Class::Seconds | Class::Minutes => (class.into(), 1000),
        Class::Turns | Class::Changed | Class::Events => (class.into(), 1),
    };
    let first_and_last = |condition: &str, parameters: &[&str]| {
        // Each by itself, or SQLite goes through all rows.
        let sql = format!(
            "SELECT (SELECT min(at) FROM {table} {condition}), (SELECT max(at) FROM {table} {condition})"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let moment = |at: Option<i64>| {
            let at = u64::try_from(at?).unwrap_or_default();
            Some(Timestamp::from_millis(at.saturating_mul(unit)))
        };
        let parameters = rusqlite::params_from_iter(parameters);
        statement.query_one(parameters, |row| Ok(moment(row.get(0)?).zip(moment(row.get(1)?))))
    };
    match class {
        Class::Changed | Class::Events => first_and_last("", &[]),
        Class::Turns | Class::Seconds | Class::Minutes => {
            let mut all: Option<(Timestamp, Timestamp)> = None;
            for service in services(connection, class)? {
                let own = first_and_last("WHERE service = ?1", &[service.as_str()])?;
                all = match (all, own) {
                    (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                    (a, b) => a.or(b),
                };
            }
            Ok(all)
        }
    }
}

/// The rows of a service from one second to before another.
pub(super) fn rows(
    connection: &Connection,
    class: Class,
    service: &ServiceName,
    span: (u64, u64),
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    select(connection, class, "figures, instances", service, span, limit, |row| {
        Ok(Row {
            service: service.clone(),
            second: unsigned(row.get(0)?),
            point: parsed(1, decode_service(row.get_ref(1)?.as_blob()?))?,
            instances: parsed(2, decode_instances(service, row.get_ref(2)?.as_blob()?))?,
        })
    })
}

/// The figures of a service from one second to before another, oldest first.
pub(super) fn service_series(
    connection: &Connection,
    class: Class,
    service: &ServiceName,
    span: (u64, u64),
    limit: usize,
) -> rusqlite::Result<Vec<(u64, ServicePoint)>> {
    select(connection, class, "figures", service, span, limit, |row| {
        let point = parsed(1, decode_service(row.get_ref(1)?.as_blob()?))?;
        Ok((unsigned(row.get(0)?), point))
    })
}

/// The figures of an instance from one second to before another, oldest first.
pub(super) fn instance_series(
    connection: &Connection,
    class: Class,
    instance: &InstanceName,
    span: (u64, u64),
    limit: usize,
) -> rusqlite::Result<Vec<(u64, InstancePoint)>> {
    let service = instance.service();
    let all = select(connection, class, "instances", service, span, limit, |row| {
        let instances = parsed(1, decode_instances(service, row.get_ref(1)?.as_blob()?))?;
        let own = instances.into_iter().find(|it| it.name == *instance);
        Ok((unsigned(row.get(0)?), own))
    })?;
    Ok(all.into_iter().filter_map(|(second, own)| Some((second, own?))).collect())
}

fn select<T>(
    connection: &Connection,
    class: Class,
    columns: &str,
    service: &ServiceName,
    (from, to): (u64, u64),
    limit: usize,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let table: &str = class.into();
    let sql = format!(
        "SELECT at, {columns} FROM {table} WHERE service = ? AND at >= ? AND at < ? ORDER BY at LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = params![service.as_str(), number(from), number(to), bound(limit)];
    statement.query_map(parameters, read)?.collect()
}

/// Every turn of a service from one moment to before another.
pub(super) fn turns(
    connection: &Connection,
    service: &ServiceName,
    (from, to): (Timestamp, Timestamp),
    limit: usize,
) -> rusqlite::Result<Vec<Tick>> {
    // A pack is of a second or a little more and named by its first turn.
    let early = from.before(std::time::Duration::from_secs(5));
    let sql = "SELECT ticks FROM turns WHERE service = ? AND at >= ? AND at < ? ORDER BY at";
    let mut statement = connection.prepare_cached(sql)?;
    let mut packs = statement.query(params![service.as_str(), millis(early), millis(to)])?;
    let mut ticks = Vec::new();
    while let Some(row) = packs.next()? {
        let pack = unpacked(0, row.get_ref(0)?.as_blob()?)?;
        ticks.extend(pack.into_iter().filter(|tick| (from..to).contains(&tick.at)));
        if ticks.len() >= limit {
            ticks.truncate(limit);
            break;
        }
    }
    Ok(ticks)
}

/// Turns that changed something, oldest first, and the number after which to go on.
pub(super) fn changed(
    connection: &Connection,
    wanted: &Wanted,
    reason: Option<&str>,
) -> rusqlite::Result<(Vec<Tick>, Option<u64>)> {
    let reason = reason.map(|word| format!(" {word} "));
    let condition = "instr(reasons, ?3) > 0";
    let ticks = newest_or_since(connection, "changed", "tick", condition, wanted, reason, |row| {
        let tick = unpacked(1, row.get_ref(1)?.as_blob()?)?.into_iter().next();
        Ok((unsigned(row.get(0)?), tick))
    })?;
    let next = ticks.last().map(|(id, _)| *id);
    Ok((ticks.into_iter().filter_map(|(_, tick)| tick).collect(), next))
}

/// The last turn of a service up to a moment: of every turn where they reach so far, or else of those that changed something.
pub(super) fn turn_at(
    connection: &Connection,
    service: &ServiceName,
    at: Timestamp,
) -> rusqlite::Result<Option<Tick>> {
    let last_of = |table: &str, column: &str| {
        let sql = format!(
            "SELECT {column} FROM {table} WHERE service = ?1 AND at <= ?2 ORDER BY at DESC LIMIT 1"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let packs = query(&mut statement, params![service.as_str(), millis(at)], |row| {
            unpacked(0, row.get_ref(0)?.as_blob()?)
        })?;
        Ok::<_, rusqlite::Error>(packs.into_iter().flatten().filter(|tick| tick.at <= at).last())
    };
    let (any, changed) = (last_of("turns", "ticks")?, last_of("changed", "tick")?);
    Ok(any.into_iter().chain(changed).max_by_key(|tick| tick.at))
}

/// Events, oldest first.
pub(super) fn events(
    connection: &Connection,
    wanted: &Wanted,
    kind: Option<Kind>,
) -> rusqlite::Result<Vec<Numbered>> {
    let kind = kind.map(|kind| <&str>::from(kind).to_owned());
    newest_or_since(connection, "events", "event", "kind = ?3", wanted, kind, |row| {
        let event = parsed(1, serde_json::from_str(row.get_ref(1)?.as_str()?))?;
        Ok(Numbered::new(unsigned(row.get(0)?), event))
    })
}

/// The last sequence number of the scaler's record that is known.
pub(super) fn last_sequence(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce((SELECT sequence FROM changed ORDER BY at DESC, sequence DESC LIMIT 1), 0)";
    connection.query_one(sql, [], |row| Ok(unsigned(row.get(0)?)))
}

fn newest_or_since<T>(
    connection: &Connection,
    table: &str,
    column: &str,
    third: &str,
    wanted: &Wanted,
    value: Option<String>,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let order = if wanted.since.is_some() { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT id, {column} FROM {table} WHERE id > ?1 AND (?2 IS NULL OR service = ?2) \
         AND (?3 IS NULL OR {third}) ORDER BY id {order} LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let service = wanted.service.as_ref().map(ServiceName::as_str);
    let since = number(wanted.since.unwrap_or_default());
    let found = query(&mut statement, params![since, service, value, bound(wanted.limit)], read)?;
    Ok(if wanted.since.is_some() { found } else { found.into_iter().rev().collect() })
}

fn query<T>(
    statement: &mut rusqlite::Statement<'_>,
    parameters: impl Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    statement.query_map(parameters, read)?.collect()
}

fn unpacked(column: usize, pack: &[u8]) -> rusqlite::Result<Vec<Tick>> {
    let mut text = Vec::new();
    parsed(column, DeflateDecoder::new(pack).take(PACK_MAX_BYTES).read_to_end(&mut text))?;
    let ticks = serde_json::Deserializer::from_slice(&text).into_iter();
    parsed(column, ticks.collect::<Result<_, _>>())
}

/// A value of the file that does not read as what was written there.
fn parsed<T, E>(column: usize, read: Result<T, E>) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    read.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
    })
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
