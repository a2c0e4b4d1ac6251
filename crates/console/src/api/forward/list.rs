//! The list of what is passed on to the scaler. What is not in it the console answers itself, or nobody does by this way.

mod jobs;
mod login;

pub(crate) use login::is_login;

use std::time::Duration;

use axum::http::Method;

/// The methods of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Sets.
    Put,
    /// Adds, or asks for something.
    Post,
    /// Removes.
    Delete,
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::GET,
            Verb::Put => Self::PUT,
            Verb::Post => Self::POST,
            Verb::Delete => Self::DELETE,
        }
    }
}

/// What a request has beside its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Nothing.
    Nothing,
    /// Some kilobytes.
    Small,
    /// An archive, which is passed on as it comes.
    Archive,
}

/// What one request takes of the scaler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// An answer from memory.
    Little,
    /// A record, or a change.
    Much,
}

/// One kind of request that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded {
    /// Its method.
    pub method: Verb,
    /// Its path, as the router reads it.
    pub path: &'static str,
    /// What it has beside its head.
    pub carries: Carries,
    /// What it takes.
    pub takes: Takes,
}

impl Forwarded {
    /// How long the head of the answer may take. A change waits for the disk, which others may keep busy; an archive comes
    /// as quickly as its sender sends it; an action has 30 s at the service itself.
    pub(super) fn deadline(&self) -> Duration {
        let seconds = match self.carries {
            Carries::Archive => 600,
            Carries::Nothing | Carries::Small if self.path.ends_with("/actions/{action}") => 40,
            Carries::Nothing | Carries::Small => 10,
        };
        Duration::from_secs(seconds)
    }
}

/// What is passed on of this method and this path, as the router reads it.
pub(crate) fn find(method: &Method, path: &str) -> Option<&'static Forwarded> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    all().find(|it| it.path == path && Method::from(it.method) == *method)
}

const fn read(path: &'static str, takes: Takes) -> Forwarded {
    Forwarded { method: Verb::Get, path, carries: Carries::Nothing, takes }
}

const fn change(method: Verb, path: &'static str, carries: Carries) -> Forwarded {
    Forwarded { method, path, carries, takes: Takes::Much }
}

const BOUNDS: &str = "/v1/services/{name}/bounds";
const POLICY: &str = "/v1/services/{name}/policy";
const HOLD: &str = "/v1/services/{name}/hold";
const INSTANCES: &str = "/v1/services/{name}/instances";
const INSTANCE: &str = "/v1/services/{name}/instances/{instance}";
const SECRETS: &str = "/v1/services/{name}/secrets";
const SECRET: &str = "/v1/services/{name}/secrets/{secret}";
const MEMBERSHIP: &str = "/v1/membership";

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Forwarded> {
    SETTINGS.iter().chain(jobs::JOBS).chain(login::LOGIN)
}

/// What is set and told of what runs.
const SETTINGS: &[Forwarded] = &[
    read(BOUNDS, Takes::Little),
    change(Verb::Put, BOUNDS, Carries::Small),
    change(Verb::Delete, BOUNDS, Carries::Nothing),
    change(Verb::Post, "/v1/services/{name}/bounds/check", Carries::Small),
    read(POLICY, Takes::Little),
    change(Verb::Put, POLICY, Carries::Small),
    change(Verb::Delete, POLICY, Carries::Nothing),
    change(Verb::Post, "/v1/services/{name}/policy/check", Carries::Small),
    read(HOLD, Takes::Little),
    change(Verb::Put, HOLD, Carries::Small),
    change(Verb::Delete, HOLD, Carries::Nothing),
    change(Verb::Post, INSTANCES, Carries::Nothing),
    change(Verb::Delete, INSTANCES, Carries::Nothing),
    change(Verb::Delete, INSTANCE, Carries::Nothing),
    read(SECRETS, Takes::Little),
    change(Verb::Put, SECRET, Carries::Small),
    change(Verb::Delete, SECRET, Carries::Nothing),
    read("/v1/services/{name}/output", Takes::Much),
    read("/v1/services/{name}/why-not", Takes::Much),
    read("/v1/services/{name}/recording", Takes::Much),
    read(MEMBERSHIP, Takes::Little),
    read("/v1/cost", Takes::Much),
    read("/v1/host", Takes::Much),
    read("/v1/host/doctor", Takes::Much),
    change(Verb::Put, MEMBERSHIP, Carries::Small),
    change(Verb::Delete, MEMBERSHIP, Carries::Nothing),
    read("/v1/changes", Takes::Much),
];
