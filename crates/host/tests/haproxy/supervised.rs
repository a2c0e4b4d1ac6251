//! HAProxy of a rig under our own supervisor, which holds its sockets and its pipe.

use std::path::Path;
use std::time::Duration;

use host::units::{HAPROXY, Stop, Unit, Units};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::rig::Rig;

/// HAProxy's master and its workers, and what supervises them.
pub(crate) fn processes(config_file: &str) -> (Vec<i32>, Vec<i32>) {
    let mut found = (Vec::new(), Vec::new());
    for process in procfs::process::all_processes().unwrap().flatten() {
        let words = process.cmdline().unwrap_or_default();
        if !words.iter().any(|word| word == config_file) {
            continue;
        }
        let is_haproxy = words.first().is_some_and(|program| program.ends_with("haproxy"));
        if is_haproxy { &mut found.0 } else { &mut found.1 }.push(process.pid);
    }
    found
}

pub(crate) fn kill_all(processes: &[i32]) {
    for pid in processes {
        // A worker may see its master end, and end first.
        let _ = nix::sys::signal::kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
}

/// Ends all when a test ends, however it ends.
pub(crate) struct Ended(pub(crate) String);

impl Drop for Ended {
    fn drop(&mut self) {
        kill_all(&processes(&self.0).1);
        kill_all(&processes(&self.0).0);
    }
}

/// HAProxy of the rig, kept running by our own supervisor.
pub(crate) fn unit(rig: &Rig) -> (Units, Unit) {
    let tests = std::env::current_exe().unwrap();
    let supervisor = tests.parent().unwrap().parent().unwrap().join("examples/supervisor");
    assert!(supervisor.exists(), "run `cargo test -p host`");
    let run = rig.folder.path();
    let supervisor = [&supervisor, run].map(|path: &Path| path.display().to_string());
    let mut command = vec!["/usr/sbin/haproxy".to_owned()];
    command.extend(rig.settings.arguments());
    let stop = Stop { signal: Signal::SIGUSR1, patience: Duration::from_secs(10) };
    let unit = Unit {
        name: HAPROXY,
        command,
        user: None,
        sockets: rig.settings.sockets(),
        limits: None,
        folder: None,
        stop,
    };
    (Units::with_own_supervisor(run, supervisor.into()), unit)
}
