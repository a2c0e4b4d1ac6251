//! Units under our own supervisor, with real processes: they come back when killed, there is never
//! a second one, and a stop ends all of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use host::units::{
    Change, HAPROXY, Limits, ListenAddress, ListenSocket, Stop, Unit, UnitStatus, Units,
};
use nix::libc::O_NONBLOCK;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn unit(command: Vec<String>) -> Unit {
    Unit {
        name: "program",
        command,
        user: None,
        sockets: vec![],
        limits: None,
        folder: None,
        stop: Stop::default(),
    }
}

struct World {
    units: Units,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().display().to_string();
        let command = vec![folder.path().join("supervisor").display().to_string(), run];
        let world = Self { units: Units::with_own_supervisor(folder.path(), command), folder };
        world.install("first");
        world
    }

    /// Puts a release of the supervisor in place, as `up` does.
    fn install(&self, release: &str) {
        let tests = std::env::current_exe().unwrap();
        let built = tests.parent().unwrap().parent().unwrap().join("examples/supervisor");
        assert!(built.exists(), "run `cargo test -p host`");
        let path = |name: &str| self.folder.path().join(name);
        // By a program: a copy of ours would be open for writing in what another test starts meanwhile.
        let copied = Command::new("cp").arg(built).arg(path(release)).status();
        assert!(copied.unwrap().success());
        std::os::unix::fs::symlink(path(release), path("beside")).unwrap();
        fs::rename(path("beside"), path("supervisor")).unwrap();
    }

    /// A program with a child, that writes a line at each start.
    fn unit(&self, seconds: &str) -> Unit {
        let script = self.folder.path().join("program");
        fs::write(&script, "#!/bin/sh\necho started\nsleep 300 &\nsleep $1\n").unwrap();
        let command = ["/bin/sh", &script.display().to_string(), seconds].map(str::to_owned);
        unit(command.to_vec())
    }

    async fn status(&self) -> UnitStatus {
        self.units.status(&unit(vec![])).await.unwrap()
    }

    async fn stop(&self) {
        self.units.stop(&unit(vec![])).await.unwrap();
    }

    async fn pid(&self) -> i32 {
        match self.status().await {
            UnitStatus::Running { pid } | UnitStatus::Unsupervised { pid } => pid,
            other => panic!("it does not run: {other:?}"),
        }
    }

    /// The unit's processes of one kind, by what marks them.
    fn marked(&self, mark: &str) -> Vec<i32> {
        let mark = format!("{mark}={}", self.folder.path().join("units/program").display());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes())
        })
        .collect()
    }

    /// The program that is started in place of one that was killed.
    async fn next_pid(&self, before: i32) -> i32 {
        let killed = Instant::now();
        loop {
            match self.status().await {
                UnitStatus::Running { pid } if pid != before && leader(pid) => return pid,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            assert!(killed.elapsed() < Duration::from_secs(1), "it was not back in a second");
        }
    }

    fn supervisor(&self) -> i32 {
        let found = self.marked("BELLOWS_SUPERVISOR");
        assert_eq!(found.len(), 1, "there is one supervisor");
        found[0]
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for mark in ["BELLOWS_SUPERVISOR", "BELLOWS_UNIT"] {
            self.marked(mark).into_iter().for_each(kill_9);
        }
    }
}

fn kill_9(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

#[tokio::test]
async fn a_killed_program_is_back_within_a_second() {
    let world = World::new();
    assert_eq!(world.units.ensure_running(&world.unit("300")).await.unwrap(), Change::Started);
    for _ in 0..3 {
        let before = world.pid().await;
        kill_9(before);
        world.next_pid(before).await;
    }
    world.stop().await;
    assert!(world.marked("BELLOWS_UNIT").is_empty());
}

/// The shell, and not the `sleep` that a killed shell left behind for a moment.
fn leader(pid: i32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.starts_with(b"/bin/sh")
}

#[tokio::test]
async fn a_second_start_changes_nothing_and_another_command_replaces_it() {
    let world = World::new();
    world.units.ensure_running(&world.unit("300")).await.unwrap();
    let (program, supervisor) = (world.pid().await, world.supervisor());
    assert_eq!(world.units.ensure_running(&world.unit("300")).await.unwrap(), Change::None);
    assert_eq!((world.pid().await, world.supervisor()), (program, supervisor));
    assert_eq!(world.units.ensure_running(&world.unit("301")).await.unwrap(), Change::Started);
    assert_ne!(world.pid().await, program);
    assert_ne!(world.supervisor(), supervisor);
    world.stop().await;
}

#[tokio::test]
async fn a_program_whose_supervisor_was_killed_is_adopted_and_guarded_again() {
    let world = World::new();
    let unit = world.unit("300");
    world.units.ensure_running(&unit).await.unwrap();
    let program = world.pid().await;
    kill_9(world.supervisor());
    let unsupervised = UnitStatus::Unsupervised { pid: program };
    let started = Instant::now();
    while world.status().await != unsupervised {
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    assert_eq!(world.units.ensure_running(&unit).await.unwrap(), Change::Adopted);
    assert_eq!(world.pid().await, program, "it went on without a break");
    // The lock is taken before the program is watched; give the new supervisor that moment.
    tokio::time::sleep(Duration::from_millis(300)).await;
    kill_9(program);
    let started = Instant::now();
    while world.marked("BELLOWS_UNIT").contains(&program) || starts(&world) < 2 {
        assert!(started.elapsed() < Duration::from_secs(1), "it was not back in a second");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.stop().await;
}

fn starts(world: &World) -> usize {
    let log = fs::read_to_string(world.units.log(&unit(vec![]))).unwrap_or_default();
    log.lines().filter(|line| *line == "started").count()
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_not_started_without_end() {
    let world = World::new();
    let unit = unit(vec!["/bin/false".to_owned()]);
    // It may or may not be seen alive, at once or later; what counts is what happens in two seconds.
    let watched = Duration::from_secs(2);
    let started = tokio::time::timeout(watched, world.units.ensure_running(&unit));
    let _ = tokio::join!(started, tokio::time::sleep(watched));
    let log = fs::read_to_string(world.units.log(&unit)).unwrap();
    let ends = log.lines().filter(|line| line.contains("started again in")).count();
    assert!((2..10).contains(&ends), "{log}");
    world.stop().await;
    assert_eq!(world.status().await, UnitStatus::Stopped);
}

#[tokio::test]
async fn a_stop_ends_supervisor_program_and_children_and_may_be_repeated() {
    let world = World::new();
    world.units.ensure_running(&world.unit("300")).await.unwrap();
    let started = Instant::now();
    world.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(world.marked("BELLOWS_UNIT").is_empty());
    assert!(world.marked("BELLOWS_SUPERVISOR").is_empty());
    world.stop().await;
    assert_eq!(world.status().await, UnitStatus::Stopped);
}

#[tokio::test]
async fn a_second_supervisor_of_a_unit_refuses() {
    let world = World::new();
    world.units.ensure_running(&world.unit("300")).await.unwrap();
    let command = ["/bin/true".to_owned()];
    let error = host::units::supervise(world.folder.path(), "program", None, None, &[], &command)
        .unwrap_err();
    assert!(error.to_string().contains("is held by process"), "{error}");
    world.stop().await;
    assert!(Path::new(&world.units.log(&unit(vec![]))).exists());
}

#[tokio::test]
async fn a_program_of_a_user_without_rights_is_kept_running_as_any_other() {
    let world = World::new();
    // Debian has this user and a group of its name.
    let (user, folder) = ("daemon", world.folder.path());
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    let address = own_address(22);
    let socket = ListenSocket { variable: "TEST_SOCKET".to_owned(), address: address.into() };
    let sockets = vec![socket];
    let limits = Limits { memory_mib: 256, tasks: 64, files: 2048 };
    let unit = Unit { user: Some(user), sockets, limits: Some(limits), ..world.unit("300") };
    assert_eq!(world.units.ensure_running(&unit).await.unwrap(), Change::Started);
    let pid = async || match world.units.status(&unit).await.unwrap() {
        UnitStatus::Running { pid } | UnitStatus::Unsupervised { pid } => pid,
        other => panic!("it does not run: {other:?}"),
    };
    let rights = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let of = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        (of("Uid:"), of("Groups:"), of("CapEff:"))
    };
    let first = pid().await;
    let id = host::accounts::user(user).unwrap().to_string();
    let none = (vec![id; 4], Vec::new(), vec!["0".repeat(16)]);
    assert_eq!(rights(first), none);
    let limits = fs::read_to_string(format!("/proc/{first}/limits")).unwrap();
    for (name, soft) in
        [("Max data size", 268_435_456), ("Max processes", 64), ("Max open files", 2048)]
    {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let figures: Vec<_> = line.split_whitespace().take(2).collect();
        assert_eq!(figures, [soft.to_string(), soft.to_string()], "{name}");
    }
    assert!(TcpStream::connect(address).is_ok());
    // Whoever dies, the other one goes on: the program is known, though it is not root's.
    kill_9(world.supervisor());
    while world.units.status(&unit).await.unwrap() != (UnitStatus::Unsupervised { pid: first }) {}
    assert_eq!(world.units.ensure_running(&unit).await.unwrap(), Change::Adopted);
    assert_eq!(pid().await, first);
    kill_9(first);
    let begun = Instant::now();
    let next = loop {
        match world.units.status(&unit).await.unwrap() {
            UnitStatus::Running { pid } if pid != first => break pid,
            status => assert!(begun.elapsed() < Duration::from_secs(5), "{status:?}"),
        }
    };
    assert_eq!(rights(next), none);
    // Another user is another command.
    let as_root = Unit { user: None, limits: None, ..unit.clone() };
    world.units.stop(&unit).await.unwrap();
    assert!(world.marked("BELLOWS_UNIT").is_empty());
    assert_eq!(world.units.ensure_running(&as_root).await.unwrap(), Change::Started);
    world.units.stop(&as_root).await.unwrap();
}

#[tokio::test]
async fn what_a_program_writes_is_nobody_elses_to_read_also_where_it_stood_open() {
    let world = World::new();
    let folder = world.folder.path();
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set_mode(folder, 0o711).unwrap();
    let (unit, units) = (world.unit("300"), folder.join("units"));
    let log = PathBuf::from(world.units.log(&unit));
    // As an earlier release left them.
    fs::create_dir(&units).unwrap();
    fs::write(&log, "of before\n").unwrap();
    set_mode(&log, 0o644).unwrap();
    let stranger_reads = || {
        let mut stranger = Command::new("setpriv");
        stranger.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"]).arg(&log);
        stranger.output().unwrap().status.success()
    };
    assert!(stranger_reads());
    world.units.ensure_running(&unit).await.unwrap();
    assert!(!stranger_reads());
    // Nor does the log lie open by itself, or where `up` finds all as it should be.
    set_mode(&units, 0o755).unwrap();
    assert!(!stranger_reads());
    assert_eq!(world.units.ensure_running(&unit).await.unwrap(), Change::None);
    assert_eq!(fs::metadata(&units).unwrap().permissions().mode() & 0o7777, 0o700);
    assert!(fs::read_to_string(&log).unwrap().starts_with("of before\n"));
    world.stop().await;
}

#[tokio::test]
async fn marks_of_haproxys_user_count_for_haproxy_alone_and_never_as_a_supervisor() {
    let world = World::new();
    let balancer = host::accounts::user("haproxy").expect("haproxy is installed").as_raw();
    let sleeper = |mark: &str, unit: &str| {
        let mark = (mark, world.folder.path().join("units").join(unit));
        let mut sleep = Command::new("sleep");
        sleep.arg("300").env(mark.0, mark.1).uid(balancer).spawn().unwrap()
    };
    let haproxy = Unit { name: HAPROXY, ..unit(vec![]) };
    let status = async |unit: &Unit| world.units.status(unit).await.unwrap();
    let mut of_program = ["BELLOWS_UNIT", "BELLOWS_SUPERVISOR"].map(|it| sleeper(it, "program"));
    let mut of_haproxy = ["BELLOWS_SUPERVISOR", "BELLOWS_UNIT"].map(|it| sleeper(it, "haproxy"));
    let worker = UnitStatus::Unsupervised { pid: of_haproxy[1].id().try_into().unwrap() };
    let begun = Instant::now();
    while status(&haproxy).await != worker {
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", status(&haproxy).await);
    }
    assert_eq!(status(&unit(vec![])).await, UnitStatus::Stopped);
    world.stop().await;
    for child in &mut of_program {
        assert!(child.try_wait().unwrap().is_none(), "it is somebody else's and was stopped");
    }
    for child in of_program.iter_mut().chain(&mut of_haproxy) {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_user_that_is_not_there_is_named() {
    let command = ["/bin/true".to_owned()];
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path();
    let error = host::units::supervise(run, "program", Some("no-such-user"), None, &[], &command);
    assert_eq!(
        error.unwrap_err().to_string(),
        "there is no user `no-such-user`; run `up`, which makes it"
    );
}

/// A loopback address that no other test has, with a port that no client takes for its own end.
fn own_address(last: u8) -> SocketAddrV4 {
    let [_, _, second, third] = std::process::id().to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(127, second % 100 + 100, third, last), 7070)
}

#[tokio::test]
async fn whoever_keeps_the_program_dies_or_makes_way_the_sockets_listen_and_the_program_runs_on() {
    let world = World::new();
    let address = own_address(21);
    let socket = ListenSocket { variable: "TEST_SOCKET".to_owned(), address: address.into() };
    let path = world.folder.path().join("x.pipe");
    let pipe = ListenSocket {
        variable: "TEST_PIPE".to_owned(),
        address: ListenAddress::Pipe(path.clone()),
    };
    let unit = Unit { sockets: vec![socket, pipe], ..world.unit("300") };
    let ensure = || world.units.ensure_running(&unit);
    // A pipe that nobody has open to write is at its end.
    let is_held = || {
        let mut pipe = fs::File::options().read(true).custom_flags(O_NONBLOCK).open(&path).unwrap();
        pipe.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    };
    let listens = || TcpStream::connect(address).is_ok() && is_held();
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(ensure().await.unwrap(), Change::Started);
    let (program, supervisor) = (world.pid().await, world.supervisor());
    assert_eq!(ensure().await.unwrap(), Change::None);

    // A newer release takes the supervisor's place, in the same process.
    world.install("second");
    assert_eq!(ensure().await.unwrap(), Change::HandedOver);
    assert_eq!((world.pid().await, world.supervisor()), (program, supervisor));
    let runs = fs::read_link(format!("/proc/{supervisor}/exe")).unwrap();
    assert!(runs.ends_with("second"), "{runs:?}");
    assert_eq!(ensure().await.unwrap(), Change::None);
    assert!(listens());
    kill_9(program);
    assert!(listens());
    let program = world.next_pid(program).await;

    // It is killed, and the next one gets the sockets of the program that runs.
    kill_9(supervisor);
    while world.status().await != (UnitStatus::Unsupervised { pid: program }) {}
    assert!(listens());
    assert_eq!(ensure().await.unwrap(), Change::Adopted);
    tokio::time::sleep(Duration::from_millis(300)).await;
    kill_9(program);
    assert!(listens());
    world.next_pid(program).await;
    assert!(listens());
    world.stop().await;
    assert!(TcpStream::connect(address).is_err() && !is_held());
    let status = fs::metadata(&path).unwrap();
    assert_eq!((status.mode() & 0o7777, status.uid()), (0o640, 0), "others may write to it");
}

#[tokio::test]
async fn a_release_that_is_gone_leaves_the_supervisor_as_it_is() {
    let world = World::new();
    let unit = world.unit("300");
    world.units.ensure_running(&unit).await.unwrap();
    let supervisor = world.supervisor();
    fs::remove_file(world.folder.path().join("supervisor")).unwrap();
    kill(Pid::from_raw(supervisor), Signal::SIGHUP).unwrap();
    let log = || fs::read_to_string(world.units.log(&unit)).unwrap();
    let asked = Instant::now();
    while !log().contains("no other release could take over") {
        assert!(asked.elapsed() < Duration::from_secs(1), "{}", log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.supervisor(), supervisor);
    world.stop().await;
}
