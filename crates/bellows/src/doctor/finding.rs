//! What one check of the doctor found, and how it reads.

use std::fmt;

use serde::Serialize;

/// What was found where all is well, or why Bellows cannot run.
pub(super) type Verdict = Result<String, Fault>;

/// Why Bellows cannot run.
#[derive(Debug)]
pub(super) struct Fault {
    /// What is wrong.
    problem: String,
    /// What to do about it: a command where there is one.
    cure: String,
}

/// The verdict that Bellows cannot run.
pub(super) fn bad(problem: impl Into<String>, cure: impl Into<String>) -> Verdict {
    Err(Fault { problem: problem.into(), cure: cure.into() })
}

/// A check and its verdict.
#[derive(Debug)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
}

/// A finding, as programs are told of it.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    check: &'static str,
    is_well: bool,
    /// What was found, or what is wrong.
    found: &'a str,
    /// What to do about it; null where all is well.
    cure: Option<&'a str>,
}

impl Finding {
    pub(super) fn shown(&self) -> Shown<'_> {
        let (is_well, found, cure) = match &self.verdict {
            Ok(found) => (true, found, None),
            Err(Fault { problem, cure }) => (false, problem, Some(cure.as_str())),
        };
        Shown { check: self.check, is_well, found, cure }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Ok(found) => write!(f, "  ok    {:<16} {found}", self.check),
            Err(Fault { problem, cure }) => {
                writeln!(f, "  FAIL  {:<16} {problem}", self.check)?;
                write!(f, "        {:<16} cure: {cure}", "")
            }
        }
    }
}
