//! Files that are cut, spoilt, of another release or too large, and disks that are full.

use std::fs;
use std::path::Path;
use std::process::Command;

use console::events::{Event, Happened, Kind};
use console::history::{Batch, SIZE_MIN_BYTES};
use model::decision::Reason;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::history::{newest, now, of_turns, open, turn};

/// Leaves a history of some 100 kB in the folder.
async fn left(folder: &Path) {
    let (recorder, history) = open(folder);
    for number in 1..300 {
        recorder.record(of_turns([turn(now(), number)]));
        recorder.flush().await;
    }
    assert_eq!(history.last_sequence().await.unwrap(), 299);
}

fn asides(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
    let mut names: Vec<_> = names.map(|it| it.into_string().unwrap()).collect();
    names.retain(|name| {
        name.contains(".aside-") && !name.ends_with("-wal") && !name.ends_with("-shm")
    });
    names.sort();
    names
}

/// What is left is put aside as it is for this reason, and a new history begins and says so.
async fn begins_anew(folder: &Path, reason: &str) {
    let content = fs::read(folder.join("history.sqlite")).unwrap();
    let aside = is_put_aside(folder, reason).await;
    assert!(fs::read(aside).unwrap() == content);
}

/// The same; gives where it is.
async fn is_put_aside(folder: &Path, reason: &str) -> String {
    let (recorder, history) = open(folder);
    recorder.record(of_turns([turn(now(), 500)]));
    recorder.flush().await;
    let status = history.status();
    assert_eq!(status.problem, None);
    let aside = status.aside.unwrap();
    assert!(aside.reason.contains(reason), "{}", aside.reason);
    let events = history.events(newest(), Some(Kind::Aside)).await.unwrap();
    assert_eq!(events.len(), 1);
    let Happened::Aside { reason: told, .. } = &events[0].happened else { panic!() };
    assert!(told.contains(reason), "{told}");
    let (ticks, _) = history.changed(newest(), None).await.unwrap();
    assert_eq!(ticks.iter().map(|it| it.sequence).collect::<Vec<_>>(), [500]);
    aside.file
}

#[tokio::test]
async fn a_file_that_was_cut_is_put_aside_with_its_reason() {
    let before = tempfile::tempdir().unwrap();
    left(before.path()).await;
    let whole = fs::read(before.path().join("history.sqlite")).unwrap();
    let length = whole.len();
    for bytes in [1, 16, 99, 100, 511, 4_095, 4_096, 4_097, length / 2, length - 4_096, length - 1]
    {
        println!("{bytes} of {length} bytes");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("history.sqlite"), &whole[..bytes]).unwrap();
        begins_anew(folder.path(), "").await;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("history.sqlite"), "").unwrap();
    let (recorder, history) = open(folder.path());
    recorder.flush().await;
    assert_eq!((history.status().problem, history.status().aside), (None, None), "it is as none");
}

/// What a loss of power leaves of a journal is read up to where it is whole, and what follows is recorded behind that.
#[tokio::test]
async fn a_journal_that_was_cut_or_spoilt_costs_what_follows_the_place_alone() {
    let before = tempfile::tempdir().unwrap();
    let (recorder, _history) = open(before.path());
    for number in 1..=40 {
        recorder.record(of_turns([turn(now(), number)]));
        recorder.flush().await;
    }
    let [file, journal] = ["", "-wal"]
        .map(|end| fs::read(before.path().join(format!("history.sqlite{end}"))).unwrap());
    let length = journal.len();
    let mut spoilt = journal.clone();
    spoilt[length / 2] ^= 0xff;
    let cuts =
        [0, 1, 31, 32, 33, 4_096, length / 4, length / 2, length - 4_096, length - 1, length];
    let mut kept = Vec::new();
    for journal in cuts.map(|bytes| &journal[..bytes]).into_iter().chain([spoilt.as_slice()]) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("history.sqlite"), &file).unwrap();
        fs::write(folder.path().join("history.sqlite-wal"), journal).unwrap();
        let (recorder, history) = open(folder.path());
        recorder.record(of_turns([turn(now(), 500)]));
        recorder.flush().await;
        assert_eq!((history.status().problem, history.status().aside), (None, None));
        let (ticks, _) = history.changed(newest(), None).await.unwrap();
        let (last, own) = ticks.split_last().unwrap();
        assert_eq!(last.sequence, 500);
        let numbers: Vec<_> = own.iter().map(|it| it.sequence).collect();
        assert_eq!(numbers, (1..=own.len() as u64).collect::<Vec<_>>());
        kept.push(own.len());
    }
    assert!(kept[..cuts.len()].is_sorted(), "{kept:?}");
    assert_eq!((kept[0], kept[cuts.len() - 1]), (0, 40), "{kept:?}");
    assert!((1..40).contains(&kept[cuts.len()]), "{kept:?}");
}

#[tokio::test]
async fn a_file_that_no_release_left_so_is_put_aside_with_its_reason() {
    for statements in [
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        "DROP TABLE events; PRAGMA user_version = 0",
    ] {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path()).await;
        let connection = Connection::open(folder.path().join("history.sqlite")).unwrap();
        connection.execute_batch(statements).unwrap();
        drop(connection);
        is_put_aside(folder.path(), "release").await;
    }
}

#[tokio::test]
async fn a_file_with_spoilt_pages_is_put_aside_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path()).await;
    let file = folder.path().join("history.sqlite");
    let mut whole = fs::read(&file).unwrap();
    let middle = whole.len() / 2;
    whole[middle..middle + 8192].fill(0xa5);
    fs::write(&file, whole).unwrap();
    begins_anew(folder.path(), "").await;
}

#[tokio::test]
async fn a_file_that_is_none_is_put_aside_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("history.sqlite"), "no database, but long enough ".repeat(99))
        .unwrap();
    begins_anew(folder.path(), "not a database").await;
}

#[tokio::test]
async fn a_file_of_a_later_release_is_put_aside_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    left(folder.path()).await;
    let connection = Connection::open(folder.path().join("history.sqlite")).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(connection);
    begins_anew(folder.path(), "a later release wrote it (version 99").await;
}

#[tokio::test]
async fn of_what_was_put_aside_the_newest_two_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for _ in 0..4 {
        fs::write(folder.path().join("history.sqlite"), "none".repeat(999)).unwrap();
        let (recorder, history) = open(folder.path());
        recorder.flush().await;
        let file = history.status().aside.unwrap().file;
        all.push(Path::new(&file).file_name().unwrap().to_str().unwrap().to_owned());
        // The next has another moment in its name.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    assert_eq!(asides(folder.path()), all[2..]);
}

#[tokio::test]
async fn what_an_earlier_run_had_only_in_its_journal_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let (recorder, _history) = open(folder.path());
    recorder.record(of_turns([turn(now(), 7)]));
    recorder.flush().await;
    // As the disk is at the moment of a kill: nothing was copied from the journal.
    for end in ["", "-wal", "-shm"] {
        let name = format!("history.sqlite{end}");
        fs::copy(folder.path().join(&name), copy.path().join(&name)).unwrap();
    }
    let (recorder, history) = open(copy.path());
    recorder.flush().await;
    assert_eq!(history.last_sequence().await.unwrap(), 7);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_a_problem_that_is_told_and_nothing_else_stops() {
    let (recorder, history) = open(Path::new("/nowhere/at/all"));
    recorder.record(of_turns([turn(now(), 1)]));
    recorder.flush().await;
    let status = history.status();
    let problem = status.problem.unwrap();
    assert!(problem.contains("check its folder, the disk and who owns it"), "{problem}");
    assert_eq!(status.seconds_missed, 1);
    let error = history.events(newest(), None).await.unwrap_err().to_string();
    assert!(error.starts_with("the history is not there now"), "{error}");
}

/// A file system of its own in memory.
pub(crate) struct TinyDisk(pub(crate) TempDir);

impl TinyDisk {
    pub(crate) fn mount(size_mib: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={size_mib}m");
        let mount = ["-t", "tmpfs", "-o", &size, "tiny"];
        let status = Command::new("mount").args(mount).arg(folder.path()).status().unwrap();
        assert!(status.success(), "this test mounts a small disk, which needs root");
        Self(folder)
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.0.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "the small disk stays mounted");
    }
}

fn noise(kilobytes: usize) -> String {
    let word = |n: usize| format!("{:016x}", (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..kilobytes * 64).map(word).collect()
}

fn large_event(kilobytes: usize) -> Batch {
    let error = noise(kilobytes);
    let instance = "bw-store-1-a".parse().unwrap();
    let happened = Happened::Failed { action: model::action::ActionKind::Clone, instance, error };
    let event = Event { at: now(), service: None, happened };
    Batch { events: vec![event], ..Batch::default() }
}

#[tokio::test]
async fn a_full_disk_costs_what_comes_meanwhile_and_recording_goes_on_when_there_is_room() {
    let disk = TinyDisk::mount(2);
    let folder = disk.0.path();
    let filler = folder.join("filler");
    fs::write(&filler, vec![0; 1_000_000]).unwrap();
    let (recorder, history) = open(folder);
    recorder.flush().await;
    let mut written = 0;
    while history.status().problem.is_none() {
        recorder.record(large_event(100));
        recorder.flush().await;
        written += 1;
        assert!(written < 20);
    }
    let status = history.status();
    assert_eq!(status.seconds_missed, 1);
    assert!(status.problem.unwrap().contains("cannot be written"));
    let there = history.events(newest(), None).await.unwrap().len();
    assert_eq!(there, written - 1, "what was written before is read");

    fs::remove_file(filler).unwrap();
    let at = now().after(std::time::Duration::from_secs(4));
    recorder.record(of_turns([turn(at, 1)]));
    recorder.flush().await;
    assert_eq!(history.status().problem, None);
    let gaps = history.events(newest(), Some(Kind::Gap)).await.unwrap();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(history.last_sequence().await.unwrap(), 1);
    drop(history);
    drop(recorder);
}

#[tokio::test]
async fn more_than_the_set_size_costs_the_oldest_and_the_file_stays_within() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4 {
        // A round of housekeeping is due at once in each run.
        let (recorder, history) = open(folder.path());
        recorder.flush().await;
        for _ in 0..12 {
            recorder.record(large_event(1_000));
            recorder.flush().await;
        }
        let limit = Happened::LimitBegan { reason: Reason::AtMax };
        let event = Event { at: now(), service: None, happened: limit };
        recorder.record(Batch { events: vec![event], ..Batch::default() });
        recorder.flush().await;
        let began = history.events(newest(), Some(Kind::LimitBegan)).await.unwrap();
        assert_eq!(began.len().min(1), 1, "round {round}: the newest is there");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (recorder, history) = open(folder.path());
    recorder.record(Batch::default());
    recorder.flush().await;
    let used = history.status().used_bytes;
    assert!(used < SIZE_MIN_BYTES, "{used}");
    let failed = history.events(newest(), Some(Kind::Failed)).await.unwrap();
    assert!((8..=24).contains(&failed.len()), "{}", failed.len());
    drop((recorder, history));
    let length = fs::metadata(folder.path().join("history.sqlite")).unwrap().len();
    assert!(length <= SIZE_MIN_BYTES, "{length}");
}
