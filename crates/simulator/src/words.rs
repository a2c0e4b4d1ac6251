//! The command line's short form: `simulate trace=FILE policy=NAME json=true`.

/// Options that can be said as `name=value`.
const NAMES: [&str; 10] = [
    "trace",
    "policy",
    "peak",
    "json",
    "seed",
    "time-factor",
    "host",
    "service",
    "detail",
    "tick-ms",
];

/// A word that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// Not a known name before the `=`.
    #[error("`{word}`: allowed before `=` is {known}", known = NAMES.join(", "))]
    Unknown {
        /// The word.
        word: String,
    },
    /// A switch with another value.
    #[error("`{word}`: allowed is json=true or json=false")]
    Json {
        /// The word.
        word: String,
    },
}

/// The arguments with each `name=value` as `--name=value`; `json=true` is the switch `--json`.
///
/// # Errors
/// A word with a `=` that does not begin with a known name.
pub fn options(arguments: impl IntoIterator<Item = String>) -> Result<Vec<String>, WordError> {
    let mut options = Vec::new();
    for word in arguments {
        match word.split_once('=') {
            Some((name, _)) if !name.starts_with('-') && !name.contains(['/', '.']) => {
                options.extend(option(&word, name)?);
            }
            _ => options.push(word),
        }
    }
    Ok(options)
}

fn option(word: &str, name: &str) -> Result<Option<String>, WordError> {
    match word {
        "json=true" => Ok(Some("--json".to_owned())),
        "json=false" => Ok(None),
        _ if name == "json" => Err(WordError::Json { word: word.to_owned() }),
        _ if NAMES.contains(&name) => Ok(Some(format!("--{word}"))),
        _ => Err(WordError::Unknown { word: word.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Vec<String>, WordError> {
        options(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn words_become_options_and_everything_else_stays() {
        let words =
            ["run", "ramp", "policy=hpa", "json=true", "--peak=3", "./a=b.toml", "json=false"];
        let expected = ["run", "ramp", "--policy=hpa", "--json", "--peak=3", "./a=b.toml"];
        assert_eq!(of(&words).unwrap(), expected);
    }

    #[test]
    fn a_wrong_word_is_named_with_those_that_are_allowed() {
        let error = of(&["polcy=hpa"]).unwrap_err();
        insta::assert_snapshot!(error, @"`polcy=hpa`: allowed before `=` is trace, policy, peak, json, seed, time-factor, host, service, detail, tick-ms");
        let error = of(&["json=yes"]).unwrap_err();
        insta::assert_snapshot!(error, @"`json=yes`: allowed is json=true or json=false");
    }
}
