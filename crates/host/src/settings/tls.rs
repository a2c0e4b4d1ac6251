//! HTTPS for the services: where it listens, and with which certificate.

use std::net::SocketAddrV4;
use std::path::PathBuf;

use config_file::Invalid;
use serde::Deserialize;

/// HTTPS for the services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Where the load balancer speaks it.
    pub listen: SocketAddrV4,
    /// The PEM file of the certificate and of those between it and its authority.
    pub certificate: PathBuf,
    /// The PEM file of its key; `None` when it is in the same file.
    pub key: Option<PathBuf>,
}

/// `[tls]` as it is written: an empty text is none.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    listen: String,
    certificate: String,
    key: String,
}

impl RawTls {
    /// Checks each key, and that they go together.
    pub(super) fn check(self) -> Result<Option<TlsSettings>, Invalid> {
        let [certificate, key] = [("tls.certificate", self.certificate), ("tls.key", self.key)]
            .map(|(name, value)| file(name, value));
        let (certificate, key) = (certificate?, key?);
        let listen = match self.listen.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| {
                let allowed = "an IPv4 address and a port, such as 0.0.0.0:8443";
                Invalid::new("tls.listen", format!("{text:?}"), allowed)
            })?),
        };
        let missing = |name: &'static str| {
            let allowed = "it with the other: HTTPS needs both tls.listen and tls.certificate";
            Invalid::new(name, "\"\"", allowed)
        };
        match (listen, certificate) {
            (Some(listen), Some(certificate)) => Ok(Some(TlsSettings { listen, certificate, key })),
            (None, None) if key.is_none() => Ok(None),
            (None, _) => Err(missing("tls.listen")),
            (_, None) => Err(missing("tls.certificate")),
        }
    }
}

/// Programs that start elsewhere read it too, so it is absolute.
fn file(name: &'static str, text: String) -> Result<Option<PathBuf>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    let good = text.starts_with('/') && !text.contains(|c: char| c.is_control());
    config_file::check(good, name, format!("{text:?}"), "the absolute path of a PEM file")?;
    Ok(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    fn read(text: &str) -> Result<Settings, String> {
        config_file::from_toml("b.toml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn https_has_an_address_and_a_certificate_or_is_off() {
        assert_eq!(read("[tls]\nlisten = \"\"").unwrap().tls, None);
        let text = "[tls]\nlisten = \"0.0.0.0:8443\"\ncertificate = \"/etc/ssl/a b.pem\"";
        let tls = read(text).unwrap().tls.unwrap();
        assert_eq!((tls.listen, tls.key), ("0.0.0.0:8443".parse().unwrap(), None));
        let error = |text: &str| read(text).unwrap_err();
        insta::assert_snapshot!(error("[tls]\nlisten = \"0.0.0.0:8443\""), @r#"b.toml, line 1: tls.certificate is "": use it with the other: HTTPS needs both tls.listen and tls.certificate"#);
        insta::assert_snapshot!(error("[tls]\ncertificate = \"/a\""), @r#"b.toml, line 1: tls.listen is "": use it with the other: HTTPS needs both tls.listen and tls.certificate"#);
        insta::assert_snapshot!(error("[tls]\nkey = \"/a\""), @r#"b.toml, line 1: tls.listen is "": use it with the other: HTTPS needs both tls.listen and tls.certificate"#);
        insta::assert_snapshot!(error("[tls]\nlisten = \"8443\""), @r#"b.toml, line 2: tls.listen is "8443": use an IPv4 address and a port, such as 0.0.0.0:8443"#);
        insta::assert_snapshot!(error("[tls]\ncertificate = \"a.pem\""), @r#"b.toml, line 2: tls.certificate is "a.pem": use the absolute path of a PEM file"#);
    }

    #[test]
    fn https_has_a_port_of_its_own() {
        let text = "[tls]\nlisten = \"0.0.0.0:8080\"\ncertificate = \"/a\"";
        insta::assert_snapshot!(read(text).unwrap_err(), @r#"b.toml, line 2: tls.listen is "0.0.0.0:8080": use a port from 1 to 65535 that no other listener has"#);
    }
}
