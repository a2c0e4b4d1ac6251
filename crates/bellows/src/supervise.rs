//! `bellows supervise`: keeps one program running where there is no systemd.

use std::path::Path;

/// Runs for ever; it only returns when it could not begin.
pub(crate) fn run(run: &Path, name: &str, command: &[String]) -> anyhow::Result<()> {
    match host::units::supervise(run, name, command)? {}
}
