//! `bellows help`: the page of a code, the list of codes, or the help of a command.

use std::process::ExitCode;

use anstyle::Style;
use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::code::Code;
use crate::error;

/// The word for the list of all codes.
const CODES: &str = "codes";

/// How headings look where colours are shown.
const HEADING: Style = Style::new().bold();

/// What is to be told.
#[derive(Debug, PartialEq, Eq)]
enum Topic<'a> {
    Code(Code),
    Codes,
    /// A command, or all of them where there are no words.
    Command(&'a [String]),
}

impl<'a> Topic<'a> {
    fn of(words: &'a [String]) -> Self {
        match words {
            [word] if word == CODES => Self::Codes,
            [word] => word.parse().map_or(Self::Command(words), Self::Code),
            words => Self::Command(words),
        }
    }
}

/// Tells what the words ask for.
///
/// # Errors
/// Help of a command, which clap tells in the place of an error; or they name nothing.
pub(crate) fn run(words: &[String]) -> Result<ExitCode, clap::Error> {
    let told = match Topic::of(words) {
        Topic::Code(code) => page(code),
        Topic::Codes => list(),
        Topic::Command(words) => return command(words).map(|()| ExitCode::SUCCESS),
    };
    Ok(error::show(told))
}

/// The page of a code, with its headings set off.
fn page(code: Code) -> String {
    let line = |line: &str| match line.trim_start_matches('#') {
        text if text.len() < line.len() => format!("{HEADING}{}{HEADING:#}\n", text.trim_start()),
        text => format!("{text}\n"),
    };
    code.page().lines().map(line).collect()
}

fn list() -> String {
    let line =
        |code: Code| format!("{HEADING}{:<18}{HEADING:#} {}\n", code.to_string(), code.title());
    let codes: String = Code::all().map(line).collect();
    format!("{codes}\n`bellows help CODE` says what it means, why it happens, and what to do.\n")
}

/// What `bellows COMMAND --help` tells.
fn command(words: &[String]) -> Result<(), clap::Error> {
    let words = words.iter().map(String::as_str);
    let line = ["bellows"].into_iter().chain(words).chain(["--help"]);
    Cli::command().try_get_matches_from(line).map(drop)
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_word_is_a_code_or_a_command_and_never_both() {
        assert_eq!(Topic::of(&words("scaler-away")), Topic::Code(Code::ScalerAway));
        assert_eq!(Topic::of(&words("codes")), Topic::Codes);
        for text in ["", "services", "token make", "scaler-away now"] {
            let words = words(text);
            assert_eq!(Topic::of(&words), Topic::Command(&words), "{text}");
        }
        let names: Vec<String> =
            Code::all().map(|code| code.to_string()).chain([CODES.to_owned()]).collect();
        let cli = Cli::command();
        let taken: Vec<_> = cli
            .get_subcommands()
            .map(clap::Command::get_name)
            .filter(|name| names.iter().any(|code| code == name))
            .collect();
        assert!(taken.is_empty(), "{taken:?}");
    }

    #[test]
    fn the_help_of_a_command_is_what_it_tells_of_itself() {
        let told = |text: &str| command(&words(text)).unwrap_err();
        let of_token = told("token make");
        assert_eq!(of_token.kind(), ErrorKind::DisplayHelp);
        assert!(of_token.to_string().contains("Usage: bellows token make"), "{of_token}");
        assert!(told("").to_string().contains("Usage: bellows"));
        let unknown = told("nonsense");
        assert!(unknown.use_stderr() && unknown.to_string().contains("nonsense"), "{unknown}");
    }

    #[test]
    fn a_page_is_told_without_the_marks_of_its_headings() {
        let plain = anstream::adapter::strip_str(&page(Code::NotRoot)).to_string();
        insta::assert_snapshot!(plain, @r"
        not-root: this needs root

        What it means

        The command changes the host or reads what is root's alone, and was called by another user. Nothing was
        changed; the exit code is 1.

        Why it happens

        It was called without sudo.

        What to do

        Run it again with sudo: `sudo bellows ...`. Commands that only ask the scaler (`services`, `events`,
        `explain`, `top` and others) need the group bellows-operators alone.
        ");
    }

    #[test]
    fn the_list_has_a_line_for_each_code() {
        let plain = anstream::adapter::strip_str(&list()).to_string();
        assert!(plain.contains("disk-full          there is no room on the disk\n"), "{plain}");
        assert_eq!(plain.lines().count(), Code::all().count() + 2);
    }
}
