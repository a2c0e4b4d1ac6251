//! The view of `status` as text for people.

use std::fmt::Write;

use model::bounds::Bounds;
use model::failure::Failure;
use model::network::NetworkStatus;
use model::output::harmless;
use model::policies::PolicySpec;
use model::refusal::cure;
use model::status::MembershipStatus;
use model::version::Rollout;

use super::view::{Decided, DeployState, Instance, Program, Service, Set, Source, View};

/// A failure that nobody asked about for an hour is found in the ticks and in the logs.
const FAILURES_SHOWN_MS: u64 = 3_600_000;

/// Renders the view as tables.
pub(crate) fn render(view: &View) -> String {
    let mut text = programs(&view.programs);
    if let Some(error) = &view.scaler_error {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "This is what LXC runs, since {error}.");
    }
    if let Some(MembershipStatus { set: Some(way), .. }) = view.membership {
        let _ = writeln!(
            text,
            "The way of membership was set to {way}; `./just membership default` goes back to what \
             bellows.toml says."
        );
    }
    if let Some(status) = &view.network {
        text.push_str(&network(status, view.at_ms));
    }
    if !view.services.is_empty() {
        text.push('\n');
        text.push_str(&services(&view.services, view.at_ms));
        text.push_str(&costs(&view.services));
        text.push_str(&rollouts(&view.services, view.at_ms));
        text.push_str(&unreadable(&view.services));
        text.push_str(&failures(&view.services, view.at_ms));
    }
    text.push_str(&deploys(&view.deploys, view.at_ms));
    text.push('\n');
    if view.instances.is_empty() && view.source == Source::Host {
        text.push_str("No instances. `./just up` brings the system up.\n");
    } else if view.instances.is_empty() {
        text.push_str("No instances.\n");
    } else {
        text.push_str(&instances(&view.instances, view.at_ms));
    }
    text
}

/// A line for each deploy that goes on, was cut off, or did not end well.
fn deploys(deploys: &[DeployState], now_ms: u64) -> String {
    let line = |deploy: &DeployState| {
        let DeployState { service, folder, stage, .. } = deploy;
        let (folder, age) = (folder.display(), age(deploy.begun_at_ms, now_ms));
        match &deploy.verdict {
            _ if deploy.goes_on => {
                format!("{service} is being deployed from {folder} since {age}: {stage}.\n")
            }
            None => format!(
                "The deploy of {service} from {folder} was cut off, {age} ago, at {stage}: deploy it again.\n"
            ),
            Some(verdict) => format!("The last deploy, {age} ago: {}.\n", harmless(verdict)),
        }
    };
    deploys.iter().map(line).collect()
}

/// What an operator should know of the instances' firewall; nothing where nothing happened to it.
fn network(status: &NetworkStatus, now_ms: u64) -> String {
    let mut text = String::new();
    if let Some(trouble) = &status.trouble {
        let _ = writeln!(text, "The instances' firewall is not held: {trouble}.");
    }
    let Some(last) = status.last else { return text };
    let age = age(last.at.as_millis(), now_ms);
    let _ = write!(
        text,
        "Rules of the instances' firewall were {} and were put back {age} ago ({} since the scaler \
         started)",
        last.drift, status.put_back
    );
    text.push_str(if last.is_disputed() {
        ", again and again: another program removes them, and `nft monitor` shows which.\n"
    } else {
        ".\n"
    });
    text
}

fn programs(programs: &[Program]) -> String {
    let rows = programs.iter().map(|Program { name, state, pid }| {
        let process = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        [(*name).to_owned(), (*state).to_owned(), process]
    });
    columns(["PROGRAM", "STATE", "PROCESS"], rows)
}

fn services(services: &[Service], now_ms: u64) -> String {
    let rows = services.iter().map(|service| {
        [
            service.name.clone(),
            service.route.clone().unwrap_or_else(|| "-".to_owned()),
            marked(format!("{}..{}", service.min, service.max), service.bounds_set.as_ref(), range),
            marked(service.policy.clone(), service.policy_set.as_ref(), |said| {
                policy_said(service, said)
            }),
            service.offered_rps.map_or_else(|| "-".to_owned(), |rps| format!("{rps:.1}/s")),
            service.decision.as_ref().map_or_else(|| "-".to_owned(), |d| decision(d, now_ms)),
        ]
    });
    columns(["SERVICE", "ROUTE", "BOUNDS", "POLICY", "OFFERED", "LAST DECISION"], rows)
}

/// What the instances cost for each hour now; nothing where nobody said what one costs.
fn costs(services: &[Service]) -> String {
    let costs: Vec<_> = services
        .iter()
        .filter_map(|service| Some((service.name.as_str(), service.cost_per_hour?)))
        .collect();
    if costs.is_empty() {
        return String::new();
    }
    let all = amount(costs.iter().map(|(_, cost)| cost).sum());
    let each = costs.iter().map(|(name, cost)| format!("{name} {}", amount(*cost)));
    let unknown = services.iter().filter(|service| service.cost_per_hour.is_none());
    let unknown = unknown.map(|service| format!("{} not known", service.name));
    let each = each.chain(unknown).collect::<Vec<_>>().join(", ");
    format!("Instances cost {all} an hour now: {each}.\n")
}

/// A price, of which a sum of fractions may have made 0.30000000000000004.
fn amount(price: f64) -> String {
    let text = format!("{price:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A line for each service whose wanted version does not serve.
fn rollouts(services: &[Service], now_ms: u64) -> String {
    let line = |service: &Service| {
        let name = &service.name;
        match service.rollout.as_ref()? {
            Rollout::Serving { .. } => None,
            first @ Rollout::Proving { next, since, .. } if first.is_first() => Some(format!(
                "Version {} of {name} is to be the first to serve: its release command has been due for {}.\n",
                next.version,
                age(since.as_millis(), now_ms)
            )),
            first @ Rollout::GivenUp { next, reason, .. } if first.is_first() => Some(format!(
                "Version {} of {name} was given up: {reason}. No version has served yet.\n",
                next.version
            )),
            Rollout::Proving { version, next, since } => Some(format!(
                "Version {} of {name} has been on trial for {}; version {version} serves.\n",
                next.version,
                age(since.as_millis(), now_ms)
            )),
            Rollout::Watching { version, next, since } => Some(format!(
                "Version {} of {name} has been watched beside version {version} for {}.\n",
                next.version,
                age(since.as_millis(), now_ms)
            )),
            Rollout::GivenUp { version, next, reason } => Some(format!(
                "Version {} of {name} was given up: {reason}. Version {version} serves.\n",
                next.version
            )),
        }
    };
    services.iter().filter_map(line).collect()
}

/// A line for each version that this release cannot read.
fn unreadable(services: &[Service]) -> String {
    let lines = services.iter().flat_map(|Service { name, unreadable, .. }| {
        unreadable.iter().map(move |(version, problem)| {
            format!("Version {version} of {name} cannot be gone back to: {problem}.\n")
        })
    });
    lines.collect()
}

/// What went wrong last with each service, with what the instance wrote last; nothing of what is long past.
fn failures(services: &[Service], now_ms: u64) -> String {
    let mut text = String::new();
    for failure in services.iter().filter_map(|service| service.last_failure.as_ref()) {
        let Failure { at, instance, problem, last_lines } = failure;
        let at_ms = at.as_millis();
        if now_ms.saturating_sub(at_ms) > FAILURES_SHOWN_MS {
            continue;
        }
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{instance}, {} ago: {}.", age(at_ms, now_ms), harmless(problem));
        if !last_lines.is_empty() {
            text.push_str("  It wrote last:\n");
        }
        for line in last_lines {
            let _ = writeln!(text, "    {}", harmless(line));
        }
        if let Some(cure) = cure(last_lines) {
            let _ = writeln!(text, "  What it was refused: {cure}.");
        }
    }
    text
}

/// What is in force, with a mark where an operator set it.
fn marked<T>(value: String, set: Option<&Set<T>>, text: impl Fn(&T) -> String) -> String {
    match set {
        None => value,
        Some(Set { waits: Some(set), .. }) => format!("{value} (set, and waits: {})", text(set)),
        Some(Set { file_says: None, .. }) => format!("{value} (set)"),
        Some(Set { file_says: Some(said), .. }) => {
            format!("{value} (set; the file says {})", text(said))
        }
    }
}

fn range(bounds: &Bounds) -> String {
    format!("{}..{}", bounds.min(), bounds.max())
}

/// A policy that is not in force, as people tell it from the one that is.
fn policy_said(service: &Service, said: &PolicySpec) -> String {
    let name = said.to_string();
    if *said == service.policy_spec {
        "the same".to_owned()
    } else if name == service.policy {
        "other figures".to_owned()
    } else {
        name
    }
}

fn decision(decision: &Decided, now_ms: u64) -> String {
    let wanted = decision.ready.map_or_else(|| "hold".to_owned(), |ready| format!("{ready} ready"));
    let age = age(decision.at_ms, now_ms);
    let reasons: Vec<String> = decision.reasons.iter().map(|r| format!("{r:?}")).collect();
    let reasons =
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let blocked: Vec<String> = decision.blocked.iter().map(|b| format!("{b:?}")).collect();
    let blocked =
        if blocked.is_empty() { String::new() } else { format!(", waits: {}", blocked.join(", ")) };
    format!("{wanted}{reasons}{blocked}, {age} ago")
}

fn instances(instances: &[Instance], now_ms: u64) -> String {
    let rows = instances.iter().map(|instance| {
        [
            instance.name.clone(),
            instance.phase.to_owned(),
            instance.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            instance.slot.to_string(),
            instance.address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
            age(instance.born_ms, now_ms),
        ]
    });
    columns(["INSTANCE", "PHASE", "VERSION", "SLOT", "ADDRESS", "AGE"], rows)
}

/// A span in its two largest units.
fn age(from_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(from_ms) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Left-aligned columns, two spaces apart, without blanks at the ends of lines.
fn columns<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let lines: Vec<[String; N]> = [heads.map(str::to_owned)].into_iter().chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let text = |line: &[String; N]| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    lines.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::net::Ipv4Addr;

    use model::action::Blocked;
    use model::decision::Reason;
    use model::names::Slot;
    use model::network::{Drift, PutBack};
    use model::policies::Hpa;
    use model::policies::{Policy, PolicyKind};
    use model::status::Membership;
    use model::time::Timestamp;
    use model::version::{Version, Wanted};

    use super::*;

    fn view(source: Source) -> View {
        let instance = |slot: u8, phase, born_ms| Instance {
            name: format!("bw-object-store-{slot}-m1x"),
            slot: Slot::try_from(u32::from(slot)).unwrap(),
            address: Some(Ipv4Addr::new(10, 117, 0, slot + 1)),
            version: Some(Version::new(0x1a2b_3c4d)),
            phase,
            born_ms,
        };
        View {
            at_ms: 1_000_000_000,
            source,
            scaler_error: (source == Source::Host).then(|| "the scaler gives no answer".to_owned()),
            programs: vec![
                Program { name: "haproxy", state: "running", pid: Some(4321) },
                Program { name: "scaler", state: "stopped", pid: None },
            ],
            membership: None,
            network: None,
            services: Vec::new(),
            deploys: Vec::new(),
            instances: vec![
                instance(1, "ready", 999_988_000),
                instance(17, "starting", 996_000_000),
            ],
        }
    }

    /// A service as it is when nothing was set and nothing happened.
    fn service(name: &str, policy: PolicyKind) -> Service {
        Service {
            name: name.to_owned(),
            route: Some("/".to_owned()),
            reaches: BTreeSet::new(),
            policy: policy.name().to_owned(),
            policy_spec: policy.into(),
            min: 1,
            max: 2,
            rollout: None,
            last_failure: None,
            policy_set: None,
            bounds_set: None,
            unreadable: BTreeMap::new(),
            price_per_hour: None,
            cost_per_hour: None,
            offered_rps: None,
            decision: None,
        }
    }

    #[test]
    fn a_firewall_that_was_put_back_or_is_not_held_is_told() {
        let put_back = |drift, within_a_minute| PutBack {
            at: Timestamp::from_millis(999_815_000),
            drift,
            within_a_minute,
        };
        let told = |put_back, last, trouble: Option<&str>| {
            let trouble = trouble.map(str::to_owned);
            network(&NetworkStatus { put_back, last, trouble }, 1_000_000_000)
        };
        assert_eq!(told(0, None, None), "");
        let once = told(1, Some(put_back(Drift::Missing, 1)), None);
        let disputed = told(71, Some(put_back(Drift::Changed, 12)), None);
        let trouble = told(0, None, Some("`nft` could not be started"));
        insta::assert_snapshot!([once, disputed, trouble].concat(), @"
        Rules of the instances' firewall were missing and were put back 3 min 5 s ago (1 since the scaler started).
        Rules of the instances' firewall were changed and were put back 3 min 5 s ago (71 since the scaler started), again and again: another program removes them, and `nft monitor` shows which.
        The instances' firewall is not held: `nft` could not be started.
        ");
    }

    #[test]
    fn services_show_their_bounds_load_and_last_decision() {
        let mut view = view(Source::Scaler);
        let membership = Membership::Reload;
        view.membership = Some(MembershipStatus { membership, set: Some(membership) });
        view.services = vec![
            Service {
                min: 2,
                max: 4,
                policy_set: Some(Set {
                    file_says: Some(PolicyKind::TargetTracking.into()),
                    waits: None,
                }),
                bounds_set: Some(Set { file_says: Some(Bounds::new(1, 10).unwrap()), waits: None }),
                offered_rps: Some(123.44),
                decision: Some(Decided {
                    at_ms: 999_997_000,
                    ready: Some(3),
                    reasons: vec![Reason::OfferedLoad, Reason::AtMax],
                    blocked: vec![Blocked::HostMemory],
                }),
                ..service("object-store", PolicyKind::Hpa)
            },
            Service {
                route: Some("/matmul".to_owned()),
                reaches: BTreeSet::new(),
                ..service("matmul", PolicyKind::TargetTracking)
            },
        ];
        insta::assert_snapshot!(render(&view), @r"
        PROGRAM  STATE    PROCESS
        haproxy  running  4321
        scaler   stopped  -
        The way of membership was set to reload; `./just membership default` goes back to what bellows.toml says.

        SERVICE       ROUTE    BOUNDS                           POLICY                                    OFFERED  LAST DECISION
        object-store  /        2..4 (set; the file says 1..10)  hpa (set; the file says target_tracking)  123.4/s  3 ready (OfferedLoad, AtMax), waits: HostMemory, 3 s ago
        matmul        /matmul  1..2                             target_tracking                           -        -

        INSTANCE                PHASE     VERSION   SLOT  ADDRESS      AGE
        bw-object-store-1-m1x   ready     1a2b3c4d  1     10.117.0.2   12 s
        bw-object-store-17-m1x  starting  1a2b3c4d  17    10.117.0.18  1 h 6 min
        ");
    }

    #[test]
    fn what_instances_cost_now_is_told_where_somebody_said_what_one_costs() {
        let costing = |name, cost_per_hour| Service {
            cost_per_hour,
            ..service(name, PolicyKind::Utilization)
        };
        let free = costing("matmul", None);
        assert_eq!(costs(std::slice::from_ref(&free)), "");
        let all = [costing("shop", Some(0.1 + 0.2)), free, costing("store", Some(10.0))];
        insta::assert_snapshot!(costs(&all), @"Instances cost 10.3 an hour now: shop 0.3, store 10, matmul not known.");
    }

    #[test]
    fn a_version_on_trial_and_one_that_was_given_up_are_told() {
        let next = Wanted { version: Version::new(2), deployed_at: Timestamp::from_millis(0) };
        let version = Version::new(1);
        let since = Timestamp::from_millis(1_000);
        let reason = "http://10.117.0.2:8000/healthy answered 404".to_owned();
        let failed = "release `./migrate` ended with status 3".to_owned();
        let all = [
            Rollout::Proving { version: next.version, next, since },
            Rollout::GivenUp { version: next.version, next, reason: failed },
            Rollout::Serving { version },
            Rollout::Proving { version, next, since },
            Rollout::Watching { version, next, since },
            Rollout::GivenUp { version, next, reason },
        ];
        let all = all
            .map(|rollout| Service { rollout: Some(rollout), ..service("store", PolicyKind::Hpa) });
        insta::assert_snapshot!(rollouts(&all, 4_000), @r"
        Version 00000002 of store is to be the first to serve: its release command has been due for 3 s.
        Version 00000002 of store was given up: release `./migrate` ended with status 3. No version has served yet.
        Version 00000002 of store has been on trial for 3 s; version 00000001 serves.
        Version 00000002 of store has been watched beside version 00000001 for 3 s.
        Version 00000002 of store was given up: http://10.117.0.2:8000/healthy answered 404. Version 00000001 serves.
        ");
    }

    #[test]
    fn what_went_wrong_last_is_told_with_what_the_instance_wrote() {
        let failure = |at, lines: &[&str]| Failure {
            at: Timestamp::from_millis(at),
            instance: "bw-store-3-m1x".parse().unwrap(),
            problem: "it ended by itself".to_owned(),
            last_lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        let all = [
            failure(2_000, &[]),
            failure(4_000_000, &[]),
            failure(4_000_500, &["up", "\x1b[2J", "chown x: Operation not permitted"]),
        ];
        let all = all.map(|failure| Service {
            last_failure: Some(failure),
            ..service("store", PolicyKind::Hpa)
        });
        insta::assert_snapshot!(failures(&all, 4_005_500), @r"
        bw-store-3-m1x, 5 s ago: it ended by itself.
        bw-store-3-m1x, 5 s ago: it ended by itself.
          It wrote last:
            up
            \u{1b}[2J
            chown x: Operation not permitted
          What it was refused: instance.capabilities gives it rights of root: chown, fowner, setuid, setgid or kill; no key allows what else root may do on a host.
        ");
    }

    #[test]
    fn what_was_set_and_waits_is_not_told_as_in_force() {
        let mut waiting = service("store", PolicyKind::Utilization);
        let react = Some(PolicyKind::React.into());
        waiting.policy_set = Some(Set { file_says: None, waits: react });
        let bounds = Some(Bounds::new(3, 9).unwrap());
        waiting.bounds_set = Some(Set { file_says: bounds, waits: bounds });
        let told = services(&[waiting], 0);
        assert!(told.contains("utilization (set, and waits: react)"), "{told}");
        assert!(told.contains("1..2 (set, and waits: 3..9)"), "{told}");
    }

    #[test]
    fn a_kept_version_that_cannot_be_read_is_told() {
        let mut service = service("store", PolicyKind::Hpa);
        service.unreadable.insert(Version::new(7), "deployment.json: `x` is unknown".to_owned());
        assert_eq!(
            unreadable(&[service]),
            "Version 00000007 of store cannot be gone back to: deployment.json: `x` is unknown.\n"
        );
    }

    #[test]
    fn the_policy_of_the_file_is_told_from_the_one_that_was_set() {
        let quick = PolicySpec::new(vec![Policy::Hpa(Hpa { sync_ms: 100, ..Hpa::default() })]);
        let mut service = service("store", PolicyKind::Hpa);
        let mut cell = |file_says| {
            service.policy_set = Some(Set { file_says, waits: None });
            services(std::slice::from_ref(&service), 0)
        };
        assert!(cell(Some(PolicyKind::Hpa.into())).contains("hpa (set; the file says the same)"));
        assert!(cell(quick.ok()).contains("hpa (set; the file says other figures)"));
        assert!(cell(Some(PolicyKind::React.into())).contains("hpa (set; the file says react)"));
        assert!(cell(None).contains("hpa (set)"));
    }

    #[test]
    fn without_the_scaler_the_table_says_so() {
        insta::assert_snapshot!(render(&view(Source::Host)), @r"
        PROGRAM  STATE    PROCESS
        haproxy  running  4321
        scaler   stopped  -
        This is what LXC runs, since the scaler gives no answer.

        INSTANCE                PHASE     VERSION   SLOT  ADDRESS      AGE
        bw-object-store-1-m1x   ready     1a2b3c4d  1     10.117.0.2   12 s
        bw-object-store-17-m1x  starting  1a2b3c4d  17    10.117.0.18  1 h 6 min
        ");
    }

    #[test]
    fn nothing_running_is_said_in_words() {
        let last = |source| {
            let mut view = view(source);
            view.instances.clear();
            render(&view).lines().last().unwrap().to_owned()
        };
        assert_eq!(last(Source::Host), "No instances. `./just up` brings the system up.");
        assert_eq!(last(Source::Scaler), "No instances.", "an idle service may have none");
    }

    #[test]
    fn ages_use_their_two_largest_units() {
        let ages = [0, 59_999, 61_000, 3_700_000, 90_000_000].map(|ms| age(0, ms));
        assert_eq!(ages, ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        assert_eq!(age(5000, 0), "0 s", "a clock that was set back");
    }
}
