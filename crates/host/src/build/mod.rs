//! Builds: a stranger's program makes a part of an image, in a container that has no network but one socket, no right
//! on the host, no secret, a deadline, and bounds on memory, processes, disk and output.
//!
//! The root of the container is the base of the image, read-only. The program finds its input in [`INPUT`], leaves in
//! [`RESULT`] what belongs into the image, and may write to `/tmp` and [`CACHE`], which is kept for the next build of
//! the same service. All of these are on one disk of bounded size.

mod application;
mod disk;
mod error;
mod kept;
mod limits;
pub(crate) mod lines;
mod parts;
mod proxy;
mod run;
mod supervise;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::egress::Egress;
use model::names::ServiceName;

pub use self::application::Application;
pub use self::error::BuildError;
pub use self::kept::{Kept, Pruned, above, unneeded};
pub use self::limits::BuildLimits;
pub use self::tree::TreeError;

use self::parts::Parts;
use self::proxy::ProxyProgram;
use crate::accounts;
use crate::command::Runner;
use crate::files::file_error;
use crate::id_ranges::IdRanges;
use crate::lock::{Lock, LockError};
use crate::lxc::Image;
use crate::releases::Releases;
use crate::settings::Settings;

/// Where the program finds its input, which is its working folder.
pub const INPUT: &str = "/build/input";

/// Where it leaves what belongs into the image.
pub const RESULT: &str = "/srv";

/// Where it may leave what the next build of the same service can use.
pub const CACHE: &str = "/build/cache";

/// The folder of builds, in the state folder and in the run folder.
const FOLDER: &str = "builds";

/// What the container of a build is called, before the service's name. No instance and no template has such a name.
const CONTAINER: &str = "bw-build.";

/// How long the removal of what is kept for a service may take: that of a file, as large as a disk.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// Nobody's ids, as Debian has them, for a host that has no user for the proxy yet: the proxy needs none of its
/// own, since it writes nothing.
const NOBODY: u32 = 65_534;

/// What is built.
#[derive(Debug, Clone)]
pub struct Build<'a> {
    /// Whose image a part is made for. What one service's build leaves is given to no other.
    pub service: &'a ServiceName,
    /// What it stands on.
    pub base: &'a Image,
    /// The digest, in hex, of all that the result depends on: where a result of it is there, nothing is built.
    pub digest: &'a str,
    /// The file that `/bin/sh` runs, and what is handed to it.
    pub script: &'a Path,
    /// The arguments of the script.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// What it finds in its working folder.
    pub input: Input<'a>,
    /// What it may reach; without any it has no way out.
    pub egress: Egress,
    /// What it may take.
    pub limits: BuildLimits,
}

/// The input of a build, which belongs to its root there.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A folder of root's, which nobody changes meanwhile.
    Folder(&'a Path),
    /// Files of this folder, by their paths in it.
    Files {
        /// The folder.
        folder: &'a Path,
        /// The paths.
        files: BTreeSet<PathBuf>,
    },
}

/// The builds of this host.
#[derive(Debug)]
pub struct Builds<R> {
    runner: R,
    state: PathBuf,
    run: PathBuf,
    ranges: IdRanges,
    parts: Parts,
    init: PathBuf,
    proxy: ProxyProgram,
    limits: BuildLimits,
    /// What builds may reach beside what a recipe names.
    egress: Egress,
}

impl<R: Runner> Builds<R> {
    /// The builds of a host with these settings, with the programs of the release in force.
    pub fn new(settings: &Settings, runner: R) -> Self {
        let paths = &settings.paths;
        let release = Releases::new(&paths.state).current();
        let uid = accounts::user(accounts::EGRESS).map_or(NOBODY, |user| user.as_raw());
        let gid = accounts::group(accounts::EGRESS).map_or(NOBODY, |group| group.as_raw());
        let (program, subnet) = (release.join("egress"), settings.network.subnet);
        Self {
            runner,
            state: paths.state.clone(),
            run: paths.run.join(FOLDER),
            ranges: IdRanges::new(settings),
            parts: Parts::new(&paths.state),
            init: release.join("init"),
            proxy: ProxyProgram { program, uid, gid, subnet },
            limits: BuildLimits::of(&settings.builds),
            egress: settings.builds.egress.clone(),
        }
    }

    /// The same, with other programs than those of the release in force.
    #[must_use]
    pub fn with_programs(self, init: PathBuf, egress: PathBuf) -> Self {
        Self { init, proxy: ProxyProgram { program: egress, ..self.proxy }, ..self }
    }

    /// Makes a part of an image unless it is there; gives its folder. `on_line` is given each line that the program
    /// writes, as it comes, and is not to wait. What an earlier build of the service left, however it ended, is
    /// removed first; nothing of this one is left but its result and its cache.
    ///
    /// Ids for builds are given at the first one: whoever calls holds the lock by which services get theirs.
    ///
    /// # Errors
    /// [`BuildError`], whose text says what to do.
    pub async fn build(
        &self,
        build: &Build<'_>,
        mut on_line: impl FnMut(&str) + Send,
    ) -> Result<PathBuf, BuildError> {
        let name = format!("{}.packages", build.service);
        if let Some(folder) = self.parts.find(&name, build.digest) {
            return Ok(folder);
        }
        let home = self.ensure_home()?;
        let _lock = lock_within(&home, build.service).await?;
        // Another build of it may have ended meanwhile.
        if let Some(folder) = self.parts.find(&name, build.digest) {
            return Ok(folder);
        }
        run::run(self, build, &name, &mut on_line).await
    }

    /// Ends all builds that nobody waits for, and removes what they and their caches have; says how many there
    /// were. What was built stays.
    ///
    /// # Errors
    /// When something cannot be removed, or a build is under way.
    pub async fn remove_all(&self) -> Result<usize, BuildError> {
        let mut removed = 0;
        for service in self.known()? {
            let (was_there, _) = self.forget_all_of(&service).await?;
            removed += usize::from(was_there);
        }
        Ok(removed)
    }

    fn home(&self) -> PathBuf {
        self.state.join(FOLDER)
    }

    /// The folder of builds, through which their roots pass.
    fn ensure_home(&self) -> Result<PathBuf, BuildError> {
        let home = self.home();
        fs::create_dir_all(&home).map_err(file_error("make", &home))?;
        fs::set_permissions(&home, Permissions::from_mode(0o711))
            .map_err(file_error("change the mode of", &home))?;
        Ok(home)
    }
}

/// The file of the lock of a service's builds.
fn lock_file(home: &Path, service: &ServiceName) -> PathBuf {
    home.join(format!("{service}.lock"))
}

/// The lock of a service's builds, for as long as one lasts.
fn lock(home: &Path, service: &ServiceName) -> Result<Lock, BuildError> {
    Lock::acquire(&lock_file(home, service)).map_err(not_locked(service))
}

/// The same for who begins one: another service's deploy may be removing what is kept for it.
async fn lock_within(home: &Path, service: &ServiceName) -> Result<Lock, BuildError> {
    let lock = Lock::acquire_within(&lock_file(home, service), REMOVED_WITHIN).await;
    lock.map_err(not_locked(service))
}

fn not_locked(service: &ServiceName) -> impl FnOnce(LockError) -> BuildError {
    |error| match error {
        LockError::Held { .. } => BuildError::Busy { service: service.to_string(), source: error },
        LockError::File { .. } => BuildError::Lock(error),
    }
}
