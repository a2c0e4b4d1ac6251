//! Figures and what is said of them, for people.

use std::fmt;

use maud::{Markup, html};
use serde_json::Value;

/// A figure as people write it: 80.0 is 80, and a row of a list is its keys with their values.
pub(super) struct Told<'a>(pub(super) &'a Value);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(text),
            Value::Number(number) => match number.as_f64() {
                Some(value) if number.is_f64() => write!(f, "{value}"),
                _ => write!(f, "{number}"),
            },
            Value::Array(items) if items.is_empty() => f.write_str("none"),
            Value::Array(items) => several(f, "; ", items.iter().map(|it| format!("{}", Told(it)))),
            Value::Object(keys) => {
                several(f, ", ", keys.iter().map(|(key, it)| format!("{key} {}", Told(it))))
            }
            other => write!(f, "{other}"),
        }
    }
}

fn several(
    f: &mut fmt::Formatter<'_>,
    joint: &str,
    parts: impl Iterator<Item = String>,
) -> fmt::Result {
    f.write_str(&parts.collect::<Vec<_>>().join(joint))
}

/// The unit that a key ends with.
pub(super) fn unit(key: &str) -> Option<&'static str> {
    let (_, last) = key.rsplit_once('_')?;
    match last {
        "ms" => Some("ms"),
        "percent" => Some("%"),
        _ => None,
    }
}

/// What the code says of itself, in which a word between backticks is one of a program's.
pub(super) fn worded(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_figure_is_told_as_people_write_it() {
        let told = |value: Value| Told(&value).to_string();
        assert_eq!(told(json!(80.0)), "80");
        assert_eq!(told(json!(0.25)), "0.25");
        assert_eq!(told(json!("cpu")), "cpu");
        assert_eq!(told(json!([])), "none");
        assert_eq!(
            told(json!([{"past": 0.0, "by": 1}, {"past": 15.0, "by": 2}])),
            "by 1, past 0; by 2, past 15"
        );
        assert_eq!(unit("window_ms"), Some("ms"));
        assert_eq!(unit("upper_percent"), Some("%"));
        assert_eq!(unit("readings"), None);
    }

    #[test]
    fn what_stands_between_backticks_is_a_word_of_a_program() {
        assert_eq!(worded("As `HH:MM`, <b>.").into_string(), "As <code>HH:MM</code>, &lt;b&gt;.");
    }
}
