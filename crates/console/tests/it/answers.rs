//! Response times by the program: out of a pipe into what is shown, remembered and counted.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use console::samples::tick;
use model::tick::Tick;
use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::history::now;
use super::scaler::{Console, FakeScaler, Live, command, folder};

/// A pipe as the load balancer has it, which never waits.
pub(crate) fn pipe(folder: &Path) -> (PathBuf, File) {
    let path = folder.join("answers.pipe");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let mut options = OpenOptions::new();
    let writer = options.read(true).write(true).custom_flags(O_NONBLOCK).open(&path).unwrap();
    (path, writer)
}

fn start(scaler: &FakeScaler, folder: &Path, pipe: &Path) -> Console {
    Console::started(command(&scaler.socket, folder).arg("--answers").arg(pipe))
}

/// The first millisecond of a second that is near: what is old goes from the history.
fn second() -> u64 {
    now().as_millis() / 1000 * 1000
}

/// Waits until the console has counted so many answers of the service.
async fn has_counted(console: &Console, count: u64) {
    let line = format!("bellows_service_response_seconds_count{{service=\"store\"}} {count}\n");
    for _ in 0..200 {
        if console.ask("/metrics", &[]).await.text().await.unwrap().contains(&line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{count} answers are not counted");
}

/// Tells of a turn, and waits until the console knows of it.
async fn begin(scaler: &FakeScaler, live: &mut Live, at_ms: u64) {
    scaler.tick(&Tick { sequence: 1, ..tick("store", at_ms) });
    live.next("tick").await;
}

#[tokio::test]
async fn answers_are_of_the_second_in_which_they_came_and_none_is_not_known_and_not_0() {
    let folder = folder();
    let (path, mut writer) = pipe(folder.path());
    let scaler = FakeScaler::start(folder.path());
    // Of a time before the console began.
    writer.write_all(b"first store 200 +9000 --\n").unwrap();
    let console = start(&scaler, folder.path(), &path);
    scaler.is_read().await;
    let from = second();
    let mut live = console.listen("/v1/live", None).await;
    begin(&scaler, &mut live, from).await;
    for time in 1..=10 {
        writeln!(writer, "first store 200 +{time} --").unwrap();
    }
    writer.write_all(b"last store 404 +2 --\nfirst other 200 +1 --\nnonsense\n").unwrap();
    has_counted(&console, 11).await;
    scaler.tick(&tick("store", from + 1_000));
    scaler.tick(&tick("store", from + 2_000));
    let second = live.next("second").await.data;
    let expected = serde_json::json!({
        "p50_ms": 5, "p90_ms": 9, "p99_ms": 10,
        "success": 10, "redirection": 0, "client_error": 1, "server_error": 0
    });
    assert_eq!((&second["at_ms"], &second["answers"]), (&from.into(), &expected));
    let series = "/v1/services/store/series?step=1s";
    let page = console.until(series, |page| page["points"].as_array().unwrap().len() > 1).await;
    assert_eq!(page["points"][0]["answers"], expected);
    assert_eq!(page["points"][1]["answers"], serde_json::Value::Null);

    let metrics = console.ask("/metrics", &[]).await.text().await.unwrap();
    for line in [
        "bellows_service_response_seconds_bucket{le=\"0.005\",service=\"store\"} 6\n",
        "bellows_service_response_seconds_count{service=\"store\"} 11\n",
        "bellows_service_response_seconds_count{service=\"other\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} {metrics}");
    }
}

#[tokio::test]
async fn whoever_writes_to_a_console_that_was_killed_does_not_wait_and_the_next_one_reads_on() {
    let folder = folder();
    let (path, mut writer) = pipe(folder.path());
    let mut scaler = FakeScaler::start(folder.path());
    let console = start(&scaler, folder.path(), &path);
    scaler.is_read().await;
    console.kill();
    let error = loop {
        if let Err(error) = writer.write_all(b"first store 200 +9000 --\n") {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "a full pipe");
    scaler.restart(Duration::ZERO).await;
    let console = start(&scaler, folder.path(), &path);
    scaler.is_read().await;
    let from = second();
    let mut live = console.listen("/v1/live", None).await;
    begin(&scaler, &mut live, from).await;
    // The last of those before was cut.
    writer.write_all(b"\nfirst store 503 +4 --\n").unwrap();
    has_counted(&console, 1).await;
    scaler.tick(&tick("store", from + 1_000));
    let series = "/v1/services/store/series?step=1s";
    let page = console.until(series, |page| page["points"][0]["answers"].is_object()).await;
    let answers = &page["points"][0]["answers"];
    assert_eq!((&answers["p99_ms"], &answers["server_error"]), (&4.into(), &1.into()));
    assert_eq!(answers["success"], 0);
}
