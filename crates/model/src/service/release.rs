//! The key `release`: what is run once a deploy, before a new version serves.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::start::checked_command;
use crate::shell::{Line, SHELL, line_of};
use crate::value::Invalid;

/// A release command: a program and its arguments, such as a migration of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseCommand(Vec<String>);

impl ReleaseCommand {
    /// The program and its arguments.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The line that a shell is needed for, if one is.
    pub fn shell_line(&self) -> Option<&str> {
        match self.0.as_slice() {
            [shell, option, line] if [shell, option] == SHELL => Some(line),
            _ => None,
        }
    }
}

impl fmt::Display for ReleaseCommand {
    /// As it was written, on one line: what the shell runs, or the words in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.shell_line().map_or_else(|| line_of(&self.0), str::to_owned);
        let mut lines = text.trim().lines();
        f.write_str(lines.next().unwrap_or_default())?;
        if lines.next().is_some() { f.write_str(" ...") } else { Ok(()) }
    }
}

/// The key as it is written.
#[derive(Debug)]
pub(super) struct RawRelease(Vec<String>);

impl RawRelease {
    pub(super) fn checked(self) -> Result<ReleaseCommand, Invalid> {
        let Self(words) = self;
        let allowed = "a line, such as \"./manage.py migrate\", or the program and then its \
                       arguments, such as [\"./manage.py\", \"migrate\"]";
        checked_command("release", &words, allowed)?;
        Ok(ReleaseCommand(words))
    }
}

impl<'de> Deserialize<'de> for RawRelease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LineOrWords)
    }
}

struct LineOrWords;

impl<'de> Visitor<'de> for LineOrWords {
    type Value = RawRelease;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line, or a program and its arguments such as [\"./manage.py\", \"migrate\"]")
    }

    fn visit_str<E: Error>(self, line: &str) -> Result<RawRelease, E> {
        let [shell, option] = SHELL.map(str::to_owned);
        match Line::read(line) {
            Some(Line::Words(words)) => Ok(RawRelease(words)),
            Some(_) => Ok(RawRelease(vec![shell, option, line.to_owned()])),
            None => Err(E::custom("a quote or a backslash of release has no end: complete it")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawRelease, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(RawRelease(words))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::raw::tests::{GOOD, parse};

    fn with(line: &str) -> Result<super::super::ServiceSpec, String> {
        parse(&GOOD.replacen("[route]", &format!("{line}\n[route]"), 1))
    }

    #[test]
    fn a_release_command_is_a_line_or_a_program_with_its_arguments() {
        let release = |line: &str| with(line).unwrap().instance.start.release.unwrap();
        let line = release("release = \"./manage.py migrate && ./seed\"");
        assert_eq!(line.words(), ["/bin/sh", "-c", "./manage.py migrate && ./seed"]);
        assert_eq!(line.to_string(), "./manage.py migrate && ./seed");
        let lines = release("release = \"\"\"\n./one\n./two\n\"\"\"");
        assert_eq!(
            (lines.to_string().as_str(), &lines.words()[2..]),
            ("./one ...", &["./one\n./two\n".to_owned()][..])
        );
        let plain = release("release = \"./server migrate 'a b'\"");
        assert_eq!(plain.words(), ["./server", "migrate", "a b"], "which needs no shell");
        assert_eq!(plain.to_string(), "./server migrate 'a b'");
        let words = release("release = [\"./manage.py\", \"migrate\"]");
        assert_eq!(words.words(), ["./manage.py", "migrate"]);
        assert_eq!(words.to_string(), "./manage.py migrate");
        let spec = parse(GOOD).unwrap();
        assert_eq!(
            (spec.instance.start.release, spec.release_timeout),
            (None, Duration::from_secs(300))
        );
    }

    #[test]
    fn a_release_command_that_is_none_is_refused_with_what_would_be_one() {
        for (line, told) in [
            ("release = \"  \"", "release is []: use a line"),
            ("release = []", "release is []: use a line"),
            ("release = [\"\"]", "release is [\"\"]: use a line"),
            ("release = \"a\\u0000\"", "release is a text with a NUL: use texts without one"),
            ("release = \"a 'b\"", "a quote or a backslash of release has no end"),
            ("release = 1", "expected a line, or a program and its arguments"),
        ] {
            let error = with(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
    }

    #[test]
    fn the_time_of_a_release_command_is_a_key_of_its_own() {
        let timeout = |ms: u64| {
            parse(&format!("{GOOD}\n[rollout]\nrelease_timeout_ms = {ms}"))
                .map(|it| it.release_timeout)
        };
        assert_eq!(timeout(86_400_000).unwrap(), Duration::from_secs(86_400));
        let message = "rollout.release_timeout_ms is 0: use 1 to 86400000 (milliseconds, one day)";
        assert_eq!(timeout(0).unwrap_err(), message);
    }
}
