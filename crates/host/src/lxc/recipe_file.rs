//! The file `recipe.toml`: what goes into an image, and what its instances run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config_file::{Checked, Invalid};
use model::egress::Egress;
use model::names::ImageName;
use serde::{Deserialize, Serialize};

/// What an instance of an image runs, unless its service's file says otherwise. It finds the port that it is to
/// listen on in the variable `PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageStart {
    /// This, as its first process: one line, the path of a program that is made for that, and words
    /// without blanks.
    Init(String),
    /// This, started by an init of ours: a program and its arguments.
    Command(Vec<String>),
    /// An application of a user's, started by an init of ours.
    Application {
        /// The program and its arguments.
        command: Vec<String>,
        /// Variables of its environment, `PATH` among them.
        environment: BTreeMap<String, String>,
        /// Its working folder.
        working_folder: String,
    },
}

/// The file `recipe.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecipeFile {
    /// Names of this project's programs that go in.
    #[serde(default)]
    pub(super) binaries: Vec<String>,
    /// The arguments with which the first of them checks a service's configuration.
    #[serde(default)]
    pub(super) check: Vec<String>,
    /// The image that this one stands on.
    pub(super) base: Option<ImageName>,
    /// Programs of the host that the script calls, with their Debian packages.
    #[serde(default)]
    pub(super) needs: BTreeMap<String, String>,
    /// Files of the host that the script copies.
    #[serde(default)]
    pub(super) host_files: Vec<PathBuf>,
    /// What the script `packages` may reach.
    #[serde(default)]
    pub(super) egress: Egress,
    init: Option<String>,
    command: Option<Vec<String>>,
}

impl RecipeFile {
    pub(super) fn start(&self) -> ImageStart {
        match &self.init {
            Some(init) => ImageStart::Init(init.clone()),
            None => ImageStart::Command(self.command.clone().unwrap_or_default()),
        }
    }
}

impl Checked for RecipeFile {
    type Raw = Self;

    fn from_raw(raw: Self) -> Result<Self, Invalid> {
        let allowed = "one line that starts with the absolute path of a program in the image";
        if let Some(init) = &raw.init {
            let good = init.starts_with('/') && !init.contains(|c: char| c.is_control());
            config_file::check(good, "init", format!("{init:?}"), allowed)?;
        }
        let is_one = raw.init.is_some() != raw.command.is_some();
        let given = if raw.init.is_some() { "beside init" } else { "not there" };
        let allowed =
            "it for a program that our init starts, or init for one that is the first process";
        config_file::check(is_one, "command", given, allowed)?;
        let is_whole = raw.command.as_ref().is_none_or(|words| !words.is_empty());
        config_file::check(is_whole, "command", "[]", "the program, and then its arguments")?;
        config_file::check(
            !raw.binaries.iter().any(|name| name.contains('/')),
            "binaries",
            format!("{:?}", raw.binaries),
            "names of this project's programs",
        )?;
        config_file::check(
            !raw.binaries.is_empty() || raw.check.is_empty(),
            "check",
            format!("{:?}", raw.check),
            "it with binaries, the first of which is called with it",
        )?;
        config_file::check(
            !raw.needs.keys().any(|program| program.is_empty() || program.contains('/')),
            "needs",
            format!("{:?}", raw.needs),
            "names of programs, each with the Debian package that has it",
        )?;
        config_file::check(
            raw.host_files.iter().all(|file| file.is_absolute()),
            "host_files",
            format!("{:?}", raw.host_files),
            "absolute paths of files of the host",
        )?;
        Ok(raw)
    }
}
