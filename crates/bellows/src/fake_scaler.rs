//! A scaler for tests: it answers what it is told to, and notes what it was asked.

use std::future::IntoFuture as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, Uri};
use scaler_client::Scaler;
use tempfile::TempDir;
use tokio::net::UnixListener;

/// What it was asked, in order: the path and the query.
type Asked = Arc<Mutex<Vec<String>>>;

/// A scaler that is spoken to by a socket of its own.
pub(crate) struct FakeScaler {
    folder: TempDir,
    asked: Asked,
}

impl FakeScaler {
    /// One that gives these answers: JSON for a path with its query, or `None` where there is no such thing.
    pub(crate) fn new(
        answer: impl Fn(&str) -> Option<String> + Clone + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("operator.sock")).expect("a socket");
        let asked = Asked::default();
        let notes = asked.clone();
        let routes = Router::new().fallback(move |uri: Uri| {
            let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let told = answer(&path);
            notes.lock().expect("no panic").push(path);
            async move {
                let problem = r#"{"error":{"code":"no_such_service","message":"There is none."}}"#;
                told.map_or((StatusCode::NOT_FOUND, problem.to_owned()), |it| (StatusCode::OK, it))
            }
        });
        tokio::spawn(axum::serve(listener, routes).into_future());
        Self { folder, asked }
    }

    /// Its client.
    pub(crate) fn client(&self) -> Scaler {
        let socket = self.folder.path().join("operator.sock");
        Scaler::new(&socket.to_string_lossy()).expect("a client")
    }

    /// The run folder, in which its socket is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}
