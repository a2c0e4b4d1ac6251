//! `[traces]` of `bellows.toml`: where a collector of OpenTelemetry takes what is sent to it.

use std::fmt;
use std::str::FromStr;

use config_file::Invalid;
use reqwest::Url;
use serde::Deserialize;

/// The address of a collector: `http://HOST:PORT`, perhaps with a path.
///
/// Without TLS, for programs that send traces are built without it: a collector on this host passes them on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracesEndpoint(String);

impl TracesEndpoint {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TracesEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TracesEndpoint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let url: Url = text.parse().map_err(|_| ())?;
        let is_plain = url.scheme() == "http" && url.has_host() && text.is_ascii();
        let says_no_more = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if is_plain && says_no_more { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTraces {
    endpoint: String,
}

impl RawTraces {
    pub(super) fn check(self) -> Result<Option<TracesEndpoint>, Invalid> {
        let Self { endpoint } = self;
        if endpoint.is_empty() {
            return Ok(None);
        }
        let allowed =
            "http://HOST:PORT of a collector, without user, query or TLS, or \"\" for none";
        let checked = endpoint.parse();
        checked
            .map(Some)
            .map_err(|()| Invalid::new("traces.endpoint", format!("{endpoint:?}"), allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_an_address_of_plain_http() {
        for good in ["http://127.0.0.1:4318", "http://collector:4318/otlp/", "http://[::1]:4318"] {
            assert_eq!(good.parse::<TracesEndpoint>().unwrap().as_str(), good);
        }
        for bad in [
            "127.0.0.1:4318",
            "https://a.example",
            "http://",
            "http://me:secret@a.example",
            "http://a.example/?x=1",
            "http://a.example/#x",
            "file:///etc/passwd",
            "",
        ] {
            assert!(bad.parse::<TracesEndpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_collector_is_told_with_what_is() {
        let raw = RawTraces { endpoint: "https://a.example".to_owned() };
        let error = raw.check().unwrap_err().to_string();
        insta::assert_snapshot!(error, @r#"traces.endpoint is "https://a.example": use http://HOST:PORT of a collector, without user, query or TLS, or "" for none"#);
        assert_eq!(RawTraces::default().check().unwrap(), None);
    }
}
