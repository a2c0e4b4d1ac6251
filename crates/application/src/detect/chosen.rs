//! What is to be made of a folder.

use std::collections::BTreeMap;
use std::fmt;

use crate::path::EntryPath;

/// The paths that are asked in turn where the user names none, until one answers below 400, the last below 500.
/// Where none does, a port that takes connections will do.
pub const HEALTH_PATHS: [&str; 4] = ["/healthz", "/health", "/up", "/"];

/// What is to be made of a folder. The application's folder is the working folder of what is started, and the
/// port that it is to listen on is in the variable `PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What the image is made of.
    pub recipe: Recipe,
    /// What is started; `None` for files, which have a server of Bellows.
    pub start: Option<Start>,
    /// Variables of its environment, beside `PORT`.
    pub environment: BTreeMap<&'static str, &'static str>,
    /// How much an instance serves at once; `None` where the command does not tell.
    pub workers: Option<Workers>,
    /// What was found and chosen, in the order in which it matters.
    pub notes: Vec<Choice>,
}

/// What an image is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// A program that needs nothing else, and the files beside it.
    Program {
        /// The program.
        program: EntryPath,
    },
    /// A Python application.
    Python {
        /// Where what it needs is written.
        declared: Declared,
        /// What it needs beside that: packages, as pip names them.
        added: Vec<&'static str>,
    },
    /// Files, as they are.
    Files,
}

/// Where a Python application says what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// `requirements.txt`.
    Requirements,
    /// `pyproject.toml`.
    Project,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The program and its arguments.
    Words(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

/// What an instance serves at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Processes that take requests.
    pub processes: u32,
    /// Requests that each of them takes at once.
    pub each: u32,
}

/// What was chosen, and the line of `bellows.toml` that chooses otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// A sentence without its full stop.
    pub told: String,
    /// The line.
    pub line: Option<String>,
}

impl Chosen {
    /// A choice of a recipe, with nothing to be started yet.
    pub(super) fn new(recipe: Recipe, note: Choice) -> Self {
        Self { recipe, start: None, environment: BTreeMap::new(), workers: None, notes: vec![note] }
    }
}

impl Start {
    /// The program and its arguments, a shell's where it takes one.
    pub fn command(&self) -> Vec<String> {
        match self {
            Self::Words(words) => words.clone(),
            Self::Shell(line) => ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        }
    }
}

impl Start {
    /// The word that it begins with, behind what a shell or `env` sets before it.
    pub(super) fn first_word(&self) -> Option<String> {
        let words = match self {
            Self::Words(words) => words.clone(),
            Self::Shell(line) => line.split_whitespace().map(str::to_owned).collect(),
        };
        let is_before =
            |word: &String| word.contains('=') || ["exec", "env"].contains(&word.as_str());
        words.into_iter().find(|word| !is_before(word))
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What cannot be quoted holds a NUL, which no command does.
            Self::Words(words) => {
                f.write_str(&shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default())
            }
            Self::Shell(line) => f.write_str(line),
        }
    }
}

impl Workers {
    /// Requests that an instance takes at once.
    pub fn at_once(self) -> u32 {
        self.processes.saturating_mul(self.each)
    }
}

impl Choice {
    pub(super) fn of(told: impl Into<String>) -> Self {
        Self { told: told.into(), line: None }
    }

    pub(super) fn with(told: impl Into<String>, line: impl Into<String>) -> Self {
        Self { told: told.into(), line: Some(line.into()) }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            None => write!(f, "{}.", self.told),
            Some(line) => write!(f, "{}; to change it, write: {line}", self.told),
        }
    }
}
