//! Renders HAProxy's whole configuration from its template, the settings and the backends.

use std::cmp::Reverse;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::egress::HostName;
use model::names::ServiceName;
use model::paths::PathPrefix;
use model::service::Route;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tera::{Context, Tera};

use super::backends::{Fixed, Server, ServerState};
use super::certificate::Certificate;
use super::checks::Checks;
use super::error::HaproxyError;
use super::limits::Limits;
use super::lines::{self, BackendLines, Layout};
use super::settings::{
    ANSWERS_PIPE, HaproxySettings, REACH_SOCKET, SERVICES_SOCKET, STATISTICS_SOCKET,
    STREAMS_SOCKET, TLS_SOCKET,
};
use crate::settings::SourceSettings;

/// The template built in, as its path reads in the repository.
const BUILT_IN_NAME: &str = "haproxy/haproxy.cfg.tera";
const BUILT_IN: &str = include_str!("../../../../haproxy/haproxy.cfg.tera");

/// An address where nobody listens. Requests are sent there while no instance takes any, to be refused
/// and tried again. Only root could listen on this port, and no program is known to. An address that
/// fails at once, like one without a route, would not do: HAProxy then tries again without a pause.
pub const HOLD: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);

/// A digest of all that commands cannot change, but for the lines, which the process itself lists. Two
/// configurations of one shape differ by commands, as long as there are lines enough, and others by a
/// reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Shape(String);

impl Shape {
    /// The shape that a running HAProxy says it has.
    pub(super) fn reported(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A template that parses, with the settings that go into it.
#[derive(Debug)]
pub(super) struct Template {
    /// Where it came from, for messages.
    pub(super) file: PathBuf,
    text: String,
    tera: Tera,
    settings: HaproxySettings,
    /// The certificate for HTTPS. Without one nobody is answered there.
    certificate: Mutex<Option<Certificate>>,
}

/// A configuration, which names the file of the records of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) config: String,
    pub(super) records_file: PathBuf,
    /// The record of each line in use, and what instances may reach.
    pub(super) records: String,
}

/// What the template may name.
#[derive(Serialize)]
struct Values<'a> {
    generation: u64,
    shape: &'a Shape,
    listen: String,
    statistics: String,
    reach: String,
    streams: String,
    services_socket: &'static str,
    reach_socket: &'static str,
    streams_socket: &'static str,
    statistics_socket: &'static str,
    answers_pipe: &'static str,
    tls: Option<TlsValues>,
    sources: &'a SourceSettings,
    scrape_socket: &'a super::settings::PlainPath,
    admin_socket: String,
    chroot: String,
    user: &'a super::settings::AccountName,
    group: &'a super::settings::AccountName,
    hold: SocketAddrV4,
    /// The limits of the requests that may take longest.
    longest: Limits,
    records: &'a str,
    backends: Vec<BackendValues<'a>>,
    routes: Vec<RouteValues<'a>>,
    /// Whether some instances of one backend are asked for a path, and others for a connection alone.
    checks_differ: bool,
}

/// HTTPS for the template.
#[derive(Serialize)]
struct TlsValues {
    socket: &'static str,
    listen: String,
    certificate: super::settings::PlainPath,
}

/// One backend for the template.
#[derive(Serialize)]
struct BackendValues<'a> {
    service: &'a ServiceName,
    is_tcp: bool,
    /// What its service does not see of paths.
    stripped: Option<&'a PathPrefix>,
    limits: Limits,
    checks: &'a Checks,
    lines: Vec<LineValues>,
    /// The free lines, as ranges of numbers.
    free: Vec<String>,
}

/// A line in use.
#[derive(Serialize)]
struct LineValues {
    name: String,
    address: SocketAddrV4,
    concurrency: NonZeroU32,
    drains: bool,
}

/// A route for the template.
#[derive(Serialize)]
struct RouteValues<'a> {
    service: &'a ServiceName,
    host: Option<&'a HostName>,
    /// `None` where every path matches.
    path_prefix: Option<&'a PathPrefix>,
}

/// The routes in the order in which the first that matches is the right one.
fn routes(layout: &Layout) -> Vec<RouteValues<'_>> {
    let backends = layout.backends.iter();
    let mut routes: Vec<_> =
        backends.filter_map(|backend| Some((&backend.service, backend.route.as_ref()?))).collect();
    let rank = |route: &Route| (route.host.is_none(), Reverse(route.path_prefix.as_str().len()));
    routes.sort_by_key(|(_, route)| rank(route));
    let values = routes.into_iter().map(|(service, route)| RouteValues {
        service,
        host: route.host.as_ref(),
        path_prefix: Some(&route.path_prefix).filter(|prefix| !prefix.is_all()),
    });
    values.collect()
}

impl<'a> From<&'a BackendLines> for BackendValues<'a> {
    fn from(backend: &'a BackendLines) -> Self {
        let BackendLines { service, route, is_tcp, limits, checks, count, servers } = backend;
        let line = |(number, server): (&u32, &Server)| LineValues {
            name: lines::name(service, *number),
            address: server.address,
            concurrency: server.concurrency,
            drains: server.state == ServerState::Drain,
        };
        let ends = servers.keys().copied().chain([count + 1]);
        let starts = std::iter::once(0).chain(servers.keys().copied());
        let gaps = starts.zip(ends).map(|(before, after)| (before + 1, after - 1));
        let free = gaps.filter(|(first, last)| first <= last);
        Self {
            service,
            is_tcp: *is_tcp,
            stripped: route.as_ref().and_then(Route::stripped),
            limits: *limits,
            checks,
            lines: servers.iter().map(line).collect(),
            free: free.map(|(first, last)| format!("{first}-{last}")).collect(),
        }
    }
}

impl Template {
    /// Reads and parses the template that the settings name, or the one built in.
    pub(super) fn load(settings: &HaproxySettings) -> Result<Self, HaproxyError> {
        let (file, text) =
            match &settings.template {
                None => (PathBuf::from(BUILT_IN_NAME), BUILT_IN.to_owned()),
                Some(file) => {
                    let text = std::fs::read_to_string(file).map_err(|source| {
                        HaproxyError::File { file: file.clone(), doing: "read", source }
                    })?;
                    (file.clone(), text)
                }
            };
        let mut tera = Tera::default();
        tera.add_raw_template(BUILT_IN_NAME, &text)
            .map_err(|error| template_error(&file, &text, &error))?;
        Ok(Self { file, text, tera, settings: settings.clone(), certificate: Mutex::default() })
    }

    /// The certificate that configurations name from now on.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has configurations name another certificate, which makes another shape.
    pub(super) fn set_certificate(&self, certificate: Option<Certificate>) {
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    fn tls(&self) -> Option<TlsValues> {
        let listen = self.settings.tls.as_ref()?.listen.to_string();
        let certificate = self.certificate()?.file().clone();
        Some(TlsValues { socket: TLS_SOCKET, listen, certificate })
    }

    /// The shape of backends with these services, routes and limits under this template.
    pub(super) fn shape<'a>(&self, backends: impl Iterator<Item = Fixed<'a>>) -> Shape {
        let mut digest = Sha256::new();
        // Lengths and separators are part of Debug's text, so no two inputs run into one another.
        digest.update(format!("{:?}", (&self.text, self.listens(), self.certificate(), HOLD)));
        for backend in backends {
            digest.update(format!("{backend:?}"));
        }
        let bytes = digest.finalize();
        Shape(bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The settings that HAProxy reads from its file.
    fn listens(&self) -> impl std::fmt::Debug + '_ {
        let HaproxySettings {
            listen,
            statistics,
            reach,
            streams,
            tls,
            sources,
            scrape_socket,
            admin_socket,
            chroot,
            user,
            group,
            ..
        } = &self.settings;
        let tls = tls.as_ref().map(|tls| tls.listen);
        let addresses = (listen, statistics, reach, streams, tls, sources);
        (addresses, scrape_socket, admin_socket, chroot, user, group)
    }

    /// The whole configuration, as `generation` of it.
    pub(super) fn render(
        &self,
        generation: u64,
        layout: &Layout,
    ) -> Result<Rendered, HaproxyError> {
        let longest = layout.backends.iter().map(|backend| backend.limits).max();
        let records_file = self.settings.records_file(generation);
        let values = Values {
            generation,
            shape: &self.shape(layout.backends.iter().map(BackendLines::fixed)),
            listen: self.settings.listen.to_string(),
            statistics: self.settings.statistics.to_string(),
            reach: self.settings.reach.to_string(),
            streams: self.settings.streams.to_string(),
            services_socket: SERVICES_SOCKET,
            reach_socket: REACH_SOCKET,
            streams_socket: STREAMS_SOCKET,
            statistics_socket: STATISTICS_SOCKET,
            answers_pipe: ANSWERS_PIPE,
            tls: self.tls(),
            sources: &self.settings.sources,
            scrape_socket: &self.settings.scrape_socket,
            admin_socket: self.settings.admin_socket.to_string(),
            chroot: self.settings.chroot.to_string(),
            user: &self.settings.user,
            group: &self.settings.group,
            hold: HOLD,
            longest: longest.unwrap_or(Limits::of(Duration::ZERO)),
            records: &records_file,
            backends: layout.backends.iter().map(BackendValues::from).collect(),
            routes: routes(layout),
            checks_differ: layout.backends.iter().any(|backend| backend.checks.differ()),
        };
        let config = Context::from_serialize(values)
            .and_then(|context| self.tera.render(BUILT_IN_NAME, &context))
            .map_err(|error| template_error(&self.file, &self.text, &error))?;
        Ok(Rendered { config, records_file: records_file.into(), records: records(layout) })
    }
}

/// The text of the records' file.
fn records(layout: &Layout) -> String {
    let used = layout.backends.iter().flat_map(|backend| {
        let line = |(number, server): (&u32, &Server)| {
            let (name, record) = (lines::name(&backend.service, *number), lines::record(server));
            format!("{name} {record}\n")
        };
        backend.servers.iter().map(line)
    });
    let reaches = layout.entries.iter().map(|(key, value)| format!("{key} {value}\n"));
    used.chain(reaches).collect()
}

/// Tera says the line of an error of syntax (` --> 12:5`). Of a name that is not known it says the
/// name, whose first line in the template is looked up.
fn template_error(file: &Path, text: &str, error: &tera::Error) -> HaproxyError {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        message = inner.to_string();
        source = inner.source();
    }
    let arrow = message.split_once("--> ").and_then(|(_, rest)| rest.split(':').next());
    let by_arrow = arrow.and_then(|number| number.trim().parse().ok());
    let by_name = || {
        let name = message.split('`').nth(1)?;
        let index = text.lines().position(|line| line.contains(name))?;
        Some(index + 1)
    };
    let line = by_arrow.or_else(by_name);
    let message = message.trim().replace(BUILT_IN_NAME, "the template");
    HaproxyError::Template { file: file.to_owned(), line, message }
}

#[cfg(test)]
mod tests;
