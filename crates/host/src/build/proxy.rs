//! The way out of one build: a proxy of its own, which is asked by a Unix socket.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use model::egress::Egress;
use model::names::ServiceName;
use tokio::io::{copy, sink};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::error::BuildError;
use crate::command::SEARCH_PATH;
use crate::files::{FileError, file_error, remove_tree};
use crate::settings::IdRange;
use crate::slots::Subnet;

/// How long the proxy may take until it listens. It takes 10 ms.
const START: Duration = Duration::from_secs(10);

/// Whom it runs as, and which program it is.
#[derive(Debug, Clone)]
pub(super) struct ProxyProgram {
    pub(super) program: PathBuf,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The instances' network, which is never reached.
    pub(super) subnet: Subnet,
}

/// A proxy that runs. It ends with this.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Its standard input, a pipe, ends with this process too, however that ends.
    _process: Child,
    folder: PathBuf,
}

impl ProxyProgram {
    /// Starts the proxy of a build that may reach this, and whose root is the first of these ids, in a folder that is
    /// made for it.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) async fn start(
        &self,
        folder: &Path,
        service: &ServiceName,
        egress: &Egress,
        ids: IdRange,
    ) -> Result<Proxy, BuildError> {
        self.make_folder(folder, ids)?;
        let socket = socket(folder);
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &self.uid.to_string(), "--regid", &self.gid.to_string()])
            .args(["--clear-groups", "--no-new-privs", "--inh-caps=-all", "--"])
            .arg(&self.program)
            .args(["build", "--service", service.as_str(), "--subnet", &self.subnet.to_string()])
            .arg("--socket")
            .arg(&socket)
            .args(egress.destinations().iter().map(|it| format!("--allow={it}")))
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut process = command.spawn().map_err(file_error("start", &self.program))?;
        let begun = Instant::now();
        while UnixStream::connect(&socket).await.is_err() {
            if process.try_wait().is_ok_and(|ended| ended.is_some()) || begun.elapsed() > START {
                return Err(BuildError::NoWayOut { said: said(process).await });
            }
            sleep(Duration::from_millis(2)).await;
        }
        // What it says of refusals its client is told too; a pipe that nobody empties would hold it up.
        if let Some(mut log) = process.stderr.take() {
            tokio::spawn(async move { copy(&mut log, &mut sink()).await });
        }
        Ok(Proxy { _process: process, folder: folder.to_owned() })
    }

    /// Makes the folder of the socket, in which the proxy may make it and the build's root find it.
    fn make_folder(&self, folder: &Path, ids: IdRange) -> Result<(), FileError> {
        remove_tree(folder)?;
        fs::create_dir_all(folder).map_err(file_error("make", folder))?;
        chown(folder, Some(self.uid), Some(ids.first))
            .map_err(file_error("change the owner of", folder))?;
        for (folder, mode) in [(Some(folder), 0o710), (folder.parent(), 0o711)] {
            let Some(folder) = folder else { continue };
            fs::set_permissions(folder, Permissions::from_mode(mode))
                .map_err(file_error("change the mode of", folder))?;
        }
        Ok(())
    }
}

impl Proxy {
    /// The socket that it is asked by.
    pub(super) fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Where it stays, the next build removes it.
        let _ = remove_tree(&self.folder);
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// What a proxy wrote that did not start.
async fn said(mut process: Child) -> String {
    let _ = process.start_kill();
    let output = process.wait_with_output().await;
    let said = output.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    said.unwrap_or_default()
}
