//! The ways in, and who comes by which: the operators' socket and the console's. There is no port: what strangers reach
//! is the console, a program without rights.

mod caller;
pub(crate) mod identify;
mod rates;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use host::accounts::{self, CONSOLE, OPERATORS};
use host::settings::Settings;
use host::unix_socket;
use service::listener::Unix;
use service::server::{Limits, serve};
use tokio::net::UnixListener;
use tokio::net::unix::UCred;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::shared_state::SharedState;
use identify::Unnamed;

/// Connections at a time by each way in. Those that do nothing make way for others.
const CONNECTIONS: usize = 64;

/// A client that takes nothing of its answer for so long is cut off: the feed's readers get one that does not end.
const TAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is served, by which way in. It ends when told to.
#[derive(Debug)]
pub(crate) struct Doors {
    served: JoinSet<()>,
    end: watch::Sender<()>,
}

impl Doors {
    /// Opens all ways in.
    ///
    /// # Errors
    /// One of them cannot be listened at.
    pub(crate) fn open(settings: &Settings, shared: &Arc<SharedState>) -> anyhow::Result<Self> {
        let operators = socket(&settings.operator_socket(), OPERATORS)?;
        let console = socket(&settings.console_socket(), CONSOLE)?;
        let mut doors = Self { served: JoinSet::new(), end: watch::channel(()).0 };
        let state = Arc::clone(shared);
        doors.serve(operators, move |peer: &UCred| {
            identify::routes(&state, Unnamed::Operates { uid: peer.uid() })
        });
        let routes = identify::routes(shared, Unnamed::Reads);
        doors.serve(console, move |_| routes.clone());
        Ok(doors)
    }

    fn serve<L: axum::serve::Listener>(
        &mut self,
        listener: L,
        routes_for: impl Fn(&L::Addr) -> Router + Send + 'static,
    ) {
        let limits = Limits {
            connections: CONNECTIONS,
            idle_make_way: true,
            take_timeout: Some(TAKE_TIMEOUT),
            ..Limits::default()
        };
        let mut ended = self.end.subscribe();
        let end = async move { drop(ended.changed().await) };
        self.served.spawn(async move {
            // That requests were cut at the end is in the log.
            let _ = serve(listener, routes_for, limits, end).await;
        });
    }

    /// Answers the requests in flight, and closes.
    pub(crate) async fn close(self) {
        drop(self.end);
        self.served.join_all().await;
    }
}

fn socket(path: &Path, group: &str) -> anyhow::Result<Unix> {
    let id = accounts::group(group);
    if id.is_none() {
        tracing::warn!(group, path = %path.display(), "there is no such group: root alone may connect");
    }
    let listener = UnixListener::from_std(unix_socket::listen(path, id)?);
    Ok(Unix(listener.with_context(|| path.display().to_string())?))
}
