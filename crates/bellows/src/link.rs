//! The link by which a browser comes to the console, and logs in there where whoever asks may.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use host::settings::Settings;
use model::login::LoginCode;
use scaler_client::ScalerError;

use crate::scaler;

/// The port that an address need not name.
pub(crate) const HTTP: u16 = 80;

/// Where the console is, and the code that logs a browser in, or why there is none.
#[derive(Debug)]
pub(crate) struct Link {
    address: String,
    pub(crate) code: Result<LoginCode, ScalerError>,
}

impl Link {
    /// Asks the scaler for a code, which is good for one login.
    pub(crate) async fn ask(settings: &Settings) -> Self {
        let code = async { scaler::client(settings)?.login_code().await }.await;
        Self::new(console(settings), code)
    }

    /// That of a console there, with what was answered.
    pub(crate) fn new(address: String, code: Result<LoginCode, ScalerError>) -> Self {
        Self { address, code }
    }

    /// The address. A code is in its fragment, which no browser sends on: so it is in no log of a server or a proxy.
    pub(crate) fn url(&self) -> String {
        match &self.code {
            Ok(LoginCode { code, .. }) => format!("{}#code={code}", self.address),
            Err(_) => self.address.clone(),
        }
    }
}

/// Where the console's page is.
pub(crate) fn console(settings: &Settings) -> String {
    format!("{}/", origin("http", &reached(settings.listen.api), HTTP))
}

/// A host and a port by which this host reaches what listens there: that which listens everywhere, on itself.
pub(crate) fn reached(listen: SocketAddrV4) -> (String, u16) {
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *listen.ip() };
    (IpAddr::V4(ip).to_string(), listen.port())
}

pub(crate) fn origin(scheme: &str, (host, port): &(String, u16), usual: u16) -> String {
    let port = if *port == usual { String::new() } else { format!(":{port}") };
    format!("{scheme}://{host}{port}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_scaler::FakeScaler;

    #[tokio::test]
    async fn a_code_is_in_the_fragment_and_who_may_have_none_is_told_why() {
        let told = |path: &str| {
            let code = r#"{"code":"0123","expires_at_ms":1795000120000}"#;
            (path == "/v1/logins").then(|| code.to_owned())
        };
        let scaler = FakeScaler::new(told);
        let mut settings = Settings::default();
        settings.paths.run = scaler.folder().to_owned();
        let link = Link::ask(&settings).await;
        assert_eq!(link.url(), "http://127.0.0.1:8090/#code=0123");
        // What is told of it elsewhere has no code.
        assert!(!format!("{link:?}").contains("0123"));
        settings.listen.api = "0.0.0.0:80".parse().unwrap();
        assert_eq!(Link::ask(&settings).await.url(), "http://127.0.0.1/#code=0123");

        let scaler = FakeScaler::new(|_| None);
        settings.paths.run = scaler.folder().to_owned();
        let link = Link::ask(&settings).await;
        assert_eq!(link.url(), "http://127.0.0.1/");
        assert!(link.code.unwrap_err().to_string().contains("There is none."));
        settings.paths.run = scaler.folder().join("nothing");
        let told = Link::ask(&settings).await.code.unwrap_err().to_string();
        assert!(told.contains("gives no answer"), "{told}");
    }
}
