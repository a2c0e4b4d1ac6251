//! What builds keep on disk, on real LXC: what is there between two of them, and what becomes of it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod site;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use host::build::{BuildError, unneeded};
use host::lock::Lock;
use model::names::ServiceName;
use site::Site;
use world::run;

const MIB: u64 = 1 << 20;

/// The file of a service's disk.
fn disk(site: &Site, service: &str) -> PathBuf {
    site.settings.paths.state.join(format!("builds/{service}.ext4"))
}

/// What a file takes of the disk.
fn bytes(file: &Path) -> u64 {
    fs::metadata(file).unwrap().blocks() * 512
}

/// Begins a build, and gives it up once a file of it is there, which somebody has open.
async fn given_up_and_held(site: &Site) -> File {
    let begun = site.settings.paths.state.join("builds/bw-build.test/disk/out/begun");
    let appears = async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        built = site.build_of("test", "held", "echo x >/srv/begun; busybox sleep 1000") => panic!("{:?}", built.result),
        () = appears => {}
    }
    File::open(&begun).unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_disk_of_which_somebody_has_a_file_open_is_not_mounted_a_second_time() {
    let site = Site::new();
    site.build_of("test", "1", "echo kept >/build/cache/x").await.result.unwrap();
    let held = given_up_and_held(&site).await;
    let built =
        site.build_of("test", "2", "busybox ls /build/cache; echo new >/build/cache/y").await;
    built.result.unwrap();
    assert_eq!(built.lines, [""; 0], "it is another disk");
    assert!(
        site.left().iter().any(|left| left.ends_with("test.ext4 (deleted)")),
        "{:?}",
        site.left()
    );
    drop(held);
    wait_until("the kernel to let go of the old one", || site.left().is_empty());
    let built = site.build_of("test", "3", "busybox ls /build/cache").await;
    assert_eq!(built.lines, ["y"]);
}

#[tokio::test]
async fn a_loop_device_that_a_kill_left_is_taken_back_by_the_next_build_and_by_down() {
    let site = Site::new();
    site.build_of("test", "1", "echo kept >/build/cache/x").await.result.unwrap();
    let attach = || {
        run("losetup", &["--find", &disk(&site, "test").display().to_string()]);
        assert_ne!(site.left(), [""; 0]);
    };
    attach();
    let built = site.build_of("test", "2", "busybox ls /build/cache").await;
    assert_eq!((built.lines, site.left()), (vec!["x".to_owned()], Vec::new()));
    attach();
    assert_eq!(site.builds().remove_all().await.unwrap(), 1);
    wait_until("it to be taken back", || site.left().is_empty());
}

#[tokio::test]
async fn between_builds_a_disk_holds_its_cache_alone_and_that_up_to_a_half() {
    let site = Site::new();
    let fill = |folder: &str, mib: u32| {
        format!("busybox dd if=/dev/zero of={folder}/full bs=1M count={mib} 2>/dev/null")
    };
    let all = ["/tmp", "/srv", "/build/input"].map(|folder| fill(folder, 8)).join("; ");
    let empty = 4 * MIB;
    for end in ["0", "1"] {
        site.build_of("test", end, &format!("{all}; exit {end}")).await.result.ok();
        assert!(bytes(&disk(&site, "test")) < empty, "{end}: {}", bytes(&disk(&site, "test")));
    }
    site.build_of("test", "2", &fill("/build/cache", 16)).await.result.unwrap();
    let kept = bytes(&disk(&site, "test"));
    assert!((16 * MIB..16 * MIB + empty).contains(&kept), "{kept}");
    site.build_of("test", "3", &fill("/build/cache", 40)).await.result.unwrap();
    assert!(bytes(&disk(&site, "test")) < empty, "{}", bytes(&disk(&site, "test")));
    let built = site.build_of("test", "4", "busybox ls /build/cache").await;
    assert_eq!(built.lines, [""; 0]);
}

/// Each level of which would take some of the builder's stack.
#[tokio::test]
async fn folders_in_folders_as_deep_as_a_disk_holds_them_end_no_builder() {
    let site = Site::new();
    let deep = |levels: u32| {
        format!(
            "deep=$(busybox yes d | busybox head -n 1900 | busybox tr '\\n' /); for n in $(busybox seq {levels}); do \
             busybox mkdir -p $deep; cd -P $deep; done"
        )
    };
    let built = site.build_of("test", "1", &format!("cd /build/cache; {}; exit 7", deep(4))).await;
    let error = built.result.unwrap_err().to_string();
    assert!(error.starts_with("the build ended with status 7"), "{error}");
    let built = site.build_of("test", "2", &format!("cd /srv; {}", deep(1))).await;
    let error = built.result.unwrap_err();
    assert!(matches!(error, BuildError::Result(_)), "{error:?}");
    site.builds().forget(&"test".parse().unwrap()).await.unwrap();
    assert_eq!(site.left(), [""; 0]);
}

#[tokio::test]
async fn what_is_refused_or_finds_no_room_as_a_part_of_an_image_leaves_nothing_of_it() {
    let site = Site::new();
    let images = site.settings.paths.state.join("images");
    fs::create_dir_all(&images).unwrap();
    fs::set_permissions(&images, fs::Permissions::from_mode(0o700)).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=2m,mode=700", "none", images.to_str().unwrap()]);
    let names = || {
        let names = fs::read_dir(&images).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| !name.to_str().unwrap().ends_with(".lock")).count()
    };
    let large = site.build("busybox dd if=/dev/zero of=/srv/x bs=1M count=3 2>/dev/null").await;
    let error = large.result.unwrap_err().to_string();
    assert!(
        error.starts_with("a part of the image takes 3 MiB, and the disk that holds"),
        "{error}"
    );
    assert_eq!(names(), 0);
    // Of a file of one byte the disk takes a block.
    let many = site.build("n=0; while [ $n -lt 600 ]; do echo x >/srv/$n; n=$((n+1)); done").await;
    assert!(matches!(many.result, Err(BuildError::NoRoomForPart { .. })), "{:?}", many.result);
    let large = site.build("busybox truncate -s 1024G /srv/large").await;
    assert!(matches!(large.result, Err(BuildError::Result(_))), "{:?}", large.result);
    assert_eq!(names(), 0);
    site.build("echo x >/srv/x").await.result.unwrap();
    assert_eq!(names(), 1);
    run("umount", &[images.to_str().unwrap()]);
}

#[tokio::test]
async fn what_is_kept_for_services_that_are_not_deployed_is_removed_unless_they_are_being_built() {
    let site = Site::new();
    let keep = "busybox dd if=/dev/zero of=/build/cache/x bs=1M count=8 2>/dev/null";
    for service in ["test", "test-other", "test-third"] {
        site.build_of(service, "1", keep).await.result.unwrap();
    }
    let kept = site.builds().kept().unwrap();
    let names: Vec<_> = kept.iter().map(|kept| kept.service.as_str()).collect();
    assert_eq!(names, ["test", "test-other", "test-third"]);
    for kept in &kept {
        assert_eq!(kept.bytes, bytes(&disk(&site, kept.service.as_str())));
        assert!(kept.bytes > 8 * MIB, "{kept:?}");
    }
    let deployed: BTreeSet<ServiceName> = ["test".parse().unwrap()].into();
    let unneeded = unneeded(kept, &deployed);
    let lock = site.settings.paths.state.join("builds/test-other.lock");
    let lock = Lock::acquire(&lock).unwrap();
    let pruned = site.builds().prune(&unneeded).await.unwrap();
    assert_eq!(pruned.removed, unneeded[1..]);
    assert_eq!(pruned.busy, ["test-other".parse().unwrap()]);
    let there = ["test", "test-other", "test-third"].map(|name| disk(&site, name).exists());
    assert_eq!(there, [true, true, false]);
    drop(lock);
    // One service's alone, as when it may hold something bad.
    let freed = bytes(&disk(&site, "test"));
    assert_eq!(site.builds().forget(&"test".parse().unwrap()).await.unwrap(), freed);
    let built = site.build_of("test", "2", "busybox ls /build/cache").await;
    assert_eq!((built.lines, site.left()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn what_was_used_longest_ago_goes_while_all_caches_together_are_above_the_bound() {
    let site = Site::new();
    let keep = |service| {
        site.build_of(
            service,
            "1",
            "busybox dd if=/dev/zero of=/build/cache/x bs=1M count=8 2>/dev/null",
        )
    };
    for service in ["test", "test-other", "test-third"] {
        keep(service).await.result.unwrap();
    }
    // The first is used once more.
    site.build_of("test", "2", "true").await.result.unwrap();
    let there = || ["test", "test-other", "test-third"].map(|name| disk(&site, name).exists());
    let sum: u64 = site.builds().kept().unwrap().iter().map(|kept| kept.bytes).sum();
    let bound = u32::try_from(sum.div_ceil(MIB)).unwrap();
    assert_eq!(site.builds().keep_within(bound).await.unwrap().removed, []);
    site.builds().keep_within(bound - 2).await.unwrap();
    assert_eq!(there(), [true, false, true]);
    // Of another process, as a build is.
    let lock = site.settings.paths.state.join("builds/test-third.lock");
    let lock = lock.display().to_string();
    let mut builder =
        Command::new("flock").args(["--no-fork", &lock, "sleep", "60"]).spawn().unwrap();
    let third = "test-third".parse().unwrap();
    wait_until("it to be built", || site.builds().is_busy(&third));
    site.builds().keep_within(0).await.unwrap();
    assert_eq!(there(), [false, false, true]);
    builder.kill().unwrap();
    builder.wait().unwrap();
    wait_until("it to have ended", || !site.builds().is_busy(&third));
    site.builds().keep_within(0).await.unwrap();
    assert_eq!(there(), [false; 3]);
    let left = fs::read_dir(site.settings.paths.state.join("builds")).unwrap().count();
    assert_eq!((left, site.left()), (0, Vec::new()), "no lock is left");
}

#[tokio::test]
async fn a_build_waits_while_what_is_kept_for_its_service_is_removed() {
    let site = Site::new();
    fs::create_dir_all(site.settings.paths.state.join("builds")).unwrap();
    let lock = Lock::acquire(&site.settings.paths.state.join("builds/test.lock")).unwrap();
    let removed = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(lock);
    };
    let (built, ()) = tokio::join!(site.build_of("test", "1", "true"), removed);
    built.result.unwrap();
}
