//! The files that runs leave behind, and the errors of those that cannot be written or read.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A file or folder of results cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be written")]
pub struct ResultsError {
    path: PathBuf,
    source: io::Error,
}

/// A file of results cannot be read, or is not what the project writes.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ReadError {
    /// The file, its line where there is one, and what is wrong with it.
    what: String,
    source: Box<dyn Error + Send + Sync>,
}

impl ResultsError {
    /// What went wrong with the file or folder at `path`, for `map_err`.
    pub(crate) fn at<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Self {
        move |source| Self { path: path.to_owned(), source: source.into() }
    }
}

impl ReadError {
    /// What goes behind the name of the file at `path`, and why, for `map_err`.
    pub(crate) fn at<E: Into<Box<dyn Error + Send + Sync>>>(
        path: &Path,
        what: &str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self { what: format!("{}{what}", path.display()), source: source.into() }
    }
}

/// The text of a file; `None` when it is not there.
pub(crate) fn text_if_there(path: &Path, unread: &str) -> Result<Option<String>, ReadError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(ReadError::at(path, unread)),
    }
}

/// The rows of a CSV file with a header.
pub(crate) fn csv_rows<Row: DeserializeOwned>(
    path: &Path,
    unread: &str,
    refused: &str,
) -> Result<Vec<Row>, ReadError> {
    let text = fs::read_to_string(path).map_err(ReadError::at(path, unread))?;
    let rows = csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>();
    rows.map_err(ReadError::at::<csv::Error>(path, refused))
}

/// Writes rows as CSV with a header.
pub(crate) fn to_csv<Row: Serialize>(rows: &[Row], file: impl Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(file);
    rows.iter().try_for_each(|row| csv.serialize(row))?;
    csv.flush()
}
