//! `bellows record`: a stretch of a service's turns, with every input of their decisions.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use command_line::terminal;
use host::settings::Settings;
use model::names::ServiceName;
use policy::recording::{End, Line};
use scaler_client::{Recording, Scaler, ScalerError};
use tokio::time::{Instant, timeout_at};

use crate::code::Code;
use crate::error::{BadInput, Coded};
use crate::scaler;

/// The longest stretch: a day of a service at rest is some 100 MB.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Records the turns of a service into a file that is not there yet.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    file: &Path,
    span: &str,
) -> anyhow::Result<()> {
    let span = stretch(span)?;
    let scaler = scaler::client(settings)?;
    let recording = scaler.record(service).await?;
    let mut writer = create(file)?;
    terminal::print_line(format_args!(
        "Recording {service} for {}. Ctrl-C ends it sooner.",
        seconds(span)
    ));
    let began = Instant::now();
    let mut taken = Taken::default();
    let ended = tokio::select! {
        ended = take(&scaler, service, recording, &mut writer, &mut taken, began + span) => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| None).map_err(Into::into),
    };
    let Taken { turns, bytes } = taken;
    let (took, kib) = (seconds(began.elapsed().min(span)), bytes.div_ceil(1024));
    let name = file.display();
    terminal::print_line(format_args!(
        "{turns} turns in {took}, {kib} KiB. `bellows replay {name}` decides them again."
    ));
    match ended.with_context(|| format!("the rest was not recorded; what was is in {name}"))? {
        None => Ok(()),
        Some(end) => {
            Err(anyhow!("the recording ends before its time: {end}; what was taken is in {name}"))
        }
    }
}

/// How much was recorded.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    turns: u64,
    bytes: u64,
}

impl Taken {
    fn add(&mut self, line: &[u8]) {
        self.turns += u64::from(line.starts_with(b"{\"turn\""));
        self.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
    }
}

/// Writes what comes up to the deadline. Where the scaler is started again, it goes on with that one. Gives why it
/// ended sooner, as the scaler said it.
async fn take(
    scaler: &Scaler,
    service: &ServiceName,
    mut recording: Recording,
    writer: &mut impl Write,
    taken: &mut Taken,
    deadline: Instant,
) -> anyhow::Result<Option<End>> {
    loop {
        let Ok(line) = timeout_at(deadline, recording.line()).await else { return Ok(None) };
        let is_over = match line {
            Ok(Some(line)) => {
                // A line at a time: whatever ends this program, no line is cut.
                writer
                    .write_all(&line)
                    .context("the recording cannot be written: check the disk")?;
                taken.add(&line);
                match end_of(&line) {
                    None => false,
                    Some(End::ScalerEnded) => true,
                    Some(end) => return Ok(Some(end)),
                }
            }
            Ok(None) | Err(ScalerError::Away { .. } | ScalerError::Silent { .. }) => true,
            Err(error) => return Err(error.into()),
        };
        if is_over {
            let again = scaler.patiently(async |scaler| scaler.record(service).await);
            let Ok(again) = timeout_at(deadline, again).await else { return Ok(None) };
            recording = again?;
        }
    }
}

/// Why nothing follows a line.
fn end_of(line: &[u8]) -> Option<End> {
    // Lines of turns are not read: there are many.
    let line = line.starts_with(b"{\"end\"").then(|| serde_json::from_slice(line).ok()).flatten();
    match line {
        Some(Line::End(end)) => Some(end),
        _ => None,
    }
}

fn create(file: &Path) -> anyhow::Result<File> {
    let created = OpenOptions::new().write(true).create_new(true).open(file);
    created.map_err(|error| {
        let name = file.display();
        let told = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                let told = anyhow!("{name} is there already: choose another name, or remove it");
                Coded::new(Code::FileExists, told).into()
            }
            _ => anyhow!(error).context(format!("{name} cannot be made")),
        };
        BadInput::new(told).into()
    })
}

/// The stretch that `--for` names.
fn stretch(text: &str) -> Result<Duration, BadInput> {
    let span = text.parse::<jiff::SignedDuration>().ok().filter(|_| !text.starts_with(['+', '-']));
    let span = span.and_then(|span| Duration::try_from(span).ok());
    let span = span.filter(|span| (Duration::from_secs(1)..=LONGEST).contains(span));
    span.ok_or_else(|| {
        let allowed = "use 1s to 24h, such as 60s or 10m";
        BadInput::new(anyhow!("--for is {text:?}: {allowed}"))
    })
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs_f64().round())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request after the other with these lines each, and ends each answer in the middle.
    async fn answer(listener: TcpListener, answers: &[&[&str]]) {
        for lines in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _asked = stream.read(&mut [0; 1024]).await.unwrap();
            let mut text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
            for line in *lines {
                text.push_str(&format!("{:x}\r\n{line}\r\n", line.len()));
            }
            stream.write_all(text.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    }

    /// What is taken from a scaler that answers so, and how it ends.
    async fn taken(answers: &[&[&str]]) -> (String, Taken, Result<Option<End>, String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scaler = Scaler::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let scaler = scaler.with_patience(Duration::from_millis(20));
        let service: ServiceName = "store".parse().unwrap();
        let (mut text, mut taken) = (Vec::new(), Taken::default());
        let takes = async {
            let first = scaler.record(&service).await.unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            take(&scaler, &service, first, &mut text, &mut taken, deadline).await
        };
        let (ended, ()) = tokio::join!(takes, answer(listener, answers));
        let ended = ended.map_err(|error| error.to_string());
        (String::from_utf8(text).unwrap(), taken, ended)
    }

    #[tokio::test]
    async fn a_recording_goes_on_with_the_scaler_that_comes_after_and_no_line_of_it_is_cut() {
        let end = "{\"end\":\"scaler_ended\"}\n";
        let (text, taken, ended) = taken(&[
            &["{\"recording\":1}\n{\"tu", "rn\":1}\n{\"turn\":2}\n", "{\"tur"],
            &["{\"recording\":2}\n", "{\"turn\":3}\n", end],
            &["{\"recording\":3}\n", "{\"end\":\"too_slow\"}\n"],
        ])
        .await;
        let lines =
            "{\"recording\":1}\n{\"turn\":1}\n{\"turn\":2}\n{\"recording\":2}\n{\"turn\":3}\n";
        assert_eq!(text, format!("{lines}{end}{{\"recording\":3}}\n{{\"end\":\"too_slow\"}}\n"));
        assert_eq!(taken, Taken { turns: 3, bytes: u64::try_from(text.len()).unwrap() });
        assert_eq!(ended, Ok(Some(End::TooSlow)));
    }

    #[tokio::test]
    async fn where_no_scaler_comes_after_that_is_said_and_what_was_taken_stays() {
        let (text, _, ended) = taken(&[&["{\"recording\":1}\n", "{\"turn\":1}\n"]]).await;
        assert_eq!(text, "{\"recording\":1}\n{\"turn\":1}\n");
        assert!(ended.unwrap_err().starts_with("the scaler gives no answer at"));
    }

    #[test]
    fn a_stretch_is_a_second_to_a_day() {
        for (text, seconds) in [("60s", 60), ("10m", 600), ("1h 30m", 5400), ("24h", 86_400)] {
            assert_eq!(stretch(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "0s", "500ms", "25h", "-5m", "+5m", "10", "long"] {
            let told = stretch(text).unwrap_err().to_string();
            assert!(told.contains("use 1s to 24h"), "{text}: {told}");
        }
    }

    #[test]
    fn no_file_that_is_there_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        create(&file).unwrap().write_all(b"mine").unwrap();
        let told = create(&file).unwrap_err();
        assert!(told.is::<BadInput>() && told.to_string().contains("is there already"), "{told}");
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
        let told = create(&folder.path().join("none/a.jsonl")).unwrap_err().to_string();
        assert!(told.contains("a.jsonl cannot be made: No such file"), "{told}");
    }
}
