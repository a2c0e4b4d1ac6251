//! The file: opened, or put aside with its reason where it cannot be read, and begun anew.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{MigrateError, STEPS, check, migrate};
use super::write::number;

/// How long a statement waits for another connection, which holds its lock for a moment at the most.
const BUSY: Duration = Duration::from_secs(2);

/// Size to which the journal is cut when it was copied into the file: by default that happens at each 4 MB.
pub(super) const JOURNAL_BYTES: u64 = 8 * 1024 * 1024;

/// The size of a page, which is SQLite's own where nobody says another.
const PAGE_BYTES: u64 = 4096;

/// Memory for pages that were read, of the writer and of each reader, in KiB.
const CACHE_KIB: i64 = 4 * 1024;

/// How many files that were put aside are kept: each may be as large as the history.
const ASIDE_KEPT: usize = 2;

/// What follows the file's name where it was put aside.
const ASIDE: &str = ".aside-";

/// The files that SQLite has beside its own, by what follows the name.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The file cannot be opened, and moving it away would not help.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite says why.
    #[error("the history {} cannot be opened: check its folder, the disk and who owns it", file.display())]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: rusqlite::Error,
    },
    /// It cannot be moved away.
    #[error("the history {} cannot be read, and not be moved away: move it away by hand", file.display())]
    Aside {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A history that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Where it is.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// Opens the history to write; where what is there cannot be read or was written by a later release, puts that aside first.
///
/// # Errors
/// It cannot be opened for another reason, such as a full disk.
pub(super) fn open(path: &Path, now: Timestamp) -> Result<(Connection, Option<Aside>), OpenError> {
    match open_whole(path) {
        Ok(connection) => Ok((connection, None)),
        Err(Failure::Unusable(reason)) => {
            let aside = put_aside(path, reason, now)
                .map_err(|source| OpenError::Aside { file: path.to_owned(), source })?;
            let again = open_whole(path);
            again.map(|connection| (connection, Some(aside))).map_err(|failure| failure.told(path))
        }
        Err(failure) => Err(failure.told(path)),
    }
}

/// Opens the history to read.
///
/// # Errors
/// SQLite says why.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Whether an error says that the file itself is spoilt.
pub(super) fn is_spoilt(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

enum Failure {
    /// The file is there and can be read by nobody here.
    Unusable(String),
    Other(rusqlite::Error),
}

impl Failure {
    fn told(self, path: &Path) -> OpenError {
        let source = match self {
            Self::Other(error) => error,
            // Just begun anew, and spoilt again.
            Self::Unusable(_) => rusqlite::Error::InvalidPath(path.to_owned()),
        };
        OpenError::Sqlite { file: path.to_owned(), source }
    }
}

impl Failure {
    fn of(error: MigrateError) -> Self {
        match error {
            MigrateError::Later { .. } => Self::Unusable(error.to_string()),
            // A step asks for what this file cannot have, such as a table that it has already.
            MigrateError::Sqlite(rusqlite::Error::SqlInputError { msg, .. }) => {
                Self::Unusable(format!("no release left it so: {msg}"))
            }
            MigrateError::Sqlite(error) => error.into(),
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        if is_spoilt(&error) { Self::Unusable(error.to_string()) } else { Self::Other(error) }
    }
}

/// Whether the file ends within a page. SQLite takes what is missing of it for zeros, and does not see that they stand in a
/// row. Beside a journal that may be so: a kill while that is copied into the file leaves such a page, which the journal has.
fn is_cut(path: &Path) -> bool {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |it| it.len());
    bytes(&with_end(path, BESIDE[0])) == 0 && !bytes(path).is_multiple_of(PAGE_BYTES)
}

fn open_whole(path: &Path) -> Result<Connection, Failure> {
    // Before it is opened, which begins a journal.
    let is_cut = is_cut(path);
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // Nothing is changed in a file that is not for this release.
    let found = check(&connection, STEPS).map_err(Failure::of)?;
    let checked: String = connection.query_one("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if checked != "ok" {
        let reason = format!("the file is spoilt: {}", checked.replace('\n', " "));
        return Err(Failure::Unusable(reason));
    }
    if is_cut {
        return Err(Failure::Unusable("the file was cut: it ends within a page".to_owned()));
    }
    if found == 0 {
        // Without a table yet: later it has no effect.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // After a loss of power the last seconds may be missing; the file is whole.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", number(JOURNAL_BYTES))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    migrate(&mut connection, STEPS).map_err(Failure::of)?;
    Ok(connection)
}

/// Moves the file away with those beside it, and removes what was put aside long before.
pub(super) fn put_aside(path: &Path, reason: String, now: Timestamp) -> io::Result<Aside> {
    let aside = with_end(path, &format!("{ASIDE}{}", now.as_millis()));
    // The file last: until it is gone, the next start finds it spoilt again.
    for end in BESIDE {
        match fs::rename(with_end(path, end), with_end(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, &aside)?;
    tracing::error!(file = %aside.display(), reason, "the history was put aside and begins anew");
    for old in older_asides(path)? {
        tracing::warn!(file = %old.display(), "what was put aside before is removed");
        for end in ["", BESIDE[0], BESIDE[1]] {
            // It may not be there; if it stays, it is in the way of nothing.
            let _ = fs::remove_file(with_end(&old, end));
        }
    }
    Ok(Aside { file: aside, reason })
}

/// All but the newest that were put aside.
fn older_asides(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let moment = |entry: fs::DirEntry| -> Option<(u64, PathBuf)> {
        let own = entry.file_name();
        let moment = own.to_str()?.strip_prefix(&*name)?.strip_prefix(ASIDE)?.parse().ok()?;
        Some((moment, entry.path()))
    };
    let mut asides: Vec<_> = fs::read_dir(folder)?.flatten().filter_map(moment).collect();
    asides.sort();
    asides.truncate(asides.len().saturating_sub(ASIDE_KEPT));
    Ok(asides.into_iter().map(|(_, path)| path).collect())
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut text = OsString::from(path);
    text.push(end);
    text.into()
}
