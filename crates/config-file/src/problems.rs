//! All that is wrong with a text at once. The readers of values stop at the first thing, so a text is read again with
//! what an example has in its place.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{ByKey, ConfigError, Invalid, from_toml_with, line_of, place_of};

/// So many problems are told of one text.
const MAX_PROBLEMS: usize = 100;

/// Reads a TOML text as [`from_toml_with`] does, and tells every key that is wrong. `example` is a text that is right
/// and has all keys that must be there.
///
/// # Errors
/// At least one [`ConfigError`]; only the first where the text is not TOML.
pub fn from_toml_or_problems<R: DeserializeOwned, T>(
    file: impl Display,
    text: &str,
    example: &str,
    check: impl Fn(R) -> Result<T, Invalid>,
) -> Result<T, Vec<ConfigError>> {
    let first = match from_toml_with(&file, text, &check) {
        Ok(value) => return Ok(value),
        Err(first) => first,
    };
    let (Ok(mut table), Ok(example)) = (text.parse(), example.parse()) else {
        return Err(vec![first]);
    };
    let mut told = Vec::new();
    let mut mended = BTreeSet::new();
    while told.len() < MAX_PROBLEMS {
        let Err(invalid) = read(&table, &check) else { break };
        let steps = Steps::of(invalid.key());
        if mended.insert(steps.clone()) {
            told.push(invalid);
            mend(&mut table, &example, &steps);
        } else if mended.insert(steps.first()) {
            // What is there does not go with the example's: all of its table gives way.
            mend(&mut table, &example, &steps.first());
        } else {
            break;
        }
    }
    told.sort_by_key(|invalid| line_of(text, invalid.key()));
    let place = |invalid: &Invalid| place_of(&file, text, invalid.key());
    let told = told.into_iter();
    let told: Vec<_> =
        told.map(|invalid| ConfigError::Invalid { place: place(&invalid), invalid }).collect();
    // The text and what was read from it tell the same, so that there is one.
    if told.is_empty() { Err(vec![first]) } else { Err(told) }
}

/// What a table says, or the first key that is wrong.
fn read<R: DeserializeOwned, T>(
    table: &Table,
    check: &impl Fn(R) -> Result<T, Invalid>,
) -> Result<T, Invalid> {
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(table.clone(), &mut track);
    let raw = ByKey::<R>::deserialize(reader);
    let ByKey(raw) = raw.map_err(|error| {
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default();
        Invalid::form(key(&track.path().to_string(), message), &message)
    })?;
    check(raw)
}

/// The key that a message of a reader is about, which was reading what stands at `path`.
fn key(path: &str, message: &str) -> String {
    let named = ["unknown field `", "missing field `"].into_iter().find_map(|head| {
        let rest = message.strip_prefix(head)?;
        rest.split_once('`').map(|(name, _)| name)
    });
    match (path, named) {
        (".", Some(name)) => name.to_owned(),
        (path, Some(name)) if path.rsplit('.').next() != Some(name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    }
}

/// A key as the names that lead to it, the places in lists left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Steps(Vec<String>);

impl Steps {
    fn of(key: &str) -> Self {
        let name = |step: &str| step.split('[').next().unwrap_or_default().to_owned();
        Self(key.split('.').map(name).collect())
    }

    fn first(&self) -> Self {
        Self(self.0[..1].to_vec())
    }
}

/// Puts what the example has there into the table, or takes out the key of the top level's table that leads there.
fn mend(table: &mut Table, example: &Table, Steps(steps): &Steps) {
    let Some((first, rest)) = steps.split_first() else { return };
    let good = example.get(first);
    match (table.get_mut(first), good, rest) {
        (Some(Value::Table(inner)), Some(Value::Table(good)), [name, deeper @ ..]) => {
            match good.get(name).filter(|_| deeper.is_empty()) {
                Some(value) => inner.insert(name.clone(), value.clone()),
                None => inner.remove(name),
            };
        }
        (Some(Value::Table(inner)), None, [name, ..]) if inner.len() > 1 => {
            inner.remove(name);
        }
        (_, Some(good), _) => {
            table.insert(first.clone(), good.clone());
        }
        (_, None, _) => {
            table.remove(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check, in_range};
    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawPool {
        name: String,
        size: RawSize,
        #[serde(default)]
        folders: Vec<RawFolder>,
        kind: Option<Kind>,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawSize {
        least: u32,
        most: u32,
        #[serde(default)]
        step: u32,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawFolder {
        #[serde(rename = "path")]
        _path: String,
    }

    #[derive(serde::Deserialize)]
    #[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
    enum Kind {
        Plain {},
    }

    const EXAMPLE: &str = "name = \"a\"\n[size]\nleast = 1\nmost = 2\n";

    fn problems(text: &str) -> Vec<String> {
        let read = |RawPool { name, size, folders, kind }: RawPool| {
            check(name != "bad", "name", &name, "another one")?;
            in_range("size.least", size.least, 1..=9)?;
            in_range("size.step", size.step, 0..=9)?;
            super::super::not_above(["size.least", "size.most"], size.least, size.most)?;
            check(folders.len() < 3, "folders", folders.len(), "2 at most")?;
            Ok(kind)
        };
        let read = from_toml_or_problems("p.toml", text, EXAMPLE, read);
        let problems = read.err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_is_told_of_a_text_that_is_right() {
        assert_eq!(problems(EXAMPLE), [""; 0]);
    }

    #[test]
    fn every_wrong_key_is_told_with_its_line_also_below_one_another() {
        let text = "name = \"bad\"\ncolour = 1\n[size]\nleast = 0\nmost = \"many\"\nstep = 70\n\
                    width = 3\n[[folders]]\npath = \"/a\"\n[[folders]]\npat = \"/b\"\n\
                    [kind]\nis = \"fancy\"\n[lost]\na = 1\nb = 2\n";
        insta::assert_snapshot!(problems(text).join("\n"), @r#"
        p.toml, line 1: name is bad: use another one
        p.toml, line 2: colour: unknown field `colour`, expected one of `name`, `size`, `folders`, `kind`
        p.toml, line 4: size.least is 0: use 1 to 9
        p.toml, line 5: size.most: invalid type: string "many", expected u32
        p.toml, line 6: size.step is 70: use 0 to 9
        p.toml, line 7: size.width: unknown field `width`, expected one of `least`, `most`, `step`
        p.toml, line 11: folders[1].pat: unknown field `pat`, expected `path`
        p.toml, line 13: kind.is: unknown variant `fancy`, expected `plain`
        p.toml, line 14: lost: unknown field `lost`, expected one of `name`, `size`, `folders`, `kind`
        "#);
    }

    #[test]
    fn what_is_missing_is_told_with_what_is_wrong() {
        insta::assert_snapshot!(problems("[size]\nleast = \"a\"\n").join("\n"), @r#"
        p.toml: name: missing field `name`
        p.toml, line 1: size.most: missing field `most`
        p.toml, line 2: size.least: invalid type: string "a", expected u32
        "#);
    }

    #[test]
    fn values_that_do_not_fit_each_other_are_told_once() {
        let told = problems("name = \"a\"\n[size]\nleast = 5\nmost = 0\n").join("\n");
        insta::assert_snapshot!(told, @"p.toml, line 3: size.least is 5, above size.most, 0: lower one or raise the other");
    }

    #[test]
    fn a_text_that_is_no_toml_is_told_as_such() {
        let told = problems("name = \n");
        assert!(told.len() == 1 && told[0].contains("TOML parse error at line 1"), "{told:?}");
    }
}
