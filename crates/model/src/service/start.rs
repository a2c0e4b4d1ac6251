//! What an instance runs, and as whom.

use std::collections::BTreeMap;

use super::release::ReleaseCommand;
use crate::value::{Invalid, check};

/// The kernel takes some 2 MiB of arguments and environment together.
const BYTES_MAX: usize = 1 << 20;

/// What an instance runs. What the service's file leaves out, the image says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartSpec {
    /// The program and its arguments; `None` for the image's.
    pub command: Option<Vec<String>>,
    /// Variables of its environment, beside `PATH` and `LANG`.
    pub environment: BTreeMap<String, String>,
    /// The user, as `name`, `id`, `name:group` or `id:id` of the image; `None` for root.
    pub user: Option<String>,
    /// The folder that it starts in; `None` for `/`.
    pub working_folder: Option<String>,
    /// What is run once a deploy, before a new version serves; `None` for nothing.
    pub release: Option<ReleaseCommand>,
}

impl StartSpec {
    /// Whether everything is left to the image.
    pub fn is_the_images(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn checked(self) -> Result<Self, Invalid> {
        if let Some(command) = &self.command {
            let allowed =
                "the program, and then its arguments, such as [\"/usr/bin/python3\", \"app.py\"]";
            checked_command("instance.command", command, allowed)?;
        }
        for name in self.environment.keys() {
            let allowed = "names of A-Z, a-z, 0-9 and `_` that do not begin with a digit";
            check(is_variable(name), "instance.environment", format!("{name:?}"), allowed)?;
        }
        no_nul("instance.environment", self.environment.values())?;
        let size: usize =
            self.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        check(size <= BYTES_MAX, "instance.environment", "too long", "1 MiB at most")?;
        if let Some(user) = &self.user {
            let allowed = "a user of the image, by name or number, and a group behind a colon where it \
                           is to be another: www-data, 1000, 1000:1000";
            check(is_user(user), "instance.user", format!("{user:?}"), allowed)?;
        }
        if let Some(folder) = &self.working_folder {
            let good = folder.starts_with('/') && !folder.contains(|c: char| c.is_control());
            let shown = format!("{folder:?}");
            check(
                good,
                "instance.working_folder",
                shown,
                "the absolute path of a folder of the image",
            )?;
        }
        Ok(self)
    }
}

/// Checks a program with its arguments.
pub(super) fn checked_command(
    key: &'static str,
    command: &[String],
    allowed: &'static str,
) -> Result<(), Invalid> {
    let is_whole = command.first().is_some_and(|program| !program.is_empty());
    check(is_whole, key, format!("{command:?}"), allowed)?;
    let fits = command.iter().map(|word| word.len() + 1).sum::<usize>() <= BYTES_MAX;
    check(fits, key, "too long", "1 MiB at most")?;
    no_nul(key, command.iter())
}

/// POSIX: uppercase by custom, and not beginning with a digit.
pub(super) fn is_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_user(user: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let is_name = |name: &str| (1..=32).contains(&name.len()) && name.bytes().all(allowed);
    match user.split_once(':') {
        Some((user, group)) => is_name(user) && is_name(group),
        None => is_name(user),
    }
}

fn no_nul<'a>(
    key: &'static str,
    mut values: impl Iterator<Item = &'a String>,
) -> Result<(), Invalid> {
    let has_nul = values.any(|value| value.contains('\0'));
    check(!has_nul, key, "a text with a NUL", "texts without one, where the kernel would end them")
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};

    #[test]
    fn what_is_to_run_is_checked_key_by_key() {
        let with =
            |line: &str| parse(&GOOD.replacen("port = 8000", &format!("port = 8000\n{line}"), 1));
        let spec = with(
            "command = [\"/bin/sh\", \"-c\", \"echo 'a b'\"]\nuser = \"www-data\"\n\
             working_folder = \"/srv/my app\"\nenvironment = { A_1 = \"x\\ny\" }",
        );
        let start = spec.unwrap().instance.start;
        assert_eq!(start.command.as_ref().unwrap().len(), 3);
        assert!(!start.is_the_images() && parse(GOOD).unwrap().instance.start.is_the_images());
        for (line, told) in [
            ("command = []", "instance.command is []: use the program"),
            ("command = [\"\"]", "instance.command is [\"\"]: use the program"),
            ("command = [\"/a\\u0000\"]", "instance.command is a text with a NUL"),
            ("environment = { 1A = \"\" }", "instance.environment is \"1A\": use names"),
            ("environment = { \"A=B\" = \"\" }", "instance.environment is \"A=B\": use names"),
            ("environment = { A = \"\\u0000\" }", "instance.environment is a text with a NUL"),
            ("user = \"a b\"", "instance.user is \"a b\": use a user of the image"),
            ("user = \"a:b:c\"", "instance.user is \"a:b:c\": use a user of the image"),
            ("user = \"\"", "instance.user is \"\": use a user of the image"),
            ("working_folder = \"srv\"", "instance.working_folder is \"srv\": use the absolute"),
        ] {
            let error = with(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
    }
}
