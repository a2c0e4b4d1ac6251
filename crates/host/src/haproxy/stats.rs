//! What HAProxy's statistics say, and when they are not to be trusted.

use std::collections::BTreeMap;
use std::time::Duration;

use model::names::{ServiceName, Slot};
use tokio::time::Instant;

/// Statistics that cannot be had, or not be trusted. Whoever decides on them holds.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// HAProxy did not answer in time, or not with 200.
    #[error("HAProxy's statistics cannot be fetched from {place}; check that it runs")]
    Fetch {
        /// The socket or the address.
        place: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What came is no table of statistics.
    #[error(
        "HAProxy's statistics start with `{start}`, not with their header; check what listens on that port"
    )]
    NotStatistics {
        /// Its first characters.
        start: String,
    },
    /// A column is missing.
    #[error("HAProxy's statistics have no column `{0}`; check that it is 2.4 or newer")]
    NoColumn(&'static str),
    /// A line breaks off, or is no CSV.
    #[error("HAProxy's statistics are malformed")]
    Csv(#[from] csv::Error),
    /// A figure is no figure.
    #[error("HAProxy's statistics say `{text}` in column {column} of {proxy}/{server}")]
    Figure {
        /// The proxy.
        proxy: String,
        /// The server, or BACKEND.
        server: String,
        /// The column.
        column: &'static str,
        /// What it says.
        text: String,
    },
    /// A row that every complete table has is missing.
    #[error(
        "HAProxy's statistics lack the row {0}: they are cut short, or of another configuration"
    )]
    NoRow(String),
}

/// By which the statistics are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// The control loop's own.
    Socket,
    /// That of all users of the host.
    Address,
}

impl Entrance {
    /// Its name among the statistics.
    pub(super) fn proxy(self) -> &'static str {
        match self {
            Self::Socket => "bellows.scrape",
            Self::Address => "bellows.statistics",
        }
    }
}

/// The process that counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// The generation of the configuration that it read when it started.
    pub generation: u64,
    /// Seconds since it started.
    pub age_s: u64,
    /// Connections by the entrance that was asked, this one's among them. Each scrape is one.
    pub scrapes: u64,
}

impl Worker {
    /// Whether this is the process that counted `earlier`. It keeps its generation, grows older, and is
    /// scraped once more each time. The age alone would not do: it is in whole seconds, and a worker
    /// started anew after a crash can be as old within one.
    pub fn continues(&self, earlier: &Self) -> bool {
        let grown = earlier.age_s <= self.age_s && earlier.scrapes < self.scrapes;
        earlier.generation == self.generation && grown
    }
}

/// All services at one moment.
#[derive(Debug, Clone)]
pub struct Stats {
    /// When they were asked for: what was in effect by then is in them.
    pub asked_at: Instant,
    /// Who counted.
    pub worker: Worker,
    /// Every service that HAProxy has a backend for.
    pub services: BTreeMap<ServiceName, ServiceStats>,
}

/// One service. What HAProxy leaves blank is `None`: not known, and not 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceStats {
    /// Requests that wait: in the backend's queue, in those of its servers, which the backend's own
    /// figure leaves out, and those that are held until a server takes requests again.
    pub queued: Option<u64>,
    /// Requests in the backend, both those that wait and those that are served.
    pub in_flight: Option<u64>,
    /// What has happened since the worker started.
    pub counters: Counters,
    /// Its instances in rotation by their slots, those included that drain.
    pub servers: BTreeMap<Slot, ServerStats>,
}

/// What a worker counts from its start. A new worker starts from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that arrived for the service, counted before they wait: the load offered.
    pub sessions: Option<u64>,
    /// Requests that were answered, counted when the answer's head has come.
    pub requests: Option<u64>,
    /// Answers 1xx.
    pub informational: Option<u64>,
    /// Answers 2xx.
    pub success: Option<u64>,
    /// Answers 3xx.
    pub redirection: Option<u64>,
    /// Answers 4xx.
    pub client_error: Option<u64>,
    /// Answers 5xx, HAProxy's own among them.
    pub server_error: Option<u64>,
    /// Answers with any other status, and requests that ended without one.
    pub other: Option<u64>,
    /// Tries after a failed one, on the same server.
    pub retries: Option<u64>,
    /// Tries after a failed one, on another server.
    pub redispatches: Option<u64>,
    /// Requests refused by a rule.
    pub denied: Option<u64>,
    /// Connections to servers that failed.
    pub connection_errors: Option<u64>,
    /// Answers that broke off.
    pub response_errors: Option<u64>,
}

/// One server of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStats {
    /// The name of its line, which goes on to count for the next instance that gets it.
    pub line: String,
    /// Whether it takes requests.
    pub status: ServerStatus,
    /// Requests that it is serving.
    pub in_flight: Option<u64>,
    /// Requests that wait for this very server.
    pub queued: Option<u64>,
    /// Requests that were given to it since the worker started.
    pub sessions: Option<u64>,
    /// Time since the last one, in whole seconds; `None` also when there was none yet.
    pub last_session: Option<Duration>,
    /// Requests that it has answered since the worker started, whatever the status.
    pub answers: Option<u64>,
    /// Those of them with a status 5xx. HAProxy's own are not among them.
    pub server_errors: Option<u64>,
    /// Requests that it did not answer in time or at all, or whose answer broke off, other than those that were
    /// answered when they were tried again.
    pub response_errors: Option<u64>,
    /// The last check's outcome as HAProxy names it (`L7OK`, `L4CON` ...); `None` without checks.
    pub check: Option<String>,
}

impl ServerStats {
    /// Whether its last check got no answer in time, neither to the connection nor to the request.
    /// Another status than 200, or a refusal, is an answer.
    pub fn is_silent(&self) -> bool {
        matches!(self.check.as_deref(), Some("L4TOUT" | "L6TOUT" | "L7TOUT"))
    }
}

/// Whether a server takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerStatus {
    /// It is well and takes requests.
    Up,
    /// Its health check fails, or a connection to it did.
    Down,
    /// It is out of rotation by command.
    Maint,
    /// It ends what it has and takes nothing new.
    Drain,
    /// It is well, and asked by its check for no new requests.
    Nolb,
    /// It takes requests, and nobody checks whether it is well.
    NoCheck,
}
