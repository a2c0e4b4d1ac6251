//! `bellows validate`: all that is wrong with the operator's files, without changing anything.

use command_line::terminal;
use nix::unistd::geteuid;
use serde::Serialize;

use crate::cli::Place;
use crate::code::Code;
use crate::error::{BadInput, code_of};
use crate::json::{self, FORMAT};
use crate::tree::Tree;
use crate::up;

/// Reads all files of a tree, and checks what they say against each other and this host.
pub(crate) async fn run(place: &Place, json: bool) -> anyhow::Result<()> {
    let checked = check(place).await;
    if json {
        let problems = checked.as_ref().err().and_then(|error| error.downcast_ref());
        let problems = problems.map_or(&[][..], |BadInput(problems)| problems.as_slice());
        // What failed otherwise has found nothing out.
        if checked.is_ok() || !problems.is_empty() {
            json::print(&List::of(problems))?;
        }
        return checked.map(drop);
    }
    let count = checked?;
    let services = if count == 1 { "one service" } else { &format!("{count} services") };
    terminal::tell_line(format_args!("bellows.toml and {services}: nothing is wrong."))?;
    if !geteuid().is_root() {
        terminal::tell_line(
            "Secrets, and what is deployed by now, are for root to compare with: run it with sudo.",
        )?;
    }
    Ok(())
}

/// How many services there are, where nothing is wrong.
async fn check(place: &Place) -> anyhow::Result<usize> {
    let tree = Tree::load(place)?;
    up::check(&tree).await?;
    Ok(tree.services.len())
}

/// What is wrong, as programs are told of it.
#[derive(Debug, Serialize)]
struct List {
    format: u32,
    problems: Vec<Problem>,
    /// Whether secrets and what is deployed were compared with, which root alone may read.
    compared: bool,
}

#[derive(Debug, Serialize)]
struct Problem {
    code: String,
    /// A sentence, for people: it names the file, the line, the key, and what is allowed.
    text: String,
}

impl List {
    fn of(problems: &[anyhow::Error]) -> Self {
        let problem = |error: &anyhow::Error| {
            // Each is bad input, of whichever kind.
            let code = match code_of(error) {
                Code::Failed => Code::BadInput,
                code => code,
            };
            Problem { code: code.to_string(), text: format!("{error:#}") }
        };
        let compared = geteuid().is_root();
        Self { format: FORMAT, problems: problems.iter().map(problem).collect(), compared }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::error::Coded;

    #[test]
    fn programs_are_told_every_problem_with_its_code() {
        let problems = [Coded::new(Code::BadServiceFile, anyhow!("a")).into(), anyhow!("b")];
        let json = serde_json::to_value(List::of(&problems)).unwrap();
        let problem = |code: &str, text: &str| serde_json::json!({"code": code, "text": text});
        let expected = [problem("bad-service-file", "a"), problem("bad-input", "b")];
        assert_eq!((&json["format"], &json["problems"]), (&1.into(), &expected.to_vec().into()));
    }
}
