//! The configuration file in its place: checked by HAProxy itself, whole at any moment, and never
//! overtaken by an older one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::error::HaproxyError;
use super::settings::HaproxySettings;
use super::template::Rendered;
use crate::command::{CommandLine, HostRunner, Runner};
use crate::files::replace_file;

/// `haproxy -c` takes 0.1 s; a name that does not resolve could hold it up for longer.
const CHECK_DEADLINE: Duration = Duration::from_secs(10);

/// The file that HAProxy reads when it starts or is reloaded.
#[derive(Debug)]
pub(super) struct ConfigFile {
    path: PathBuf,
    program: PathBuf,
    template: PathBuf,
    /// The number of the change that the file holds: a late write of an older one is left out.
    holds: Mutex<u64>,
}

impl ConfigFile {
    pub(super) fn new(settings: &HaproxySettings, template: &Path) -> Self {
        Self {
            path: settings.config_file.as_path().to_owned(),
            program: settings.program.clone(),
            template: template.to_owned(),
            holds: Mutex::new(0),
        }
    }

    /// The text in place; empty when there is none.
    pub(super) fn text(&self) -> Result<String, HaproxyError> {
        match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read.map_err(|source| self.failed("read", source)),
        }
    }

    /// The generation of the text in place; 0 when there is none.
    pub(super) fn generation(&self) -> Result<u64, HaproxyError> {
        let text = self.text()?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix("description gen-"));
        let number = line.and_then(|line| line.split(' ').next());
        Ok(number.and_then(|number| number.parse().ok()).unwrap_or(0))
    }

    /// Whether all of `rendered` is in place.
    pub(super) fn holds(&self, rendered: &Rendered) -> Result<bool, HaproxyError> {
        let records = std::fs::read(&rendered.records_file).unwrap_or_default();
        Ok(self.text()? == rendered.config && records == rendered.records.as_bytes())
    }

    /// Puts `rendered` in place as change number `change`, if HAProxy accepts it.
    pub(super) async fn install_checked(
        &self,
        change: u64,
        rendered: &Rendered,
    ) -> Result<(), HaproxyError> {
        let candidate = self.path.with_extension("cfg.candidate");
        std::fs::write(&candidate, &rendered.config)
            .map_err(|source| self.failed("written", source))?;
        // It cannot be checked without. Nobody reads it before the configuration is in place.
        self.write(&rendered.records_file, &rendered.records)?;
        let check = CommandLine::new(&self.program)
            .args(["-c", "-f"])
            .arg(&candidate)
            .deadline(CHECK_DEADLINE);
        if let Err(source) = HostRunner.run(&check).await {
            return Err(HaproxyError::Rejected {
                template: self.template.clone(),
                kept: candidate,
                source,
            });
        }
        self.install(change, rendered)?;
        // It was only for the check.
        let _ = std::fs::remove_file(candidate);
        self.remove_records_but(&rendered.records_file);
        Ok(())
    }

    /// Puts `rendered` in place as change number `change`, which differs from a checked one only in
    /// its lines. Leaves it out when the file holds a later change.
    pub(super) fn install(&self, change: u64, rendered: &Rendered) -> Result<(), HaproxyError> {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        if change < *holds {
            return Ok(());
        }
        self.write(&rendered.records_file, &rendered.records)?;
        self.write(&self.path, &rendered.config)?;
        *holds = change;
        Ok(())
    }

    fn write(&self, file: &Path, text: &str) -> Result<(), HaproxyError> {
        replace_file(file, text, 0o644).map_err(|source| HaproxyError::File {
            file: file.to_owned(),
            doing: "written",
            source,
        })
    }

    /// Removes what configurations of other generations read beside themselves: no process reads it
    /// again once it runs.
    fn remove_records_but(&self, kept: &Path) {
        let Some(folder) = self.path.parent() else { return };
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "map") && path != kept {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> HaproxyError {
        HaproxyError::File { file: self.path.clone(), doing, source }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;

    fn rendered(folder: &Path, config: &str) -> Rendered {
        Rendered {
            config: config.to_owned(),
            records_file: folder.join("haproxy-7.map"),
            records: format!("of {config}"),
        }
    }

    #[test]
    fn an_older_change_never_overtakes_a_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = ConfigFile::new(&settings(folder.path()), Path::new("t"));
        assert_eq!(file.text().unwrap(), "");
        assert_eq!(file.generation().unwrap(), 0);
        let later = rendered(folder.path(), "global\n    description gen-7 shape-ab\n");
        file.install(2, &later).unwrap();
        file.install(1, &rendered(folder.path(), "older")).unwrap();
        assert_eq!(file.generation().unwrap(), 7);
        assert!(file.holds(&later).unwrap());
        let again = rendered(folder.path(), "same change, again");
        file.install(2, &again).unwrap();
        assert!(file.holds(&again).unwrap() && !file.holds(&later).unwrap());
        std::fs::write(&again.records_file, "").unwrap();
        assert!(!file.holds(&again).unwrap());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_that_names_the_file() {
        let folder = Path::new("/run/does-not-exist");
        let file = ConfigFile::new(&settings(folder), Path::new("t"));
        let error = file.install(1, &rendered(folder, "x")).unwrap_err().to_string();
        assert!(
            error.starts_with("/run/does-not-exist/haproxy-7.map cannot be written"),
            "{error}"
        );
    }
}
