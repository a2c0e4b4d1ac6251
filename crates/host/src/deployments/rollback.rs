//! The way back to a version that is kept: its template is still there, so nothing is built.

use config_file::ConfigError;
use model::names::ServiceName;
use model::service::ServiceSpec;
use model::time::Timestamp;
use model::version::{Version, Wanted};

use super::{Deployment, FILE, KeptVersion, Past, Record};

/// What of a service's file makes a version. The rest is Bellows' alone, and makes a revision.
/// A service that is stateful has one instance and a folder in it, which go together.
const OF_A_VERSION: [&str; 5] = ["image", "instance", "application", "release", "stateful"];

/// What of `[instance]` makes no version: no instance sees what it costs.
const PRICE: &str = "price_per_hour";

/// A version to go back to that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// The service is not deployed.
    #[error("there is no service {0}; `bellows status` shows those that are deployed")]
    NoService(ServiceName),
    /// The version is not kept.
    #[error(
        "version {version} of {service} is not kept; `bellows versions {service}` lists those that are"
    )]
    NotKept {
        /// The service.
        service: ServiceName,
        /// What was asked for.
        version: Version,
    },
    /// The version's file does not read as a service's.
    #[error(
        "version {version} of {service} cannot be gone back to, since this release does not read its file: {problem}"
    )]
    Unreadable {
        /// The service.
        service: ServiceName,
        /// What was asked for.
        version: Version,
        /// What is wrong with it.
        problem: String,
    },
    /// It is what the service is already deployed as.
    #[error("{service} is deployed as version {version} already")]
    Already {
        /// The service.
        service: ServiceName,
        /// What was asked for.
        version: Version,
    },
    /// No other version is known to have served.
    #[error(
        "no version of {0} that is kept has served before; name one that `bellows versions {0}` lists, if \
         it is to be tried"
    )]
    NoneServed(ServiceName),
    /// The files of both versions cannot be joined.
    #[error(
        "the file of {service} cannot be joined with that of version {version}: {problem}; use --revision"
    )]
    Join {
        /// The service.
        service: ServiceName,
        /// The version to go back to.
        version: Version,
        /// What is wrong with one of them.
        problem: String,
    },
}

/// How to go back.
#[derive(Debug, Clone, Copy)]
pub struct Rollback<'a> {
    /// Of which service.
    pub service: &'a ServiceName,
    /// To which version.
    pub version: Version,
    /// Whether all that its file said then is in force again, and not only what makes a version.
    pub revision: bool,
    /// The version that serves now, as far as is known.
    pub serving: Option<Version>,
    /// Whether it was given up when it was deployed last, and is to be tried again.
    pub again: bool,
}

/// A rollback that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoingBack {
    /// To which version.
    pub version: Version,
    /// Whether with all that its file said then.
    pub revision: bool,
}

impl Deployment {
    /// The versions of a service that are kept, the one that was deployed last first.
    ///
    /// # Errors
    /// [`RollbackError::NoService`].
    pub fn kept(&self, service: &ServiceName) -> Result<&[KeptVersion], RollbackError> {
        Ok(&self.record(service)?.versions)
    }

    /// The version to go back to where none is named: the one that serves while another is deployed, which is
    /// then on trial or given up; else the last that served before.
    ///
    /// # Errors
    /// There is none.
    pub fn version_before(
        &self,
        service: &ServiceName,
        serving: Option<Version>,
    ) -> Result<Version, RollbackError> {
        let record = self.record(service)?;
        let now = record.wanted.version;
        let served = |kept: &&KeptVersion| kept.past == Some(Past::Served) && kept.version != now;
        let last = || record.versions.iter().find(served).map(|kept| kept.version);
        let was_left = |version: &Version| {
            let of = |kept: &KeptVersion| kept.version == *version && kept.past == Some(Past::Left);
            record.versions.iter().any(of)
        };
        let serves = serving.filter(|version| *version != now && !was_left(version));
        serves.or_else(last).ok_or_else(|| RollbackError::NoneServed(service.clone()))
    }

    /// The rollback of a service that has begun and is not known to have ended well.
    pub fn going_back(&self, service: &ServiceName) -> Option<GoingBack> {
        let record = self.services.get(service).filter(|record| record.going_back)?;
        let version = record.wanted.version;
        let of_then = record.versions.iter().find(|kept| kept.version == version);
        Some(GoingBack { version, revision: of_then.is_some_and(|kept| kept.file == record.file) })
    }

    /// The deployment in which a service is another version again, from `now` on. All that are kept stay so. One that
    /// served before is not watched again, unless somebody went back from it; and is not released again in any case.
    ///
    /// # Errors
    /// The version is not there, is deployed already, or its file does not go with the one of now.
    pub fn rolled_back(&self, to: Rollback, now: Timestamp) -> Result<Self, RollbackError> {
        let Rollback { service, version, revision, serving, again } = to;
        let record = self.record(service)?;
        if record.wanted.version == version && !again {
            return Err(RollbackError::Already { service: service.clone(), version });
        }
        let mut versions = record.versions.clone();
        let not_kept = || RollbackError::NotKept { service: service.clone(), version };
        let place =
            versions.iter().position(|kept| kept.version == version).ok_or_else(not_kept)?;
        parse(service, &versions[place].file).map_err(|problem| RollbackError::Unreadable {
            service: service.clone(),
            version,
            problem: problem.to_string(),
        })?;
        let unwatched = versions[place].past == Some(Past::Served);
        // What has served was released before. Of what never did, nobody knows.
        let gone_back = versions[place].past.is_some() || serving == Some(version);
        // Who returns to what was gone back from takes that back, and blames nothing else.
        let left = (versions[place].past != Some(Past::Left)).then_some(record.wanted.version);
        for kept in versions.iter_mut().filter(|kept| kept.version != version) {
            kept.past = past(kept, left, serving);
        }
        versions[..=place].rotate_right(1);
        versions[0].deployed_at = Some(now);
        let file = if revision {
            versions[0].file.clone()
        } else {
            let problem =
                |problem| RollbackError::Join { service: service.clone(), version, problem };
            joined(&record.file, &versions[0].file).map_err(problem)?
        };
        let (wanted, folder) = (Wanted { version, deployed_at: now }, record.folder.clone());
        let mut deployment = self.clone();
        deployment.services.insert(
            service.clone(),
            Record { file, wanted, versions, unwatched, going_back: true, gone_back, folder },
        );
        Ok(deployment)
    }

    /// The version that a service is deployed as, where its file may be replaced by this one without another: what its
    /// instances are given is the same, and all that differs is in force at the next tick.
    pub fn version_with(&self, spec: &ServiceSpec) -> Option<Version> {
        let record = self.services.get(&spec.name)?;
        let now = parse(&spec.name, &record.file).ok()?;
        let is_same = now.image == spec.image
            && now.application == spec.application
            && now.stateful == spec.stateful
            && gives_the_same(&now, spec).is_ok();
        is_same.then_some(record.wanted.version)
    }

    fn record(&self, service: &ServiceName) -> Result<&Record, RollbackError> {
        self.services.get(service).ok_or_else(|| RollbackError::NoService(service.clone()))
    }
}

/// What is known of a version once the service goes back from the version `left`.
fn past(kept: &KeptVersion, left: Option<Version>, serving: Option<Version>) -> Option<Past> {
    let is_serving = serving == Some(kept.version);
    let is_left = left == Some(kept.version);
    match kept.past {
        Some(Past::Served) if is_left => Some(Past::Left),
        None if is_serving && is_left => Some(Past::Left),
        None if is_serving => Some(Past::Served),
        past => past,
    }
}

/// Reads a service's file as it was written at a deploy.
pub(super) fn parse(name: &ServiceName, file: &str) -> Result<ServiceSpec, ConfigError> {
    config_file::from_toml(format!("{FILE}, service {name}"), file)
}

/// A service's file that makes the version that `kept` makes, and says all else as `current` does.
fn joined(current: &str, kept: &str) -> Result<String, String> {
    let read = |text: &str| text.parse::<toml::Table>().map_err(|error| error.to_string());
    let (mut file, mut version) = (read(current)?, read(kept)?);
    let price = instance(&mut file).and_then(|table| table.remove_entry(PRICE));
    for key in OF_A_VERSION {
        file.remove(key);
        file.extend(version.remove_entry(key));
    }
    if let Some(table) = instance(&mut file) {
        table.remove(PRICE);
        table.extend(price);
    }
    let joined = toml::to_string(&file).map_err(|error| error.to_string())?;
    makes_the_same(&joined, kept)?;
    Ok(joined)
}

/// The table `[instance]` of a service's file.
fn instance(file: &mut toml::Table) -> Option<&mut toml::Table> {
    file.get_mut("instance").and_then(toml::Value::as_table_mut)
}

/// That instances are given the same by both files: what a version has of keys that make a revision, such as the
/// limit of open files that follows `capacity`, comes with the whole file alone.
fn makes_the_same(joined: &str, kept: &str) -> Result<(), String> {
    let read = |text: &str| {
        let spec = config_file::from_toml::<ServiceSpec>("the joined file", text);
        spec.map_err(|error| error.to_string())
    };
    gives_the_same(&read(joined)?, &read(kept)?)
}

fn gives_the_same(joined: &ServiceSpec, kept: &ServiceSpec) -> Result<(), String> {
    if joined.instance != kept.instance {
        return Err(
            "with what the file says now its instances would be given something else than then"
                .to_owned(),
        );
    }
    if joined.egress.is_none() != kept.egress.is_none() {
        return Err("it had a way out and has none now, or the other way round".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
