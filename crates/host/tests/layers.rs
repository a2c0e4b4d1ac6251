//! Images that stand on others, on real LXC: services with different ids have one base on disk, and what instances
//! do to it is their own.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod running;
mod userland;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::command::HostRunner;
use host::id_ranges::IdRanges;
use host::lxc::{
    Containers, Image, ImageStart, TemplateStore, remove_other_images, remove_unmounted,
};
use model::names::TemplateName;
use model::service::Replacement;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use running::Running;
use tempfile::TempDir;
use world::{BUSYBOX, LXC, World, built, run};

/// The parts of an image: what it adds, and what it stands on.
struct Parts {
    image: Image,
    base: PathBuf,
    /// Below the target folder, as the images of `userland` are: /tmp may be a tmpfs, which a kernel before 6.3 mounts
    /// with no other owners.
    _folder: TempDir,
}

/// An image with the tests' probe, on a userland of one static file.
fn parts() -> Parts {
    assert!(Path::new(BUSYBOX).exists(), "run `scripts/setup benches`");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (image, base) = (folder.path().join("images/app"), folder.path().join("images/base"));
    for path in ["bin", "dev", "proc", "sys", "tmp", "etc", "opt/app/cache", "opt/base"] {
        fs::create_dir_all(base.join(path)).unwrap();
    }
    fs::copy(BUSYBOX, base.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", base.join("bin/sh")).unwrap();
    fs::write(base.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:500:501::/srv:\n")
        .unwrap();
    fs::DirBuilder::new().mode(0o700).create(base.join("closed")).unwrap();
    fs::write(base.join("closed/file"), "for its root").unwrap();
    fs::write(base.join("opt/app/cache/file"), "of the base").unwrap();
    fs::write(base.join("opt/base/file"), "of the base").unwrap();
    for path in ["bin", "opt/app/cache", "opt/image"] {
        fs::create_dir_all(image.join(path)).unwrap();
    }
    fs::copy(built("examples/probe"), image.join("bin/probe")).unwrap();
    fs::write(image.join("opt/app/cache/more"), "of the image").unwrap();
    fs::write(image.join("opt/image/file"), "of the image").unwrap();
    let image = Image {
        folder: image,
        bases: vec![base.clone()],
        digest: "test".to_owned(),
        start: ImageStart::Init("/bin/probe".to_owned()),
    };
    Parts { image, base, _folder: folder }
}

/// A world of such an image, with these lines in the service's table `[instance]`.
async fn world(lines: &str) -> (World, Parts) {
    let parts = parts();
    let world = World::of(|_| parts.image.clone(), "", lines).await;
    (world, parts)
}

/// What lies in a folder: paths, kinds, owners, modes, times and what files hold.
fn content(folder: &Path) -> String {
    let folder = folder.to_str().unwrap();
    let listed = run("find", &[folder, "-printf", "%P %y %U %G %m %T@ %l\n"]);
    let hashes = run("find", &[folder, "-type", "f", "-exec", "sha256sum", "{}", "+"]);
    assert!(listed.lines().count() > 5 && !hashes.is_empty(), "{listed}");
    listed + &hashes
}

fn rootfs(template: &TemplateName) -> PathBuf {
    Path::new(LXC).join(template.as_str()).join("rootfs")
}

fn is_mounted(folder: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.contains(&format!(" {} ", folder.display()))
}

/// How many pages of a file the kernel holds in memory.
fn pages_in_memory(file: &Path) -> u64 {
    let options = ["--noheadings", "--raw", "--output", "PAGES"];
    let told = run("fincore", &[&options[..], &[file.to_str().unwrap()]].concat());
    told.trim().parse().unwrap()
}

#[tokio::test]
async fn services_with_different_ids_have_one_base_on_disk_and_in_memory_and_each_as_its_own() {
    let (world, Parts { image, base, _folder }) = world("").await;
    let large = base.join("opt/base/large");
    fs::write(&large, vec![b'x'; 40 * 4096]).unwrap();
    let other = world.beside("test-other", &image, "").await;
    let file = |folder: &Path| fs::metadata(folder.join("closed/file")).unwrap();
    let on_disk = file(&base);
    assert_eq!(on_disk.uid(), 0);
    let roots = [&world.template, &other].map(|template| world.root_of(template));
    assert!(roots[0].abs_diff(roots[1]) >= 65_536, "{roots:?}");
    for (template, slot, root) in [(&world.template, 241, roots[0]), (&other, 242, roots[1])] {
        let seen = file(&rootfs(template));
        assert_eq!((seen.uid(), seen.gid(), seen.ino()), (root, root, on_disk.ino()));
        let instance = world.launch_from(template, slot).await;
        // Its root has no capability: it is let in, and may write, as the owner alone.
        assert_eq!(world.get(&instance, "/file?/closed/file").unwrap(), "for its root");
        // The pages that it reads are those of the one file on disk.
        let open = fs::File::open(&large).unwrap();
        posix_fadvise(&open, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
        assert_eq!(pages_in_memory(&large), 0);
        assert_eq!(world.get(&instance, "/file?/opt/base/large").unwrap().len(), 40 * 4096);
        assert_eq!(pages_in_memory(&large), 40);
        assert_eq!(world.get(&instance, "/write?/closed/file").unwrap(), "written");
    }
    let taken = run("du", &["--one-file-system", "--summarize", "--block-size=1", LXC]);
    let taken: u64 = taken.split('\t').next().unwrap().parse().unwrap();
    assert!(taken < fs::metadata(BUSYBOX).unwrap().len(), "{taken} bytes: the base was copied");
}

#[tokio::test]
async fn the_root_of_one_service_reads_nothing_that_another_has_of_the_base() {
    let (world, Parts { image, _folder, .. }) = world("").await;
    let other = world.beside("test-other", &image, "").await;
    let file = rootfs(&world.template).join("opt/base/file").display().to_string();
    let as_user = |id: u32| {
        let id = id.to_string();
        run("setpriv", &["--reuid", &id, "--regid", &id, "--clear-groups", "cat", &file])
    };
    assert_eq!(as_user(world.root_of(&world.template)), "of the base");
    for stranger in [world.root_of(&other), 65_534] {
        assert_eq!(as_user(stranger), "", "{stranger}");
    }
}

#[tokio::test]
async fn an_instance_changes_all_that_its_image_and_base_have_and_both_stay_as_they_are() {
    let (world, Parts { image, base, _folder }) = world("").await;
    let before = [&base, &image.folder].map(|folder| content(folder));
    let instance = world.launch(241).await;
    let get = |target: &str| world.get(&instance, target).unwrap();
    assert_eq!(get("/file?/opt/app/cache/more"), "of the image");
    for file in ["/opt/base/file", "/opt/image/file", "/opt/app/cache/file", "/bin/busybox"] {
        assert_eq!(get(&format!("/write?{file}")), "written", "{file}");
        assert_eq!(get(&format!("/file?{file}")), "text", "{file}");
    }
    for folder in ["/opt/app/cache", "/opt/base", "/opt/image"] {
        assert_eq!(get(&format!("/remove?{folder}")), "removed", "{folder}");
        assert_eq!(get(&format!("/make?{folder}")), "made", "{folder}");
        assert!(get(&format!("/file?{folder}/file")).contains("No such file"), "{folder}");
        assert_eq!(get(&format!("/write?{folder}/file")), "written", "{folder}");
        assert_eq!(get(&format!("/rename?{folder}:/renamed")), "renamed", "{folder}");
        assert_eq!(get("/remove?/renamed"), "removed");
    }
    for path in ["/opt", "/bin/sh", "/closed", "/etc/passwd"] {
        assert_eq!(get(&format!("/remove?{path}")), "removed", "{path}");
    }
    let next = world.launch(242).await;
    assert_eq!(world.get(&next, "/file?/opt/app/cache/file").unwrap(), "of the base");
    assert_eq!(world.get(&next, "/file?/opt/app/cache/more").unwrap(), "of the image");
    assert_eq!([&base, &image.folder].map(|folder| content(folder)), before);
}

#[tokio::test]
async fn what_a_services_file_asks_for_is_had_on_a_base_as_on_a_whole_image() {
    let script = "busybox id -u; busybox id -g; busybox cat file /run/secrets/key /objects/x; \
                  busybox dd if=/dev/zero of=/var/cache/app/full bs=64k; echo x >/opt/base/file; \
                  busybox cat /closed/file";
    let lines = format!(
        "command = [\"/bin/sh\", \"-c\", '{script}']\n\
         root = \"read_only\"\nuser = \"app\"\nworking_folder = \"/opt/base\"\n\
         secrets = [{{ name = \"key\" }}]\n\
         writable = [{{ path = \"/var/cache/app\", size_mib = 2 }}]"
    );
    let (world, Parts { image, _folder, .. }) = world(&lines).await;
    fs::write(world.settings.paths.state.join("objects/x"), " shared\n").unwrap();
    let mut instance = Running::launch(world, 241).await;
    let (stdout, stderr) = instance.written().await;
    assert_eq!(stdout, "500\n501\nof the basekey shared\n");
    for refused in [
        "dd: error writing '/var/cache/app/full': No space left on device",
        "32+0 records out",
        "/opt/base/file: Read-only file system",
        "can't open '/closed/file': Permission denied",
    ] {
        assert!(stderr.contains(refused), "{refused}: {stderr}");
    }
    let world = instance.world;
    // A root that is written to, within bounds.
    let bounded = world.beside("test-bounded", &image, "layer_mib = 32").await;
    let instance = world.launch_from(&bounded, 242).await;
    let said = world.get(&instance, "/fill?/opt/base").unwrap();
    let (mib, error) = said.split_once(": ").unwrap();
    assert_eq!(error, "No space left on device (os error 28)");
    assert!((20..32).contains(&mib.parse::<u32>().unwrap()), "{said}");
}

#[tokio::test]
async fn what_a_boot_forgets_is_mounted_again_for_every_version_that_is_kept() {
    let (world, Parts { image, base, _folder }) = world("").await;
    let kept = world.deploy_with("open_files = 64").await;
    let other = world.beside("test-other", &image, "").await;
    assert_ne!(kept, world.template);
    let templates = [&world.template, &kept];
    for template in [&world.template, &kept, &other] {
        assert!(is_mounted(&rootfs(template)));
        run("umount", &[rootfs(template).to_str().unwrap()]);
    }
    // Whose ids they have is known also now, and when the record is lost.
    let next = IdRanges::new(&world.settings).next(&[].into()).unwrap();
    for template in [&world.template, &other] {
        assert!(next.first.abs_diff(world.root_of(template)) >= 65_536, "{next:?}");
    }
    let name = world.name(241);
    let launch = world.containers.clone_ephemeral(&world.template, &name, Replacement::Surge);
    let error = launch.await.unwrap_err().to_string();
    assert!(
        error.contains("/rootfs is not mounted, the root file system of a template"),
        "{error}"
    );
    assert!(world.is_gone(&name));
    // One that was ended while it mounted left this.
    let staging = Path::new(LXC).join(world.template.as_str()).join("staging/0");
    fs::create_dir_all(&staging).unwrap();
    run("mount", &["--bind", base.to_str().unwrap(), staging.to_str().unwrap()]);
    world.ensure_mounts().await;
    for template in templates {
        assert!(is_mounted(&rootfs(template)));
        let instance = world.launch_from(template, 241).await;
        assert_eq!(world.get(&instance, "/file?/opt/base/file").unwrap(), "of the base");
        world.containers.stop(&instance, Duration::ZERO).await.unwrap();
    }
    assert!(!staging.exists());
    assert_eq!(fs::read_to_string(base.join("opt/base/file")).unwrap(), "of the base");
}

/// Has each of these templates as a boot leaves it, and says which then cannot be mounted, and why.
async fn failed_after_a_boot(
    world: &World,
    templates: [&TemplateName; 2],
) -> Vec<(TemplateName, String)> {
    for template in templates {
        run("umount", &[rootfs(template).to_str().unwrap()]);
        assert!(!is_mounted(&rootfs(template)));
    }
    world.ensure_mounts_but().await
}

#[tokio::test]
async fn one_version_that_cannot_be_mounted_holds_up_no_other() {
    let (world, _parts) = world("").await;
    let store = TemplateStore::new(&world.settings, HostRunner);
    let lines = "open_files = 64";
    let torn = world.deploy_with(lines).await;
    let stack = Path::new(LXC).join(torn.as_str()).join("stack.json");
    fs::write(&stack, "{").unwrap();
    let failed = failed_after_a_boot(&world, [&world.template, &torn]).await;
    let [(failed, error)] = &failed[..] else { panic!("{failed:?}") };
    assert!(failed == &torn && error.contains("stack.json"), "{failed}: {error}");
    assert!(is_mounted(&rootfs(&world.template)) && !is_mounted(&rootfs(&torn)));
    store.check_mounted(&world.template).unwrap();
    assert!(store.check_mounted(&torn).is_err());
    assert!(store.stood_on().is_err(), "nobody knows which images it needs");
    // It is made anew when it is the one that is deployed.
    assert_eq!(world.deploy_with(lines).await, torn);
    store.check_mounted(&torn).unwrap();
}

#[tokio::test]
async fn another_folder_in_the_place_of_an_image_is_noticed_and_gets_a_template_of_its_own() {
    let (world, Parts { image, _folder, .. }) = world("").await;
    let kept = world.deploy_with("open_files = 64").await;
    let away = image.folder.with_extension("away");
    let copy = || run("cp", &["-a", away.to_str().unwrap(), image.folder.to_str().unwrap()]);
    let told = |problem: &str| format!("stands on {}, which {problem}: ", image.folder.display());
    // While it has an instance it stays as it is, whatever lies below it.
    let instance = world.launch(241).await;
    fs::rename(&image.folder, &away).unwrap();
    copy();
    let error = world.try_deploy().await.unwrap_err();
    assert!(error.contains(&told("is another folder than it was")), "{error}");
    assert!(is_mounted(&rootfs(&world.template)));
    assert_eq!(world.get(&instance, "/file?/opt/image/file").unwrap(), "of the image");
    world.containers.stop(&instance, Duration::ZERO).await.unwrap();
    for (problem, spoil) in [("is gone", true), ("is another folder than it was", false)] {
        match spoil {
            true => fs::remove_dir_all(&image.folder).unwrap(),
            false => drop(copy()),
        }
        let failed = failed_after_a_boot(&world, [&world.template, &kept]).await;
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert!(failed.iter().all(|(_, error)| error.contains(&told(problem))), "{failed:?}");
        let name = world.name(241);
        let launch = world.containers.clone_ephemeral(&world.template, &name, Replacement::Surge);
        let error = launch.await.unwrap_err().to_string();
        assert!(error.contains(&told(problem)), "{error}");
    }
    assert_eq!(world.deploy().await, world.template);
    let instance = world.launch(241).await;
    assert_eq!(world.get(&instance, "/file?/opt/image/file").unwrap(), "of the image");
    assert!(!is_mounted(&rootfs(&kept)), "what it was made on is gone");
}

#[tokio::test]
async fn what_two_mount_at_once_is_mounted_once() {
    let (world, _parts) = world("layer_mib = 16").await;
    for _ in 0..5 {
        let places = [rootfs(&world.template), world.home()];
        for place in &places {
            run("umount", &[place.to_str().unwrap()]);
        }
        tokio::join!(world.ensure_mounts(), world.ensure_mounts(), world.ensure_mounts());
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        for place in &places {
            assert_eq!(mounts.matches(&format!(" {} ", place.display())).count(), 1, "{mounts}");
        }
    }
}

#[tokio::test]
async fn whatever_removes_a_template_leaves_its_image_and_base() {
    let (world, Parts { image, base, _folder }) = world("").await;
    let before = [&base, &image.folder].map(|folder| content(folder));
    let store = TemplateStore::new(&world.settings, HostRunner);
    let images = base.parent().unwrap();
    let stood_on = store.stood_on().unwrap();
    assert_eq!(stood_on, BTreeSet::from([image.folder.clone(), base.clone()]));
    assert_eq!(remove_other_images(images, &[], &stood_on).unwrap(), 0);
    let folder = Path::new(LXC).join(world.template.as_str());
    let draft = Path::new(LXC).join(format!(".{}-draft", world.template));
    // What is left of a template, by whom it was being made or removed, with all that can be mounted in it.
    let spoil = |folder: &Path| {
        for inner in ["staging/0", "rootfs/opt"] {
            let place = folder.join(inner);
            let _ = fs::create_dir_all(&place);
            run("mount", &["--bind", base.to_str().unwrap(), place.to_str().unwrap()]);
            assert!(is_mounted(&place), "{}", place.display());
        }
    };
    spoil(&folder);
    fs::create_dir_all(&draft).unwrap();
    spoil(&draft);
    store.remove(&world.template).await.unwrap();
    assert!(!folder.exists() && !draft.exists());
    assert_eq!(store.stood_on().unwrap(), BTreeSet::new());
    // One that is made while a draft of it is there, and what `down` does to one.
    fs::create_dir_all(&draft).unwrap();
    spoil(&draft);
    assert_eq!(world.deploy().await, world.template);
    assert!(is_mounted(&rootfs(&world.template)) && !draft.exists());
    fs::create_dir_all(&draft).unwrap();
    spoil(&draft);
    assert!(remove_unmounted(&draft).unwrap());
    assert_eq!([&base, &image.folder].map(|folder| content(folder)), before);
    store.remove(&world.template).await.unwrap();
    assert_eq!(remove_other_images(images, &[], &store.stood_on().unwrap()).unwrap(), 2);
}

#[tokio::test]
async fn through_a_templates_root_nothing_can_be_written_or_removed() {
    let (world, Parts { base, _folder, .. }) = world("").await;
    let before = content(&base);
    let rootfs = rootfs(&world.template);
    for tried in [
        fs::remove_dir_all(rootfs.join("opt")),
        fs::write(rootfs.join("opt/base/file"), ""),
        fs::set_permissions(rootfs.join("etc"), fs::Permissions::from_mode(0o777)),
    ] {
        assert_eq!(tried.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
    assert_eq!(content(&base), before);
}

#[tokio::test]
async fn a_program_in_debians_python_is_a_service() {
    let image = userland::python().await;
    let [debian] = &image.bases[..] else { panic!("{:?}", image.bases) };
    assert_eq!(run("find", &[debian.to_str().unwrap(), "-perm", "/6000", "-type", "f"]), "");
    let lines = "command = [\"/usr/bin/python3\", \"-m\", \"http.server\", \"--protocol\", \"HTTP/1.1\", \"8000\"]\n\
                 user = \"www-data\"\nworking_folder = \"/etc/python3\"\nroot = \"read_only\"";
    let world = World::of(|_| image.clone(), "", lines).await;
    let instance = world.launch(241).await;
    assert!(world.get(&instance, "/").unwrap().contains("debian_config"));
    let other = world.beside("test-other", &image, lines).await;
    let other = world.launch_from(&other, 242).await;
    assert!(world.get(&other, "/").unwrap().contains("debian_config"));
}
