//! What instances write.

use serde::{Deserialize, Serialize};

use crate::names::InstanceName;
use crate::time::Timestamp;

/// One of a program's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that an instance wrote. Its text may hold whatever the instance likes, but no end of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutputLine {
    /// When it was read.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Which instance.
    pub instance: InstanceName,
    /// To which output.
    pub stream: Stream,
    /// What. Bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The newest lines of some instances, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutputPage {
    /// The lines.
    pub lines: Vec<OutputLine>,
}

/// A text of an instance, or one that was refused, as it can be shown on a terminal: characters that would do something there, or
/// turn the direction of what follows, are written as escapes.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || (character.is_control() && character != '\t') {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_do_something_on_a_terminal_is_shown_as_an_escape() {
        assert_eq!(harmless("a\tb ü"), "a\tb ü");
        assert_eq!(harmless("\u{1b}[2J\r\0\u{7f}\u{9b}"), "\\u{1b}[2J\\u{d}\\u{0}\\u{7f}\\u{9b}");
        assert_eq!(harmless("x\u{202e}y"), "x\\u{202e}y");
    }
}
