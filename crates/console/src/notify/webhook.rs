//! A receiver to which messages are posted.

use std::time::Duration;

use bytes::Bytes;
use host::settings::WebhookUrl;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::connect::Connector;
use super::message::Message;
use super::send_error::SendError;

/// How long a receiver may take to its answer: the name, the connection, TLS and the work. Those of chat services
/// answer within 1 s; most senders of webhooks wait for 10.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Whom the receiver sees.
const SENDER: &str = concat!("bellows/", env!("CARGO_PKG_VERSION"));

/// The draft of RFC `Idempotency-Key`: the same value, the same request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// One receiver.
#[derive(Debug)]
pub(super) struct Webhook {
    uri: Uri,
    client: Client<Connector, Full<Bytes>>,
    patience: Duration,
}

impl Webhook {
    /// The one at this address. Each message has a connection of its own: they are minutes apart.
    ///
    /// # Errors
    /// It is an address that the client does not take, which the settings have none of.
    pub(super) fn new(
        url: &WebhookUrl,
        connector: Connector,
        patience: Duration,
    ) -> Result<Self, hyper::http::Error> {
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_max_idle_per_host(0);
        let uri = url.reveal().parse().map_err(hyper::http::Error::from)?;
        Ok(Self { uri, client: client.build(connector), patience })
    }

    /// Posts a message once. Of the answer the status counts, and the rest is not read; nobody is followed elsewhere.
    ///
    /// # Errors
    /// It was not taken.
    pub(super) async fn send(&self, message: &Message, host: &str) -> Result<(), SendError> {
        let request = Request::post(self.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, SENDER)
            .header(IDEMPOTENCY_KEY, message.key())
            .body(Full::from(message.body(host)));
        let request = request.map_err(|error| SendError::Ever(error.to_string()))?;
        match timeout(self.patience, self.client.request(request)).await {
            Ok(Ok(answer)) => verdict(answer.status()),
            Ok(Err(error)) => Err(SendError::Now(service::exit::chain(&error))),
            Err(_) => Err(SendError::Now(format!("no answer within {:?}", self.patience))),
        }
    }
}

/// What a status says. A redirect is refused: it would send what is for one receiver to another.
fn verdict(status: StatusCode) -> Result<(), SendError> {
    let told = format!("it answered {}", status.as_u16());
    match status.as_u16() {
        200..300 => Ok(()),
        // Too slow, too early, too many: not for ever.
        408 | 425 | 429 | 500..600 => Err(SendError::Now(told)),
        _ => Err(SendError::Ever(told)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_the_message_is_sent_again() {
        for (status, again) in [
            (200, None),
            (204, None),
            (301, Some(false)),
            (400, Some(false)),
            (404, Some(false)),
            (408, Some(true)),
            (429, Some(true)),
            (500, Some(true)),
            (503, Some(true)),
        ] {
            let told = match verdict(StatusCode::from_u16(status).unwrap()) {
                Ok(()) => None,
                Err(SendError::Now(_)) => Some(true),
                Err(SendError::Ever(_)) => Some(false),
            };
            assert_eq!(told, again, "{status}");
        }
    }
}
