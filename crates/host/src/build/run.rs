//! One build, from its disk to its result.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use model::names::ServiceName;

use super::disk::Disk;
use super::error::BuildError;
use super::proxy::Proxy;
use super::supervise::{End, Outcome, supervise};
use super::{Build, Builds, CACHE, CONTAINER, INPUT, Input, RESULT, tree};
use crate::command::Runner;
use crate::files::{file_error, remove_tree};
use crate::id_map::IdMap;
use crate::lxc::one_run::{Counts, OneRun, Run, WAY_OUT};
use crate::settings::IdRange;

/// Where the container has what it runs.
const SCRIPT: &str = "etc/bellows/build";
const RELAY: &str = "etc/bellows/bellows-egress";

/// The authorities that the host trusts, a firm's own among them, and where the container has them.
const HOST_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const AUTHORITIES: &str = "etc/bellows/authorities.crt";

/// By which programs find the authorities: pip, OpenSSL, Python's requests, curl, and Node.
const AUTHORITY_VARIABLES: [&str; 5] =
    ["PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];

/// Where programs of the container look for a proxy.
const LOOPBACK_PROXY: &str = "127.0.0.1:3128";

/// What is asked without it: what the build itself serves.
const NOT_BY_PROXY: &str = "localhost,127.0.0.1,::1";

/// Files that a process may have open, as by default.
const OPEN_FILES: u32 = 1024;

/// The places that a service's builds have.
#[derive(Debug)]
pub(super) struct Places {
    container: OneRun,
    disk: Disk,
    run: PathBuf,
}

/// The file of a service's disk.
pub(super) fn disk_file(home: &Path, service: &ServiceName) -> PathBuf {
    home.join(format!("{service}.ext4"))
}

impl Places {
    pub(super) fn new<R: Runner>(
        builds: &Builds<R>,
        service: &ServiceName,
    ) -> Result<Self, BuildError> {
        let home = builds.home();
        let container = OneRun::new(&home, format!("{CONTAINER}{service}"))?;
        let disk = Disk::new(disk_file(&home, service), container.folder().join("disk"));
        Ok(Self { container, disk, run: builds.run.join(service.as_str()) })
    }

    /// Ends and removes whatever a build has, but for its disk's file with what is kept for the next one.
    pub(super) async fn remove(&self, runner: &impl Runner) -> Result<bool, BuildError> {
        let ran = self.container.end().await?;
        if self.disk.is_mounted()? && self.disk.tidy(runner).await.is_err() {
            // It holds a cache: the next build makes it anew.
            self.disk.discard()?;
        }
        let removed = self.container.remove()? || ran;
        Ok(remove_tree(&self.run)? || removed)
    }
}

/// Runs a build to its result, and leaves nothing else.
pub(super) async fn run<R: Runner>(
    builds: &Builds<R>,
    build: &Build<'_>,
    name: &str,
    give: &mut (impl FnMut(&str) + Send),
) -> Result<PathBuf, BuildError> {
    let places = Places::new(builds, build.service)?;
    // What a build left that was killed.
    places.remove(&builds.runner).await?;
    let ids = builds.ranges.ensure_builds()?;
    IdMap::of_host(&builds.state, ids).ensure()?;
    let built = run_in(builds, build, name, &places, ids, give).await;
    let removed = places.remove(&builds.runner).await;
    let folder = built?;
    removed?;
    Ok(folder)
}

async fn run_in<R: Runner>(
    builds: &Builds<R>,
    build: &Build<'_>,
    name: &str,
    places: &Places,
    ids: IdRange,
    give: &mut (impl FnMut(&str) + Send),
) -> Result<PathBuf, BuildError> {
    let Places { container, disk, run } = places;
    container.make_folder(ids)?;
    disk.mount(&builds.runner, build.limits.disk_mib, ids).await?;
    let root = |_| Some(ids.first);
    let bytes_max = u64::from(build.limits.disk_mib) << 20;
    let input = disk.folder("input");
    let copied = match &build.input {
        Input::Folder(folder) => tree::copy(folder, &input, &root, bytes_max),
        Input::Files { folder, files } => tree::copy_files(folder, files, &input, &root, bytes_max),
    };
    copied.map_err(BuildError::Input)?;
    let proxy = match build.egress.is_none() {
        true => None,
        false => Some(builds.proxy.start(run, build.service, &build.egress, ids).await?),
    };
    container.make(&builds.runner, &spec(builds, build, disk, proxy.as_ref(), ids)?).await?;
    let mut running = container.start().await?;
    let outcome = supervise(&mut running, disk, &build.limits, give).await;
    drop((running, proxy));
    let judged = judge(&outcome, container.counts(), || container.log(), build);
    if let Err(BuildError::Disk { .. }) = judged {
        disk.empty_cache(&builds.runner).await?;
    }
    judged?;
    // What its first process left running would go on to write into what is measured and copied.
    container.end().await?;
    let out = disk.folder("out");
    let needed = tree::measure(&out, bytes_max).map_err(BuildError::Result)?;
    let part = builds.parts.begin(name, RESULT, needed)?;
    let down = |id: u32| id.checked_sub(ids.first).filter(|id| *id < ids.count);
    let copied = tree::copy(&out, &part.inner, &down, bytes_max);
    for path in copied.map_err(BuildError::Result)?.left_out {
        let shown = model::output::harmless(&path.display().to_string());
        give(&format!("bellows: left out of the image, since it is no file: {shown}"));
    }
    builds.parts.keep(part, build.digest)
}

/// The container of a build.
fn spec<'a, R>(
    builds: &'a Builds<R>,
    build: &'a Build<'_>,
    disk: &Disk,
    proxy: Option<&Proxy>,
    ids: IdRange,
) -> Result<Run<'a>, BuildError> {
    let read = |file: &Path| fs::read(file).map_err(file_error("read", file));
    let mut files = vec![(SCRIPT, read(build.script)?, false)];
    // As one output, so that lines stay in their order.
    let shell = format!("exec /bin/sh /{SCRIPT} \"$@\" 2>&1");
    let mut command: Vec<String> = ["/bin/sh", "-c", &shell, "build"].map(str::to_owned).into();
    command.extend(build.arguments.iter().cloned());
    let mut environment = BTreeMap::from([("HOME".to_owned(), "/tmp".to_owned())]);
    if proxy.is_some() {
        files.push((RELAY, read(&builds.proxy.program)?, true));
        let relay = format!("/{RELAY}");
        let relay = [&relay, "relay", LOOPBACK_PROXY, WAY_OUT, "--"].map(str::to_owned);
        command.splice(0..0, relay);
        let url = format!("http://{LOOPBACK_PROXY}");
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            environment.insert(name.to_owned(), url.clone());
        }
        for name in ["no_proxy", "NO_PROXY"] {
            environment.insert(name.to_owned(), NOT_BY_PROXY.to_owned());
        }
        if let Ok(authorities) = fs::read(HOST_AUTHORITIES) {
            files.push((AUTHORITIES, authorities, false));
            let place = || format!("/{AUTHORITIES}");
            environment.extend(AUTHORITY_VARIABLES.map(|name| (name.to_owned(), place())));
        }
    }
    environment.extend(build.environment.clone());
    let folders = [("input", INPUT), ("out", RESULT), ("cache", CACHE), ("tmp", "/tmp")];
    Ok(Run {
        image: build.base,
        ids,
        command,
        environment,
        working_folder: INPUT,
        memory_mib: build.limits.memory_mib,
        cpus: build.limits.cpus,
        processes: build.limits.processes,
        open_files: OPEN_FILES,
        files,
        folders: folders.map(|(name, target)| (disk.folder(name), target)).into(),
        way_out: proxy.map(Proxy::socket),
        init: &builds.init,
    })
}

/// Whether a build did well, and else why not: what the kernel did to it before what it says itself.
fn judge(
    outcome: &Outcome,
    counts: Counts,
    log: impl FnOnce() -> String,
    build: &Build<'_>,
) -> Result<(), BuildError> {
    let (limits, tail) = (&build.limits, outcome.tail.clone());
    match &outcome.end {
        End::Well => Ok(()),
        End::Late => Err(BuildError::Deadline { deadline_s: limits.deadline.as_secs(), tail }),
        _ if counts.killed > 0 => Err(BuildError::Memory { memory_mib: limits.memory_mib, tail }),
        // What fails for want of room has often taken away again what it began, before anybody looked.
        _ if outcome.was_full || tail.contains("No space left on device") => {
            Err(BuildError::Disk { disk_mib: limits.disk_mib, tail })
        }
        _ if counts.refused > 0 => Err(BuildError::Processes { processes: limits.processes, tail }),
        End::Unknown => Err(BuildError::Start { log: log() }),
        End::Badly(how) => Err(BuildError::Failed { how: how.clone(), tail }),
    }
}
