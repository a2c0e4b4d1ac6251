//! How a command fails, and with which exit code.

use std::fmt;
use std::process::ExitCode;

use host::haproxy::HaproxySettingsError;
use scaler_client::ScalerError;

/// Exit code for bad input, as `--help` documents it.
const BAD_INPUT: u8 = 2;

/// What the operator wrote or typed cannot be used, and nothing was changed. Every problem is told
/// at once.
#[derive(Debug, Default)]
pub(crate) struct BadInput(pub(crate) Vec<anyhow::Error>);

impl BadInput {
    /// One problem.
    pub(crate) fn new(problem: impl Into<anyhow::Error>) -> Self {
        Self(vec![problem.into()])
    }

    /// Takes over the problems that a check has found.
    ///
    /// # Errors
    /// It has found none, but failed.
    pub(crate) fn add(&mut self, check: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = check else { return Ok(()) };
        let Self(problems) = error.downcast()?;
        self.0.extend(problems);
        Ok(())
    }

    /// `value`, where there are no problems.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for BadInput {
    /// A line for each problem, with what caused it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|problem| format!("{problem:#}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for BadInput {}

/// The exit code that `--help` documents.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    let is_bad_input = error.is::<BadInput>()
        || error.is::<HaproxySettingsError>()
        || error.downcast_ref().is_some_and(ScalerError::is_bad_input);
    if is_bad_input { ExitCode::from(BAD_INPUT) } else { ExitCode::FAILURE }
}
