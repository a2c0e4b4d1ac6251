//! What is wrong with a text, key by key. The readers of values stop at the first thing, so a text is read again with
//! what an example has in its place.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{ByKey, ConfigError, Invalid, from_toml_with, line_of, place_of};

/// So many problems are told of one text.
const MAX_PROBLEMS: usize = 100;

/// Reads a TOML text as [`from_toml_with`] does, and tells each key that is wrong; of a list, the first of its items
/// that is. `example` is a text that is right and has all keys that must be there.
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
    let (Ok(written), Ok(example)) = (text.parse(), example.parse()) else {
        return Err(vec![first]);
    };
    let told = told(file, text, problems(written, &example, &check));
    // The text and what was read from it tell the same, so that there is one.
    if told.is_empty() { Err(vec![first]) } else { Err(told) }
}

/// The same of a text that need not say everything: `complete` adds to what it says what it leaves out. Gives what
/// was read, and the whole table of it.
///
/// # Errors
/// As [`from_toml_or_problems`]; a problem with what was added has no line.
pub fn from_partial_toml_or_problems<R: DeserializeOwned, T>(
    file: impl Display,
    text: &str,
    complete: impl FnOnce(Table) -> Table,
    example: &str,
    check: impl Fn(R) -> Result<T, Invalid>,
) -> Result<(T, Table), Vec<ConfigError>> {
    let place = file.to_string();
    let written = from_toml_with(&place, text, Ok).map_err(|first| vec![first])?;
    let whole = complete(written);
    let first = match read(&whole, &check) {
        Ok(value) => return Ok((value, whole)),
        Err(wrong) => wrong.into_invalid(),
    };
    let example = example.parse().unwrap_or_default();
    let all = match problems(whole, &example, &check) {
        none if none.is_empty() => vec![first],
        all => all,
    };
    Err(told(place, text, all))
}

/// What is told of problems, in the order of their lines.
fn told(file: impl Display, text: &str, problems: Vec<Invalid>) -> Vec<ConfigError> {
    let place = |invalid: &Invalid| place_of(&file, text, invalid.key());
    let mut told: Vec<_> = problems
        .into_iter()
        .map(|invalid| (line_of(text, invalid.key()), place(&invalid), invalid))
        .collect();
    told.sort_by_key(|(line, ..)| *line);
    let error = |(_, place, invalid)| ConfigError::Invalid { place, invalid };
    told.into_iter().map(error).collect()
}

/// What is wrong with `written`, until all of it is mended or gave way.
fn problems<R: DeserializeOwned, T>(
    written: Table,
    example: &Table,
    check: &impl Fn(R) -> Result<T, Invalid>,
) -> Vec<Invalid> {
    let mut table = written.clone();
    let mut told = Vec::new();
    let mut mended: BTreeSet<Steps> = BTreeSet::new();
    while told.len() < MAX_PROBLEMS {
        let Err(wrong) = read(&table, check) else { break };
        let steps = Steps::of(wrong.invalid().key());
        let is_ours = |key: &str| mended.is_empty() || same(&written, &table, &Steps::of(key));
        let is_told = match &wrong {
            // A key that is missing since it was taken out was told when it was.
            Wrong::Form(_) => !mended.contains(&steps),
            // What does not go with a value of the example's is no fault of the text.
            Wrong::Value(invalid) => invalid.keys().into_iter().all(is_ours),
        };
        // Where what is there does not go with the example's, more and more of its table gives way.
        let Some(steps) = steps.and_above().find(|steps| mended.insert(steps.clone())) else {
            break;
        };
        mend(&mut table, example, &steps.0);
        let invalid = wrong.into_invalid();
        if is_told && !told.contains(&invalid) {
            told.push(invalid);
        }
    }
    told
}

/// Whether a key of the text has the value that is read.
fn same(written: &Table, table: &Table, steps: &Steps) -> bool {
    let found = steps.value(written);
    found.is_some() && found == steps.value(table)
}

/// What is wrong with a table.
enum Wrong {
    /// With what is written: a key that is not known or not there, a value of another type.
    Form(Invalid),
    /// With a value that was read.
    Value(Invalid),
}

impl Wrong {
    fn invalid(&self) -> &Invalid {
        match self {
            Self::Form(invalid) | Self::Value(invalid) => invalid,
        }
    }

    fn into_invalid(self) -> Invalid {
        match self {
            Self::Form(invalid) | Self::Value(invalid) => invalid,
        }
    }
}

/// What a table says, or the first key that is wrong.
fn read<R: DeserializeOwned, T>(
    table: &Table,
    check: &impl Fn(R) -> Result<T, Invalid>,
) -> Result<T, Wrong> {
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(table.clone(), &mut track);
    let raw = ByKey::<R>::deserialize(reader);
    let ByKey(raw) = raw.map_err(|error| {
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default();
        Wrong::Form(Invalid::form(key(&track.path().to_string(), message), &message))
    })?;
    check(raw).map_err(Wrong::Value)
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

    /// These, and those of the tables around it.
    fn and_above(&self) -> impl Iterator<Item = Self> {
        (1..=self.0.len()).rev().map(|count| Self(self.0[..count].to_vec()))
    }

    /// What stands there.
    fn value<'a>(&self, table: &'a Table) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(table.get(first)?, |value, name| value.as_table()?.get(name))
    }
}

/// Puts what the example has there into the table, or takes it out.
fn mend(table: &mut Table, example: &Table, steps: &[String]) {
    let Some((name, rest)) = steps.split_first() else { return };
    let good = example.get(name);
    match (table.get_mut(name), rest) {
        (Some(Value::Table(inner)), [_, ..]) => {
            let none = Table::new();
            mend(inner, good.and_then(Value::as_table).unwrap_or(&none), rest);
        }
        _ => match good {
            Some(good) => {
                table.insert(name.clone(), good.clone());
            }
            None => {
                table.remove(name);
            }
        },
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
        #[serde(default)]
        more: std::collections::BTreeMap<String, RawMore>,
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
    struct RawMore {
        a: u32,
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
        let read = |RawPool { name, size, folders, more, kind }: RawPool| {
            check(more.values().all(|it| it.a < 9), "more", "9", "less")?;
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
    fn a_text_that_leaves_out_what_is_added_is_read_and_problems_have_its_lines() {
        let complete = |mut table: Table| {
            table.entry("name").or_insert_with(|| "pool".into());
            let size = Table::from_iter(
                [("least", 1), ("most", 2)].map(|(key, number)| (key.to_owned(), number.into())),
            );
            table.entry("size").or_insert_with(|| size.into());
            table
        };
        let read = |text: &str| {
            let check = |raw: RawPool| {
                check(raw.size.least <= raw.size.most, "size.least", raw.size.least, "less")?;
                Ok(raw.name)
            };
            from_partial_toml_or_problems("pool.toml", text, complete, EXAMPLE, check)
        };
        let (name, whole) = read("").unwrap();
        assert_eq!((name.as_str(), whole["size"]["most"].as_integer()), ("pool", Some(2)));
        let told = |text: &str| {
            let problems = read(text).unwrap_err();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            told("\nname = 3\nsize = { least = 4, most = 3 }"),
            [
                "pool.toml, line 2: name: invalid type: integer `3`, expected a string",
                "pool.toml, line 3: size.least is 4: use less",
            ]
        );
        assert!(told("name = ")[0].starts_with("pool.toml: TOML parse error at line 1"));
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
        p.toml, line 2: colour: unknown field `colour`, expected one of `name`, `size`, `folders`, `more`, `kind`
        p.toml, line 4: size.least is 0: use 1 to 9
        p.toml, line 5: size.most: invalid type: string "many", expected u32
        p.toml, line 6: size.step is 70: use 0 to 9
        p.toml, line 7: size.width: unknown field `width`, expected one of `least`, `most`, `step`
        p.toml, line 11: folders[1].pat: unknown field `pat`, expected `path`
        p.toml, line 13: kind.is: unknown variant `fancy`, expected `plain`
        p.toml, line 14: lost: unknown field `lost`, expected one of `name`, `size`, `folders`, `more`, `kind`
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
        // The example has the same there, so that it is found a second time.
        assert_eq!(problems("name = \"a\"\n[size]\nleast = 1\nmost = 0\n").len(), 1);
    }

    /// The example's 2 is not the text's, nor is it the text's fault that it has no more than that.
    #[test]
    fn what_does_not_go_with_the_example_is_not_told() {
        let told = problems("name = \"a\"\n[size]\nleast = 5\nmost = \"many\"\n");
        assert_eq!(
            told,
            [r#"p.toml, line 4: size.most: invalid type: string "many", expected u32"#]
        );
    }

    #[test]
    fn keys_of_tables_within_tables_are_told_each() {
        let text = "name = \"a\"\n[size]\nleast = 1\nmost = 2\n[more.one]\na = 1\nb = 2\n[more.two]\na = \"x\"\n";
        insta::assert_snapshot!(problems(text).join("\n"), @r#"
        p.toml, line 7: more.one.b: unknown field `b`, expected `a`
        p.toml, line 9: more.two.a: invalid type: string "x", expected u32
        "#);
    }

    #[test]
    fn a_text_that_is_no_toml_is_told_as_such() {
        let told = problems("name = \n");
        assert!(told.len() == 1 && told[0].contains("TOML parse error at line 1"), "{told:?}");
    }
}
