use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use model::access::Who;
use model::job::{JobId, JobKind, Outcome, Stage, Step};
use model::time::Timestamp;

use super::*;

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

fn rollback(number: u64, service: &str, now: Timestamp) -> Job {
    let work = Work::Rollback { version: None, revision: false };
    Job::new(JobId::new(number), Some(service.parse().unwrap()), work, Who::Up, now)
}

fn ended(job: Job) -> Job {
    let outcome = Some(Outcome { is_well: true, verdict: "it serves".to_owned() });
    Job { outcome, ended_at: Some(job.begun_at), ..job }
}

#[test]
fn a_job_is_read_as_it_was_written_by_whoever_asks_and_by_nobody_else() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    assert!(jobs.list(at(0)).unwrap().is_empty());
    let words = DeployWords {
        folder: "/home/anna/shop".into(),
        file: "name = \"shop\"".to_owned(),
        says_health: false,
        command: Some(vec!["./shop".to_owned()]),
        replaces: false,
    };
    let shop = Some("shop".parse().unwrap());
    let all = [
        Job::new(JobId::new(1), shop.clone(), Work::Deploy(words), Who::Up, at(1)),
        Job::new(
            JobId::new(2),
            shop,
            Work::Archive { is_gzip: true, replaces: false },
            Who::Up,
            at(2),
        ),
        rollback(3, "blog", at(3)),
        Job::new(
            JobId::new(5),
            None,
            Work::File { file: "a".to_owned(), replaces: Replaced::File("b".to_owned()) },
            Who::Up,
            at(4),
        ),
        Job::new(JobId::new(4), None, Work::Stop, Who::Up, at(5)),
    ];
    for job in &all {
        let files = jobs.add(job).unwrap();
        for path in [files.file(), files.log(), files.folder] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }
    let listed = jobs.list(at(6)).unwrap();
    let ids: Vec<_> = listed.iter().map(|kept| kept.job.clone()).collect();
    assert_eq!(ids, all.iter().rev().cloned().collect::<Vec<_>>());
    let kinds: Vec<_> = listed.iter().map(|kept| kept.status().kind).collect();
    let [deploy, rollback] = [JobKind::Deploy, JobKind::Rollback];
    assert_eq!(kinds, [JobKind::Stop, JobKind::File, rollback, deploy, deploy]);
    fs::write(jobs.of(JobId::new(1)).file(), "{").unwrap();
    assert_eq!(jobs.list(at(6)).unwrap().len(), 4, "one that cannot be read hides no other");
    let error = jobs.get(JobId::new(1), at(5)).unwrap_err().to_string();
    assert!(error.contains("job.json is not as this release writes it"), "{error}");
}

#[test]
fn a_job_remembers_when_it_came_to_each_stage_and_one_of_a_release_before_does_not() {
    let mut job = rollback(7, "shop", at(1));
    for (stage, second) in [(Stage::Begin, 2), (Stage::Rollout, 3), (Stage::Rollout, 4)] {
        job.enter(stage, at(second));
    }
    let step = |stage, second| Step { stage, begun_at: at(second) };
    assert_eq!(job.steps, [step(Stage::Begin, 1), step(Stage::Rollout, 3)]);
    let mut before = serde_json::to_value(&job).unwrap();
    before.as_object_mut().unwrap().remove("steps");
    let read: Job = serde_json::from_value(before).unwrap();
    assert_eq!((read.stage, read.steps), (Stage::Rollout, Vec::new()));
}

#[tokio::test]
async fn a_job_goes_on_while_its_process_has_it_and_is_cut_off_when_that_is_gone_without_a_word() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let job = rollback(7, "shop", at(1));
    let files = jobs.add(&job).unwrap();
    let state = |now| jobs.get(job.id, now).unwrap().unwrap().state;
    let (young, old) = (at(20), at(22));
    assert_eq!((state(young), state(old)), (JobState::GoesOn, JobState::CutOff));
    let process = files.take().await.unwrap();
    assert!(files.take().await.is_err(), "one process is at it");
    assert_eq!(state(old), JobState::GoesOn);
    let service = job.service.as_ref();
    assert_eq!(jobs.current(service, old).unwrap().map(|job| job.id), Some(job.id));
    assert_eq!(jobs.current(None, old).unwrap(), None);
    drop(process);
    assert_eq!(state(old), JobState::CutOff);
    let told = jobs.get(job.id, old).unwrap().unwrap().status().outcome.unwrap();
    assert!(!told.is_well && told.verdict.contains("cut off"), "{told:?}");
    files.write(&ended(job.clone())).unwrap();
    assert_eq!(state(old), JobState::Ended);
    assert_eq!(jobs.current(service, old).unwrap(), None);
}

#[tokio::test]
async fn the_oldest_that_have_ended_are_forgotten_and_none_that_goes_on() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let first = jobs.add(&rollback(1, "shop", at(0))).unwrap();
    let process = first.take().await.unwrap();
    for number in 2..=60 {
        jobs.add(&ended(rollback(number, "shop", at(number)))).unwrap();
    }
    let ids = |now| {
        let list = jobs.list(now).unwrap().into_iter();
        list.map(|kept| kept.job.id).collect::<Vec<_>>()
    };
    assert_eq!((ids(at(99)).len(), ids(at(99))[50]), (KEPT + 1, JobId::new(1)));
    assert_eq!(ids(at(99))[49], JobId::new(11));
    drop(process);
    jobs.add(&ended(rollback(61, "shop", at(100)))).unwrap();
    assert_eq!((ids(at(101)).len(), ids(at(101))[49]), (KEPT, JobId::new(12)));
}

#[test]
fn what_a_job_wrote_is_read_from_where_the_reader_is() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let files = jobs.add(&rollback(1, "shop", at(0))).unwrap();
    fs::write(files.log(), "one\ntwo\n").unwrap();
    assert_eq!(files.log_after(0).unwrap(), b"one\ntwo\n");
    assert_eq!(files.log_after(4).unwrap(), b"two\n");
    for beyond in [8, 99, u64::MAX] {
        assert_eq!(files.log_after(beyond).unwrap(), b"");
    }
    fs::write(files.log(), vec![b'a'; 300 << 10]).unwrap();
    assert_eq!(files.log_after(0).unwrap().len(), 256 << 10);
    assert_eq!(jobs.of(JobId::new(2)).log_after(0).unwrap(), b"");
}

#[test]
fn an_archive_that_came_to_no_job_is_removed_and_no_other() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let lost = jobs.make(JobId::new(1)).unwrap();
    drop(lost.begin_archive().unwrap());
    let kept = jobs.add(&rollback(2, "shop", at(0))).unwrap();
    drop(kept.begin_archive().unwrap());
    jobs.remove_lost_archives().unwrap();
    assert!(!lost.folder.exists() && kept.archive().exists());
    kept.remove_archive().unwrap();
    assert!(!kept.archive().exists() && kept.file().exists());
    assert!(jobs.remove_all().unwrap() && !jobs.remove_all().unwrap());
}

#[test]
fn ids_are_drawn_by_chance() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    assert_ne!(jobs.draw(), jobs.draw());
}

#[tokio::test]
async fn a_job_is_begun_as_a_program_of_the_release_in_force() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path();
    let jobs = Jobs::new(state);
    let job = rollback(0xab, "shop", at(0));
    let files = jobs.add(&job).unwrap();
    let starter = HostJobs::new(state);
    assert!(starter.start(job.id, &files).await.is_err(), "there is no release");
    let release = state.join("releases/one");
    fs::create_dir_all(&release).unwrap();
    let program = release.join("bellows");
    fs::write(&program, "#!/bin/sh\necho \"$@\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("one", state.join("releases/current")).unwrap();
    starter.start(job.id, &files).await.unwrap();
    let settings = state.join("bellows.toml");
    let told = format!("--settings {} job 00000000000000ab\n", settings.display());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while files.log_after(0).unwrap() != told.as_bytes() {
        assert!(std::time::Instant::now() < deadline, "{:?}", fs::read_to_string(files.log()));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[test]
fn a_file_takes_the_place_of_what_it_was_meant_for() {
    let read = Replaced::File("a".to_owned());
    assert!(read.is(Some("a")) && !read.is(Some("b")) && !read.is(None));
    assert!(Replaced::Nothing.is(None) && !Replaced::Nothing.is(Some("a")));
    assert!(Replaced::Anything.is(None) && Replaced::Anything.is(Some("a")));
}
