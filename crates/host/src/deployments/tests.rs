use std::fs;

use model::access::KeyChange;

use super::*;

const STORE: &str = include_str!("../../../../services/object-store.toml");

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

/// The store, deployed as one version after the other, a second apart.
fn deployed(versions: &[u32], keep: usize, serving: Option<u32>) -> Deployment {
    let store = name("object-store");
    (0..).zip(versions).fold(Deployment::default(), |before, (second, version)| {
        let new = NewService {
            name: &store,
            file: STORE,
            version: Version::new(*version),
            serving: serving.map(Version::new),
            again: false,
        };
        before.followed_by(&[new], keep, at(second))
    })
}

fn kept(deployment: &Deployment) -> Vec<String> {
    deployment.templates().map(|template| template.version().to_string()).collect()
}

#[test]
fn the_last_versions_are_kept_and_the_one_that_serves_however_old() {
    assert_eq!(kept(&deployed(&[1, 2, 3, 4], 3, None)), ["00000004", "00000003", "00000002"]);
    assert_eq!(kept(&deployed(&[1, 2, 3, 4], 2, Some(1))), ["00000004", "00000003", "00000001"]);
    assert_eq!(kept(&deployed(&[1, 2, 1], 3, None)), ["00000001", "00000002"]);
}

#[test]
fn versions_that_served_are_kept_before_those_that_did_not() {
    let store = name("object-store");
    let served = deployed(&[1], 3, None).served([&store]);
    let file = |version| NewService {
        name: &store,
        file: STORE,
        version: Version::new(version),
        serving: Some(Version::new(1)),
        again: false,
    };
    let tries = (2..=5).fold(served, |before, version| {
        before.followed_by(&[file(version)], 3, at(version.into()))
    });
    assert_eq!(kept(&tries), ["00000005", "00000004", "00000001"]);
    let good = tries.served([&store]);
    let new = NewService { serving: Some(Version::new(5)), ..file(6) };
    assert_eq!(kept(&good.followed_by(&[new], 3, at(9))), ["00000006", "00000005", "00000001"]);
}

#[test]
fn services_of_folders_stay_whatever_files_there_are_until_they_are_destroyed() {
    let (shop, store) = (name("shop"), name("object-store"));
    let text = STORE.replacen("name = \"object-store\"", "name = \"shop\"", 1);
    let text = text.replacen("path_prefix = \"/\"", "path_prefix = \"/shop\"", 1);
    let new = |name, file, version| NewService {
        name,
        file,
        version: Version::new(version),
        serving: None,
        again: false,
    };
    let folder = Path::new("/home/anna/shop");
    let with = |before: Deployment, version, second| {
        before.with_folder(&new(&shop, &text, version), folder, 3, at(second))
    };
    let both = with(deployed(&[1], 3, None), 7, 1);
    assert_eq!(both.folders().collect::<Vec<_>>(), [(&shop, folder)]);
    let names = |deployment: &Deployment| {
        let deployed = deployment.deployed().unwrap();
        deployed.iter().map(|it| it.spec.name.to_string()).collect::<Vec<_>>()
    };
    let next = both.followed_by(&[new(&store, STORE, 2)], 3, at(2));
    assert_eq!(names(&next), ["object-store", "shop"]);
    assert_eq!(names(&next.followed_by(&[], 3, at(3))), ["shop"]);
    assert_eq!(names(&next.clone().without(&shop)), ["object-store"]);
    let second = with(next.served([&shop]), 8, 4);
    assert_eq!(second.kept(&shop).unwrap().len(), 2);
    let back = Rollback {
        service: &shop,
        version: Version::new(7),
        revision: false,
        serving: Some(Version::new(8)),
        again: false,
    };
    let back = second.rolled_back(back, at(5)).unwrap();
    let state = tempfile::tempdir().unwrap();
    let deployments = Deployments::new(state.path());
    deployments.deploy(&back).unwrap();
    let read = deployments.load().unwrap();
    assert_eq!(read.folders().collect::<Vec<_>>(), [(&shop, folder)]);
}

/// As the release before wrote it, which marked a version when the next one came.
#[test]
fn what_served_is_known_of_a_file_that_the_release_before_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let store = name("object-store");
    let version = |version: &str, served: bool| serde_json::json!({ "version": version, "file": STORE, "deployed_at_ms": 1, "has_served": served });
    let file = serde_json::json!({ "format": 1, "deploys": [], "services": { "object-store": {
        "file": STORE,
        "wanted": { "version": "00000003", "deployed_at_ms": 3 },
        "versions": [version("00000003", false), version("00000002", false), version("00000001", true)],
    } } });
    fs::write(folder.path().join(FILE), file.to_string()).unwrap();
    let deployments = Deployments::new(folder.path());
    let before = deployments.load().unwrap();
    let past = |deployment: &Deployment| {
        let kept = deployment.kept(&store).unwrap().iter();
        kept.map(|kept| (kept.version.to_string(), kept.past)).collect::<Vec<_>>()
    };
    let served = Some(Past::Served);
    let known = |version: &str, past| (version.to_owned(), past);
    let read = [known("00000003", None), known("00000002", None), known("00000001", served)];
    assert_eq!(past(&before), read);
    let new = NewService {
        name: &store,
        file: STORE,
        version: Version::new(4),
        serving: Some(Version::new(3)),
        again: false,
    };
    let next = before.followed_by(&[new], 3, at(9));
    let told = [known("00000004", None), known("00000003", served), known("00000001", served)];
    assert_eq!(past(&next), told);
    deployments.deploy(&next).unwrap();
    assert_eq!(past(&deployments.load().unwrap()), told);
}

#[test]
fn the_same_again_changes_nothing_unless_it_was_given_up() {
    let (store, once) = (name("object-store"), deployed(&[7], 3, None));
    let new = NewService {
        name: &store,
        file: STORE,
        version: Version::new(7),
        serving: None,
        again: false,
    };
    assert_eq!(once.followed_by(&[new], 3, at(60)), once);
    let again = once.followed_by(&[NewService { again: true, ..new }], 3, at(60));
    let wanted = again.deployed().unwrap()[0].wanted;
    assert_eq!(wanted, Wanted { version: Version::new(7), deployed_at: at(60) });
}

#[test]
fn changes_are_told_apart() {
    let (store, before) = (name("object-store"), deployed(&[7], 3, None));
    let revised = STORE.replace("max = 10", "max = 9");
    assert_ne!(revised, STORE);
    let new = |file, version| NewService {
        name: &store,
        file,
        version: Version::new(version),
        serving: None,
        again: false,
    };
    let told = |after: &[NewService]| before.followed_by(after, 3, at(9)).changes(&before);
    assert!(told(&[new(STORE, 7)]).is_empty());
    assert_eq!(told(&[new(&revised, 7)]), ["object-store revised"]);
    assert_eq!(told(&[new(STORE, 8)]), ["object-store as version 00000008"]);
    assert_eq!(told(&[]), ["object-store withdrawn"]);
}

#[test]
fn a_deploy_says_who_made_it_and_which_keys_differ_until_many_have_followed() {
    let (store, before) = (name("object-store"), deployed(&[7], 3, None));
    let who = || Who::Operator { uid: 1000, user: Some("anna".to_owned()) };
    let new = |file, version| NewService {
        name: &store,
        file,
        version: Version::new(version),
        serving: None,
        again: false,
    };
    let same = before.followed_by(&[new(STORE, 7)], 3, at(9));
    assert_eq!(same.noted(&before, ("a = 1", "a = 1"), who(), at(9)).deploys(), []);
    let open = format!("egress = [\"any\"]\n{STORE}");
    let after = before.followed_by(&[new(&open, 7)], 3, at(9));
    let first = after.clone().noted(&before, ("", "[scaler]\ntick_ms = 50"), who(), at(9));
    assert_eq!(first.deploys()[0].changed.len(), 1, "the first settings change none");
    let settings = ("[scaler]", "[scaler]\ntick_ms = 50");
    let mut after = after.noted(&before, settings, who(), at(9));
    // The `up` of then was killed before it wrote the settings.
    assert_eq!(after.clone().noted(&after, settings, who(), at(10)).deploys(), after.deploys());
    let key = |key: &str, value: &str| {
        vec![KeyChange { key: key.to_owned(), before: None, after: Some(value.to_owned()) }]
    };
    let changed = vec![
        Changed::Settings { keys: key("scaler.tick_ms", "50") },
        Changed::ServiceFile { service: store.clone(), keys: key("egress", "[\"any\"]") },
    ];
    assert_eq!(after.deploys(), [Deploy { at: at(9), who: who(), changed }]);
    // Another version of the same file; the clock was set back.
    for version in 8..40 {
        let next = after.followed_by(&[new(&open, version)], 3, at(5));
        after = next.noted(&after, ("", ""), who(), at(5));
    }
    assert_eq!(after.deploys().len(), DEPLOYS_KEPT);
    assert!(after.deploys().is_sorted_by(|one, next| one.at < next.at));
}

#[test]
fn an_instance_keeps_what_its_own_version_was_given() {
    let store = name("object-store");
    let moved = STORE.replace("port = 8000", "port = 9000\nhealth_status = 204");
    assert_ne!(moved, STORE);
    let new = NewService {
        name: &store,
        file: &moved,
        version: Version::new(8),
        serving: None,
        again: false,
    };
    let after = deployed(&[7], 3, None).followed_by(&[new], 3, at(9));
    let service = after.deployed().unwrap().remove(0);
    let port = |version| service.instance(Some(Version::new(version))).port;
    assert_eq!((port(7), port(8), port(9)), (8000, 9000, 9000));
    let statuses: Vec<_> = service.health_statuses().iter().map(ToString::to_string).collect();
    assert_eq!(statuses, ["200", "204"], "each is in rotation by what it says");
    assert_eq!(service.template(Version::new(7)).as_str(), "bw-object-store-t00000007");
}

#[test]
fn a_kept_version_that_names_no_health_path_is_known() {
    let store = name("object-store");
    let without = STORE.replace("health_path = \"/healthz\"\n", "");
    assert_ne!(without, STORE);
    let follow = |deployment: Deployment, file: &str, version, second| {
        let version = Version::new(version);
        let new = NewService { name: &store, file, version, serving: None, again: false };
        deployment.followed_by(&[new], 3, at(second))
    };
    let has_none = |deployment: &Deployment| deployment.deployed().unwrap().remove(0).has_no_path();
    let first = deployed(&[7], 3, None);
    assert!(!has_none(&first));
    let second = follow(first, &without, 8, 9);
    assert!(has_none(&second));
    assert!(has_none(&follow(second, STORE, 9, 10)), "one that is kept");
}

#[test]
fn what_was_deployed_is_read_back_and_its_stamp_changes_with_it() {
    let state = tempfile::tempdir().unwrap();
    let deployments = Deployments::new(&state.path().join("made"));
    assert_eq!(deployments.load().unwrap(), Deployment::default());
    assert_eq!(deployments.stamp(), None);
    let deployment = deployed(&[7], 3, None);
    assert!(deployments.deploy(&deployment).unwrap());
    let stamp = deployments.stamp();
    assert!(!deployments.deploy(&deployment).unwrap());
    assert_eq!(deployments.stamp(), stamp);
    assert_eq!(deployments.load().unwrap(), deployment);
    deployments.deploy(&deployed(&[7, 8], 3, None)).unwrap();
    assert_ne!(deployments.stamp(), stamp);
}

#[test]
fn a_file_of_another_form_or_that_was_spoilt_is_refused_in_a_sentence() {
    let state = tempfile::tempdir().unwrap();
    let deployments = Deployments::new(state.path());
    deployments.deploy(&deployed(&[7], 3, None)).unwrap();
    let file = state.path().join(FILE);
    let good = fs::read_to_string(&file).unwrap();
    for (text, told) in [
        (good.replace("\"format\": 1", "\"format\": 2"), "its format is 2, this release reads 1"),
        (good[..good.len() / 2].to_owned(), "EOF"),
        (good.replace("00000007", "seven"), "`seven` is not a version"),
    ] {
        fs::write(&file, text).unwrap();
        let error = deployments.load().unwrap_err().to_string();
        assert!(error.contains(told) && error.contains("run `bellows up` again"), "{error}");
    }
    fs::write(&file, good.replace("max = 10", "max = 0")).unwrap();
    let error = deployments.load().unwrap().deployed().unwrap_err().to_string();
    assert!(error.contains("deployment.json, service object-store"), "{error}");
}

#[test]
fn services_that_cannot_reach_what_they_name_are_refused() {
    let (store, text) =
        (name("object-store"), STORE.replace("port = 8000", "port = 8000\nreaches = [\"gone\"]"));
    let new = NewService {
        name: &store,
        file: &text,
        version: Version::new(1),
        serving: None,
        again: false,
    };
    let error = Deployment::default().followed_by(&[new], 3, at(1)).deployed().unwrap_err();
    insta::assert_snapshot!(error, @"deployment.json: instance.reaches of object-store names gone, and there is no such service: add it, or take the name out; run `bellows up` again");
}

#[test]
fn removing_all_keeps_what_was_not_deployed() {
    let state = tempfile::tempdir().unwrap();
    let deployments = Deployments::new(state.path());
    fs::create_dir(state.path().join("objects")).unwrap();
    assert!(!deployments.remove_all().unwrap());
    deployments.deploy(&deployed(&[7], 3, None)).unwrap();
    fs::write(deployments.memory_file(), "{}").unwrap();
    assert!(deployments.deploy_settings("").unwrap());
    assert!(!deployments.deploy_settings("").unwrap());
    assert!(deployments.remove_all().unwrap());
    assert!(!deployments.remove_all().unwrap());
    let left: Vec<_> =
        fs::read_dir(state.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["objects"]);
}

#[test]
fn records_of_releases_without_versions_go_with_the_first_deployment() {
    let state = tempfile::tempdir().unwrap();
    fs::create_dir_all(state.path().join("services/object-store")).unwrap();
    Deployments::new(state.path()).deploy(&deployed(&[7], 3, None)).unwrap();
    assert!(!state.path().join("services").exists());
}

#[test]
fn a_kept_version_that_this_release_does_not_read_is_told_and_not_gone_back_to() {
    let store = name("object-store");
    let strange = format!("of_a_later_release = true\n{STORE}");
    let deploy = |before: Deployment, version, file| {
        let new = NewService {
            name: &store,
            file,
            version: Version::new(version),
            serving: None,
            again: false,
        };
        before.followed_by(&[new], 3, at(version.into())).served([&store])
    };
    let deployment = deploy(deploy(Deployment::default(), 1, &strange), 2, STORE);
    let [service] = &deployment.deployed().unwrap()[..] else { unreachable!() };
    assert_eq!(service.versions.keys().collect::<Vec<_>>(), [&Version::new(2)]);
    let problem = &service.unreadable[&Version::new(1)];
    assert!(problem.contains("of_a_later_release"), "{problem}");
    for revision in [false, true] {
        let version = Version::new(1);
        let to = Rollback { service: &store, version, revision, serving: None, again: false };
        let refused = deployment.rolled_back(to, at(9)).unwrap_err();
        assert!(matches!(refused, RollbackError::Unreadable { .. }), "{refused}");
    }
    let wanted = deploy(deployment, 3, &strange).deployed().unwrap_err().to_string();
    assert!(wanted.ends_with("run `bellows up` again"), "{wanted}");
}
