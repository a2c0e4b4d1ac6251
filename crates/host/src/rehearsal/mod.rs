//! Rehearsals: an application is started once, before anything of it is recorded, to find out by what it is known that
//! it can serve.
//!
//! The container is as an instance of the service is, with the same image, program, environment, secrets and limits, but
//! that it has no network beside its own loopback interface, no slot and no address, and empty folders in the place of
//! shared ones. Its name is no instance's, so that nobody counts, adopts or stops it. It ends with whoever started it.

mod asker;
mod error;
mod question;
mod verdict;
mod watch;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::names::ServiceName;
use model::paths::HealthPath;
use model::service::{HealthStatus, ServiceSpec};

pub use self::error::RehearsalError;

use self::asker::Asked;
use self::watch::{Outcome, watch};
use crate::command::Runner;
use crate::files::{file_error, names_in};
use crate::id_map::IdMap;
use crate::id_ranges::IdRanges;
use crate::lock::{Lock, LockError};
use crate::lxc::Image;
use crate::lxc::one_run::{AsInstance, Counts, OneRun};
use crate::releases::Releases;
use crate::settings::Settings;

/// The folder of rehearsals, in the state folder.
const FOLDER: &str = "rehearsals";

/// What the container is called, before the service's name. No instance and no template has such a name.
const CONTAINER: &str = "bw-rehearsal.";

/// How long one lasts at most, whatever time the service gives its instances: what it needs of the host is counted
/// nowhere.
const LONGEST: Duration = Duration::from_secs(60);

/// By what it is known that an application can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// By what it answers at this path.
    Path {
        /// The path.
        path: HealthPath,
        /// The statuses that are good there.
        status: HealthStatus,
    },
    /// By connections, which it takes: it answers no path well.
    Port,
    /// By nothing yet. An application that needs the network to start comes to this.
    Nothing {
        /// Why, as a part of a sentence, with the cure where one is known.
        why: String,
        /// Its last lines, each after the end of a line.
        tail: String,
    },
}

/// The rehearsals of this host.
#[derive(Debug)]
pub struct Rehearsals<R> {
    runner: R,
    settings: Settings,
    init: PathBuf,
}

impl<R: Runner> Rehearsals<R> {
    /// The rehearsals of a host with these settings, with our init of the release in force.
    pub fn new(settings: &Settings, runner: R) -> Self {
        let init = Releases::new(&settings.paths.state).current().join("init");
        Self { runner, settings: settings.clone(), init }
    }

    /// The same, with another init.
    #[must_use]
    pub fn with_init(self, init: PathBuf) -> Self {
        Self { init, ..self }
    }

    /// Starts an image once as an instance of this service, and asks it the usual paths in turn: until it is known by
    /// what it can serve, or it has ended, for `patience` at most, and never for more than a minute. `on_line` is given each line that it writes, as it
    /// comes, and is not to wait. Nothing is left of it but what the service's template is to have anyway: its ids, and
    /// the folders that it mounts, which are empty where they are new.
    ///
    /// Whoever calls holds the lock by which services get their ids.
    ///
    /// # Errors
    /// [`RehearsalError`], for what the host fails at. What the application fails at is [`Found::Nothing`].
    pub async fn find_health(
        &self,
        service: &ServiceSpec,
        image: &Image,
        patience: Duration,
        mut on_line: impl FnMut(&str) + Send,
    ) -> Result<Found, RehearsalError> {
        let home = self.ensure_home()?;
        let _lock = lock(&home, &service.name)?;
        let container = self.container(&service.name)?;
        // What a rehearsal left that was killed.
        self.remove(&container).await?;
        let found = self.rehearse(&container, service, image, patience, &mut on_line).await;
        let removed = self.remove(&container).await;
        let found = found?;
        removed?;
        Ok(found)
    }

    /// Ends all rehearsals that nobody waits for, and removes what they have; says how many there were.
    ///
    /// # Errors
    /// When something cannot be removed, or one is under way.
    pub async fn remove_all(&self) -> Result<usize, RehearsalError> {
        let home = self.home();
        let mut removed = 0;
        for name in names_in(&home)? {
            let Some(service) = name.strip_suffix(".lock").and_then(|it| it.parse().ok()) else {
                continue;
            };
            // The lock's file stays: who is about to take it has it open.
            let _lock = lock(&home, &service)?;
            removed += usize::from(self.remove(&self.container(&service)?).await?);
        }
        Ok(removed)
    }

    async fn rehearse(
        &self,
        container: &OneRun,
        service: &ServiceSpec,
        image: &Image,
        patience: Duration,
        give: &mut (impl FnMut(&str) + Send),
    ) -> Result<Found, RehearsalError> {
        let settings = &self.settings;
        let ids = IdRanges::new(settings).ensure(service)?;
        IdMap::of_host(&settings.paths.state, ids).ensure()?;
        container.make_folder(ids)?;
        let of = AsInstance { settings, service, image, ids, init: &self.init };
        container.make_as_instance(&self.runner, of).await?;
        let mut running = container.start().await?;
        let deadline = Instant::now() + patience.min(LONGEST);
        let watched = watch(&mut running, container, service.instance.port, deadline, give).await;
        drop(running);
        let name = || service.name.to_string();
        let outcome =
            watched.map_err(|source| RehearsalError::Namespace { service: name(), source })?;
        let log = container.log();
        if outcome.has_ended && !outcome.has_written && !log.is_empty() {
            return Err(RehearsalError::Start { service: name(), log });
        }
        Ok(judge(outcome, container.counts(), service))
    }

    async fn remove(&self, container: &OneRun) -> Result<bool, RehearsalError> {
        let ran = container.end().await?;
        let removed = container.remove()? || ran;
        Ok(container.remove_secrets(&self.settings)? || removed)
    }

    fn container(&self, service: &ServiceName) -> Result<OneRun, RehearsalError> {
        Ok(OneRun::new(&self.home(), format!("{CONTAINER}{service}"))?)
    }

    fn home(&self) -> PathBuf {
        self.settings.paths.state.join(FOLDER)
    }

    /// The folder of rehearsals, through which their roots pass.
    fn ensure_home(&self) -> Result<PathBuf, RehearsalError> {
        let home = self.home();
        fs::create_dir_all(&home).map_err(file_error("make", &home))?;
        fs::set_permissions(&home, Permissions::from_mode(0o711))
            .map_err(file_error("change the mode of", &home))?;
        Ok(home)
    }
}

/// What an outcome says: what the kernel did to the program before what our init says of its end.
fn judge(outcome: Outcome, counts: Counts, service: &ServiceSpec) -> Found {
    let instance = &service.instance;
    let why = match (outcome.asked, outcome.has_ended) {
        (Some(Asked::Found(found)), _) => return found,
        (Some(Asked::Unreachable(why)), _) => why,
        (None, true) if counts.killed > 0 => format!(
            "it needs more than {} MiB of memory: raise instance.memory_mib",
            instance.memory_mib
        ),
        (None, true) if counts.refused > 0 => format!(
            "it wants more than {} processes at a time: raise instance.processes",
            instance.processes
        ),
        (None, true) => {
            let how = outcome.how.unwrap_or_else(|| "ended by itself".to_owned());
            format!("its program {how}: see what it wrote last")
        }
        (None, false) => "it had no time to answer".to_owned(),
    };
    Found::Nothing { why, tail: outcome.tail }
}

/// The lock of a service's rehearsals, for as long as one lasts.
fn lock(home: &Path, service: &ServiceName) -> Result<Lock, RehearsalError> {
    Lock::acquire(&home.join(format!("{service}.lock"))).map_err(|error| match error {
        LockError::Held { .. } => {
            RehearsalError::Busy { service: service.to_string(), source: error }
        }
        LockError::File { .. } => RehearsalError::Lock(error),
    })
}
