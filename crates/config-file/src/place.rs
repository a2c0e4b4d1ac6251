//! The place of a value in a TOML text, for errors about values that are checked after it was read.

use std::fmt::Display;

use toml::de::{DeTable, DeValue};

/// `file`, with the line of `key` where there is one: `steps.toml, line 12`.
pub fn place_of(file: impl Display, text: &str, key: &str) -> String {
    match line_of(text, key) {
        Some(line) => format!("{file}, line {line}"),
        None => file.to_string(),
    }
}

/// The line of a TOML text, counted from 1, that has a key such as `phases[2].rate`. A list of one
/// needs no index. A key that is left out has the line of its table, and none at the top level.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut start = None;
    let mut steps = key.split('.').map(name_and_index).peekable();
    while let Some((name, index)) = steps.next() {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
        start = Some(key.span().start);
        let mut value = value;
        if let DeValue::Array(list) = value.get_ref() {
            let only = (list.len() == 1 && steps.peek().is_some()).then_some(0);
            let Some(item) = index.or(only).and_then(|index| list.get(index)) else { break };
            start = Some(item.span().start);
            value = item;
        }
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    start.map(|start| 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count())
}

/// `phases[2]` is `phases` and 2.
fn name_and_index(step: &str) -> (&str, Option<usize>) {
    let indexed = step.strip_suffix(']').and_then(|step| step.split_once('['));
    match indexed.and_then(|(name, index)| Some((name, index.parse().ok()?))) {
        Some((name, index)) => (name, Some(index)),
        None => (step, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A comment with an ü, which is two bytes.
name = \"x\"
size.bytes = 64
mix = { get = 1,
  put = 2 }
steps = [
  { past = 0 },
  { past = 10, by = 2 },
]

[capacity]
concurrency = 8

[[policy]]
kind = \"hpa\"
[[policy]]
kind = \"schedule\"
[[policy.entries]]
from = \"08:00\"
[instance.limits]
memory = 4
";

    #[test]
    fn a_key_has_the_line_that_it_stands_in() {
        for (key, line) in [
            ("name", 2),
            ("size.bytes", 3),
            ("mix.get", 4),
            ("mix.put", 5),
            ("steps", 6),
            ("steps[0].past", 7),
            ("steps[1].by", 8),
            ("capacity.concurrency", 12),
            ("policy[0].kind", 15),
            ("policy[1].kind", 17),
            ("policy[1].entries[0].from", 19),
            ("policy[1].entries.from", 19),
            ("instance.limits.memory", 21),
        ] {
            assert_eq!(line_of(TEXT, key), Some(line), "{key}");
        }
        assert_eq!(line_of("a = 1\r\nb = 2\r\n", "b"), Some(2));
    }

    #[test]
    fn a_key_that_is_left_out_has_the_line_of_its_table_or_none() {
        for (key, line) in [
            ("capacity.requests_per_second", Some(11)),
            ("policy[0].sync_ms", Some(14)),
            ("policy[1].time_zone", Some(16)),
            ("steps[0].by", Some(7)),
            ("seed", None),
            ("the sum of mix", None),
        ] {
            assert_eq!(line_of(TEXT, key), line, "{key}");
        }
        assert_eq!(line_of("no TOML", "no"), None);
        assert_eq!(place_of("x.toml", TEXT, "seed"), "x.toml");
        assert_eq!(place_of("x.toml", TEXT, "name"), "x.toml, line 2");
    }
}
