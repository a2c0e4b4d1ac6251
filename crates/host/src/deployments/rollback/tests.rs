//! Going back, by the deployments that it makes.

use std::time::Duration;

use model::service::ServiceSpec;

use super::super::NewService;
use super::*;

const STORE: &str = include_str!("../../../../../services/object-store.toml");

fn store() -> ServiceName {
    "object-store".parse().unwrap()
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

const fn version(number: u32) -> Version {
    Version::new(number)
}

fn file(number: u32) -> String {
    STORE.replacen("memory_mib = 128", &format!("memory_mib = {}", 100 + number), 1).replacen(
        "max = 10",
        &format!("max = {}", 10 + number),
        1,
    )
}

fn deploy(before: &Deployment, number: u32, file: &str) -> Deployment {
    let new =
        NewService { name: &store(), file, version: version(number), serving: None, again: false };
    before.followed_by(&[new], 4, at(number.into()))
}

/// The store as version 1, then as 2 and 3 with more memory and higher bounds, of which 3 never served.
fn deployed() -> Deployment {
    let first = deploy(&Deployment::default(), 1, &file(1)).served([&store()]);
    let second = deploy(&first, 2, &file(2)).served([&store()]);
    deploy(&second, 3, &file(3))
}

fn back(from: &Deployment, to: u32, revision: bool) -> Result<Deployment, RollbackError> {
    let serving = Some(version(2));
    let to = Rollback { service: &store(), version: version(to), revision, serving, again: false };
    from.rolled_back(to, at(9))
}

fn spec(deployment: &Deployment) -> ServiceSpec {
    deployment.deployed().unwrap().remove(0).spec
}

#[test]
fn the_version_before_is_the_one_that_serves_or_the_last_that_did() {
    let (deployment, store) = (deployed(), store());
    // Version 3 is on trial, or was given up.
    assert_eq!(deployment.version_before(&store, Some(version(2))), Ok(version(2)));
    // It serves.
    assert_eq!(deployment.version_before(&store, Some(version(3))), Ok(version(2)));
    let only = deploy(&Deployment::default(), 7, STORE);
    let none = RollbackError::NoneServed(store.clone());
    assert_eq!(only.version_before(&store, Some(version(7))), Err(none));
}

#[test]
fn a_version_that_never_got_healthy_is_not_gone_back_to() {
    let first = deploy(&Deployment::default(), 1, &file(1));
    let second = deploy(&first, 2, &file(2)).served([&store()]);
    let none = RollbackError::NoneServed(store());
    assert_eq!(second.version_before(&store(), Some(version(2))), Err(none));
}

#[test]
fn who_goes_back_twice_goes_further_back() {
    let third = deployed().served([&store()]);
    let before = |deployment: &Deployment, serving: u32| {
        let serving = Some(version(serving));
        let version = deployment.version_before(&store(), serving)?;
        let to = Rollback { service: &store(), version, revision: false, serving, again: false };
        deployment.rolled_back(to, at(9)).map(|next| (version, next.served([&store()])))
    };
    let (to, once) = before(&third, 3).unwrap();
    assert_eq!(to, version(2));
    let (to, twice) = before(&once, 2).unwrap();
    assert_eq!(to, version(1));
    assert!(before(&twice, 1).is_err(), "both later ones were left");
    let to = Rollback {
        service: &store(),
        version: version(3),
        revision: false,
        serving: None,
        again: false,
    };
    let third = twice.rolled_back(to, at(10)).unwrap();
    assert!(spec(&third).watch > Duration::ZERO, "what somebody went back from is watched");
    let third = third.served([&store()]);
    let back = third.version_before(&store(), Some(version(3)));
    assert_eq!(back, Ok(version(1)), "who returned blamed nothing else");
}

#[test]
fn what_instances_are_given_goes_back_and_the_revision_stays() {
    let spec = spec(&back(&deployed(), 1, false).unwrap());
    assert_eq!((spec.instance.memory_mib, spec.bounds.max()), (101, 13));
}

#[test]
fn what_an_instance_costs_now_stays_whatever_version_is_gone_back_to() {
    let costing =
        |number, line: &str| file(number).replacen("memory_mib", &format!("{line}\nmemory_mib"), 1);
    let first = costing(1, "price_per_hour = 0.5");
    let first = deploy(&Deployment::default(), 1, &first).served([&store()]);
    for (line, price) in [("price_per_hour = 0.75", Some(0.75)), ("", None)] {
        let second = deploy(&first, 2, &costing(2, line)).served([&store()]);
        let went_back = spec(&back(&second, 1, false).unwrap());
        assert_eq!((went_back.instance.memory_mib, went_back.price_per_hour), (101, price));
    }
    let second = deploy(&first, 2, &file(2)).served([&store()]);
    assert_eq!(spec(&back(&second, 1, true).unwrap()).price_per_hour, Some(0.5));
}

/// Version 3 is bad and serves. Whoever went back was cut off, or the older version was given up.
#[test]
fn a_rollback_that_did_not_end_is_known_and_does_not_turn_round() {
    let third = deployed().served([&store()]);
    let serving = Some(version(3));
    let store = store();
    let second =
        Rollback { service: &store, version: version(2), revision: false, serving, again: false };
    let begun = third.rolled_back(second, at(9)).unwrap();
    let going = |revision| Some(GoingBack { version: version(2), revision });
    assert_eq!(begun.going_back(&store), going(false));
    assert_eq!(begun.version_before(&store, serving), Ok(version(1)), "not the one that was left");
    let again = begun.rolled_back(Rollback { again: true, ..second }, at(10)).unwrap();
    assert_eq!(again.wanted(&store).unwrap().deployed_at, at(10));
    let whole = Rollback { again: true, revision: true, ..second };
    let whole = begun.rolled_back(whole, at(10)).unwrap();
    assert_eq!(whole.going_back(&store), going(true));
    assert_eq!(again.served([&store]).going_back(&store), None);
}

#[test]
fn a_version_that_has_served_is_not_watched_again() {
    let deployment = deployed();
    assert!(spec(&deployment).watch > Duration::ZERO);
    let first = back(&deployment, 1, false).unwrap();
    assert_eq!(spec(&first).watch, Duration::ZERO);
    // By its file again: nothing changes while nothing else was asked for.
    let joined = first.services[&store()].file.clone();
    assert_eq!(spec(&deploy(&first, 1, &joined)).watch, Duration::ZERO);
    let to = Rollback {
        service: &store(),
        version: version(3),
        revision: false,
        serving: None,
        again: false,
    };
    let third = first.rolled_back(to, at(10)).unwrap();
    assert!(spec(&third).watch > Duration::ZERO, "version 3 has not");
    let again = deploy(&third, 1, &file(1));
    assert!(spec(&again).watch > Duration::ZERO, "`up` watches what it deploys");
}

#[test]
fn a_version_that_somebody_went_back_to_keeps_its_release_command_and_is_not_released() {
    let releasing = |number| format!("release = \"./migrate {number}\"\n{}", file(number));
    let releases = |deployment: &Deployment| {
        let deployed = deployment.deployed().unwrap().remove(0);
        let command = deployed.spec.instance.start.release.map(|it| it.to_string());
        (command.unwrap_or_default(), deployed.release)
    };
    let first = deploy(&Deployment::default(), 1, &releasing(1)).served([&store()]);
    assert_eq!(releases(&first), ("./migrate 1".to_owned(), true));
    let second = deploy(&first, 2, &releasing(2)).served([&store()]);
    let back = back(&second, 1, false).unwrap();
    assert_eq!(releases(&back), ("./migrate 1".to_owned(), false));
    // By its file again nothing else is asked for, until something is.
    let joined = back.services[&store()].file.clone();
    assert_eq!(releases(&deploy(&back, 1, &joined)), ("./migrate 1".to_owned(), false));
    assert_eq!(releases(&deploy(&back, 2, &releasing(2))), ("./migrate 2".to_owned(), true));
}

#[test]
fn a_version_that_never_served_is_released_also_where_somebody_goes_back_to_it() {
    let releasing = |number| format!("release = \"./migrate {number}\"\n{}", file(number));
    let first = deploy(&Deployment::default(), 1, &releasing(1)).served([&store()]);
    let second = deploy(&first, 2, &releasing(2));
    let third = deploy(&second, 3, &releasing(3)).served([&store()]);
    let store = store();
    let to = |serving| Rollback {
        service: &store,
        version: version(2),
        revision: false,
        serving: Some(version(serving)),
        again: false,
    };
    let is_released = |serving| {
        let back = third.rolled_back(to(serving), at(9)).unwrap();
        back.deployed().unwrap().remove(0).release
    };
    assert!(is_released(3));
    assert!(!is_released(2), "what serves has been released");
}

#[test]
fn a_stateful_version_is_gone_back_to_with_its_folder_and_its_one_instance() {
    let stateful = |number| {
        let file = file(number);
        let (head, tail) = file.split_once("[bounds]").unwrap();
        let (_, tail) = tail.split_once("[policy]").unwrap();
        format!("stateful = true\n{head}[policy]{tail}")
    };
    let first = deploy(&Deployment::default(), 1, &stateful(1)).served([&store()]);
    let second = deploy(&first, 2, &stateful(2)).served([&store()]);
    let gone_back = spec(&back(&second, 1, false).unwrap());
    assert_eq!(gone_back.own_folder(), Some("stateful/object-store"));
    assert_eq!((gone_back.instance.memory_mib, gone_back.bounds.max()), (101, 1));
    // What was not has other bounds, which come with the whole file alone; and so the other way round.
    let plain = deploy(&second, 3, &file(3)).served([&store()]);
    let told = back(&plain, 1, false).unwrap_err().to_string();
    assert!(told.contains("bounds.max is 13") && told.contains("use --revision"), "{told}");
    assert_eq!(spec(&back(&plain, 1, true).unwrap()).bounds.max(), 1);
}

#[test]
fn a_file_that_would_make_other_instances_is_not_joined() {
    let places = |file: &str, count: u32| {
        file.replacen("concurrency = 8", &format!("concurrency = {count}"), 1)
    };
    let first = deploy(&Deployment::default(), 1, &places(&file(1), 1000)).served([&store()]);
    let second = deploy(&first, 2, &file(2)).served([&store()]);
    let told = back(&second, 1, false).unwrap_err().to_string();
    assert!(told.contains("something else than then; use --revision"), "{told}");
    let open = deploy(&first, 2, &format!("egress = [\"any\"]\n{}", places(&file(2), 1000)));
    let told = back(&open, 1, false).unwrap_err().to_string();
    assert!(told.contains("a way out and has none now, or"), "{told}");
    assert_eq!(spec(&back(&second, 1, true).unwrap()).instance.open_files, 2000);
}

#[test]
fn with_its_revision_the_whole_file_goes_back() {
    let spec = spec(&back(&deployed(), 1, true).unwrap());
    assert_eq!((spec.instance.memory_mib, spec.bounds.max()), (101, 11));
}

#[test]
fn a_route_that_another_service_has_by_now_is_told() {
    let moved = |prefix: &str| {
        STORE.replacen("path_prefix = \"/\"", &format!("path_prefix = \"{prefix}\""), 1)
    };
    let first = deploy(&Deployment::default(), 1, STORE).served([&store()]);
    let name: ServiceName = "shop".parse().unwrap();
    let shop = STORE.replacen("name = \"object-store\"", "name = \"shop\"", 1);
    let new = |name, file, number| NewService {
        name,
        file,
        version: version(number),
        serving: None,
        again: false,
    };
    let (store, file) = (store(), moved("/store"));
    let both = [new(&store, &file, 2), new(&name, &shop, 1)];
    let second = first.followed_by(&both, 3, at(2));
    assert!(second.deployed().is_ok());
    let error = back(&second, 1, true).unwrap().deployed().unwrap_err().to_string();
    assert!(error.contains("service shop: the route is /, as that of object"), "{error}");
    assert!(back(&second, 1, false).unwrap().deployed().is_ok(), "its route of now stays");
}

#[test]
fn a_file_without_a_table_that_another_has_loses_it() {
    let (head, _) = STORE.split_once("# The instance's own configuration.").unwrap();
    assert!(STORE.contains("[application]") && !head.contains("[application]"));
    let joined = joined(STORE, head).unwrap();
    assert!(!joined.contains("application"), "{joined}");
}

#[test]
fn all_versions_are_kept_with_the_one_that_is_back_first() {
    let deployment = back(&deployed(), 1, false).unwrap();
    let kept = deployment.kept(&store()).unwrap().iter();
    let kept: Vec<_> = kept.map(|kept| (kept.version, kept.deployed_at, kept.past)).collect();
    let served = Some(Past::Served);
    let (second, third) = ((version(2), Some(at(2)), served), (version(3), Some(at(3)), None));
    assert_eq!(kept, [(version(1), Some(at(9)), served), third, second]);
    let wanted = deployment.wanted(&store()).unwrap();
    assert_eq!(wanted, Wanted { version: version(1), deployed_at: at(9) });
}

#[test]
fn what_cannot_be_gone_back_to_is_told() {
    let deployment = deployed();
    let told = |number| back(&deployment, number, false).unwrap_err().to_string();
    insta::assert_snapshot!(told(3), @"object-store is deployed as version 00000003 already");
    insta::assert_snapshot!(told(8), @"version 00000008 of object-store is not kept; `bellows versions object-store` lists those that are");
    let none = Deployment::default().kept(&store()).unwrap_err();
    insta::assert_snapshot!(none, @"there is no service object-store; `bellows status` shows those that are deployed");
}

#[test]
fn a_file_that_gives_instances_the_same_is_a_revision_and_any_other_a_version() {
    let deployment = deployed();
    let with = |old: &str, new: &str| {
        let file = file(3);
        assert!(file.contains(old), "{old}");
        let spec: ServiceSpec =
            config_file::from_toml("a file", &file.replacen(old, new, 1)).unwrap();
        deployment.version_with(&spec)
    };
    for (old, new) in [
        ("", ""),
        ("max = 13", "max = 30"),
        ("target_percent = 80", "target_percent = 60"),
        ("path_prefix = \"/\"", "path_prefix = \"/store\""),
        ("latency_ms = 250", "latency_ms = 100"),
        ("drain_timeout_ms = 30_000", "drain_timeout_ms = 60_000"),
        ("[instance]", "[instance]\nprice_per_hour = 0.5"),
        ("Delete all objects", "Empty it"),
    ] {
        assert_eq!(with(old, new), Some(version(3)), "{new}");
    }
    for (old, new) in [
        ("memory_mib = 103", "memory_mib = 104"),
        ("image = \"object-store\"", "image = \"matmul\""),
        ("objects_dir", "more = 1\nobjects_dir"),
        ("name =", "egress = [\"example.org:443\"]\nname ="),
        ("[instance]", "[instance]\nenvironment = { A = \"b\" }"),
        // Each process may have two files open for a request.
        ("concurrency = 8", "concurrency = 1000"),
    ] {
        assert_eq!(with(old, new), None, "{new}");
    }
    assert_eq!(with("name = \"object-store\"", "name = \"new\""), None, "nobody deployed it");
}
