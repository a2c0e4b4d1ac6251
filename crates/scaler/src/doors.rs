//! The ways in, and who comes by which: the operators' socket, the console's socket, and TCP, by which
//! nothing can be changed.

pub(crate) mod tcp;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use host::accounts::{self, CONSOLE, OPERATORS};
use host::settings::Settings;
use host::unix_socket;
use service::listener::{Tcp, Unix};
use service::problem::{Problem, guard};
use service::server::{Limits, serve};
use tokio::net::unix::UCred;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::{Caller, bearer, unauthorized};
use crate::api;
use crate::shared_state::SharedState;

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
    pub(crate) async fn open(
        settings: &Settings,
        shared: &Arc<SharedState>,
    ) -> anyhow::Result<Self> {
        let operators = socket(&settings.operator_socket(), OPERATORS)?;
        let console = socket(&settings.console_socket(), CONSOLE)?;
        let api = settings.listen.api;
        let tcp = TcpListener::bind(api).await.with_context(|| {
            format!("cannot listen on {api}: end what listens there, or change listen.api")
        })?;
        let (end, ended) = watch::channel(());
        let end_of = |ended: &watch::Receiver<()>| {
            let mut ended = ended.clone();
            async move { drop(ended.changed().await) }
        };
        let mut served = JoinSet::new();
        let limits = Limits::default();
        let state = Arc::clone(shared);
        let routes = move |peer: &UCred| for_operators(&state, peer.uid());
        served.spawn(serve_all(serve(operators, routes, limits, end_of(&ended))));
        let routes = for_strangers(shared, Anonymous::Reads);
        served.spawn(serve_all(serve(console, move |_| routes.clone(), limits, end_of(&ended))));
        let routes = tcp::routes(shared, settings);
        served.spawn(serve_all(serve(Tcp(tcp), move |_| routes.clone(), limits, end_of(&ended))));
        Ok(Self { served, end })
    }

    /// Answers the requests in flight, and closes.
    pub(crate) async fn close(self) {
        drop(self.end);
        self.served.join_all().await;
    }
}

/// What somebody may do who does not say who that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anonymous {
    /// Read.
    Reads,
    /// Nothing but ask whether the scaler is there.
    Nothing,
}

async fn serve_all(served: impl Future<Output = service::server::Drained>) {
    let _: service::server::Drained = served.await;
}

fn socket(path: &Path, group: &str) -> anyhow::Result<Unix> {
    let id = accounts::group(group);
    if id.is_none() {
        tracing::warn!(group, path = %path.display(), "there is no such group: root alone may connect");
    }
    let listener = UnixListener::from_std(unix_socket::listen(path, id)?);
    Ok(Unix(listener.with_context(|| path.display().to_string())?))
}

/// The API for a user of the host whom the kernel let connect to the operators' socket.
pub(crate) fn for_operators(shared: &Arc<SharedState>, uid: u32) -> Router {
    api::routes(Arc::clone(shared)).layer(Extension(Caller::Operator { uid }))
}

/// The API for whoever comes by another way, with a token or without.
pub(crate) fn for_strangers(shared: &Arc<SharedState>, anonymous: Anonymous) -> Router {
    let state = (Arc::clone(shared), anonymous);
    guard(api::routes(Arc::clone(shared)).layer(from_fn_with_state(state, identify)))
}

/// Finds out who calls.
async fn identify(
    State((shared, anonymous)): State<(Arc<SharedState>, Anonymous)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = match bearer(request.headers())? {
        Some(secret) => {
            let token = shared.token(secret);
            Caller::Token(token.ok_or_else(|| unauthorized("The token is not known here."))?)
        }
        None if anonymous == Anonymous::Reads || request.uri().path() == api::HEALTH => {
            Caller::Reader
        }
        None => return Err(unauthorized("From beyond the host, reading needs a token.")),
    };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}
