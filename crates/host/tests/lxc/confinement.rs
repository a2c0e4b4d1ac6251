//! What an instance may do on the host, and whose its files are.

use std::os::unix::fs::MetadataExt as _;

use super::init;
use super::world::{LXC, World, run};

#[tokio::test]
async fn an_instance_answers_and_is_confined() {
    let world = World::new().await;
    let instance = world.launch(241).await;

    let status = world.get(&instance, "/file?/proc/self/status").unwrap();
    let field = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("{key} is not in {status}")).to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    assert_eq!(field("Uid"), "0\t0\t0\t0");

    let on_host = std::fs::read_to_string(format!("/proc/{}/status", init(&instance))).unwrap();
    let root = format!("\nUid:\t{}\t", world.root_of(&world.template));
    assert!(on_host.contains(&root), "its root is not in the map: {on_host}");

    let mounts = world.get(&instance, "/file?/proc/self/mountinfo").unwrap();
    let objects = mounts.lines().find(|line| line.contains(" /objects ")).unwrap();
    assert!(objects.contains("nosuid,nodev,noexec"), "{objects}");
    assert_eq!(world.get(&instance, "/write?/objects/x").unwrap(), "written");
    let file = world.settings.paths.state.join("objects/x");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "text");
    let denied = world.get(&instance, "/write?/proc/sys/kernel/core_pattern").unwrap();
    assert_ne!(denied, "written");
}

#[tokio::test]
async fn a_folder_that_only_a_kept_version_mounts_is_as_confined_after_a_boot() {
    let world = World::new().await;
    let (template, kept) = world.deploy_mounting("extra").await;
    let extra = world.settings.paths.state.join("extra");
    run("umount", &[extra.to_str().unwrap()]);
    world.ensure_folders(&kept).await;
    let instance = world.launch_from(&template, 241).await;
    let mounts = world.get(&instance, "/file?/proc/self/mountinfo").unwrap();
    let objects = mounts.lines().find(|line| line.contains(" /objects ")).unwrap();
    assert!(
        objects.contains("/extra /objects") && objects.contains("nosuid,nodev,noexec"),
        "{objects}"
    );
}

#[tokio::test]
async fn an_instances_root_has_the_capabilities_that_its_services_file_names_and_no_other() {
    let some = r#"capabilities = ["chown", "setuid", "setgid", "net_bind_service"]"#;
    // Bits of include/uapi/linux/capability.h: 0, 7, 6 and 10.
    let cases = [(some, "00000000000004c1"), ("", "0000000000000000")];
    for (lines, set) in cases {
        let world = World::given(lines).await;
        let instance = world.launch(241).await;
        let get = |target: &str| world.get(&instance, target).unwrap();
        let status = get("/file?/proc/self/status");
        for name in ["CapPrm", "CapEff", "CapBnd"] {
            assert!(status.contains(&format!("{name}:\t{set}\n")), "{lines}: {status}");
        }
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
        let (owned, became, listens) = (get("/own?/opt/app"), get("/become"), get("/listen?80"));
        if lines.is_empty() {
            assert!(owned.starts_with("Operation not permitted"), "{owned}");
            assert!(became.starts_with("Operation not permitted"), "{became}");
            assert!(listens.starts_with("Permission denied"), "{listens}");
        } else {
            assert_eq!((owned.as_str(), listens.as_str()), ("given", "listens"));
            assert!(became.contains("\nUid:\t33\t33\t33\t33\n"), "{became}");
            assert!(became.contains("\nCapEff:\t0000000000000000\n"), "{became}");
            let on_host =
                std::fs::metadata(world.home().join(format!("{instance}/overlay/delta/opt/app")));
            let given = world.root_of(&world.template) + 33;
            assert_eq!(on_host.unwrap().uid(), given, "an id of the host's was given");
        }
    }
}

#[tokio::test]
async fn what_a_template_holds_is_read_by_its_own_service_alone() {
    let world = World::new().await;
    let instance = world.launch(241).await;
    assert_eq!(world.get(&instance, "/file?/etc/bellows/service.toml").unwrap(), "");
    assert_eq!(world.get(&instance, "/file?/opt/app/cache/file").unwrap(), "of the image");
    // The root of another service's instances, which has got out of them.
    let file = format!("{LXC}/{}/rootfs/opt/app/cache/file", world.template);
    let as_user = |id: u32| {
        let id = id.to_string();
        run("setpriv", &["--reuid", &id, "--regid", &id, "--clear-groups", "cat", &file])
    };
    let root = world.root_of(&world.template);
    assert_eq!(as_user(root), "of the image");
    for stranger in [root + 65_536, 65_534] {
        assert_eq!(as_user(stranger), "", "{stranger}");
    }
}

#[tokio::test]
async fn an_instance_removes_and_replaces_folders_of_its_image() {
    let world = World::new().await;
    let instance = world.launch(241).await;
    let get = |target: &str| world.get(&instance, target).unwrap();
    assert_eq!(get("/file?/opt/app/cache/file"), "of the image");
    assert_eq!(get("/remove?/opt/app/cache"), "removed");
    assert_eq!(get("/make?/opt/app/cache"), "made");
    assert!(get("/file?/opt/app/cache/file").contains("No such file"), "it was not replaced");
    assert_eq!(get("/write?/opt/app/cache/file"), "written");
    assert_eq!(get("/rename?/opt/app/cache:/opt/renamed"), "renamed");
    assert_eq!(get("/file?/opt/renamed/file"), "text");
    // What tells `mv` to copy and remove.
    assert!(get("/rename?/opt/app:/opt/moved").contains("cross-device"), "an overlay renames it");
    assert_eq!(get("/remove?/opt"), "removed");
    // The next instance has the image as it was.
    let next = world.launch(242).await;
    assert_eq!(world.get(&next, "/file?/opt/app/cache/file").unwrap(), "of the image");
}
