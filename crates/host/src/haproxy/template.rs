//! Renders HAProxy's whole configuration from its template, the settings and the backends.

use std::cmp::Reverse;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use model::names::{ServiceName, Slot};
use model::paths::PathPrefix;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tera::{Context, Tera};

use super::backends::{Backend, Backends};
use super::error::HaproxyError;
use super::settings::HaproxySettings;

/// The template built in, as its path reads in the repository.
const BUILT_IN_NAME: &str = "haproxy/haproxy.cfg.tera";
const BUILT_IN: &str = include_str!("../../../../haproxy/haproxy.cfg.tera");

/// An address where nobody listens. Requests are sent there while no instance takes any, to be refused
/// and tried again. Only root could listen on this port, and no program is known to. An address that
/// fails at once, like one without a route, would not do: HAProxy then tries again without a pause.
pub const HOLD: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
/// Its server's id, beside those of the slots.
const HOLD_ID: u16 = Slot::MAX + 1;

/// A digest of all that the runtime API cannot change: everything but the states of servers. Two
/// configurations of one shape differ by commands, others by a reload.
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
}

/// What the template may name.
#[derive(Serialize)]
struct Values<'a> {
    generation: u64,
    shape: &'a Shape,
    listen: String,
    statistics: String,
    admin_socket: String,
    chroot: String,
    user: &'a super::settings::AccountName,
    group: &'a super::settings::AccountName,
    hold: SocketAddrV4,
    hold_id: u16,
    backends: &'a Backends,
    routes: Vec<Route<'a>>,
}

/// A route, longest prefix first, so that the first match is the most specific one.
#[derive(Serialize)]
struct Route<'a> {
    service: &'a ServiceName,
    path_prefix: &'a PathPrefix,
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
        Ok(Self { file, text, tera, settings: settings.clone() })
    }

    /// The shape of `backends` under this template.
    pub(super) fn shape(&self, backends: &Backends) -> Shape {
        let mut digest = Sha256::new();
        // Lengths and separators are part of Debug's text, so no two inputs run into one another.
        digest.update(format!("{:?}", (&self.text, self.listens(), HOLD)));
        for Backend { service, path_prefix, health_path, concurrency, servers } in backends.iter() {
            let places = servers.iter().map(|server| (server.slot, server.address));
            let places: Vec<_> = places.collect();
            digest
                .update(format!("{:?}", (service, path_prefix, health_path, concurrency, places)));
        }
        let bytes = digest.finalize();
        Shape(bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The settings that HAProxy reads from its file.
    fn listens(&self) -> impl std::fmt::Debug + '_ {
        let HaproxySettings { listen, statistics, admin_socket, chroot, user, group, .. } =
            &self.settings;
        (listen, statistics, admin_socket, chroot, user, group)
    }

    /// The whole configuration, as `generation` of it.
    pub(super) fn render(
        &self,
        generation: u64,
        backends: &Backends,
    ) -> Result<String, HaproxyError> {
        let mut routes: Vec<_> = backends
            .iter()
            .map(|backend| Route { service: &backend.service, path_prefix: &backend.path_prefix })
            .collect();
        routes.sort_by_key(|route| Reverse(route.path_prefix.as_str().len()));
        let values = Values {
            generation,
            shape: &self.shape(backends),
            listen: self.settings.listen.to_string(),
            statistics: self.settings.statistics.to_string(),
            admin_socket: self.settings.admin_socket.to_string(),
            chroot: self.settings.chroot.to_string(),
            user: &self.settings.user,
            group: &self.settings.group,
            hold: HOLD,
            hold_id: HOLD_ID,
            backends,
            routes,
        };
        Context::from_serialize(values)
            .and_then(|context| self.tera.render(BUILT_IN_NAME, &context))
            .map_err(|error| template_error(&self.file, &self.text, &error))
    }
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
mod tests {
    use super::super::backends::ServerState::{self, Drain, Maint, Ready};
    use super::super::backends::tests::backend;
    use super::super::settings::tests::settings;
    use super::*;

    fn template_of(text: &str) -> Result<Template, HaproxyError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.tera");
        std::fs::write(&file, text).unwrap();
        Template::load(&HaproxySettings {
            template: Some(file),
            ..settings(Path::new("/run/bellows"))
        })
    }

    fn two_services(state: ServerState) -> Backends {
        let store = backend("store", "/", 1, &[Ready, state, Maint]);
        let deep = backend("deep", "/api/v2", 11, &[Ready]);
        let api = backend("api", "/api", 21, &[]);
        Backends::new(vec![store, api, deep]).unwrap()
    }

    #[test]
    fn the_whole_configuration_of_three_services() {
        let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
        let text = template.render(17, &two_services(Drain)).unwrap();
        let from = text.find("frontend bellows.first").unwrap();
        let directives = text[from..].lines().filter(|line| !line.trim().starts_with('#'));
        let rendered = directives.collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(rendered, @"
        frontend bellows.first from answers
            bind unix@/run/bellows/haproxy-root/first.sock user haproxy mode 600
            errorfile 502 /dev/null
            use_backend deep if { path /api/v2 } || { path_beg /api/v2/ }
            use_backend api if { path /api } || { path_beg /api/ }
            default_backend store

        frontend bellows.last from answers
            bind unix@/run/bellows/haproxy-root/last.sock user haproxy mode 600
            option httpclose
            use_backend deep if { path /api/v2 } || { path_beg /api/v2/ }
            use_backend api if { path /api } || { path_beg /api/ }
            default_backend store

        frontend bellows.statistics from common
            bind 127.0.0.1:8404
            timeout client 5s
            stats enable
            stats uri /stats
            stats refresh 2s
            stats hide-version

        backend api from common
            option httpchk GET /healthz
            http-request deny deny_status 503 if { be_conn gt 2000 }
            http-response set-header x-bellows-server %s
            server hold 127.0.0.1:1 id 1001 backup
            default-server check inter 1s fastinter 200ms downinter 200ms rise 1 fall 2 observe layer4 error-limit 1 on-error mark-down maxconn 8

        backend deep from common
            option httpchk GET /healthz
            http-request deny deny_status 503 if { be_conn gt 2000 }
            http-response set-header x-bellows-server %s
            server hold 127.0.0.1:1 id 1001 backup
            default-server check inter 1s fastinter 200ms downinter 200ms rise 1 fall 2 observe layer4 error-limit 1 on-error mark-down maxconn 8
            server s11 127.0.1.1:9011 id 11

        backend store from common
            option httpchk GET /healthz
            http-request deny deny_status 503 if { be_conn gt 2000 }
            http-response set-header x-bellows-server %s
            server hold 127.0.0.1:1 id 1001 backup
            default-server check inter 1s fastinter 200ms downinter 200ms rise 1 fall 2 observe layer4 error-limit 1 on-error mark-down maxconn 8
            server s1 127.0.1.1:9001 id 1
            server s2 127.0.1.1:9002 id 2 weight 0
            server s3 127.0.1.1:9003 id 3 disabled

        backend bellows.generation.17 from common
        ");
        let line = format!("description gen-17 shape-{}", template.shape(&two_services(Drain)).0);
        assert!(text.contains(&line), "{text}");
    }

    #[test]
    fn a_path_that_no_service_has_is_not_found_and_no_matter_of_waiting() {
        let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
        let rendered = |backends| {
            let text = template.render(1, &Backends::new(backends).unwrap()).unwrap();
            let kept = |line: &&str| line.contains("_backend") || line.contains("no-route");
            let from = text.find("frontend bellows.last").unwrap();
            text[from..]
                .lines()
                .filter(kept)
                .map(|line| format!("{}\n", line.trim()))
                .collect::<String>()
        };
        insta::assert_snapshot!(rendered(vec![backend("api", "/api", 1, &[])]), @"
        use_backend api if { path /api } || { path_beg /api/ }
        default_backend bellows.no-route
        backend bellows.no-route from common
        ");
        insta::assert_snapshot!(rendered(vec![backend("store", "/", 1, &[])]), @"default_backend store");
        assert_eq!(rendered(vec![]), "", "at the start nothing is known of any path");
    }

    #[test]
    fn states_do_not_change_the_shape_and_all_else_does() {
        let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
        let shape = template.shape(&two_services(Drain));
        assert_eq!(shape, template.shape(&two_services(Ready)));
        let other = |change: fn(&mut Backend)| {
            let mut backends: Vec<_> = two_services(Drain).iter().cloned().collect();
            change(&mut backends[2]);
            template.shape(&Backends::new(backends).unwrap())
        };
        let changes: [fn(&mut Backend); 5] = [
            |b| b.concurrency = 9.try_into().unwrap(),
            |b| b.health_path = "/other".parse().unwrap(),
            |b| b.path_prefix = "/other".parse().unwrap(),
            |b| b.servers[0].address.set_port(1),
            |b| b.servers.truncate(1),
        ];
        for change in changes {
            assert_ne!(other(change), shape);
        }
        let elsewhere = Template::load(&settings(Path::new("/run/elsewhere"))).unwrap();
        assert_ne!(elsewhere.shape(&two_services(Drain)), shape);
    }

    #[test]
    fn a_wrong_template_is_named_with_its_line() {
        let said = |result: Result<String, HaproxyError>| match result.unwrap_err() {
            HaproxyError::Template { file, line, message } => {
                assert!(file.ends_with("mine.tera"));
                (line, message)
            }
            other => panic!("{other}"),
        };
        let (line, _) = said(template_of("a\nb\n{% for x %}\n").map(|_| String::new()));
        assert_eq!(line, Some(3));
        let unknown = template_of("a\n{{ generation }}\n{{ genration }}\n").unwrap();
        let (line, message) = said(unknown.render(1, &Backends::default()));
        assert_eq!(line, Some(3));
        assert!(message.contains("genration"), "{message}");
    }
}
