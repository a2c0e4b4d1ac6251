use std::os::unix::fs::MetadataExt;

use super::super::recipe_file::ImageStart;
use super::*;
use crate::command::HostRunner;

const SERVICE: &str = r#"
    name = "store"
    image = "store"
    [route]
    path_prefix = "/"
    [instance]
    port = 8000
    health_path = "/healthz"
    memory_mib = 64
    cpus = 1.0
    processes = 64
    root = "read_only"
    [capacity]
    requests_per_second = 50
    concurrency = 8
    [bounds]
    min = 1
    max = 10
    [application]
    listen = "0.0.0.0:8000"
"#;

fn described(text: &str) -> ServiceSpec {
    config_file::from_toml("service.toml", text).unwrap()
}

struct Fixture {
    root: tempfile::TempDir,
    store: TemplateStore<HostRunner>,
    image: Image,
}

fn fixture() -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.paths.lxc = root.path().join("lxc");
    settings.paths.state = root.path().join("state");
    settings.paths.run = root.path().join("run");
    fs::create_dir(&settings.paths.run).unwrap();
    let folder = root.path().join("image");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(folder.join("bin/store"), "").unwrap();
    let image = Image {
        folder,
        bases: Vec::new(),
        digest: "1".to_owned(),
        start: ImageStart::Init("/bin/store".to_owned()),
    };
    Fixture { store: TemplateStore::new(&settings, HostRunner), root, image }
}

#[tokio::test]
async fn a_link_of_an_image_leads_to_no_file_of_the_host() {
    let Fixture { root, store, image } = fixture();
    let outside = root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let secret = outside.join("service.toml");
    fs::write(&secret, "the host's").unwrap();
    let etc = image.folder.join("etc");
    fs::create_dir_all(&etc).unwrap();
    std::os::unix::fs::symlink(&outside, etc.join("bellows")).unwrap();
    let error = store.ensure(&described(SERVICE), &image).await.unwrap_err();
    assert!(matches!(error, TemplateError::MountPoint { .. }), "{error}");
    fs::remove_file(etc.join("bellows")).unwrap();
    fs::create_dir(etc.join("bellows")).unwrap();
    std::os::unix::fs::symlink(&secret, etc.join("bellows/service.toml")).unwrap();
    store.ensure(&described(SERVICE), &image).await.unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "the host's");
}

#[tokio::test]
async fn a_template_is_made_whole_and_once() {
    let Fixture { root, store, image } = fixture();
    let service = described(SERVICE);
    let name = store.ensure(&service, &image).await.unwrap();
    let folder = root.path().join("lxc").join(name.as_str());
    let status = fs::metadata(&folder).unwrap();
    let ids = Settings::default().id_map;
    assert_eq!((status.mode() & 0o7777, status.uid(), status.gid()), (0o710, 0, ids.first));
    let given = fs::read_to_string(folder.join("rootfs/etc/bellows/service.toml")).unwrap();
    assert_eq!(given, "listen = \"0.0.0.0:8000\"\n");
    let config = fs::read_to_string(folder.join("config")).unwrap();
    assert!(config.contains(&format!("lxc.rootfs.path = dir:{}/rootfs", folder.display())));
    assert!(folder.join("seccomp").exists());
    assert_eq!(store.ensure(&service, &image).await.unwrap(), name);
    assert_eq!(store.list().unwrap(), std::slice::from_ref(&name));
    store.remove(&name).await.unwrap();
    store.remove(&name).await.unwrap();
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(fs::read_dir(root.path().join("lxc")).unwrap().count(), 0);
}

#[tokio::test]
async fn each_input_makes_another_template() {
    let Fixture { root: _root, store, image } = fixture();
    let service = described(SERVICE);
    let mut names = vec![store.ensure(&service, &image).await.unwrap()];
    for (from, to) in [
        ("memory_mib = 64", "memory_mib = 65"),
        ("cpus = 1.0", "cpus = 0.5"),
        ("processes = 64", "processes = 65"),
        ("0.0.0.0:8000", "0.0.0.0:8001"),
        ("processes = 64", "processes = 64\nopen_files = 65"),
        ("processes = 64", "processes = 64\nhealth_status = \"200-399\""),
        ("processes = 64", "processes = 64\ncapabilities = [\"kill\"]"),
        ("root = \"read_only\"", "layer_mib = 16"),
        ("root = \"read_only\"", "layer_mib = 17"),
        ("image = \"store\"", "image = \"store\"\negress = \"any\""),
        ("processes = 64", "processes = 64\nwritable = [{ path = \"/tmp\", size_mib = 1 }]"),
    ] {
        let service = described(&SERVICE.replace(from, to));
        names.push(store.ensure(&service, &image).await.unwrap());
    }
    let other = Image { digest: "2".to_owned(), ..image };
    names.push(store.ensure(&service, &other).await.unwrap());
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 13);
    for name in &names {
        store.remove(name).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_service_may_reach_is_no_part_of_its_version_but_that_it_may() {
    let Fixture { root: _root, store, image } = fixture();
    let name = async |egress: &str| {
        let service = described(&SERVICE.replacen("[route]", &format!("{egress}\n[route]"), 1));
        store.ensure(&service, &image).await.unwrap()
    };
    let (none, one) = (name("").await, name(r#"egress = ["example.org:443"]"#).await);
    assert_ne!(none, one);
    assert_eq!(name("egress = []").await, none);
    assert_eq!(name(r#"egress = ["example.org:443", "example.com:443"]"#).await, one);
}

#[tokio::test]
async fn folders_to_mount_on_are_made_and_no_link_is_followed() {
    let Fixture { root, store, image } = fixture();
    let with = |path: &str| {
        let line = format!("writable = [{{ path = \"{path}\", size_mib = 1 }}]\n[capacity]");
        described(&SERVICE.replace("[capacity]", &line))
    };
    std::os::unix::fs::symlink(root.path(), image.folder.join("run")).unwrap();
    let name = store.ensure(&with("/var/tmp"), &image).await.unwrap();
    let made = root.path().join("lxc").join(name.as_str()).join("rootfs/var/tmp");
    assert_eq!(fs::metadata(made).unwrap().uid(), 1_000_000);
    let error = store.ensure(&with("/run/app"), &image).await.unwrap_err().to_string();
    assert!(error.starts_with("/run/app is no folder in the image"), "{error}");
    assert!(!root.path().join("app").exists(), "the link was followed");
}

#[tokio::test]
async fn what_a_crash_left_is_replaced_and_never_used() {
    let Fixture { root, store, image } = fixture();
    let service = described(SERVICE);
    let name = store.ensure(&service, &image).await.unwrap();
    let lxc = root.path().join("lxc");
    fs::rename(lxc.join(name.as_str()), lxc.join(format!(".{name}-draft"))).unwrap();
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.ensure(&service, &image).await.unwrap(), name);
    assert_eq!(fs::read_dir(lxc).unwrap().count(), 1);
}

#[tokio::test]
async fn a_template_with_an_instance_on_it_stays() {
    let Fixture { root, store, image } = fixture();
    let service = described(SERVICE);
    let name = store.ensure(&service, &image).await.unwrap();
    let lxc = root.path().join("lxc");
    fs::create_dir(lxc.join("bw-store-1-a")).unwrap();
    let lower = lxc.join(name.as_str()).join("rootfs");
    let config = format!("lxc.rootfs.path = overlay:{}:/delta\n", lower.display());
    fs::write(lxc.join("bw-store-1-a/config"), config).unwrap();
    assert!(matches!(store.remove(&name).await, Err(TemplateError::InUse { .. })));
}

#[test]
fn the_usual_status_is_no_part_of_what_an_instance_is_checked_by() {
    let with = |lines: &str| {
        let service = described(&SERVICE.replace("processes = 64", lines));
        health(&service.instance.protocol)
    };
    assert_eq!(with("processes = 64"), "/healthz");
    assert_eq!(with("processes = 64\nhealth_status = 200"), "/healthz");
    assert_eq!(with("processes = 64\nhealth_status = 204"), "/healthz 204");
}

#[tokio::test]
async fn half_made_templates_are_removed_and_other_hidden_folders_are_not() {
    let Fixture { root, store, .. } = fixture();
    let lxc = root.path().join("lxc");
    assert_eq!(store.remove_drafts().unwrap(), 0);
    for name in [".bw-store-t00000001-draft", ".bw-x", ".other-draft", "bw-store-t00000002"] {
        fs::create_dir_all(lxc.join(name)).unwrap();
    }
    assert_eq!(store.remove_drafts().unwrap(), 1);
    assert!(!lxc.join(".bw-store-t00000001-draft").exists());
    assert_eq!(fs::read_dir(&lxc).unwrap().count(), 3);
}

#[tokio::test]
async fn a_copy_that_outlives_who_began_it_keeps_its_draft_until_it_has_ended() {
    let Fixture { root, store, image } = fixture();
    // Some 100 ms to copy, with bytes, since holes are not.
    fs::write(image.folder.join("large"), vec![b'x'; 256 << 20]).unwrap();
    let (store, service) = (Arc::new(store), described(SERVICE));
    let killed = tokio::spawn({
        let (store, service, image) = (Arc::clone(&store), service.clone(), image.clone());
        async move { store.ensure(&service, &image).await }
    });
    let is_copying = || {
        let drafts = fs::read_dir(root.path().join("lxc")).into_iter().flatten().flatten();
        drafts.into_iter().any(|draft| draft.path().join("rootfs/large").exists())
    };
    let started = std::time::Instant::now();
    while !is_copying() {
        assert!(started.elapsed() < Duration::from_secs(10), "nothing is copied");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let swept = store.remove_drafts();
    assert!(matches!(swept, Err(TemplateError::UnderWay { .. })), "{swept:?}");
    while store.ensure(&service, &image).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "it goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.list().unwrap().len(), 1);
}
