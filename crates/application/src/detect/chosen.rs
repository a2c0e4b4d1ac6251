//! What is to be made of a folder.

use std::collections::BTreeMap;
use std::fmt;

use model::shell::{SHELL, line_of};

use crate::path::EntryPath;

/// The paths that are asked in turn where the user names none, until one answers below 400, the last below 500.
/// Where none does, a port that takes connections will do.
pub const HEALTH_PATHS: [&str; 4] = ["/healthz", "/health", "/up", "/"];

/// Requests that a process takes at once where they wait for each other in one thread, or in threads that cost as
/// little. They cost it little until they have work to do, and an open WebSocket is one of them for as long as it
/// lasts: far fewer would fill an instance with clients that wait for events. More would wait where no new instance
/// takes them over: of bursts of requests of 1 ms CPU time none was late with 100, and 6% with 500.
pub(super) const WAITING_AT_ONCE: u32 = 100;

/// The load balancer gives no service more connections than this while others want some.
const PLACES_MAX: u32 = 2_000;

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

    /// The name of the recipe in `rootfs/` whose image the application's files lie on.
    pub fn image(&self) -> &'static str {
        let needs_more = || self.start.as_ref().is_some_and(Start::needs_a_userland);
        match &self.recipe {
            Recipe::Files => "static-server",
            Recipe::Python { .. } => "python",
            Recipe::Program { .. } if needs_more() => "debian",
            Recipe::Program { .. } => "program",
        }
    }

    /// What `capacity.concurrency` is to be where the user's file does not say: the places of an instance in the
    /// load balancer. `None` leaves it to the service's file, which has 8: nobody knows what it is that is
    /// started.
    pub fn concurrency(&self) -> Option<u32> {
        self.workers.map(Workers::concurrency)
    }
}

impl Start {
    /// The program and its arguments, a shell's where it takes one.
    pub fn command(&self) -> Vec<String> {
        match self {
            Self::Words(words) => words.clone(),
            Self::Shell(line) => {
                SHELL.into_iter().chain([line.as_str()]).map(str::to_owned).collect()
            }
        }
    }

    /// Whether something of a userland stands before the program: a shell, or `env`.
    pub(super) fn needs_a_userland(&self) -> bool {
        match self {
            Self::Words(words) => words.first() != self.first_word().as_ref(),
            Self::Shell(_) => true,
        }
    }

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
            Self::Words(words) => f.write_str(&line_of(words)),
            Self::Shell(line) => f.write_str(line),
        }
    }
}

impl Workers {
    /// One process that takes requests while others wait: a server of asynchronous Python, a compiled program, and
    /// the server of files.
    pub(super) const WAITING: Self = Self { processes: 1, each: WAITING_AT_ONCE };

    /// Requests that an instance takes at once.
    pub fn at_once(self) -> u32 {
        self.processes.saturating_mul(self.each)
    }

    /// What `capacity.concurrency` is for it: HAProxy gives an instance that many requests (`maxconn`) and
    /// queues the rest, and `utilization` asks for another one where 80% of these places are taken.
    ///
    /// It is what takes requests at once, and no more and no fewer. With 8 threads and 100 places, 92 would wait in
    /// gunicorn, where no new instance takes them over and none looks full before 80 do; with 4 places half of the
    /// threads would never work.
    pub fn concurrency(self) -> u32 {
        self.at_once().clamp(1, PLACES_MAX)
    }
}

impl Choice {
    pub(super) fn of(told: impl Into<String>) -> Self {
        Self { told: told.into(), line: None }
    }

    pub(super) fn with(told: impl Into<String>, line: impl Into<String>) -> Self {
        Self { told: told.into(), line: Some(line.into()) }
    }

    pub(super) fn of_workers(workers: Workers) -> Self {
        let places = workers.concurrency();
        let told = format!("requests that an instance is given at once: {places}");
        Self::with(told, format!("capacity.concurrency = {places}"))
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
