//! A job, from where it is asked for to its outcome, by the program that carries it out.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use host::deploys::Deploys;
use host::jobs::{HostJobs, Job, Jobs, StartJobs as _, Work};
use model::access::Who;
use model::names::ServiceName;
use model::time::Timestamp;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

/// Nothing of the host is touched: the archive is none, and that is where it ends.
#[tokio::test]
async fn a_job_that_was_begun_goes_on_by_itself_to_its_outcome() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str| root.path().join(name);
    let paths = ["state", "run", "lxc", "bin"].map(|it| format!("{it} = {:?}\n", folder(it)));
    let state = folder("state");
    let release = state.join("releases/one");
    fs::create_dir_all(&release).unwrap();
    let settings = state.join("bellows.toml");
    fs::write(&settings, format!("[paths]\n{}", paths.concat())).unwrap();
    fs::set_permissions(&settings, Permissions::from_mode(0o644)).unwrap();
    symlink(env!("CARGO_BIN_EXE_bellows"), release.join("bellows")).unwrap();
    symlink("one", state.join("releases/current")).unwrap();

    let shop: ServiceName = "shop".parse().unwrap();
    let (jobs, deploys) = (Jobs::new(&state), Deploys::new(&state));
    let beginning = deploys.of(&shop).begin().unwrap();
    let work = Work::Archive { is_gzip: false, replaces: false };
    let job = Job::new(jobs.draw(), Some(shop.clone()), work, Who::Up, now());
    let files = jobs.add(&job).unwrap();
    fs::write(files.archive(), "no archive").unwrap();
    HostJobs::new(&state).start(job.id, &files).await.unwrap();
    drop(beginning);
    let deadline = Instant::now() + Duration::from_secs(20);
    let ended = loop {
        let read = files.read().unwrap().unwrap();
        if read.outcome.is_some() && !files.is_running() {
            break read;
        }
        let log = || fs::read_to_string(files.log()).unwrap_or_default();
        assert!(Instant::now() < deadline, "{read:?}\n{}", log());
        sleep(Duration::from_millis(10));
    };
    let outcome = ended.outcome.unwrap();
    assert!(!outcome.is_well, "{outcome:?}");
    let told = "shop is not deployed: the archive cannot be read to its end: send it again";
    assert!(outcome.verdict.starts_with(told), "{outcome:?}");
    assert!(ended.ended_at.is_some() && !files.archive().exists());
    assert!(!deploys.of(&shop).is_under_way(), "another one may begin");
}
