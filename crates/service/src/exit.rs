//! How a program ends: the exit codes of the project, and the one place that prints an error.

use std::error::Error;
use std::process::ExitCode;

use config_file::ConfigError;

use crate::telemetry::TelemetryError;

/// The exit code of a program that ran and failed.
pub const FAILED: u8 = 1;
/// The exit code of a program that was given a bad file, key, value or argument.
pub const BAD_INPUT: u8 = 2;

/// Prints `error` with its causes to standard error and returns the exit code that belongs to it.
/// The only caller is a program's `main`.
pub fn report(program: &str, error: &(dyn Error + 'static)) -> ExitCode {
    eprintln!("{program}: {}", chain(error));
    ExitCode::from(code(error))
}

/// `error` and its causes, outermost first, joined by colons: what anyhow's `{:#}` says, for an error
/// that is only borrowed.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = anyhow::Chain::new(error).map(ToString::to_string).collect();
    texts.join(": ")
}

fn code(error: &(dyn Error + 'static)) -> u8 {
    let bad_filter = matches!(error.downcast_ref(), Some(TelemetryError::Filter { .. }));
    if bad_filter || error.is::<ConfigError>() { BAD_INPUT } else { FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_input_exits_with_two_and_all_else_with_one() {
        let unread = config_file::read_text("/nowhere".as_ref()).unwrap_err();
        assert_eq!(code(&unread), BAD_INPUT);
        assert_eq!(code(&std::io::Error::other("the disk is gone")), FAILED);
    }
}
