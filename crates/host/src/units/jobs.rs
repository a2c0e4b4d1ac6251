//! Programs that run once, and go on when whoever started them is gone, with their terminal and their session.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::UnitError;
use crate::command::{CommandLine, HostRunner, Runner as _, SEARCH_PATH};
use crate::files::file_error;

/// Starts `command`, a program by its absolute path and its arguments, as a job of this name, which writes on at the end
/// of the file `log`. It is to make itself the leader of a session (`setsid`) before anything else.
///
/// Where systemd is the host's init it is a unit of its own, `bellows-NAME`, since what ends a user's session, or a
/// service that called us, ends the processes of its control group too.
///
/// # Errors
/// When it cannot be started.
pub async fn start_job(name: &str, command: &[String], log: &Path) -> Result<(), UnitError> {
    if Path::new("/run/systemd/system").is_dir() {
        HostRunner.run(&systemd_run(name, command, log)).await?;
        return Ok(());
    }
    let output = || File::options().append(true).open(log).map_err(file_error("open", log));
    let (program, arguments) =
        command.split_first().map_or(("", command), |(first, rest)| (first.as_str(), rest));
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/")
        // Before it has a session of its own, what ends its caller's group would end it too.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .spawn()
        // Whoever starts it may live on, and would have it as a zombie.
        .map(|mut job| drop(std::thread::spawn(move || job.wait())))
        .map_err(|source| UnitError::Job { program: program.to_owned(), source })
}

/// How systemd is told. A unit that failed goes as one does that ended well, so that its name is free.
fn systemd_run(name: &str, command: &[String], log: &Path) -> CommandLine {
    let log = format!("append:{}", log.display());
    CommandLine::new("systemd-run")
        .args(["--quiet", "--collect", "--service-type=exec"])
        .arg(format!("--unit=bellows-{name}"))
        .args(["StandardOutput", "StandardError"].map(|key| format!("--property={key}={log}")))
        .arg(format!("--setenv=PATH={SEARCH_PATH}"))
        .arg("--")
        .args(command)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_job_is_a_unit_of_its_own_where_systemd_is_there() {
        let command = ["/r/bellows".to_owned(), "job".to_owned()];
        let line = systemd_run("deploy-shop", &command, Path::new("/s/log")).to_string();
        insta::assert_snapshot!(line, @"systemd-run --quiet --collect --service-type=exec --unit=bellows-deploy-shop --property=StandardOutput=append:/s/log --property=StandardError=append:/s/log --setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin -- /r/bellows job");
    }

    #[tokio::test]
    async fn a_job_writes_on_at_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs::write(&log, "before\n").unwrap();
        let command = ["/bin/sh", "-c", "echo out; echo err >&2"].map(str::to_owned);
        start_job("test", &command, &log).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::read_to_string(&log).unwrap() != "before\nout\nerr\n" {
            assert!(Instant::now() < deadline, "{:?}", fs::read_to_string(&log));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let error = start_job("test", &["/none".to_owned()], &log).await.unwrap_err().to_string();
        assert!(error.contains("`/none` could not be started"), "{error}");
    }
}
