//! Why a request is refused, as a status and a sentence. The sentence is the body, and stands in the
//! status line too: of a refused CONNECT, clients such as pip show nothing else.

use std::io;
use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use model::egress::{HostName, Target, TargetError};
use model::names::ServiceName;

use crate::asker::Asker;
use crate::verdict::Barred;

/// The body of an answer: a sentence of this proxy's, or what the host says that was asked for.
pub(crate) type Body = Either<Full<Bytes>, Incoming>;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is no request for a proxy.
    #[error(
        "this is a proxy: ask for http://HOST/PATH, or CONNECT to HOST:PORT; programs do so by the \
         variables http_proxy and https_proxy"
    )]
    NoProxy,
    /// A scheme other than `http`.
    #[error("{0}:// is not asked for here: CONNECT to the host and port, and speak it there")]
    Scheme(String),
    /// No host.
    #[error(transparent)]
    Target(TargetError),
    /// The instance's service may reach nothing.
    #[error(
        "this instance may reach nothing beyond its host: name hosts with their ports in its service's \
         file, such as egress = [\"example.org:443\"], and run `bellows up`"
    )]
    NoRight,
    /// Nobody named the target.
    #[error("{asker} may not reach {target}: {}", asker.cure(target))]
    NotNamed {
        /// Who asked.
        asker: Asker,
        /// What was asked for.
        target: Target,
    },
    /// The target leads to an address that may not be connected to.
    #[error("{asker} may not reach {target} at {address}: {}", why(.asker, .barred, *.address, .target))]
    Barred {
        /// Who asked.
        asker: Asker,
        /// What was asked for.
        target: Target,
        /// Where it leads.
        address: IpAddr,
        /// Why not.
        barred: Barred,
    },
    /// The host has no address by this name.
    #[error("this host finds no address of {0}: check the name, and /etc/resolv.conf of the host")]
    NoAddress(HostName),
    /// Names cannot be looked up.
    #[error("names cannot be looked up on this host: check that /usr/bin/getent is there")]
    Lookup(#[source] io::Error),
    /// Too many names at once.
    #[error("{0} has had too many names looked up at once: ask again in a second")]
    TooManyNames(ServiceName),
    /// The target does not answer.
    #[error("{target} does not answer: {reason}")]
    NoAnswer {
        /// What was asked for.
        target: Target,
        /// What the operating system or the other side said.
        reason: String,
    },
}

/// What to do about an address that is barred, if anything.
fn why(asker: &Asker, barred: &Barred, address: IpAddr, target: &Target) -> String {
    match barred {
        Barred::Reserved => "that leads to the host, to its link or to nobody".to_owned(),
        Barred::Own => asker.own().to_owned(),
        Barred::Private => {
            let named = std::net::SocketAddr::new(address, target.port.get());
            let list = asker.list();
            format!("that is a private network; if it is meant, add \"{named}\" to {list} as well")
        }
    }
}

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoProxy | Self::Target(_) => StatusCode::BAD_REQUEST,
            Self::Scheme(_) => StatusCode::NOT_IMPLEMENTED,
            Self::NoRight | Self::NotNamed { .. } | Self::Barred { .. } => StatusCode::FORBIDDEN,
            Self::NoAddress(_) | Self::NoAnswer { .. } => StatusCode::BAD_GATEWAY,
            Self::Lookup(_) | Self::TooManyNames(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer. The connection ends with it.
    pub(crate) fn answer(&self) -> Response<Body> {
        let sentence = self.to_string();
        let mut answer = Response::new(Either::Left(Full::from(format!("{sentence}\n"))));
        *answer.status_mut() = self.status();
        // A sentence with a character that a status line cannot hold goes into the body alone.
        if let Ok(phrase) = ReasonPhrase::try_from(sentence) {
            answer.extensions_mut().insert(phrase);
        }
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_which_key_would_have_allowed_it() {
        let name: ServiceName = "web".parse().unwrap();
        let target: Target = "example.org:443".parse().unwrap();
        let asker = Asker::Service(name.clone());
        let not_named = Refusal::NotNamed { asker: asker.clone(), target: target.clone() };
        insta::assert_snapshot!(not_named, @r#"web may not reach example.org:443: add "example.org:443" to egress in services/web.toml, and run `bellows up`"#);
        let barred = |address: &str, barred| {
            let address = address.parse().unwrap();
            Refusal::Barred { asker: asker.clone(), target: target.clone(), address, barred }
        };
        insta::assert_snapshot!(barred("10.0.0.5", Barred::Private), @r#"web may not reach example.org:443 at 10.0.0.5: that is a private network; if it is meant, add "10.0.0.5:443" to egress as well"#);
        insta::assert_snapshot!(barred("127.0.0.1", Barred::Reserved), @"web may not reach example.org:443 at 127.0.0.1: that leads to the host, to its link or to nobody");
        insta::assert_snapshot!(barred("10.117.0.1", Barred::Own), @"web may not reach example.org:443 at 10.117.0.1: that is the host or an instance of it; services reach each other by `reaches`");
        insta::assert_snapshot!(Refusal::NoRight, @r#"this instance may reach nothing beyond its host: name hosts with their ports in its service's file, such as egress = ["example.org:443"], and run `bellows up`"#);
    }

    #[test]
    fn what_a_build_is_refused_is_allowed_by_the_hosts_settings() {
        let asker = Asker::Build("web".parse().unwrap());
        let target: Target = "example.org:443".parse().unwrap();
        let not_named = Refusal::NotNamed { asker: asker.clone(), target: target.clone() };
        insta::assert_snapshot!(not_named, @r#"the build of web may not reach example.org:443: add "example.org:443" to builds.egress in bellows.toml"#);
        let (address, barred) = ("10.0.0.5".parse().unwrap(), Barred::Private);
        let barred = Refusal::Barred { asker, target, address, barred };
        insta::assert_snapshot!(barred, @r#"the build of web may not reach example.org:443 at 10.0.0.5: that is a private network; if it is meant, add "10.0.0.5:443" to builds.egress as well"#);
    }

    #[test]
    fn the_sentence_stands_in_the_status_line() {
        let answer = Refusal::NoRight.answer();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let phrase = answer.extensions().get::<ReasonPhrase>().unwrap();
        assert_eq!(phrase.as_bytes(), Refusal::NoRight.to_string().as_bytes());
    }
}
