//! A container for one run of one program, as the build of an image is: its root is read-only and stands on an
//! image, it has no network but a loopback interface, and it ends with whoever started it.

mod as_instance;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use model::service::{InstanceSpec, Protocol, RootAccess, StartSpec};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

pub(crate) use self::as_instance::AsInstance;

use super::apparmor::{self, AppArmorProfile, ensure_profile};
use super::error::ContainerError;
use super::image::Image;
use super::mounts::remove_unmounted;
use super::output::{Owner, make_pipes};
use super::profile::{self, HostFolders, MountValues, Profile, SECCOMP};
use super::stack;
use super::start::{self, COMMAND_FILE, INIT, Start};
use super::template::{lock_out_others, write};
use super::template_error::TemplateError;
use crate::cgroups::Cgroups;
use crate::command::{Runner, SEARCH_PATH};
use crate::files::{FileError, file_error};
use crate::render::render;
use crate::settings::IdRange;

/// Where the container has the socket that is its way out.
pub(crate) const WAY_OUT: &str = "/dev/bellows/way-out";

/// The share of CPU time where others want it too, of which an instance has 100.
const CPU_WEIGHT: u32 = 25;

const TEMPLATE: &str = include_str!("../../../../lxc/one-run.conf.tera");

/// How much the pipe of the output holds: the kernel's bound for users other than root. What finds no room is left out,
/// and a compiler that complains writes much at once.
pub(crate) const OUTPUT_PIPE_BYTES: usize = 1 << 20;

/// What it runs at: its time counts as idle ([decision 34](../../../../docs/decisions/0034-without-a-figure.md)), and it
/// gives way also where the kernel has no weights of control groups.
const NICE: &str = "10";

/// Beside the pipes of its output, one that nobody writes to: our init in the container ends with whoever holds it open.
const BUILDER: &str = "builder";

/// Files of the container's folder: its pipes, what LXC says, and what the kernel counted.
const OUTPUT: &str = "output";
const LOG: &str = "log";
const COUNTS: &str = "counts";
const COUNT: &str = "count";

/// What runs, and what it has.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// What its root stands on.
    pub(crate) image: &'a Image,
    /// Whom its users are on the host.
    pub(crate) ids: IdRange,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) working_folder: &'a str,
    pub(crate) memory_mib: u32,
    pub(crate) cpus: f64,
    pub(crate) processes: u32,
    pub(crate) open_files: u32,
    /// Files that its root has beside the image's, below `/etc/bellows`, and whether they can be run.
    pub(crate) files: Vec<(&'a str, Vec<u8>, bool)>,
    /// Folders of the host that it may write to, with where it has them.
    pub(crate) folders: Vec<(PathBuf, &'a str)>,
    /// The socket that is its way out, if it has one.
    pub(crate) way_out: Option<PathBuf>,
    /// Our init.
    pub(crate) init: &'a Path,
}

/// What the kernel did to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Processes that it killed for want of memory.
    pub(crate) killed: u64,
    /// How often it refused a process.
    pub(crate) refused: u64,
}

/// The container.
#[derive(Debug)]
pub(crate) struct OneRun {
    home: PathBuf,
    name: String,
    cgroups: Cgroups,
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct Running {
    /// What it writes, both outputs in one; it has no end.
    pub(crate) output: pipe::Receiver,
    /// What our init says.
    pub(crate) init_says: pipe::Receiver,
    /// Its end.
    pub(crate) end: End,
}

/// The end of a run: it is waited for, or brought about. Dropped, the run is killed.
#[derive(Debug)]
pub(crate) struct End {
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
    process: OwnedFd,
    /// What our init in the container ends without.
    held: Option<File>,
}

#[derive(Serialize)]
struct Values {
    output: String,
    root: Option<String>,
    way_out: Option<String>,
    count: String,
}

impl OneRun {
    /// The container of this name, which LXC keeps in the folder `home`.
    ///
    /// # Errors
    /// When the control groups cannot be found.
    pub(crate) fn new(home: &Path, name: String) -> Result<Self, FileError> {
        Ok(Self { home: home.to_owned(), name, cgroups: Cgroups::of_host()? })
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.join(&self.name)
    }

    /// Ends whatever is left of a run; says whether there was anything.
    ///
    /// # Errors
    /// When a process cannot be ended.
    pub(crate) async fn end(&self) -> Result<bool, ContainerError> {
        let ran = self.cgroups.exists(&self.name);
        self.cgroups.kill(&self.name);
        self.cgroups.remove(&self.name).await;
        if self.cgroups.exists(&self.name) {
            let left = "a control group with a process in it".to_owned();
            return Err(ContainerError::Left { instance: self.name.clone(), left });
        }
        Ok(ran)
    }

    /// Removes all that a run had, which has ended; says whether there was anything.
    ///
    /// # Errors
    /// When a mount cannot be undone.
    pub(crate) fn remove(&self) -> Result<bool, FileError> {
        remove_unmounted(&self.folder())
    }

    /// Makes its folder, through which nobody passes but root and the run's own root: what is mounted below it has folders
    /// that everybody may write to.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn make_folder(&self, ids: IdRange) -> Result<(), FileError> {
        let folder = self.folder();
        fs::create_dir_all(&folder).map_err(file_error("make", &folder))?;
        lock_out_others(&folder, ids)
    }

    /// Makes the container, whose folder is there and empty but for what is mounted below it.
    ///
    /// # Errors
    /// When the disk, a mount or a command fails, or the image cannot have what the run needs.
    pub(crate) async fn make(
        &self,
        runner: &impl Runner,
        run: &Run<'_>,
    ) -> Result<(), TemplateError> {
        let folder = self.folder();
        let instance = instance(run);
        let start = start::resolve(&instance, run.image, BTreeMap::new())?;
        let files = stack::lay(&folder, run.image, run.ids)?;
        let targets = run.folders.iter().map(|(_, target)| *target);
        for target in targets.chain(["etc/bellows"]) {
            files.make_folder(target)?;
        }
        for (path, content, can_be_run) in &run.files {
            files.write(path, content, if *can_be_run { 0o755 } else { 0o644 })?;
        }
        files.write(COMMAND_FILE, start.command.as_deref().unwrap_or_default(), 0o644)?;
        let init = fs::read(run.init).map_err(file_error("read", run.init))?;
        files.write(INIT, init, 0o755)?;
        let config = self.config(run, &start, &instance)?;
        self.set_up(runner, &config, run.ids).await
    }

    /// Makes what any run has beside its root, with this configuration, and mounts its root.
    async fn set_up(
        &self,
        runner: &impl Runner,
        config: &str,
        ids: IdRange,
    ) -> Result<(), TemplateError> {
        let folder = self.folder();
        write(&folder.join("seccomp"), SECCOMP)?;
        write(&folder.join("config"), config)?;
        write(&folder.join(COUNT), self.count_script())?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join(COUNT), executable)
            .map_err(file_error("change the mode of", &folder))?;
        let owner = Owner::of_config(config);
        owner.map_or(Ok(()), |owner| make_pipes(&folder.join(OUTPUT), owner))?;
        make_builder_pipe(&folder.join(OUTPUT).join(BUILDER))?;
        lock_out_others(&folder, ids)?;
        stack::ensure_mounted_in(&folder).await?;
        Ok(ensure_profile(runner, &AppArmorProfile::render()?).await?)
    }

    fn config(
        &self,
        run: &Run<'_>,
        start: &Start,
        instance: &InstanceSpec,
    ) -> Result<String, TemplateError> {
        let folder = self.folder();
        let folders = run.folders.iter().map(|(source, target)| MountValues::new(source, target));
        let mounts =
            HostFolders { rootfs_options: "ro", folders: folders.collect(), secrets: None };
        let shared = profile::confined(&self.name, &folder, start, instance, run.ids, mounts)?;
        let way_out = run.way_out.as_ref().map(|socket| socket.display().to_string());
        self.with_own_lines(&shared, None, way_out)
    }

    /// A configuration with the lines of this run: its root, where that is another, and its way out, if it has one.
    fn with_own_lines(
        &self,
        shared: &str,
        root: Option<String>,
        way_out: Option<String>,
    ) -> Result<String, TemplateError> {
        let folder = self.folder();
        let shared = match self.cgroups.limit_swap() {
            true => shared.to_owned(),
            false => Profile::without_swap_limits(shared),
        };
        let values = Values {
            output: folder.join(OUTPUT).display().to_string(),
            root,
            way_out,
            count: folder.join(COUNT).display().to_string(),
        };
        Ok(format!("{shared}\n{}", render("lxc/one-run.conf.tera", TEMPLATE, &values)?))
    }

    /// What writes down what the kernel counted, before the control groups are gone.
    fn count_script(&self) -> String {
        let files = ["memory.oom_control", "memory.events", "pids.events"];
        let files = self.cgroups.files(&self.name, &files);
        let files: Vec<_> = files.map(|file| file.display().to_string()).collect();
        let counts = self.folder().join(COUNTS);
        format!("#!/bin/sh\ngrep -Hs '' {} >{}\nexit 0\n", files.join(" "), counts.display())
    }

    /// Starts the run. It is killed when this process ends, however that ends.
    ///
    /// # Errors
    /// When its pipes cannot be opened, or LXC cannot be started.
    pub(crate) async fn start(&self) -> Result<Running, FileError> {
        let folder = self.folder();
        let open = |name: &str| {
            let pipe = folder.join(OUTPUT).join(name);
            // Open for writing too, so that there is no end before the container has it open.
            let opened = pipe::OpenOptions::new().read_write(true).open_receiver(&pipe);
            opened.map_err(file_error("open", &pipe))
        };
        let (output, init_says) = (open("stdout")?, open("stderr")?);
        // Where it stays as it is, more is left out.
        let _ = fcntl_setpipe_size(&output, OUTPUT_PIPE_BYTES);
        let builder = folder.join(OUTPUT).join(BUILDER);
        let held = File::options().read(true).write(true).open(&builder);
        let held = Some(held.map_err(file_error("open", &builder))?);
        let mut command = Command::new("nice");
        command.args(["-n", NICE, "setpriv", "--pdeathsig", "KILL"]);
        if apparmor::is_enabled() {
            // Debian confines `lxc-start` by a profile that lets it change to LXC's own profiles alone.
            command.args(["--apparmor-profile", "unconfined"]);
        }
        command
            // What this process was given open by others is not the container's.
            .args(["--", "lxc-start", "-F", "--close-all-fds", "-l", "ERROR", "-P"])
            .arg(&self.home)
            .args(["-n", &self.name, "-f"])
            .arg(folder.join("config"))
            .arg("-o")
            .arg(folder.join(LOG))
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let (process, ended) = spawn(command).await.map_err(file_error("start", &folder))?;
        Ok(Running { output, init_says, end: End { ended, process, held } })
    }

    /// The folder in `/proc` of a process of it; `None` before the first one runs, and after the last.
    pub(crate) fn process(&self) -> Option<PathBuf> {
        let process = self.cgroups.process_of(&self.name)?;
        Some(Path::new("/proc").join(process.to_string()))
    }

    /// What the kernel did to a run that has ended by itself.
    pub(crate) fn counts(&self) -> Counts {
        Counts::parse(&fs::read_to_string(self.folder().join(COUNTS)).unwrap_or_default())
    }

    /// What LXC said of a container that did not start; empty when it said nothing.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.folder().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&log).trim().to_owned()
    }
}

impl Counts {
    /// Reads lines `FILE:KEY NUMBER`. Version 2 has a key `max` in the file of memory as well.
    fn parse(text: &str) -> Self {
        let count = |file: &str, key: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            let of_file = lines.filter(|(path, _)| path.ends_with(file));
            let values =
                of_file.filter_map(|(_, value)| value.strip_prefix(key)?.trim().parse().ok());
            values.max().unwrap_or(0)
        };
        Self {
            killed: count("memory.oom_control", "oom_kill ")
                .max(count("memory.events", "oom_kill ")),
            refused: count("pids.events", "max "),
        }
    }
}

impl End {
    /// Waits for its end.
    ///
    /// # Errors
    /// When the system cannot tell how it ended.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        (&mut self.ended).await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Kills it with all that it has started.
    pub(crate) fn kill(&mut self) {
        // One that has ended is what was wanted. LXC's monitor takes the first process with it unless the kernel
        // forgot that, which then ends without its builder, and the kernel all others with that.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        self.held = None;
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes the pipe that root alone writes to and everybody reads, whatever the umask.
fn make_builder_pipe(pipe: &Path) -> Result<(), FileError> {
    mkfifo(pipe, Mode::S_IRUSR).map_err(|error| file_error("make", pipe)(error.into()))?;
    let mode = fs::Permissions::from_mode(0o444);
    fs::set_permissions(pipe, mode).map_err(file_error("change the mode of", pipe))
}

/// Starts a program from a thread that waits for its end: what is to die with its parent dies with the thread that
/// started it, and a runtime's threads come and go.
async fn spawn(
    mut command: Command,
) -> io::Result<(OwnedFd, oneshot::Receiver<io::Result<ExitStatus>>)> {
    let (tell_started, started) = oneshot::channel();
    let (tell_ended, ended) = oneshot::channel();
    thread::Builder::new().name("one-run".to_owned()).spawn(move || {
        let started = command.spawn().and_then(|child| {
            let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
            Ok((child, process))
        });
        match started {
            Ok((mut child, process)) => {
                // Nobody waits any more where the run was given up.
                let _ = tell_started.send(Ok(process));
                let _ = tell_ended.send(child.wait());
            }
            Err(error) => drop(tell_started.send(Err(error))),
        }
    })?;
    let process = started.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
    Ok((process, ended))
}

/// The run as an instance, by which it has the same walls.
fn instance(run: &Run<'_>) -> InstanceSpec {
    InstanceSpec {
        start: StartSpec {
            command: Some(run.command.clone()),
            environment: run.environment.clone(),
            user: None,
            working_folder: Some(run.working_folder.to_owned()),
            release: None,
        },
        // It has no network.
        port: 1,
        protocol: Protocol::Tcp,
        memory_mib: run.memory_mib,
        cpus: run.cpus,
        // What serves comes first.
        cpu_weight: Some(CPU_WEIGHT),
        processes: run.processes,
        open_files: run.open_files,
        capabilities: BTreeSet::new(),
        root: RootAccess::ReadOnly,
        layer_mib: None,
        writable: Vec::new(),
        mounts: Vec::new(),
        secrets: Vec::new(),
        reaches: BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counted_is_read_of_both_versions() {
        let old = "/c/memory/lxc.payload.x/memory.oom_control:oom_kill_disable 0\n\
                   /c/memory/lxc.payload.x/memory.oom_control:oom_kill 2\n\
                   /c/pids/lxc.payload.x/pids.events:max 7\n";
        assert_eq!(Counts::parse(old), Counts { killed: 2, refused: 7 });
        let new = "/c/lxc.payload.x/memory.events:max 40\n/c/lxc.payload.x/memory.events:oom 1\n\
                   /c/lxc.payload.x/memory.events:oom_kill 1\n/c/lxc.payload.x/pids.events:max 0\n";
        assert_eq!(Counts::parse(new), Counts { killed: 1, refused: 0 });
        assert_eq!(Counts::parse(""), Counts::default());
    }
}
