//! The actions of services' files, a few at a time: each waits for a service, for as long as that may take.

use std::io;
use std::net::SocketAddr;

use host::action_request::{ActionClient, NoAnswer};
use model::service::{ActionAnswer, Route, ServiceAction};
use tokio::sync::Semaphore;

/// So many are sent at a time: each has a connection and a place in the load balancer's queue.
const AT_ONCE: usize = 4;

/// Why an action has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDone {
    /// As many are sent as may be.
    #[error("{AT_ONCE} actions are sent already: try again when one of them has its answer")]
    TooMany,
    /// No answer came.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// What sends them.
#[derive(Debug)]
pub(crate) struct Actions {
    client: ActionClient,
    places: Semaphore,
}

impl Actions {
    /// By the load balancer that takes requests for services there.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub(crate) fn new(services: SocketAddr) -> io::Result<Self> {
        let client = ActionClient::new(services).map_err(io::Error::other)?;
        Ok(Self { client, places: Semaphore::new(AT_ONCE) })
    }

    /// Sends an action to the service with this route.
    pub(crate) async fn send(
        &self,
        route: &Route,
        action: &ServiceAction,
    ) -> Result<ActionAnswer, NotDone> {
        let _place = self.places.try_acquire().map_err(|_| NotDone::TooMany)?;
        Ok(self.client.send(route, action).await?)
    }
}
