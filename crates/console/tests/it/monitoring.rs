//! The alert rules and the dashboard of the documentation hold to what `/metrics` has: names, labels and their values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use console::events::{Event, Happened, Kind};
use console::history::Status;
use console::metrics::{Counted, Moment, Notified, Responses, text};
use console::notify::{Episode, Evidence, Outcome};
use console::samples;
use host::answer_pipe::{Answer, Class};
use host::settings::EpisodeKind;
use model::decision::Reason;
use model::status::HostStatus;
use model::time::Timestamp;
use prometheus_client::registry::Registry;
use strum::IntoEnumIterator as _;

/// The labels that Prometheus adds to all that it scrapes.
const OF_PROMETHEUS: [&str; 2] = ["instance", "job"];

/// A metric's labels.
type Labels = BTreeSet<String>;

/// All that `/metrics` can have, by name.
fn metrics() -> BTreeMap<String, Labels> {
    let mut registry = Registry::default();
    let counted = Counted::register(&mut registry);
    let happened = Happened::LimitBegan { reason: Reason::AtMax };
    let (at, service) = (Timestamp::default(), Some("store".parse().unwrap()));
    counted.event(&Event { at, service: service.clone(), happened });
    let answered = "store".parse().unwrap();
    let answer = Answer { service: answered, class: Class::Success, time_ms: 1 };
    Responses::register(&mut registry).count(&answer);
    let notified = Notified::register(&mut registry);
    notified.receivers(["webhook_1"].into_iter());
    notified.waiting("webhook_1", 1);
    let (kind, evidence) = (EpisodeKind::AtMaximum, Evidence::AtMaximum { bound: 1 });
    notified.episodes([Episode { kind, service, since: at, evidence }].iter());

    let mut status = samples::service_feed("store", 1, &["bw-store-1-a"]).status;
    let mut tick = samples::tick("store", 1);
    let observed = &mut tick.observation;
    (observed.offered_rps, observed.served_rps, observed.rejected_rps) =
        (Some(1.0), Some(1.0), Some(1.0));
    (observed.queued, observed.in_flight, observed.cpu_cores) = (Some(1), Some(1), Some(1.0));
    status.tick = Some(tick);
    let host = HostStatus { services: vec![status], ..HostStatus::default() };
    let history =
        Status { used_bytes: 1, size_bytes: 1, problem: None, aside: None, seconds_missed: 1 };
    let text = text(&registry, &Moment { host: Some(&host), history: &history }).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| parts(line.rsplit_once(' ').unwrap().0)).collect()
}

/// `name{label="value",...}`.
fn parts(series: &str) -> (String, Labels) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    (name.to_owned(), selectors(labels).into_iter().map(|(label, _)| label).collect())
}

/// What stands in the braces of a selector: each label with its value.
fn selectors(text: &str) -> Vec<(String, String)> {
    let text = text.split('}').next().unwrap_or_default();
    let mut pieces = text.split('"');
    let mut found = Vec::new();
    while let (Some(label), Some(value)) = (pieces.next(), pieces.next()) {
        let label = label.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        found.push((label.to_owned(), value.to_owned()));
    }
    found
}

/// Each `bellows_` metric of an expression, with the labels of its selector and their values.
fn used(expression: &str) -> Vec<(String, Vec<(String, String)>)> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = expression.match_indices("bellows_").map(|(at, _)| at);
    let starts = starts.filter(|at| !expression[..*at].ends_with(is_of_name));
    starts
        .map(|at| {
            let rest = &expression[at..];
            let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            (name.to_owned(), rest.strip_prefix('{').map(selectors).unwrap_or_default())
        })
        .collect()
}

/// The labels by which an expression groups or matches: those in the brackets after `by`, `on` and their like.
fn grouped(expression: &str) -> Vec<String> {
    let words = ["by (", "on (", "without (", "ignoring (", "group_left (", "group_right ("];
    let after = words.iter().flat_map(|word| expression.split(word).skip(1));
    let lists = after.filter_map(|rest| rest.split(')').next());
    lists.flat_map(|list| list.split(',').map(|label| label.trim().to_owned())).collect()
}

/// The labels that a text for people names: `{{ $labels.service }}` of a rule, `{{service}}` of a panel.
fn shown(text: &str) -> Vec<String> {
    let pieces = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    pieces.map(|piece| piece.trim().trim_start_matches("$labels.").to_owned()).collect()
}

/// The values that a label can have; `None` where that is an operator's business.
fn values(metric: &str, label: &str) -> Option<BTreeSet<&'static str>> {
    match (metric, label) {
        ("bellows_episodes", "kind") => Some(EpisodeKind::iter().map(EpisodeKind::word).collect()),
        ("bellows_events_total", "kind") => Some(Kind::iter().map(Into::into).collect()),
        (_, "outcome") => Some(Outcome::iter().map(Into::into).collect()),
        (_, "class") => Some(BTreeSet::from(["2xx", "3xx", "4xx", "5xx"])),
        (_, "phase") => Some(BTreeSet::from(["starting", "ready", "draining", "failed"])),
        _ => None,
    }
}

/// What an expression, and the text that goes with it, has that `/metrics` has not.
fn faults(expression: &str, text: &str) -> Vec<String> {
    let known = metrics();
    let (mut faults, mut labels) = (Vec::new(), Labels::from(OF_PROMETHEUS.map(str::to_owned)));
    for (metric, selectors) in used(expression) {
        let Some(own) = known.get(&metric) else {
            faults.push(format!("no metric {metric}"));
            continue;
        };
        labels.extend(own.iter().cloned());
        for (label, value) in selectors {
            if !own.contains(&label) && !OF_PROMETHEUS.contains(&&*label) {
                faults.push(format!("{metric} has no label {label}"));
            }
            let allowed = values(&metric, &label).filter(|_| !value.starts_with('$'));
            let unknown = |value: &&str| allowed.as_ref().is_some_and(|all| !all.contains(value));
            faults.extend(
                value.split('|').filter(unknown).map(|it| format!("{label} is never {it}")),
            );
        }
    }
    let named = grouped(expression).into_iter().chain(shown(text));
    faults.extend(named.filter(|label| !labels.contains(label)).map(|it| format!("no label {it}")));
    faults
}

fn page(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations/monitoring");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The rules: each name with its expression and all of its text.
fn rules() -> Vec<(String, String, String)> {
    let page = page("alerts.yml");
    let rules = page.split("- alert: ").skip(1);
    let rule = |text: &str| {
        let line = |key: &str| {
            let found = text.lines().find_map(|line| line.trim().strip_prefix(key));
            found.unwrap_or_else(|| panic!("no {key} {text}")).trim().to_owned()
        };
        for key in ["severity:", "summary:", "description:"] {
            line(key);
        }
        (text.lines().next().unwrap().to_owned(), line("expr:"), text.to_owned())
    };
    rules.map(rule).collect()
}

#[test]
fn every_alert_rule_names_what_metrics_has() {
    let rules = rules();
    assert!(rules.len() > 10, "{}", rules.len());
    for (name, expression, text) in rules {
        assert_eq!(faults(&expression, &text), Vec::<String>::new(), "{name}: {expression}");
        assert!(name == "BellowsConsoleAway" || !used(&expression).is_empty(), "{name}");
    }
}

#[test]
fn there_is_a_rule_for_every_kind_of_episode() {
    let rules = rules();
    for kind in EpisodeKind::iter() {
        let selector = format!("bellows_episodes{{kind=\"{}\"}}", kind.word());
        assert!(
            rules.iter().any(|(_, expression, _)| expression.contains(&selector)),
            "{selector}"
        );
    }
}

#[test]
fn every_panel_names_what_metrics_has_and_every_metric_is_shown_or_watched() {
    let dashboard: serde_json::Value = serde_json::from_str(&page("dashboard.json")).unwrap();
    let mut seen = BTreeSet::new();
    let panels = dashboard["panels"].as_array().unwrap();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let expression = target["expr"].as_str().unwrap();
        let text = target["legendFormat"].as_str().unwrap();
        assert_eq!(faults(expression, text), Vec::<String>::new(), "{expression}");
        seen.extend(used(expression).into_iter().map(|(name, _)| name));
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["definition"].as_str().unwrap_or_default();
        assert_eq!(faults(query, ""), Vec::<String>::new(), "{query}");
    }
    seen.extend(rules().iter().flat_map(|(_, expression, _)| used(expression)).map(|it| it.0));
    assert_eq!(seen, metrics().into_keys().collect());
}

#[test]
fn what_metrics_has_not_is_found() {
    let of = |expression| faults(expression, "{{ $labels.service }}").join(", ");
    let good =
        "sum by (service) (bellows_service_instances{phase=\"ready\", service=~\"$service\"})";
    assert_eq!(of(good), "");
    let bad =
        "bellows_service_instances{phase=\"gone\",zone=\"a\"} > on (rack) bellows_nothing{a=\"b\"}";
    insta::assert_snapshot!(of(bad), @"phase is never gone, bellows_service_instances has no label zone, no metric bellows_nothing, no label rack");
    assert_eq!(of("bellows_scaler_up == 0"), "no label service");
    let outcomes = "bellows_notify_messages_total{outcome=~\"refused|lost\"}";
    assert_eq!(of(outcomes), "outcome is never lost, no label service");
}
