//! The receiver to whom messages are mailed, by the host's own mail server.
//!
//! By SMTP on loopback and not by `sendmail`: what that needs to have rights, set-user-id or set-group-id programs such as
//! postfix's `postdrop`, has none for a program that may gain no privileges, as this one.

use std::net::Ipv4Addr;
use std::time::Duration;

use host::settings::MailAddress;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::Error;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};
use tokio::time::timeout;

use super::message::{Change, Message};
use super::send_error::SendError;

/// Where the host's mail server listens.
pub(super) const PORT: u16 = 25;

/// How long the server may take to each of its answers, and to all of them: it takes a message into a queue.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_IN_ALL: Duration = Duration::from_secs(30);

/// The user before the `@` of whom it comes from.
const SENDER: &str = "bellows";

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// All who are mailed to.
#[derive(Debug)]
pub(super) struct MailServer {
    transport: Smtp,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl MailServer {
    /// Those with these addresses, by the server that listens on this port of loopback, from this host.
    ///
    /// # Errors
    /// The library takes one of the addresses for none.
    pub(super) fn new(
        to: &[MailAddress],
        host: &str,
        port: u16,
    ) -> Result<Self, lettre::address::AddressError> {
        let mailbox = |to: &MailAddress| Ok(Mailbox::new(None, to.as_str().parse()?));
        // A host may have a name that is none in a mail address.
        let from = Address::new(SENDER, host).or_else(|_| Address::new(SENDER, "localhost"))?;
        // Dangerous beyond this host: it speaks in the clear.
        let transport = Smtp::builder_dangerous(Ipv4Addr::LOCALHOST.to_string())
            .port(port)
            .timeout(Some(PATIENCE))
            .build();
        let from = Mailbox::new(Some("Bellows".to_owned()), from);
        Ok(Self { transport, from, to: to.iter().map(mailbox).collect::<Result<_, _>>()? })
    }

    /// Hands a message to the server once.
    ///
    /// # Errors
    /// The server is not there, or does not take it.
    pub(super) async fn send(&self, message: &Message, host: &str) -> Result<(), SendError> {
        let mail = self.mail(message, host).map_err(|error| SendError::Ever(error.to_string()))?;
        match timeout(PATIENCE_IN_ALL, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => {
                let seconds = PATIENCE_IN_ALL.as_secs();
                Err(SendError::Now(format!("the mail server took more than {seconds} s")))
            }
        }
    }

    fn mail(&self, message: &Message, host: &str) -> Result<Mail, lettre::error::Error> {
        let Message { state, episode, text, .. } = message;
        let domain = self.from.email.domain();
        let id = |key: &str| format!("<{key}@{domain}>");
        let mut mail = Mail::builder()
            .from(self.from.clone())
            .subject(subject(message, host))
            .message_id(Some(id(&message.key())))
            // RFC 3834: no machine is to answer it, such as one that says that somebody is away.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if *state == Change::Ended {
            // Programs that show mail put the end below its beginning.
            let began = id(&format!("{episode}-{}", <&str>::from(Change::Began)));
            mail = mail.in_reply_to(began.clone()).references(began);
        }
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let body = format!("{text}\n\nHost: {host}\nEpisode: {episode}\n");
        mail.singlepart(SinglePart::plain(body))
    }
}

fn subject(message: &Message, host: &str) -> String {
    let service = message.service.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    let state: &str = message.state.into();
    format!("[bellows {host}] {}{service} {state}", message.kind.word())
}

fn refused(error: &Error) -> SendError {
    let told = service::exit::chain(error);
    if error.is_permanent() { SendError::Ever(told) } else { SendError::Now(told) }
}

#[cfg(test)]
mod tests {
    use host::settings::EpisodeKind;
    use model::time::Timestamp;

    use super::*;

    fn mail(host: &str, text: &str) -> String {
        let message = Message {
            kind: EpisodeKind::FailedDeploy,
            state: Change::Ended,
            service: Some("store".parse().unwrap()),
            at: Timestamp::from_millis(9),
            episode: "failed_deploy-store-7".to_owned(),
            text: text.to_owned(),
        };
        let to = ["ops@example.org", "root@localhost"].map(|to| to.parse().unwrap());
        let server = MailServer::new(&to, host, PORT).unwrap();
        let mail = String::from_utf8(server.mail(&message, host).unwrap().formatted()).unwrap();
        let lines = mail.split("\r\n").filter(|line| !line.starts_with("Date: "));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_mail_says_what_ended_and_goes_below_its_beginning() {
        insta::assert_snapshot!(mail("web1.example.org", "store serves."), @"
        From: Bellows <bellows@web1.example.org>
        Subject: [bellows web1.example.org] failed_deploy of store ended
        Message-ID: <failed_deploy-store-7-ended@web1.example.org>
        Auto-Submitted: auto-generated
        In-Reply-To: <failed_deploy-store-7-began@web1.example.org>
        References: <failed_deploy-store-7-began@web1.example.org>
        To: ops@example.org, root@localhost
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 7bit

        store serves.

        Host: web1.example.org
        Episode: failed_deploy-store-7
        ");
    }

    #[test]
    fn no_name_and_no_text_adds_a_header() {
        let mail = mail("web1\r\nBcc: x@example.org", "store.\r\nBcc: x@example.org\r\n\r\n.\r\n");
        let (head, _) = mail.split_once("\n\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(head.contains("From: Bellows <bellows@localhost>"), "{head}");
    }
}
