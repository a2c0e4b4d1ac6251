//! Where a message is posted. The path and the query often are the secret by which the receiver knows the sender, so
//! nothing shows them: neither `Debug` nor an error.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::{Host, Url};

/// The longest that common servers take is 8,000 bytes; those of chat services have 100 to 300.
const LENGTH_MAX: usize = 2048;

/// An address to post to: `https://`, or `http://` where nobody is on the way.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// All of it, its secret among it: for who connects there and for the file that he reads it from.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is reached by TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookUrl(not shown)")
    }
}

/// A text that is no address to post to. It does not quote the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// It is not a URL at all, or one without a host.
    #[error(
        "it is no URL of a host: write one as https://hooks.example.org/path, of printable ASCII and at most \
         {LENGTH_MAX} bytes"
    )]
    Form,
    /// It has another scheme.
    #[error("it begins with neither https:// nor http://: nothing else is spoken")]
    Scheme,
    /// It has a user or a password.
    #[error(
        "it has a user or a password before the host, which are not sent: put the secret into its path"
    )]
    User,
    /// It goes in the clear to another host.
    #[error(
        "it is http:// to another host, by which everybody on the way reads what its path may hold as a secret: use \
         https://, or http:// to localhost or to a loopback or private address"
    )]
    Clear,
}

impl FromStr for WebhookUrl {
    type Err = WebhookUrlError;

    fn from_str(text: &str) -> Result<Self, WebhookUrlError> {
        // The parser would drop blanks and line breaks, and then it would be another one than is written.
        let is_plain = text.len() <= LENGTH_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut url = text.parse::<Url>().ok().filter(|_| is_plain).ok_or(WebhookUrlError::Form)?;
        let host = url.host().ok_or(WebhookUrlError::Form)?;
        match url.scheme() {
            "https" => {}
            "http" if is_near(&host) => {}
            "http" => return Err(WebhookUrlError::Clear),
            _ => return Err(WebhookUrlError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(WebhookUrlError::User);
        }
        // It is nobody's but the reader's, and never sent.
        url.set_fragment(None);
        Ok(Self(url))
    }
}

/// Whether what is sent there does not leave this host or its private network. A name may lead anywhere.
fn is_near(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => Ipv4Addr::is_loopback(address) || address.is_private(),
        Host::Ipv6(address) => Ipv6Addr::is_loopback(address) || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Option<WebhookUrlError> {
        text.parse::<WebhookUrl>().err()
    }

    #[test]
    fn https_goes_anywhere_and_http_where_nobody_is_on_the_way() {
        for good in [
            "https://hooks.example.org/services/T0/B0/x?y=z",
            "https://203.0.113.5:8443/",
            "http://localhost:9095/hook",
            "http://127.0.0.1/",
            "http://10.1.2.3:80/a",
            "http://192.168.1.1/a",
            "http://[::1]:99/",
            "http://[fd00::1]/",
        ] {
            assert_eq!(error(good), None, "{good}");
        }
        for far in [
            "http://hooks.example.org/",
            "http://localhost.example.org/",
            "http://203.0.113.5/",
            "http://169.254.169.254/latest",
            "http://0.0.0.0/",
            "http://[2001:db8::1]/",
            "http://[fe80::1]/",
        ] {
            assert_eq!(error(far), Some(WebhookUrlError::Clear), "{far}");
        }
    }

    #[test]
    fn what_is_not_plainly_a_url_of_a_host_is_refused() {
        let long = format!("https://a.example/{}", "x".repeat(LENGTH_MAX));
        for bad in ["", "a", "https://", "https:// a/", "https://a/\n", "https://ä.example/", &long]
        {
            assert_eq!(error(bad), Some(WebhookUrlError::Form), "{bad:?}");
        }
        for bad in ["ftp://a.example/", "unix://a/b"] {
            assert_eq!(error(bad), Some(WebhookUrlError::Scheme), "{bad}");
        }
        for bad in ["https://u@a.example/", "https://u:p@a.example/", "https://:p@a.example/"] {
            assert_eq!(error(bad), Some(WebhookUrlError::User), "{bad}");
        }
    }

    #[test]
    fn its_secret_is_nowhere_but_where_it_is_asked_for() {
        let url: WebhookUrl = "https://hooks.example.org/SECRET#part".parse().unwrap();
        assert_eq!(url.reveal(), "https://hooks.example.org/SECRET");
        assert!(!format!("{url:?}").contains("SECRET"));
        for bad in ["ftp://a/SECRET", "https://SECRET@a/", "http://a.example/SECRET", "SECRET"] {
            assert!(!error(bad).unwrap().to_string().contains("SECRET"), "{bad}");
        }
    }
}
