use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;

use model::action::Blocked;
use model::decision::Reason;
use model::hold::Hold;
use model::job::Stage;
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
        to_be_removed: false,
        born_ms,
    };
    View {
        format: 1,
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
        instances: vec![instance(1, "ready", 999_988_000), instance(17, "starting", 996_000_000)],
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
        hold: None,
        held_at: None,
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
fn a_held_number_is_told_with_its_end_what_the_bounds_make_of_it_and_the_way_back() {
    let hold = |ready| Hold {
        ready,
        since: Timestamp::from_millis(1_795_000_000_000),
        until: Timestamp::from_millis(1_795_003_600_000),
    };
    let bounds = Bounds::new(1, 2).unwrap();
    let held = |ready| Service {
        hold: Some(hold(ready)),
        held_at: Some(hold(ready).within(bounds).ready),
        ..service("shop", PolicyKind::Hpa)
    };
    let free = service("cart", PolicyKind::Hpa);
    insta::assert_snapshot!(holds(&[held(2), free, held(4)]), @r"
    shop is held at 2 until 2026-11-18T12:06:40Z; `bellows scale shop --auto` gives it back to its policy.
    shop is held at 4 (2 within its bounds) until 2026-11-18T12:06:40Z; `bellows scale shop --auto` gives it back to its policy.
    ");
    let mut view = view(Source::Scaler);
    view.instances[0].to_be_removed = true;
    assert!(
        render(&view).contains("bw-object-store-1-m1x   ready, to be removed  "),
        "{}",
        render(&view)
    );
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
    The way of membership was set to reload; `bellows membership default` goes back to what bellows.toml says.

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
    let costing =
        |name, cost_per_hour| Service { cost_per_hour, ..service(name, PolicyKind::Utilization) };
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
    let all =
        all.map(|rollout| Service { rollout: Some(rollout), ..service("store", PolicyKind::Hpa) });
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

#[test]
fn a_deploy_is_told_with_whence_it_is() {
    let told = |folder: &Path, goes_on| {
        let deploy = DeployState {
            service: "shop".parse().unwrap(),
            folder: folder.to_owned(),
            begun_at_ms: 999_990_000,
            stage: Stage::Begin,
            goes_on,
            verdict: None,
        };
        deploys(&[deploy], 1_000_000_000)
    };
    let of_anna = told(Path::new("/home/anna/shop"), true);
    assert!(of_anna.starts_with("shop is being deployed from /home/anna/shop since "), "{of_anna}");
    let by_api = [true, false].map(|goes_on| told(host::deployments::by_api(), goes_on));
    assert!(by_api[0].starts_with("shop is being deployed by the API since "), "{by_api:?}");
    assert!(by_api[1].starts_with("The deploy of shop by the API was cut off, "), "{by_api:?}");
}
