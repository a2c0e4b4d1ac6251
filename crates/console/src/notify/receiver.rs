//! Who is told: a webhook, or those to whom is mailed.

use std::fmt::Write as _;
use std::time::Duration;

use host::settings::{NotifySettings, WebhookUrl};
use rustls::RootCertStore;
use sha2::{Digest as _, Sha256};

use super::connect::{connector, roots_of_host};
use super::mail::{self, MailServer};
use super::message::Message;
use super::retry;
use super::send_error::SendError;
use super::webhook::{self, Webhook};

/// Bytes of the digest by which a receiver is known again: two of nine are the same once in 10^17.
const DIGEST_BYTES: usize = 8;

/// How receivers are reached.
#[derive(Debug)]
pub(super) struct Means {
    /// The authorities that are trusted.
    pub(super) roots: RootCertStore,
    /// Where on loopback the mail server listens.
    pub(super) mail_port: u16,
    /// How long a webhook may take to its answer.
    pub(super) patience: Duration,
    /// How long to wait after the first attempt.
    pub(super) first_wait: Duration,
}

/// One receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    /// What logs and metrics call it: its place in the settings, since its address may be a secret.
    pub(super) label: String,
    /// By which what waits for it is known again after a restart.
    pub(super) digest: String,
    channel: Channel,
    /// How long to wait before the second attempt.
    pub(super) first_wait: Duration,
}

#[derive(Debug)]
enum Channel {
    Webhook(Webhook),
    Mail(MailServer),
}

/// A receiver that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// TLS cannot be had.
    #[error("TLS cannot be had for webhooks")]
    Tls(#[from] rustls::Error),
    /// The address of a webhook is taken for none.
    #[error("webhook {place} is no address that can be posted to: change notify.webhooks")]
    Webhook {
        /// Its place in the settings, from 1.
        place: usize,
    },
    /// A mail address is taken for none.
    #[error("an address of notify.mail_to cannot be mailed to: change it")]
    Mail(#[from] lettre::address::AddressError),
}

impl Receiver {
    /// All of the settings, on this host.
    ///
    /// # Errors
    /// One cannot be had.
    pub(super) fn all(settings: &NotifySettings, host: &str) -> Result<Vec<Self>, ReceiverError> {
        // The 145 certificates of a Debian take 70 ms and 0.7 MiB (debug).
        let is_https = settings.webhooks.iter().any(WebhookUrl::is_https);
        let roots = if is_https { roots_of_host() } else { RootCertStore::empty() };
        let (patience, first_wait) = (webhook::PATIENCE, retry::FIRST_WAIT);
        Self::by(Means { roots, mail_port: mail::PORT, patience, first_wait }, settings, host)
    }

    /// The same by these means.
    pub(super) fn by(
        means: Means,
        settings: &NotifySettings,
        host: &str,
    ) -> Result<Vec<Self>, ReceiverError> {
        let Means { roots, mail_port, patience, first_wait } = means;
        let connector = connector(roots)?;
        let webhook = |(index, url): (usize, &WebhookUrl)| -> Result<Self, ReceiverError> {
            let place = index + 1;
            let webhook = Webhook::new(url, connector.clone(), patience);
            let webhook = webhook.map_err(|_| ReceiverError::Webhook { place })?;
            let (label, digest) = (format!("webhook_{place}"), digest(url.reveal()));
            Ok(Self { label, digest, channel: Channel::Webhook(webhook), first_wait })
        };
        let mut all =
            settings.webhooks.iter().enumerate().map(webhook).collect::<Result<Vec<_>, _>>()?;
        if !settings.mail_to.is_empty() {
            let server = MailServer::new(&settings.mail_to, host, mail_port)?;
            // One queue for all addresses: it is one mail, and another address is no reason to lose it.
            let (label, digest) = ("mail".to_owned(), digest("mail"));
            all.push(Self { label, digest, channel: Channel::Mail(server), first_wait });
        }
        Ok(all)
    }

    /// Sends a message once.
    ///
    /// # Errors
    /// It was not taken.
    pub(super) async fn send(&self, message: &Message, host: &str) -> Result<(), SendError> {
        match &self.channel {
            Channel::Webhook(webhook) => webhook.send(message, host).await,
            Channel::Mail(server) => server.send(message, host).await,
        }
    }
}

fn digest(address: &str) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(address.as_bytes()).iter().take(DIGEST_BYTES) {
        // Memory takes what is written.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_known_by_its_place_and_a_digest_and_its_address_is_not_shown() {
        let url = "https://hooks.example.org/SECRET".parse().unwrap();
        let mail_to = vec!["ops@example.org".parse().unwrap()];
        let settings = NotifySettings { webhooks: vec![url], mail_to, ..NotifySettings::default() };
        let all = Receiver::all(&settings, "web1").unwrap();
        let labels: Vec<_> = all.iter().map(|it| &*it.label).collect();
        assert_eq!(labels, ["webhook_1", "mail"]);
        assert_eq!(all[0].digest.len(), 2 * DIGEST_BYTES);
        assert!(all[0].digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(all[0].digest, all[1].digest);
    }
}
