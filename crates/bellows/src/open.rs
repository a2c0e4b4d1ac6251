//! `bellows open`: where the console or a service is, and that in a browser where somebody sits at a desktop.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::anyhow;
use command_line::terminal;
use host::settings::Settings;
use model::names::ServiceName;
use model::status::ServiceStatus;
use model::time::Timestamp;
use nix::unistd::geteuid;
use serde::Serialize;

use crate::error::BadInput;
use crate::json::{self, FORMAT};
use crate::link::{HTTP, Link, origin, reached};
use crate::programs;
use crate::scaler;

/// What opens an address in the browser of whoever sits there.
const OPENER: &str = "xdg-open";

/// The port that an address need not name.
const HTTPS: u16 = 443;

/// Prints the address, and opens it where it can be seen.
pub(crate) async fn run(
    settings: &Settings,
    service: Option<&ServiceName>,
    json: bool,
) -> anyhow::Result<()> {
    let mut place = match service {
        None => Place::of_console(&Link::ask(settings).await),
        Some(service) => {
            let status = scaler::known(&scaler::client(settings)?, service).await?;
            Place::of_service(service, url_of(settings, &status)?)
        }
    };
    let opener = place.opener(&Session::of_environment());
    place.opened = opener.is_some_and(|program| open(&program, &place.url));
    if json {
        return json::print(&place);
    }
    if let Some(why) = &place.no_code {
        terminal::note(format_args!("This link logs nobody in: {why}"));
    }
    terminal::tell_line(&place.url)?;
    if place.expires_at_ms.is_some() {
        terminal::note("It logs a browser in once, within 2 minutes: show it to nobody.");
    }
    Ok(())
}

/// What is opened, as programs are told of it.
#[derive(Debug, Serialize)]
struct Place<'a> {
    format: u32,
    /// Null for the console.
    service: Option<&'a ServiceName>,
    url: String,
    /// Whether a browser was asked to show it.
    opened: bool,
    /// When the code in it is of no use any more; null where it has none.
    expires_at_ms: Option<Timestamp>,
    /// Why it has none; null where it has one, and for a service, which needs none.
    no_code: Option<String>,
}

impl<'a> Place<'a> {
    fn of_console(link: &Link) -> Self {
        let (expires_at_ms, no_code) = match &link.code {
            Ok(code) => (Some(code.expires_at), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let url = link.url();
        Self { format: FORMAT, service: None, url, opened: false, expires_at_ms, no_code }
    }

    fn of_service(service: &'a ServiceName, url: String) -> Self {
        let (format, service) = (FORMAT, Some(service));
        Self { format, service, url, opened: false, expires_at_ms: None, no_code: None }
    }

    /// The program to show it with. What a program is told, every user of the host can read in the list of processes: so no
    /// code is.
    fn opener(&self, session: &Session) -> Option<PathBuf> {
        opener(session).filter(|_| self.expires_at_ms.is_none())
    }
}

/// Where a service is reached from outside: by HTTPS where that is spoken.
fn url_of(settings: &Settings, status: &ServiceStatus) -> Result<String, BadInput> {
    let no_route = || anyhow!("{} has no route: it gets no requests from outside", status.name);
    let route = status.route.as_deref().ok_or_else(|| BadInput::new(no_route()))?;
    let (host, path) = route.split_at(route.find('/').unwrap_or(route.len()));
    let (scheme, listen, usual) = match &settings.tls {
        Some(tls) => ("https", tls.listen, HTTPS),
        None => ("http", settings.listen.services, HTTP),
    };
    let mut address = reached(listen);
    if !host.is_empty() {
        host.clone_into(&mut address.0);
    }
    Ok(format!("{}{path}", origin(scheme, &address, usual)))
}

/// Who asks, and from where.
#[derive(Debug)]
struct Session {
    is_root: bool,
    has_desktop: bool,
    opener: PathBuf,
}

impl Session {
    fn of_environment() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            is_root: geteuid().is_root(),
            has_desktop: is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
            opener: programs::find(OPENER),
        }
    }
}

/// The program to open it with. None for root, whose browser would run strangers' pages with all rights.
fn opener(session: &Session) -> Option<PathBuf> {
    let Session { is_root, has_desktop, opener } = session;
    (!is_root && *has_desktop && opener.is_absolute()).then(|| opener.clone())
}

/// Whether it was started. It says what it has to say elsewhere.
fn open(program: &Path, url: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}

#[cfg(test)]
mod tests {
    use host::settings::TlsSettings;
    use model::login::LoginCode;
    use scaler_client::ScalerError;

    use super::*;

    fn link(code: Result<LoginCode, ScalerError>) -> Link {
        Link::new("http://127.0.0.1:8090/".to_owned(), code)
    }

    fn url(settings: &Settings, route: Option<&str>) -> Result<String, String> {
        let mut status = crate::top::status("shop");
        status.route = route.map(str::to_owned);
        url_of(settings, &status).map_err(|error| error.to_string())
    }

    #[test]
    fn a_service_is_where_its_route_and_the_load_balancer_are() {
        let mut settings = Settings::default();
        let of = |settings: &Settings, route| url(settings, Some(route)).unwrap();
        assert_eq!(of(&settings, "/shop"), "http://127.0.0.1:8080/shop");
        assert_eq!(of(&settings, "shop.example/"), "http://shop.example:8080/");
        settings.listen.services = "0.0.0.0:80".parse().unwrap();
        assert_eq!(of(&settings, "/"), "http://127.0.0.1/");
        let (listen, certificate) = ("10.0.0.5:443".parse().unwrap(), "/c.pem".into());
        settings.tls = Some(TlsSettings { listen, certificate, key: None });
        assert_eq!(of(&settings, "/"), "https://10.0.0.5/");
        assert_eq!(of(&settings, "shop.example/a"), "https://shop.example/a");
        let told = url(&settings, None).unwrap_err();
        assert_eq!(told, "shop has no route: it gets no requests from outside");
    }

    #[test]
    fn a_link_that_logs_in_is_told_to_no_other_program() {
        let opener = PathBuf::from("/usr/bin/xdg-open");
        let session = Session { is_root: false, has_desktop: true, opener };
        let code = LoginCode { code: "0123".to_owned(), expires_at: Timestamp::from_millis(7) };
        let opens = |code| Place::of_console(&link(code)).opener(&session).is_some();
        assert!(!opens(Ok(code)));
        assert!(opens(Err(ScalerError::Place("x".to_owned()))));
    }

    #[test]
    fn programs_are_told_of_a_code_and_its_end_or_why_there_is_none() {
        let console = |code| serde_json::to_value(Place::of_console(&link(code))).unwrap();
        let code = LoginCode { code: "0123".to_owned(), expires_at: Timestamp::from_millis(7) };
        let expected = serde_json::json!({
            "format": 1, "service": null, "url": "http://127.0.0.1:8090/#code=0123", "opened": false,
            "expires_at_ms": 7, "no_code": null,
        });
        assert_eq!(console(Ok(code)), expected);
        let told = console(Err(ScalerError::Place("x".to_owned())));
        assert_eq!(told["url"], "http://127.0.0.1:8090/");
        assert!(told["expires_at_ms"].is_null() && told["no_code"].is_string(), "{told}");
    }

    #[test]
    fn a_browser_is_started_at_a_desktop_alone_and_never_by_root() {
        let opens = |is_root, has_desktop, opener: &str| {
            let opener = PathBuf::from(opener);
            super::opener(&Session { is_root, has_desktop, opener }).is_some()
        };
        assert!(opens(false, true, "/usr/bin/xdg-open"));
        assert!(!opens(true, true, "/usr/bin/xdg-open"), "root");
        assert!(!opens(false, false, "/usr/bin/xdg-open"), "a server");
        assert!(!opens(false, true, "xdg-open"), "it was not found");
    }
}
