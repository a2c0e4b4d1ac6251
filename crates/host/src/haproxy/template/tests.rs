use model::service::{HealthCheck, HealthStatus};

use super::super::backends::ServerState::{self, Drain, Ready};
use super::super::backends::tests::backend;
use super::super::backends::{Backend, Backends};
use super::super::settings::tests::settings;
use super::*;

fn template_of(text: &str) -> Result<Template, HaproxyError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.tera");
    std::fs::write(&file, text).unwrap();
    Template::load(&HaproxySettings { template: Some(file), ..settings(Path::new("/run/bellows")) })
}

fn three_services(state: ServerState) -> Backends {
    let store = backend("store", "/", 1, &[Ready, state]);
    let deep = backend("deep", "/api/v2", 11, &[Ready]);
    let api = backend("api", "/api", 21, &[]);
    Backends::new(vec![store, api, deep]).unwrap()
}

/// Generation 17 of three services, of which one has moved an instance to another line.
fn rendered() -> Rendered {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let mut layout = Layout::new(&three_services(Drain));
    let moved = layout.backends[2].servers.remove(&2).unwrap();
    layout.backends[2].servers.insert(4, moved);
    template.render(17, &layout).unwrap()
}

#[test]
fn what_belongs_to_the_instance_of_a_line_stands_in_a_file_of_the_generation() {
    let Rendered { records_file, records, .. } = rendered();
    assert_eq!(records_file, Path::new("/run/bellows/haproxy-17.map"));
    insta::assert_snapshot!(records, @"
    deep.1 s11/8/healthz
    store.1 s1/8/healthz
    store.4 s2/8/healthz
    ");
}

#[test]
fn the_whole_configuration_of_three_services() {
    let text = rendered().config;
    let from = text.find("frontend bellows.first").unwrap();
    // Limits of time and bounds of sources have tests of their own.
    let others = ["#", "timeout", "acl", "http-request set-", "stats", "option", "maxconn", "rate"];
    let hidden = |line: &str| others.iter().any(|start| line.trim().starts_with(start));
    let directives = text[from..].lines().filter(|line| !hidden(line));
    let rendered = directives.collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(rendered, @r#"
    frontend bellows.first from answers
        bind unix@/run/bellows/haproxy-root/first.sock user haproxy mode 600
        log "${BELLOWS_ANSWERS}" format raw local0
        log-format "first %b %ST %Ta %ts"
        errorfile 502 /dev/null
        http-request del-header x-bellows-reach
        use_backend %[var(txn.reach)] if { var(txn.reach) -m found }
        use_backend deep if { path,concat(/) -m beg /api/v2/ }
        use_backend api if { path,concat(/) -m beg /api/ }
        use_backend store
        default_backend bellows.no-route

    frontend bellows.last from answers
        bind unix@/run/bellows/haproxy-root/last.sock user haproxy mode 600
        log "${BELLOWS_ANSWERS}" format raw local0
        log-format "last %b %ST %Ta %ts"
        http-request del-header x-bellows-reach
        use_backend %[var(txn.reach)] if { var(txn.reach) -m found }
        use_backend deep if { path,concat(/) -m beg /api/v2/ }
        use_backend api if { path,concat(/) -m beg /api/ }
        use_backend store
        default_backend bellows.no-route

    defaults statistics from common

    frontend bellows.scrape from statistics
        bind unix@/run/bellows/haproxy-scrape.sock mode 600

    frontend bellows.statistics from statistics
        bind "${BELLOWS_STATISTICS}"

    backend api from common
        http-check send meth GET uri-lf "/%[srv_name,map(/run/bellows/haproxy-17.map),field(3,/,0)]"
        http-check expect status 200
        http-request deny deny_status 503 if { be_conn,add(txn.all) gt 4000 }
        http-response set-header x-bellows-server %[srv_name,map(/run/bellows/haproxy-17.map),field(1,/)]
        server hold 127.0.0.1:1 backup
        default-server check inter 1000ms fastinter 200ms downinter 200ms rise 1 fall 2 observe layer4 error-limit 1 on-error mark-down
        server-template api. 1-7 127.0.0.1:1 disabled

    backend deep from common
        http-check send meth GET uri-lf "/%[srv_name,map(/run/bellows/haproxy-17.map),field(3,/,0)]"
        http-check expect status 200
        http-request deny deny_status 503 if { be_conn,add(txn.all) gt 4000 }
        http-response set-header x-bellows-server %[srv_name,map(/run/bellows/haproxy-17.map),field(1,/)]
        server hold 127.0.0.1:1 backup
        default-server check inter 1000ms fastinter 200ms downinter 200ms rise 1 fall 2 observe layer4 error-limit 1 on-error mark-down
        server deep.1 10.117.0.12:8080 maxconn 8
        server-template deep. 2-7 127.0.0.1:1 disabled

    backend store from common
        http-check send meth GET uri-lf "/%[srv_name,map(/run/bellows/haproxy-17.map),field(3,/,0)]"
        http-check expect status 200
        http-request deny deny_status 503 if { be_conn,add(txn.all) gt 4000 }
        http-response set-header x-bellows-server %[srv_name,map(/run/bellows/haproxy-17.map),field(1,/)]
        server hold 127.0.0.1:1 backup
        default-server check inter 1000ms fastinter 200ms downinter 200ms rise 1 fall 2 observe layer4 error-limit 1 on-error mark-down
        server store.1 10.117.0.2:8080 maxconn 8
        server store.4 10.117.0.3:8080 maxconn 8 weight 0
        server-template store. 2-3 127.0.0.1:1 disabled
        server-template store. 5-7 127.0.0.1:1 disabled

    backend bellows.no-route from common
        http-request return status 404 content-type application/json string '{"error":{"code":"no_such_route","message":"No service has this host and path."}}'

    backend bellows.generation.17 from common
    "#);
}

#[test]
fn a_configuration_says_its_generation_and_shape() {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let line = format!("description gen-17 shape-{}", shape(&template, &three_services(Drain)).0);
    let text = rendered().config;
    assert!(text.contains(&line), "{text}");
}

#[test]
fn a_path_that_no_service_has_is_not_found_and_no_matter_of_waiting() {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let rendered = |backends| {
        let layout = Layout::new(&Backends::new(backends).unwrap());
        let text = template.render(1, &layout).unwrap().config;
        let kept = |line: &&str| line.contains("_backend") || line.contains("no-route");
        let from = text.find("frontend bellows.last").unwrap();
        text[from..]
            .lines()
            .filter(kept)
            .map(|line| format!("{}\n", line.trim()))
            .collect::<String>()
    };
    insta::assert_snapshot!(rendered(vec![backend("api", "/api", 1, &[])]), @"
    use_backend %[var(txn.reach)] if { var(txn.reach) -m found }
    use_backend api if { path,concat(/) -m beg /api/ }
    default_backend bellows.no-route
    backend bellows.no-route from common
    ");
    insta::assert_snapshot!(rendered(vec![backend("store", "/", 1, &[])]), @"
    use_backend %[var(txn.reach)] if { var(txn.reach) -m found }
    use_backend store
    default_backend bellows.no-route
    backend bellows.no-route from common
    ");
    let at_start = rendered(vec![]);
    assert!(!at_start.contains("no-route"), "nothing is known of any path: {at_start}");
}

#[test]
fn a_host_comes_before_none_the_longest_prefix_first_and_is_stripped_where_the_route_says_so() {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let with = |name: &str, host: Option<&str>, prefix: &str, strips_prefix| {
        let host = host.map(|host| host.parse().unwrap());
        let route = Route { host, path_prefix: prefix.parse().unwrap(), strips_prefix };
        Backend { route: Some(route), ..backend(name, "/", 1, &[]) }
    };
    let (shop, blog) = (Some("shop.example"), Some("blog.example"));
    let backends = vec![
        with("site", None, "/", true),
        with("docs", None, "/docs/v1", true),
        with("shop", shop, "/", false),
        with("cart", shop, "/cart", true),
        with("blog", blog, "/", false),
    ];
    let layout = Layout::new(&Backends::new(backends).unwrap());
    let text = template.render(1, &layout).unwrap().config;
    let from = text.find("frontend bellows.last").unwrap();
    let kept = ["use_backend", "set-var(txn.host)", "backend", "set-path", "x-forwarded-prefix"];
    let lines = text[from..].lines().filter(|line| kept.iter().any(|kept| line.contains(kept)));
    let rendered: String = lines.map(|line| format!("{}\n", line.trim())).collect();
    insta::assert_snapshot!(rendered, @"
    http-request set-var(txn.host) req.fhdr(host),host_only,lower,rtrim(.)
    use_backend %[var(txn.reach)] if { var(txn.reach) -m found }
    use_backend cart if { var(txn.host) -m str shop.example } { path,concat(/) -m beg /cart/ }
    use_backend blog if { var(txn.host) -m str blog.example }
    use_backend shop if { var(txn.host) -m str shop.example }
    use_backend docs if { path,concat(/) -m beg /docs/v1/ }
    use_backend site
    default_backend bellows.no-route
    backend blog from common
    backend cart from common
    http-request set-header x-forwarded-prefix /cart if !{ var(txn.reach) -m found }
    http-request set-path \"/%[path,bytes(5),ltrim(/)]\" if !{ var(txn.reach) -m found }
    backend docs from common
    http-request set-header x-forwarded-prefix /docs/v1 if !{ var(txn.reach) -m found }
    http-request set-path \"/%[path,bytes(8),ltrim(/)]\" if !{ var(txn.reach) -m found }
    backend shop from common
    backend site from common
    backend bellows.no-route from common
    backend bellows.generation.1 from common
    ");
}

#[test]
fn the_checks_of_a_service_are_as_its_file_says() {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let check = HealthCheck {
        interval: Duration::from_secs(5),
        rise: 2,
        fall: 3,
        launch_timeout: Some(Duration::from_secs(60)),
    };
    let statuses = ["204", "200-399"].map(|status| status.parse().unwrap());
    let store = backend("store", "/", 1, &[]);
    let store = Backend { health_check: check, health_statuses: statuses.into(), ..store };
    let db = Backend { route: None, tcp_port: Some(5432), ..store.clone() };
    let db = Backend { service: "db".parse().unwrap(), ..db };
    let layout = Layout::new(&Backends::new(vec![store, db]).unwrap());
    let text = template.render(1, &layout).unwrap().config;
    let kept = ["backend db", "backend store", "http-check expect", "default-server"];
    let lines = text.lines().filter(|line| kept.iter().any(|kept| line.trim().starts_with(kept)));
    insta::assert_snapshot!(lines.map(str::trim).collect::<Vec<_>>().join("\n"), @"
    backend db from streams
    default-server check inter 5000ms fastinter 200ms downinter 200ms rise 2 fall 3 observe layer4 error-limit 1 on-error mark-down
    backend store from common
    http-check expect status 200-399,204
    default-server check inter 5000ms fastinter 200ms downinter 200ms rise 2 fall 3 observe layer4 error-limit 1 on-error mark-down
    ");
}

#[test]
fn instances_are_asked_for_a_connection_for_their_paths_or_for_either_as_their_versions_say() {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let config = |with_path, some_by_connection| {
        let statuses = [with_path].into_iter().flatten().collect();
        let store = backend("store", "/", 1, &[]);
        let store = Backend { health_statuses: statuses, some_by_connection, ..store };
        template.render(1, &Layout::new(&Backends::new(vec![store]).unwrap())).unwrap().config
    };
    let usual = Some(HealthStatus::default());
    let has = |config: &str| {
        ["option httpchk", "option tcp-check", "bellows.checks"].map(|it| config.contains(it))
    };
    assert_eq!(has(&config(usual, false)), [true, false, false]);
    assert_eq!(has(&config(None, true)), [false; 3]);
    assert_eq!(has(&config(usual, true)), [false, true, true]);
}

#[test]
fn limits_follow_the_drain_of_each_service_and_old_workers_the_longest() {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let limits = |drains_s: &[(&str, u64)]| {
        let with = |(name, drain_s): &(&str, u64)| Backend {
            drain_timeout: Duration::from_secs(*drain_s),
            ..backend(name, &format!("/{name}"), 1, &[])
        };
        let backends = Backends::new(drains_s.iter().map(with).collect()).unwrap();
        let text = template.render(1, &Layout::new(&backends)).unwrap().config;
        let kept = ["backend a", "backend b", "hard-stop", "timeout server", "timeout tunnel"];
        let lines = text.lines().filter(|l| kept.iter().any(|k| l.trim().starts_with(k)));
        lines.map(|line| format!("{}\n", line.trim())).collect::<String>()
    };
    insta::assert_snapshot!(limits(&[]), @"
    hard-stop-after 90s
    timeout server 60s
    backend bellows.transfers from common
    backend bellows.delivery from common
    timeout server 90s
    timeout tunnel 3600s
    timeout server 90s
    timeout tunnel 3600s
    backend bellows.generation.1 from common
    ");
    insta::assert_snapshot!(limits(&[("a", 30), ("b", 7_200)]), @"
    hard-stop-after 7230s
    timeout server 60s
    backend bellows.transfers from common
    backend bellows.delivery from common
    timeout server 3630s
    timeout tunnel 7200s
    timeout server 3630s
    timeout tunnel 7200s
    backend a from common
    timeout server 60s
    timeout tunnel 3600s
    backend b from common
    timeout server 3600s
    timeout tunnel 7200s
    backend bellows.no-route from common
    backend bellows.generation.1 from common
    ");
}

#[test]
fn every_trusted_source_and_every_bound_is_in_the_configuration() {
    let mut settings = settings(Path::new("/run/bellows"));
    settings.sources.trusted.push("10.1.0.0/16".parse().unwrap());
    let template = Template::load(&settings).unwrap();
    let layout = Layout::new(&Backends::new(vec![backend("store", "/", 1, &[])]).unwrap());
    let text = template.render(1, &layout).unwrap().config;
    let kept = ["acl trusted", "tcp-request", "-request track", "-response track", "set-prio"];
    let lines = text.lines().filter(|line| kept.iter().any(|kept| line.contains(kept)));
    let rendered: String = lines.map(|line| format!("{}\n", line.trim())).collect();
    insta::assert_snapshot!(rendered, @"
    acl trusted always_false
    acl trusted src 127.0.0.1/32
    acl trusted src 10.1.0.0/16
    tcp-request connection reject if { src_conn_cur ge 3000 }
    tcp-request connection reject if !trusted { src_conn_cur ge 400 }
    tcp-request connection track-sc0 src
    tcp-request connection reject if !trusted { sc0_conn_rate gt 10000 }
    http-request track-sc1 src table bellows.transfers if !trusted { req.body_len gt 45000 }
    http-response track-sc1 src table bellows.transfers if !trusted { res.hdr_val(content-length) gt 100000 }
    tcp-request connection set-var(sess.streams) fe_conn(bellows.streams)
    tcp-request connection set-var(sess.all) fe_conn(bellows.reach),add(sess.streams)
    tcp-request connection track-sc0 src,map(/run/bellows/haproxy-1.map,-)
    tcp-request connection reject if { sc0_conn_cur,add(sess.all) gt 800 }
    tcp-request connection set-var(sess.requests) fe_conn(bellows.reach)
    tcp-request connection set-var(sess.all) fe_conn(bellows.streams),add(sess.requests)
    tcp-request connection track-sc0 src,map(/run/bellows/haproxy-1.map,-) table bellows.reach
    tcp-request connection reject if { sc0_conn_cur(bellows.reach),add(sess.all) gt 800 }
    tcp-request connection set-var(sess.port) dst_port
    tcp-request connection set-var(sess.edge) src,concat(:,sess.port)
    tcp-request connection set-var(sess.reach) var(sess.edge),map(/run/bellows/haproxy-1.map)
    tcp-request connection reject if !{ var(sess.reach) -m found }
    acl trusted always_false
    acl trusted req.hdr_ip(x-forwarded-for) 127.0.0.1/32
    acl trusted req.hdr_ip(x-forwarded-for) 10.1.0.0/16
    http-request set-priority-class req.hdr_ip(x-forwarded-for),table_conn_cur(bellows.services),div(16) if !trusted
    ");
}

#[test]
fn a_service_that_takes_connections_is_judged_by_nothing_that_is_of_requests() {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let server = |server| Server { health_path: None, ..server };
    let db = backend("db", "/", 1, &[Ready]);
    let servers = db.servers.into_iter().map(server).collect();
    let db = Backend { route: None, tcp_port: Some(5432), servers, ..db };
    let layout = Layout::new(&Backends::new(vec![db]).unwrap());
    let Rendered { config, records, .. } = template.render(1, &layout).unwrap();
    let from = config.find("\nbackend db").unwrap() + 1;
    let to = config.find("\nbackend bellows.no-route").unwrap();
    let lines = config[from..to].lines().filter(|line| !line.trim().starts_with('#'));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    backend db from streams
        timeout server 3600s
        server hold 127.0.0.1:1 backup
        default-server check inter 1000ms fastinter 200ms downinter 200ms rise 1 fall 2 observe layer4 error-limit 1 on-error mark-down
        server db.1 10.117.0.2:8080 maxconn 8
        server-template db. 2-7 127.0.0.1:1 disabled
    ");
    assert_eq!(records, "db.1 s1/8\n");
}

fn shape(template: &Template, backends: &Backends) -> Shape {
    template.shape(backends.iter().map(Backend::fixed))
}

#[test]
fn instances_do_not_change_the_shape_and_services_and_settings_do() {
    let template = Template::load(&settings(Path::new("/run/bellows"))).unwrap();
    let all = three_services(Drain);
    let expected = shape(&template, &all);
    let other = |change: fn(&mut Vec<Backend>)| {
        let mut backends: Vec<_> = all.iter().cloned().collect();
        change(&mut backends);
        shape(&template, &Backends::new(backends).unwrap())
    };
    assert_eq!(other(|b| b[2].servers.truncate(1)), expected);
    assert_eq!(other(|b| b[2].max_servers = 700), expected);
    assert_ne!(other(|b| b[2].route = Some(Route::below("/other".parse().unwrap()))), expected);
    assert_ne!(other(|b| b[2].route.as_mut().unwrap().strips_prefix = true), expected);
    assert_ne!(other(|b| b[2].health_check.fall = 3), expected);
    assert_ne!(other(|b| _ = b[2].health_statuses.insert("204".parse().unwrap())), expected);
    let launched = |b: &mut Vec<Backend>| {
        b[2].health_check.launch_timeout = Some(Duration::from_secs(60));
    };
    assert_eq!(other(launched), expected);
    assert_ne!(other(|b| b.truncate(2)), expected);
    assert_ne!(other(|b| b[2].tcp_port = Some(5432)), expected);
    assert_eq!(other(|b| b[2].drain_timeout = Duration::from_secs(60)), expected);
    assert_ne!(other(|b| b[2].drain_timeout = Duration::from_secs(61)), expected);
    let mut bounded = settings(Path::new("/run/bellows"));
    bounded.sources.trusted.clear();
    assert_ne!(shape(&Template::load(&bounded).unwrap(), &all), expected);
    let elsewhere = Template::load(&settings(Path::new("/run/elsewhere"))).unwrap();
    assert_ne!(shape(&elsewhere, &all), expected);
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
    let (line, message) =
        said(unknown.render(1, &Layout::default()).map(|rendered| rendered.config));
    assert_eq!(line, Some(3));
    assert!(message.contains("genration"), "{message}");
}
