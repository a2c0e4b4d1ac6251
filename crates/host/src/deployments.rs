//! What is deployed: the host's settings, and one file that holds every service. `up` writes them,
//! `down` removes them, and the scaler reads them and no other file of the operator's.

mod changed_keys;
mod figures;
mod health;
mod origin;
mod readable;
mod rollback;
mod stamp;
mod store;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config_file::ConfigError;
use model::access::{Changed, Deploy, Who};
use model::names::{ServiceName, TemplateName};
use model::service::{
    InstanceSpec, ReachError, SameRoute, ServiceSpec, check_reaches, check_routes,
};
use model::time::Timestamp;
use model::version::{Version, Wanted};
use serde::{Deserialize, Serialize};

use self::changed_keys::changed_keys;
pub use self::figures::with_figures;
pub use self::origin::{Origin, by_api};
pub use self::readable::Readable;
use self::rollback::parse;
pub use self::rollback::{GoingBack, Rollback, RollbackError};
pub use self::stamp::Stamp;
pub use self::store::Deployments;
use crate::files::FileError;

/// The file that holds every service, in the state folder. It is replaced whole, so that a reader
/// never sees some services as they are and others as they were.
const FILE: &str = "deployment.json";

/// What tells one deploy from the next, whatever the clock says.
const ONE_MS: Duration = Duration::from_millis(1);

/// A deployment that could not be read or written, or does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is of another form, or was spoilt.
    #[error("{} is not as this release writes it ({problem}); run `bellows up` again", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Services in it do not go together.
    #[error("{FILE}: {0}; run `bellows up` again")]
    Reaches(ReachError),
    /// Services in it ask for the same requests.
    #[error("{FILE}: {0}; run `bellows up` again")]
    Routes(SameRoute),
    /// A service's file in it was spoilt.
    #[error("{config}; run `bellows up` again")]
    Service {
        /// What is wrong with it.
        config: ConfigError,
    },
    /// One that was deployed from a folder cannot be used as it stands there.
    #[error(
        "service {service} cannot be used ({problem}): deploy {} again, or `bellows destroy {service}`",
        if folder == by_api() { "it".into() } else { folder.display().to_string() }
    )]
    OfFolder {
        /// The service.
        service: ServiceName,
        /// Its folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// A deployed service.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployedService {
    /// What its file says now.
    pub spec: ServiceSpec,
    /// The version that it was last deployed as.
    pub wanted: Wanted,
    /// What an instance of each kept version is given.
    pub versions: BTreeMap<Version, InstanceSpec>,
    /// What is wrong with the files of kept versions that do not read as a service's: another release wrote them.
    pub unreadable: BTreeMap<Version, String>,
    /// Whether the wanted version's release command is to be run before that serves. It is not where somebody went
    /// back to one that had served.
    pub release: bool,
}

impl DeployedService {
    /// What an instance of this version was given; of a version that is not kept or cannot be read, what one of
    /// the wanted version is.
    pub fn instance(&self, version: Option<Version>) -> &InstanceSpec {
        version.and_then(|version| self.versions.get(&version)).unwrap_or(&self.spec.instance)
    }

    /// The template that instances of this version are cloned from.
    pub fn template(&self, version: Version) -> TemplateName {
        TemplateName::new(&self.spec.name, version)
    }
}

/// So many deploys stand in the file, for the scaler to note. It sees each, unless it is away.
const DEPLOYS_KEPT: usize = 16;

/// Every deployed service, as the file holds it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Deployment {
    services: BTreeMap<ServiceName, Record>,
    /// What the last deploys changed, oldest first. Releases before them wrote none.
    #[serde(default)]
    deploys: Vec<Deploy>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Its file as written.
    file: String,
    wanted: Wanted,
    /// The last versions, each with its file, the wanted one first.
    versions: Vec<KeptVersion>,
    /// Whether the wanted version serves from its first good answer on, since it was gone back to.
    #[serde(default)]
    unwatched: bool,
    /// Whether a rollback to the wanted version has begun and is not known to have ended well.
    #[serde(default)]
    going_back: bool,
    /// The application's folder, where it was deployed from one; `None` for a file in `services/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
    /// Whether the wanted version had served and was gone back to, and so is not released again.
    #[serde(default)]
    gone_back: bool,
}

/// What became of a version before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Past {
    /// An `up` ended well with it.
    Served,
    /// So it did, and somebody went back from it.
    Left,
}

/// A version that can be gone back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVersion {
    /// The version.
    pub version: Version,
    /// The service's file then, as written.
    file: String,
    /// When it was deployed last; not known of one that a release before deployed.
    #[serde(rename = "deployed_at_ms", default)]
    pub deployed_at: Option<Timestamp>,
    /// What is known to have become of it.
    #[serde(default)]
    pub past: Option<Past>,
    /// The same as releases before wrote it: whether it served when another one was deployed.
    #[serde(rename = "has_served", default, skip_serializing)]
    had_served: Option<bool>,
}

/// A service that is to be deployed.
#[derive(Debug, Clone, Copy)]
pub struct NewService<'a> {
    /// Its name.
    pub name: &'a ServiceName,
    /// Its file as written.
    pub file: &'a str,
    /// The version that its file, image and profile make.
    pub version: Version,
    /// The version that serves now, as far as is known: it is kept, however old.
    pub serving: Option<Version>,
    /// Whether this version was given up, and is to be tried again.
    pub again: bool,
}

impl Deployment {
    /// The services with their files as they were deployed, which may hold what is nobody else's business.
    pub fn files(&self) -> impl Iterator<Item = (&ServiceName, &str)> {
        self.services.iter().map(|(name, record)| (name, record.file.as_str()))
    }

    /// The services' names.
    pub fn names(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.keys()
    }

    /// The version that a service was last deployed as.
    pub fn wanted(&self, service: &ServiceName) -> Option<Wanted> {
        self.services.get(service).map(|record| record.wanted)
    }

    /// The deployment at `now` of these services, of those that were deployed from folders, and of no others, that
    /// keeps the last `keep` versions of each.
    #[must_use]
    pub fn followed_by(&self, services: &[NewService], keep: usize, now: Timestamp) -> Self {
        let new = |new: &NewService| (new.name.clone(), self.renewed(new, keep, now));
        let of_folders = self.services.iter().filter(|(_, record)| record.folder.is_some());
        let of_folders = of_folders.map(|(name, record)| (name.clone(), record.clone()));
        let services = of_folders.chain(services.iter().map(new)).collect();
        Self { services, deploys: self.deploys.clone() }
    }

    /// The deployment at `now` in which one service is as it was made of this folder, and all others as before.
    #[must_use]
    pub fn with_folder(
        mut self,
        new: &NewService,
        folder: &Path,
        keep: usize,
        now: Timestamp,
    ) -> Self {
        let folder = Some(folder.to_owned());
        let record = Record { folder, ..self.renewed(new, keep, now) };
        self.services.insert(new.name.clone(), record);
        self
    }

    /// The same without one service.
    #[must_use]
    pub fn without(mut self, service: &ServiceName) -> Self {
        self.services.remove(service);
        self
    }

    /// The services that were deployed from folders, each with its own.
    pub fn folders(&self) -> impl Iterator<Item = (&ServiceName, &Path)> {
        self.services.iter().filter_map(|(name, record)| Some((name, record.folder.as_deref()?)))
    }

    /// Whence a service was deployed; `None` for one of a file in `services/`, and where there is none.
    pub fn origin(&self, service: &ServiceName) -> Option<Origin<'_>> {
        Some(Origin::of(self.services.get(service)?.folder.as_deref()?))
    }

    /// Whether a service was deployed by the API, from no folder.
    pub fn is_by_api(&self, service: &ServiceName) -> bool {
        self.origin(service) == Some(Origin::Api)
    }

    /// A service's file as it was deployed last.
    pub fn file(&self, service: &ServiceName) -> Option<&str> {
        self.services.get(service).map(|record| record.file.as_str())
    }

    fn renewed(&self, new: &NewService, keep: usize, now: Timestamp) -> Record {
        record(self.services.get(new.name), new, keep, now)
    }

    /// The same, in which stands that `who` deployed it at `now`, and in which keys its files and the host's
    /// `settings` (before and after) differ from the deployment `before`, unless nothing differs.
    #[must_use]
    pub fn noted(
        mut self,
        before: &Self,
        settings: (&str, &str),
        who: Who,
        now: Timestamp,
    ) -> Self {
        let keys = changed_keys(settings.0, settings.1);
        // Where there were none, nothing of them was changed.
        let is_changed = !settings.0.is_empty() && !keys.is_empty();
        let of_settings = is_changed.then_some(Changed::Settings { keys });
        // An `up` that was killed has noted it, and did not come to write the settings.
        let last = self.deploys.last();
        let is_noted = |changed: &Changed| last.is_some_and(|last| last.changed.contains(changed));
        let of_settings = of_settings.filter(|changed| !is_noted(changed));
        let of_service = |(name, record): (&ServiceName, &Record)| {
            let keys = changed_keys(&before.services.get(name)?.file, &record.file);
            (!keys.is_empty()).then(|| Changed::ServiceFile { service: name.clone(), keys })
        };
        let of_services = self.services.iter().filter_map(of_service);
        let changed: Vec<_> = of_settings.into_iter().chain(of_services).collect();
        if !changed.is_empty() || self.services != before.services {
            let last = self.deploys.last().map(|deploy| deploy.at.after(ONE_MS));
            let at = last.map_or(now, |last| last.max(now));
            self.deploys.push(Deploy { at, who, changed });
            let old = self.deploys.len().saturating_sub(DEPLOYS_KEPT);
            self.deploys.drain(..old);
        }
        self
    }

    /// What the last deploys changed, oldest first.
    pub fn deploys(&self) -> &[Deploy] {
        &self.deploys
    }

    /// The same, once the wanted versions of these services serve: each can be gone back to from then on.
    #[must_use]
    pub fn served<'a>(mut self, services: impl IntoIterator<Item = &'a ServiceName>) -> Self {
        for service in services {
            let Some(record) = self.services.get_mut(service) else { continue };
            record.going_back = false;
            if let Some(wanted) = record.versions.first_mut() {
                wanted.past = Some(Past::Served);
            }
        }
        self
    }

    /// The same where releases before wrote it in other words.
    fn translated(mut self) -> Self {
        let versions = self.services.values_mut().flat_map(|record| &mut record.versions);
        for kept in versions.filter(|kept| kept.had_served == Some(true)) {
            kept.past = Some(Past::Served);
        }
        self
    }

    /// The templates of every kept version.
    pub fn templates(&self) -> impl Iterator<Item = TemplateName> {
        self.services.iter().flat_map(|(name, record)| {
            record.versions.iter().map(|kept| TemplateName::new(name, kept.version))
        })
    }

    /// What differs from the deployment `before`, in words.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let told = |(name, record): (&ServiceName, &Record)| {
            let known = before.services.get(name);
            let Wanted { version, .. } = record.wanted;
            if known == Some(record) {
                None
            } else if known.is_some_and(|known| known.wanted == record.wanted) {
                Some(format!("{name} revised"))
            } else {
                Some(format!("{name} as version {version}"))
            }
        };
        let gone = before.services.keys().filter(|name| !self.services.contains_key(*name));
        let gone = gone.map(|name| format!("{name} withdrawn"));
        self.services.iter().filter_map(told).chain(gone).collect()
    }

    /// The services with their files read; [`Deployment::readable`] gives those that can be used.
    ///
    /// # Errors
    /// A file that does not read as a service's, or services that do not go together.
    pub fn deployed(&self) -> Result<Vec<DeployedService>, DeploymentError> {
        let services = self.services.iter().map(|(name, record)| read(name, record));
        let services: Vec<_> = services.collect::<Result<_, _>>()?;
        let specs: Vec<_> = services.iter().map(|service| &service.spec).collect();
        if let Some(wrong) = check_routes(&specs).into_iter().next() {
            return Err(DeploymentError::Routes(wrong));
        }
        let wrong = check_reaches(&specs).into_iter().next();
        wrong.map_or(Ok(services), |wrong| Err(DeploymentError::Reaches(wrong)))
    }
}

fn record(before: Option<&Record>, new: &NewService, keep: usize, now: Timestamp) -> Record {
    let wanted = match before {
        Some(Record { wanted, .. }) if wanted.version == new.version && !new.again => *wanted,
        _ => Wanted { version: new.version, deployed_at: now },
    };
    let known = before.map_or(&[][..], |record| &record.versions);
    let (same, mut earlier): (Vec<_>, Vec<_>) =
        known.iter().cloned().partition(|kept| kept.version == new.version);
    // Releases before knew that one has served only when the next one came.
    for kept in earlier.iter_mut().filter(|kept| kept.had_served.is_some()) {
        if new.serving == Some(kept.version) {
            kept.past = Some(Past::Served);
        }
    }
    let own = KeptVersion {
        version: new.version,
        file: new.file.to_owned(),
        deployed_at: Some(wanted.deployed_at),
        past: same.first().and_then(|kept| kept.past),
        had_served: same.first().and_then(|kept| kept.had_served),
    };
    let same = before.filter(|record| record.wanted == wanted);
    let unwatched = same.is_some_and(|record| record.unwatched);
    let gone_back = same.is_some_and(|record| record.gone_back);
    let versions = std::iter::once(own).chain(kept(earlier, new.serving, keep)).collect();
    let file = new.file.to_owned();
    Record { file, wanted, versions, unwatched, going_back: false, gone_back, folder: None }
}

/// Which of these versions, the last first, are kept beside the wanted one: of those that served before, and then of
/// the others, the last ones; and the one that serves, however old.
fn kept(
    earlier: Vec<KeptVersion>,
    serving: Option<Version>,
    keep: usize,
) -> impl Iterator<Item = KeptVersion> {
    let mut by_worth: Vec<_> =
        earlier.iter().map(|kept| (kept.past.is_none(), kept.version)).collect();
    by_worth.sort_by_key(|(is_unproved, _)| *is_unproved);
    let last = by_worth.into_iter().take(keep.saturating_sub(1)).map(|(_, version)| version);
    let kept: BTreeSet<_> = last.chain(serving).collect();
    earlier.into_iter().filter(move |it| kept.contains(&it.version))
}

/// Reads a service. A kept version that this release cannot read is none that can be gone back to, and stops neither
/// this service nor another.
fn read(name: &ServiceName, record: &Record) -> Result<DeployedService, DeploymentError> {
    let mut spec = parse(name, &record.file).map_err(|config| match &record.folder {
        None => DeploymentError::Service { config },
        Some(folder) => {
            let (service, folder) = (name.clone(), folder.clone());
            DeploymentError::OfFolder { service, folder, problem: config.to_string() }
        }
    })?;
    if record.unwatched {
        spec.watch = Duration::ZERO;
    }
    let (mut versions, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
    for kept in &record.versions {
        match parse(name, &kept.file) {
            Ok(spec) => drop(versions.insert(kept.version, spec.instance)),
            Err(problem) => drop(unreadable.insert(kept.version, problem.to_string())),
        }
    }
    let release = spec.instance.start.release.is_some() && !record.gone_back;
    Ok(DeployedService { spec, wanted: record.wanted, versions, unreadable, release })
}

#[cfg(test)]
mod tests;
