//! What the file looks like, and how that of an earlier release comes to look so.

use rusqlite::Connection;

/// What was changed by each release that changed something. The number of those that were done is the file's
/// `user_version`. What is here once stays as it is.
pub(super) const STEPS: &[&str] = &["
    CREATE TABLE seconds (
        service TEXT NOT NULL, at INTEGER NOT NULL, figures BLOB NOT NULL, instances BLOB NOT NULL,
        PRIMARY KEY (service, at)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE minutes (
        service TEXT NOT NULL, at INTEGER NOT NULL, figures BLOB NOT NULL, instances BLOB NOT NULL,
        PRIMARY KEY (service, at)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE turns (
        service TEXT NOT NULL, at INTEGER NOT NULL, ticks BLOB NOT NULL,
        PRIMARY KEY (service, at)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE changed (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, service TEXT NOT NULL,
        sequence INTEGER NOT NULL, reasons TEXT NOT NULL, tick BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX changed_once ON changed (at, service, sequence);
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, service TEXT, kind TEXT NOT NULL,
        event TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_at ON events (at);
", "
    -- Behind the figures of a service stand its answers, which a release before this one could not read.
"];

/// A file that no step leads from.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    /// A later release wrote it.
    #[error("a later release wrote it (version {found}, this one knows {known})")]
    Later {
        /// Its version.
        found: i64,
        /// The last one known here.
        known: usize,
    },
    /// A step failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// How many of the steps were done.
///
/// # Errors
/// A later release wrote it, or nothing can be read.
pub(super) fn check(connection: &Connection, steps: &[&str]) -> Result<usize, MigrateError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(found).ok().filter(|done| *done <= steps.len());
    done.ok_or(MigrateError::Later { found, known: steps.len() })
}

/// Brings the file to look as the last of the steps leaves it, each step whole or not at all.
///
/// # Errors
/// A later release wrote it, or a step failed.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), MigrateError> {
    let done = check(connection, steps)?;
    for (number, step) in steps.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.execute_batch(&format!("PRAGMA user_version = {}", number + 1))?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_file_of_an_earlier_release_is_brought_on_with_what_is_in_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE a (x INTEGER)";
        migrate(&mut connection, &[first]).unwrap();
        connection.execute("INSERT INTO a VALUES (7)", []).unwrap();
        let steps = [first, "ALTER TABLE a ADD COLUMN y INTEGER", "UPDATE a SET y = x + 1"];
        migrate(&mut connection, &steps).unwrap();
        let y: i64 = connection.query_one("SELECT y FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!((y, version(&connection)), (8, 3));
        migrate(&mut connection, &steps).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_the_one_before_left_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); nonsense"];
        assert!(migrate(&mut connection, &steps).is_err());
        let tables: i64 = connection
            .query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!((tables, version(&connection)), (1, 1));
    }

    #[test]
    fn a_file_of_a_later_release_is_told_from_one_of_this() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 9).unwrap();
        let error = migrate(&mut connection, STEPS).unwrap_err();
        assert_eq!(error.to_string(), "a later release wrote it (version 9, this one knows 2)");
    }
}
