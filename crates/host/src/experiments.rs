//! The experiments that this host carried out: a folder for each, with what was asked for, which root writes, and the
//! results, which a program without rights writes.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use model::experiment::ExperimentRecord;
use model::job::JobId;
use model::names::ScenarioName;
use nix::unistd::{Gid, Uid};

use crate::accounts;
use crate::disk_use::DiskUse;
use crate::files::{
    FileError, ensure_private_folder, file_error, names_in, remove_strangers_tree, remove_tree,
    replace_file,
};

/// So many are kept, of so many bytes in all: a `ramp` has 2 MiB, an hour of waves 30.
pub const KEPT: usize = 50;
const KEPT_BYTES: u64 = 1 << 30;

/// The console reads them, and passes through to its results; nobody else does.
const FOLDER_MODE: u32 = 0o750;
const RECORD_MODE: u32 = 0o640;

/// The user that the load comes from, who has no rights: the console's.
pub const USER: &str = accounts::CONSOLE;

/// The experiments of a host.
#[derive(Debug, Clone)]
pub struct Experiments {
    folder: PathBuf,
}

/// The files of one experiment.
#[derive(Debug, Clone)]
pub struct ExperimentFiles {
    folder: PathBuf,
}

impl Experiments {
    /// Those in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The files of one, be it there or not.
    pub fn of(&self, id: JobId) -> ExperimentFiles {
        ExperimentFiles { folder: self.folder.join(id.to_string()) }
    }

    /// Makes the folder of one that begins, and forgets the oldest ones.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn begin(&self, record: &ExperimentRecord) -> Result<ExperimentFiles, FileError> {
        self.forget_old()?;
        let files = self.of(record.id);
        let readers = accounts::group(USER);
        for folder in [&self.folder, &files.folder] {
            ensure_private_folder(folder)?;
            readable_by(readers, folder, FOLDER_MODE)?;
        }
        files.write(record)?;
        accounts::ensure_folder_of(USER, &files.results())?;
        Ok(files)
    }

    /// What is kept of each, the one that began last first. What cannot be read is another release's.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<ExperimentRecord>, FileError> {
        let names = names_in(&self.folder)?;
        let ids = names.iter().filter_map(|name| name.parse().ok());
        let mut records: Vec<_> = ids.filter_map(|id| self.of(id).read().ok().flatten()).collect();
        records.sort_by_key(|record| std::cmp::Reverse((record.begun_at, record.id)));
        Ok(records)
    }

    /// Leaves room for one more.
    fn forget_old(&self) -> Result<(), FileError> {
        let (mut disk, mut bytes) = (DiskUse::default(), 0);
        for (place, record) in (1..).zip(self.list()?) {
            let files = self.of(record.id);
            bytes += disk.of(&files.folder);
            if place >= KEPT || bytes > KEPT_BYTES {
                files.remove()?;
            }
        }
        Ok(())
    }
}

impl ExperimentFiles {
    /// Where the results are, and `latest` leads to those of this experiment: a run's folder, or one of several.
    pub fn results(&self) -> PathBuf {
        self.folder.join("results")
    }

    /// Where the file of its service is, while it lasts.
    pub fn services(&self) -> PathBuf {
        self.folder.join("services")
    }

    /// Lays out what the load generator is to know of the service, without what is nobody's business.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn lay_out_service(&self, name: &str, file: &str) -> Result<(), FileError> {
        let (folder, readers) = (self.services(), accounts::group(USER));
        ensure_private_folder(&folder)?;
        readable_by(readers, &folder, FOLDER_MODE)?;
        let path = folder.join(format!("{name}.toml"));
        replace_file(&path, file, RECORD_MODE).map_err(file_error("write", &path))?;
        readable_by(readers, &path, RECORD_MODE)
    }

    /// Removes that again.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove_services(&self) -> Result<(), FileError> {
        remove_tree(&self.services()).map(drop)
    }

    /// What is kept of it; `None` where there is no such experiment.
    ///
    /// # Errors
    /// The record cannot be read, or is another release's.
    pub fn read(&self) -> Result<Option<ExperimentRecord>, FileError> {
        let path = self.record();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(file_error("read", &path))?,
        };
        let record = serde_json::from_slice(&text);
        record.map(Some).map_err(|error| file_error("read", &path)(error.into()))
    }

    /// Keeps how it is.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, record: &ExperimentRecord) -> Result<(), FileError> {
        let path = self.record();
        let text = serde_json::to_string(record);
        let text = text.map_err(|error| file_error("write", &path)(error.into()))?;
        replace_file(&path, text, RECORD_MODE).map_err(file_error("write", &path))?;
        readable_by(accounts::group(USER), &path, RECORD_MODE)
    }

    /// Removes all of it, and says whether it was there.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove(&self) -> Result<bool, FileError> {
        remove_strangers_tree(&self.folder)
    }

    fn record(&self) -> PathBuf {
        self.folder.join("experiment.json")
    }
}

/// Without the group, which `up` makes, all of it stays root's.
fn readable_by(group: Option<Gid>, path: &Path, mode: u32) -> Result<(), FileError> {
    chown(path, Some(Uid::from_raw(0).as_raw()), group.map(Gid::as_raw))
        .map_err(file_error("give away", path))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(file_error("close", path))
}

/// The service that a scenario of this folder is for; `None` where there is no such scenario, or none that can be read.
pub fn service_of(scenarios: &Path, scenario: &ScenarioName) -> Option<String> {
    let text = fs::read_to_string(scenarios.join(format!("{scenario}.toml"))).ok()?;
    let file: toml::Table = text.parse().ok()?;
    file.get("service")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use model::experiment::Experiment;
    use model::job::Outcome;
    use model::time::Timestamp;

    use super::*;

    fn record(number: u64) -> ExperimentRecord {
        let json = r#"{"scenario":"ramp","runs":2,"time_factor":0.5}"#;
        ExperimentRecord {
            id: JobId::new(number),
            service: "shop".parse().unwrap(),
            experiment: serde_json::from_str::<Experiment>(json).unwrap(),
            begun_at: Timestamp::from_millis(number * 1_000),
            ended_at: None,
            outcome: None,
        }
    }

    #[test]
    fn an_experiment_is_read_back_and_its_results_are_written_by_a_user_without_rights() {
        let state = tempfile::tempdir().unwrap();
        let experiments = Experiments::new(state.path().join("experiments"));
        assert!(experiments.list().unwrap().is_empty());
        let asked = record(1);
        let files = experiments.begin(&asked).unwrap();
        assert_eq!(files.read().unwrap(), Some(asked.clone()));
        let user = accounts::user(USER).unwrap_or(Uid::from_raw(0));
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        assert_eq!(owner(&files.results()), user.as_raw());
        assert_eq!((owner(&files.folder), owner(&files.record())), (0, 0));
        files.lay_out_service("shop", "name = \"shop\"\n").unwrap();
        assert!(files.services().join("shop.toml").is_file());
        let outcome = Some(Outcome { is_well: true, verdict: "it held".to_owned() });
        files.write(&ExperimentRecord { outcome, ..asked }).unwrap();
        assert!(experiments.list().unwrap()[0].outcome.is_some());
        for path in [&experiments.folder, &files.folder, &files.services(), &files.record()] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o027, 0, "{}", path.display());
        }
    }

    #[test]
    fn the_oldest_go_and_what_another_release_wrote_hides_no_other() {
        let state = tempfile::tempdir().unwrap();
        let experiments = Experiments::new(state.path().join("experiments"));
        for number in 1..=(KEPT as u64 + 3) {
            experiments.begin(&record(number)).unwrap();
        }
        let kept = experiments.list().unwrap();
        assert_eq!((kept.len(), kept[0].id), (KEPT, JobId::new(53)));
        assert_eq!(kept[KEPT - 1].id, JobId::new(4));
        fs::write(experiments.of(JobId::new(53)).record(), "{").unwrap();
        assert!(experiments.of(JobId::new(53)).read().is_err());
        assert_eq!(experiments.list().unwrap().len(), KEPT - 1);
    }

    #[test]
    fn a_scenario_says_which_service_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ramp.toml"), "name = \"ramp\"\nservice = \"shop\"").unwrap();
        fs::write(folder.path().join("bad.toml"), "service = ").unwrap();
        let of = |name: &str| service_of(folder.path(), &name.parse().unwrap());
        assert_eq!(of("ramp").as_deref(), Some("shop"));
        assert_eq!((of("bad"), of("none")), (None, None));
    }
}
