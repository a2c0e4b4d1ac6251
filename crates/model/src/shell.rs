//! What a line needs a shell for: one of plain words is started by them, and an image may have no shell.

/// What runs a line, as it does the line of a `Procfile`.
pub const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What a line is to a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A program and its arguments, as a shell would have them.
    Words(Vec<String>),
    /// One command, with variables or redirections.
    OneCommand,
    /// Several, or what the shell does itself.
    Commands,
}

/// What a shell does itself. POSIX, 2.9 and 2.14, and of the others those that are no program anywhere.
const BUILTINS: [&str; 18] = [
    ".", ":", "!", "{", "cd", "command", "eval", "exec", "exit", "export", "readonly", "set",
    "shift", "times", "trap", "ulimit", "umask", "unset",
];

impl Line {
    /// Reads a line, or several. `None` where a quote or a backslash has no end.
    ///
    /// It goes by the characters: one in quotes takes the shell too, which reads it alike.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let words = shlex::split(text)?;
        let first = words.first().map(String::as_str).unwrap_or_default();
        // POSIX, 2.9: what joins commands.
        if text.contains(|c: char| ";&|()`\n".contains(c)) || BUILTINS.contains(&first) {
            return Some(Self::Commands);
        }
        // POSIX, 2.2: what is expanded.
        let is_expanded = text.contains(|c: char| "$<>*?[#~".contains(c)) || first.contains('=');
        Some(if is_expanded { Self::OneCommand } else { Self::Words(words) })
    }
}

/// These words as a line. What cannot be quoted holds a NUL, which no command does.
pub fn line_of(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_plain_words_needs_no_shell() {
        for (line, words) in [
            (" ./manage.py  migrate ", &["./manage.py", "migrate"][..]),
            ("a 'b c' \"d\\\"e\" f\\ g", &["a", "b c", "d\"e", "f g"]),
            ("a --b=c,d @e %f +g {h}", &["a", "--b=c,d", "@e", "%f", "+g", "{h}"]),
            ("", &[]),
        ] {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            assert_eq!(Line::read(line), Some(Line::Words(words.clone())), "{line}");
            assert_eq!(Line::read(&line_of(&words)), Some(Line::Words(words)), "{line}");
        }
        assert_eq!(Line::read("a 'b"), None);
    }

    #[test]
    fn what_a_shell_expands_joins_or_does_itself_needs_one() {
        for line in ["a $B", "A=b a", "a > log", "a *.py", "a ~/b", "a '#'", "# a"] {
            assert_eq!(Line::read(line), Some(Line::OneCommand), "{line}");
        }
        for line in ["a && b", "a | b", "a; b", "a\nb", "exec a", "exit 3", "cd src", "a `b`"] {
            assert_eq!(Line::read(line), Some(Line::Commands), "{line}");
        }
    }
}
