//! Whom the console is to tell, and of what: a file that `up` writes and the console reads, since the host's settings
//! are for root alone.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use config_file::{Checked as _, Invalid};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::accounts;
use crate::files::{FileError, file_error};
use crate::settings::{NotifySettings, RawNotify, Settings};

/// Root writes, and the console's group reads: a webhook's path may be a secret.
const MODE: u32 = 0o640;

/// What the file looks like. One of another form is refused.
const FORMAT: u32 = 1;

/// What the console needs of the host's settings to tell somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Whom, and of what.
    pub settings: NotifySettings,
    /// The folder whose file system is watched for room.
    pub state: PathBuf,
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    format: u32,
    state: PathBuf,
    notify: RawNotify,
}

/// The file cannot be used. It quotes nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is of another form.
    #[error("{} cannot be used, {problem}: `bellows up` writes it anew", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Writes the file of these settings, whole or not at all, and says whether it said something else before. It goes with
/// a boot, and `up` writes it anew, so that nothing is flushed to a disk.
///
/// # Errors
/// The run folder is missing, not writable or full.
pub fn write(settings: &Settings) -> Result<bool, FileError> {
    let path = settings.notify_file();
    let raw = RawFile {
        format: FORMAT,
        state: settings.paths.state.clone(),
        notify: RawNotify::from(&settings.notify),
    };
    let replaced = serde_json::to_vec(&raw).map_err(io::Error::from).and_then(|text| {
        let is_new = fs::read(&path).ok().is_none_or(|held| held != text);
        replace(&path, &text)?;
        Ok(is_new)
    });
    replaced.map_err(file_error("write", &path))
}

/// Reads the file.
///
/// # Errors
/// It is not there, may not be read, was spoilt, or is of another form.
pub fn read(path: &Path) -> Result<Notify, NotifyError> {
    let text = fs::read(path).map_err(file_error("read", path))?;
    let form = |problem| NotifyError::Form { path: path.to_owned(), problem };
    // What serde says of a value may quote it.
    let raw = serde_json::from_slice::<RawFile>(&text)
        .map_err(|error| form(format!("line {}, column {}", error.line(), error.column())))?;
    checked(raw).map_err(|invalid| form(invalid.to_string()))
}

fn checked(raw: RawFile) -> Result<Notify, Invalid> {
    config_file::check(raw.format == FORMAT, "format", raw.format, format!("{FORMAT}"))?;
    Ok(Notify { settings: NotifySettings::from_raw(raw.notify)?, state: raw.state })
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut beside = NamedTempFile::new_in(folder)?;
    beside.write_all(text)?;
    if let Some(group) = accounts::group(accounts::CONSOLE) {
        fchown(beside.as_file(), None, Some(group.as_raw()))?;
    }
    beside.as_file().set_permissions(Permissions::from_mode(MODE))?;
    beside.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_by_one_group_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.run = folder.path().to_owned();
        settings.notify.webhooks = vec!["https://a.example/SECRET".parse().unwrap()];
        settings.notify.mail_to = vec!["ops@example.org".parse().unwrap()];
        settings.notify.kinds.pop_first();
        let path = settings.notify_file();
        assert!(write(&settings).unwrap(), "there was none");
        assert!(!write(&settings).unwrap(), "it says the same");
        let told = read(&path).unwrap();
        assert_eq!(
            (told.settings, told.state),
            (settings.notify.clone(), settings.paths.state.clone())
        );
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        settings.notify.webhooks.clear();
        assert!(write(&settings).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_another_form_is_refused_and_says_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.json");
        let refused = |text: &str| {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "")
        };
        insta::assert_snapshot!(refused(r#"{"format":2,"state":"/a","notify":{}}"#), @"/notify.json cannot be used, format is 2: use 1: `bellows up` writes it anew");
        insta::assert_snapshot!(refused(r#"{"format":1,"state":"/a","notify":{"webhooks":["http://a.example/SECRET"]}}"#), @"/notify.json cannot be used, notify.webhooks[0]: it is http:// to another host, by which everybody on the way reads what its path may hold as a secret: use https://, or http:// to localhost or to a loopback or private address: `bellows up` writes it anew");
        insta::assert_snapshot!(refused(r#"{"format":1,"state":"/a","notify":{"webhooks":"SECRET"}}"#), @"/notify.json cannot be used, line 1, column 54: `bellows up` writes it anew");
        assert!(read(Path::new("/nowhere/notify.json")).is_err());
    }
}
