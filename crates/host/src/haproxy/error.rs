//! What can go wrong between Bellows and the load balancer, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::CommandError;

/// A change that HAProxy did not take, or could not be asked to take. Whatever it serves, it goes
/// on serving.
#[derive(Debug, thiserror::Error)]
pub enum HaproxyError {
    /// The template cannot be rendered.
    #[error("{}{}: {message}", file.display(), line.map(|n| format!(":{n}")).unwrap_or_default())]
    Template {
        /// The template.
        file: PathBuf,
        /// The line in it, where it is known.
        line: Option<usize>,
        /// What is wrong there.
        message: String,
    },
    /// A file of the load balancer cannot be read or written.
    #[error("{} cannot be {doing}; check its folder's permissions and the space left", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What was tried, as a participle.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// HAProxy does not accept what the template renders to. The configuration in place was kept.
    #[error(
        "HAProxy refuses what {} renders to, which is kept as {}; mend the template",
        template.display(), kept.display()
    )]
    Rejected {
        /// The template.
        template: PathBuf,
        /// The refused text, whose lines HAProxy's message names.
        kept: PathBuf,
        /// What HAProxy said.
        source: CommandError,
    },
    /// The client for the statistics cannot be made.
    #[error("the HTTP client for HAProxy's statistics cannot be made; check this host's resolver")]
    Client(#[source] reqwest::Error),
    /// A socket of HAProxy does not answer.
    #[error("HAProxy does not answer on {}; check that it runs and see what it logged", socket.display())]
    Socket {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// HAProxy answered a command with something other than success.
    #[error(
        "HAProxy answered `{command}` with `{reply}`; it runs another configuration, apply again"
    )]
    Refused {
        /// The command.
        command: String,
        /// The reply.
        reply: String,
    },
    /// HAProxy's answer about itself cannot be understood.
    #[error(
        "HAProxy's answer to `{command}` has no readable {what}; check that it is 2.4 or newer"
    )]
    Malformed {
        /// The command.
        command: &'static str,
        /// What was looked for.
        what: &'static str,
    },
    /// No worker of the new generation appeared.
    #[error(
        "HAProxy did not take up generation {generation} within {waited:?}, asked {asks} times; see \
         what it logged, what it held before it goes on serving"
    )]
    NotReloaded {
        /// The generation that was waited for.
        generation: u64,
        /// How long.
        waited: Duration,
        /// How many times the master was asked.
        asks: u32,
    },
}
