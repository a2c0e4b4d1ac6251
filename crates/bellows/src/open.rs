//! `bellows open`: where the API or a service is, and that in a browser where somebody sits at a desktop.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::anyhow;
use command_line::terminal;
use host::settings::Settings;
use model::names::ServiceName;
use model::status::ServiceStatus;
use nix::unistd::geteuid;
use serde::Serialize;

use crate::error::BadInput;
use crate::json::{self, FORMAT};
use crate::programs;
use crate::scaler;

/// What opens an address in the browser of whoever sits there.
const OPENER: &str = "xdg-open";

/// The port that an address need not name.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// Prints the address, and opens it where it can be seen.
pub(crate) async fn run(
    settings: &Settings,
    service: Option<&ServiceName>,
    json: bool,
) -> anyhow::Result<()> {
    let url = match service {
        None => format!("{}/", origin("http", &reached(settings.listen.api), HTTP)),
        Some(service) => {
            let status = scaler::known(&scaler::client(settings)?, service).await?;
            url_of(settings, &status)?
        }
    };
    let opener = opener(&Session::of_environment());
    let opened = opener.is_some_and(|program| open(&program, &url));
    if json {
        return json::print(&Shown { format: FORMAT, service, url: &url, opened });
    }
    terminal::tell_line(url)?;
    Ok(())
}

/// The address, as programs are told of it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    format: u32,
    /// Null for the API.
    service: Option<&'a ServiceName>,
    url: &'a str,
    /// Whether a browser was asked to show it.
    opened: bool,
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

/// A host and a port by which this host reaches what listens there: that which listens everywhere, on itself.
fn reached(listen: SocketAddrV4) -> (String, u16) {
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *listen.ip() };
    (IpAddr::V4(ip).to_string(), listen.port())
}

fn origin(scheme: &str, (host, port): &(String, u16), usual: u16) -> String {
    let port = if *port == usual { String::new() } else { format!(":{port}") };
    format!("{scheme}://{host}{port}")
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

    use super::*;

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
