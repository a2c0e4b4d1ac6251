//! The short form of a command line: `simulate trace=FILE policy=NAME json=true`.

use clap::{Arg, Command};
use model::output::harmless;

/// A word that the command line does not know, or with a value that it does not allow.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: use {allowed}", harmless(word))]
pub struct WordError {
    word: String,
    allowed: String,
}

/// The arguments, the program's name first, with each `name=value` as `--name=value`, and
/// `name=true` of a switch as `--name`. The names are those of the options of the subcommand.
///
/// # Errors
/// A word with a `=` that does not begin with the name of an option.
pub fn options(
    program: &Command,
    arguments: impl IntoIterator<Item = String>,
) -> Result<Vec<String>, WordError> {
    let mut arguments = arguments.into_iter();
    let mut options: Vec<String> = arguments.next().into_iter().collect();
    let mut command = program;
    let mut is_value = false;
    for word in arguments {
        if std::mem::take(&mut is_value) {
            options.push(word);
            continue;
        }
        command = command.find_subcommand(&word).unwrap_or(command);
        is_value = wants_value(command, &word);
        match word.split_once('=') {
            Some((name, value)) if !name.starts_with('-') && !name.contains(['/', '.']) => {
                options.extend(option(command, &word, name, value)?);
            }
            _ => options.push(word),
        }
    }
    Ok(options)
}

/// Whether the word after this one is the value of an option: then it may hold a `=`.
fn wants_value(command: &Command, word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| {
        let mut options = command.get_arguments();
        options.any(|arg| arg.get_long() == Some(name) && arg.get_action().takes_values())
    })
}

fn option(
    command: &Command,
    word: &str,
    name: &str,
    value: &str,
) -> Result<Option<String>, WordError> {
    let refused = |allowed| WordError { word: word.to_owned(), allowed };
    let Some(option) = command.get_arguments().find(|arg| arg.get_long() == Some(name)) else {
        let known: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
        return Err(refused(format!("{} before `=`", known.join(", "))));
    };
    match value {
        _ if option.get_action().takes_values() => Ok(Some(format!("--{word}"))),
        "true" => Ok(Some(format!("--{name}"))),
        "false" => Ok(None),
        _ => Err(refused(format!("{name}=true or {name}=false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ArgAction;

    fn of(words: &[&str]) -> Result<Vec<String>, WordError> {
        let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
        let run = Command::new("run")
            .arg(Arg::new("load"))
            .arg(Arg::new("policy").long("policy"))
            .arg(Arg::new("time_factor").long("time-factor"))
            .arg(json);
        let program = Command::new("simulator").subcommand(run);
        options(&program, words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn words_become_options_and_everything_else_stays() {
        let words =
            ["sim", "run", "ramp", "policy=hpa", "json=true", "--peak=3", "./a=b", "json=false"];
        let expected = ["sim", "run", "ramp", "--policy=hpa", "--json", "--peak=3", "./a=b"];
        assert_eq!(of(&words).unwrap(), expected);
    }

    #[test]
    fn the_value_of_an_option_stays_as_it_is() {
        let words = ["sim", "run", "--policy", "a=b", "json=true"];
        assert_eq!(of(&words).unwrap(), ["sim", "run", "--policy", "a=b", "--json"]);
    }

    #[test]
    fn a_wrong_word_is_named_with_those_that_are_allowed() {
        let error = of(&["sim", "run", "polcy=hpa"]).unwrap_err();
        insta::assert_snapshot!(error, @"`polcy=hpa`: use policy, time-factor, json before `=`");
        let error = of(&["sim", "run", "json=yes"]).unwrap_err();
        insta::assert_snapshot!(error, @"`json=yes`: use json=true or json=false");
    }
}
