//! How a command fails: with which code, which exit code, and in which words.

mod code_of;

use std::fmt;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use command_line::terminal::{self, OutputError};
use host::haproxy::HaproxySettingsError;
use scaler_client::ScalerError;

pub(crate) use self::code_of::code_of;
use crate::code::Code;

/// Exit code for bad input, as `--help` documents it.
const BAD_INPUT: u8 = 2;

/// How the word `error` looks where colours are shown.
const STYLE: Style = AnsiColor::Red.on_default().bold();

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

    /// The same problems, each under this code unless it has one.
    pub(crate) fn coded(self, code: Code) -> Self {
        let Self(problems) = self;
        let coded = |problem: anyhow::Error| match problem.is::<Coded>() {
            true => problem,
            false => Coded::new(code, problem).into(),
        };
        Self(problems.into_iter().map(coded).collect())
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

/// A problem of which it is said under which code it is explained, where its type does not tell.
#[derive(Debug)]
pub(crate) struct Coded {
    code: Code,
    problem: anyhow::Error,
}

impl Coded {
    /// That problem under that code.
    pub(crate) fn new(code: Code, problem: impl Into<anyhow::Error>) -> Self {
        Self { code, problem: problem.into() }
    }

    /// Its code.
    #[cfg(test)]
    pub(crate) const fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Coded {
    /// The problem, with what caused it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.problem)
    }
}

impl std::error::Error for Coded {}

/// Tells on standard error what a command ended with, and gives its exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref().is_some_and(OutputError::is_unread) {
        return ExitCode::from(terminal::UNREAD);
    }
    note(&told(code_of(error), &format!("{error:#}")));
    exit_code(error)
}

/// Shows a text on standard output, with its colours where they are shown, and gives the exit code.
pub(crate) fn show(text: impl fmt::Display) -> ExitCode {
    match terminal::tell_to(&mut anstream::stdout(), text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(unwritten) => report(&unwritten.into()),
    }
}

/// Tells something on standard error, with its colours where they are shown; where nobody reads it, it is lost.
fn note(text: &str) {
    let _ = terminal::tell_to(&mut anstream::stderr(), text);
}

/// Tells what is wrong with the command line, or what was asked of `--help` and `--version`.
pub(crate) fn report_usage(told_by_clap: &clap::Error) -> ExitCode {
    if !told_by_clap.use_stderr() {
        return show(told_by_clap.render().ansi());
    }
    let text = told_by_clap.render().to_string();
    note(&told(Code::Usage, text.trim_start_matches("error: ").trim_end()));
    ExitCode::from(BAD_INPUT)
}

/// A message under its code, and where more is said of it. What is said of a deploy last is the verdict on it: scripts
/// and people read it there, and it says what to do.
fn told(code: Code, message: &str) -> String {
    let more = match code {
        Code::DeployFailed => String::new(),
        _ => format!("`bellows help {code}` explains this, and what to do.\n"),
    };
    format!("{STYLE}error[{code}]{STYLE:#}: {message}\n{more}")
}

/// The exit code that `--help` documents.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if is_bad_input(error) { ExitCode::from(BAD_INPUT) } else { ExitCode::FAILURE }
}

fn is_bad_input(error: &anyhow::Error) -> bool {
    error.is::<BadInput>()
        || error.is::<HaproxySettingsError>()
        || error.downcast_ref().is_some_and(ScalerError::is_bad_input)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    /// What is told, without colours.
    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_message_has_a_code_and_says_where_that_is_explained() {
        let error = anyhow!("the cause").context("it did not work");
        let text = plain(&told(code_of(&error), &format!("{error:#}")));
        insta::assert_snapshot!(text, @r"
        error[failed]: it did not work: the cause
        `bellows help failed` explains this, and what to do.
        ");
    }

    #[test]
    fn the_verdict_on_a_deploy_is_its_last_line() {
        let text = plain(&told(Code::DeployFailed, "version 1 of shop was given up"));
        assert_eq!(text, "error[deploy-failed]: version 1 of shop was given up\n");
    }

    #[test]
    fn a_command_line_that_is_not_understood_has_a_code_too() {
        let error = Cli::try_parse_from(["bellows", "services", "--jsn"]).unwrap_err();
        let text = error.render().to_string();
        let text = plain(&told(Code::Usage, text.trim_start_matches("error: ").trim_end()));
        assert!(text.starts_with("error[usage]: unexpected argument '--jsn'"), "{text}");
        assert_eq!(text.matches("error").count(), 1, "{text}");
    }

    #[test]
    fn problems_of_one_file_keep_the_code_that_they_have() {
        let own = Coded::new(Code::NoSuchService, anyhow!("a"));
        let all = BadInput(vec![own.into(), anyhow!("b")]).coded(Code::BadSettings);
        let codes: Vec<Code> = all.0.iter().map(code_of).collect();
        assert_eq!(codes, [Code::NoSuchService, Code::BadSettings]);
        assert_eq!(all.to_string(), "a\nb");
    }
}
