//! What must not leave the host: found in files that people wrote, and taken out of every text.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// What stands in the place of what is taken out.
pub(super) const MASKED: &str = "(masked)";

/// Keys below which a service's file holds what its program is told, and nobody else.
const OF_THE_PROGRAM: [&str; 4] = ["environment", "application", "command", "release"];

/// Parts of keys that name what is nobody's business. `secrets` is a list of their names.
const SOUNDS_SECRET: [&str; 7] =
    ["password", "passwd", "token", "credential", "secret", "api_key", "private"];
const NAMES_OF_SECRETS: &str = "secrets";

/// Values that are shorter are found in any text.
const SHORTEST: usize = 6;

/// The values that are taken out of every text.
#[derive(Debug, Default)]
pub(super) struct Mask {
    values: BTreeSet<String>,
}

impl Mask {
    /// A TOML text without what its program alone is told, and without comments. What it takes out, it takes out of
    /// other texts from then on.
    ///
    /// # Errors
    /// It is no TOML, and so cannot be told from what it must not hold.
    pub(super) fn toml(&mut self, text: &str) -> Result<String, toml::de::Error> {
        let mut table: Table = toml::from_str(text)?;
        self.table(&mut table, false);
        Ok(table.to_string())
    }

    fn table(&mut self, table: &mut Table, is_hidden: bool) {
        for (key, value) in table.iter_mut() {
            let is_own = is_hidden
                || OF_THE_PROGRAM.contains(&key.as_str())
                || (key != NAMES_OF_SECRETS && SOUNDS_SECRET.iter().any(|it| key.contains(it)));
            match value {
                // The program is known; its arguments may be anything.
                Value::Array(words) if key == "command" && !is_hidden => {
                    words.iter_mut().skip(1).for_each(|word| self.value(word, true));
                }
                value => self.value(value, is_own),
            }
        }
    }

    fn value(&mut self, value: &mut Value, is_hidden: bool) {
        match value {
            Value::Table(table) => self.table(table, is_hidden),
            Value::Array(values) => values.iter_mut().for_each(|it| self.value(it, is_hidden)),
            Value::String(text) if is_hidden => {
                self.add(text);
                MASKED.clone_into(text);
            }
            value if is_hidden => {
                self.add(&value.to_string());
                *value = Value::String(MASKED.to_owned());
            }
            _ => {}
        }
    }

    /// A value to take out, each of its lines too, and what stands behind a `=` in it. Options without a value are none.
    pub(super) fn add(&mut self, value: &str) {
        let lines = value.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        for line in lines {
            let behind = line.split_once('=').map(|(_, value)| value);
            let is_option = line.starts_with('-') && behind.is_none();
            let parts = [Some(line).filter(|_| !is_option), behind];
            let parts = parts.into_iter().flatten().filter(|part| part.len() >= SHORTEST);
            self.values.extend(parts.map(str::to_owned));
        }
    }

    /// The values of all files below a folder, where they can be read.
    pub(super) fn add_files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.add_files(&path),
                Ok(kind) if kind.is_file() => self.add_file(&path),
                _ => {}
            }
        }
    }

    /// The value that a file holds, where it can be read.
    pub(super) fn add_file(&mut self, file: &Path) {
        let bytes = fs::read(file).unwrap_or_default();
        self.add(&String::from_utf8_lossy(&bytes));
    }

    /// A text without any of the values, as they are and as JSON writes them, and without the passwords of addresses.
    pub(super) fn text(&self, text: &str) -> String {
        let mut values: Vec<&String> = self.values.iter().collect();
        // One may be a part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let mut text = text.to_owned();
        for value in values {
            let as_json = serde_json::Value::from(value.as_str()).to_string();
            for written in [value.as_str(), as_json.trim_matches('"')] {
                if text.contains(written) {
                    text = text.replace(written, MASKED);
                }
            }
        }
        text.split_inclusive(char::is_whitespace).map(without_login).collect()
    }
}

/// A word without what stands between `//` and `@` in it.
fn without_login(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let host = rest.split(['/', '?', '"']).next().unwrap_or(rest);
    match host.rfind('@') {
        Some(at) => format!("{scheme}://{MASKED}{}", &rest[at..]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_is_told_is_taken_out_of_its_file_and_of_every_text() {
        let file = "name = \"shop\" # root: hunter22\n[instance]\nport = 8000\n\
            command = [\"/srv/server\", \"--verbose\", \"--key=s3cr3t-arg\"]\n\
            secrets = [\"db-password\"]\n\
            [instance.environment]\nDB = \"postgres://me:pa55word@db/shop\"\nN = \"7\"\n\
            [application]\ncommand = [\"first-value\"]\nlimits = { pin = 123456 }\n\
            [limits]\nadmin_token = \"t0ken-value\"\n";
        let mut mask = Mask::default();
        insta::assert_snapshot!(mask.toml(file).unwrap(), @r#"
        name = "shop"

        [application]
        command = ["(masked)"]

        [application.limits]
        pin = "(masked)"

        [instance]
        command = ["/srv/server", "(masked)", "(masked)"]
        port = 8000
        secrets = ["db-password"]

        [instance.environment]
        DB = "(masked)"
        N = "(masked)"

        [limits]
        admin_token = "(masked)"
        "#);
        let text = mask.text("ran --key=s3cr3t-arg, --verbose, 7 of t0ken-value, 123456");
        assert_eq!(text, "ran (masked), --verbose, 7 of (masked), (masked)");
        assert!(mask.toml("no = toml = at all").is_err());
    }

    #[test]
    fn a_value_is_found_as_json_writes_it_and_line_by_line() {
        let mut mask = Mask::default();
        mask.add("qu\"ote\\d-value");
        mask.add("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----\n");
        let json = serde_json::to_string(&["qu\"ote\\d-value", "plain"]).unwrap();
        assert_eq!(mask.text(&json), r#"["(masked)","plain"]"#);
        assert_eq!(mask.text("key: MIIEvQIBADANBg\n"), "key: (masked)\n");
    }

    #[test]
    fn the_password_of_an_address_is_taken_out_wherever_it_stands() {
        let mask = Mask::default();
        let text = "to https://me:secret@host:8080/a?b=c@d and http://host/@x\n";
        assert_eq!(mask.text(text), "to https://(masked)@host:8080/a?b=c@d and http://host/@x\n");
    }
}
