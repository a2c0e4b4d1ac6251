//! What `bellows prune` and `bellows destroy` remove of a host's disk, on a host of folders alone.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use host::deployments::{Deployment, Deployments, NewService};
use host::lock::SharedLock;
use model::time::Timestamp;
use model::version::Version;

/// A host with the service `shop` of a folder, and the first deploy of `blog`, which failed.
struct Site {
    root: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { root: tempfile::tempdir().unwrap() };
        let folder = |name| site.root.path().join(name).display().to_string();
        let paths = format!(
            "[paths]\nstate = {:?}\nrun = {:?}\nlxc = {:?}\nbin = {:?}\n",
            folder("state"),
            folder("run"),
            folder("lxc"),
            folder("bin")
        );
        fs::write(site.root.path().join("bellows.toml"), paths).unwrap();
        let images = site.root.path().join("state/images");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&images).unwrap();
        for file in [
            "state/images/nobodys-1f/srv/file",
            "state/builds/blog.ext4",
            "state/builds/shop.ext4",
            "state/builds/busy.ext4",
            "state/builds/busy.lock",
            "state/deploys/blog/deploy.json",
            "state/deploys/blog/log",
            "state/deploys/shop/log",
            "state/stateful/blog/rows",
            "state/stateful/shop/rows",
            "lxc/.bw-shop-t00000001-draft/rootfs/file",
            "run/images.lock",
        ] {
            let file = site.root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, vec![1; 2 << 20]).unwrap();
        }
        site.deploy("shop");
        site
    }

    fn deploy(&self, name: &str) {
        let file = format!(
            "name = \"{name}\"\nimage = \"x\"\ninstance.port = 1\nbounds = {{ min = 1, max = 1 }}\nroute.path_prefix = \"/\"\n"
        );
        let name = name.parse().unwrap();
        let version = Version::new(1);
        let new = NewService { name: &name, file: &file, version, serving: None, again: true };
        let at = Timestamp::from_millis(1);
        let deployment = Deployment::default().with_folder(&new, Path::new("/home/x"), 1, at);
        Deployments::new(&self.root.path().join("state")).deploy(&deployment).unwrap();
    }

    fn bellows(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let settings = self.root.path().join("bellows.toml");
        let mut bellows = Command::new(env!("CARGO_BIN_EXE_bellows"));
        let bellows = bellows.arg("--settings").arg(settings).args(arguments).stdin(Stdio::null());
        let Output { status, stdout, stderr } = bellows.output().unwrap();
        let text = [stdout, stderr].concat();
        (status.code(), String::from_utf8(text).unwrap())
    }

    /// What of these is there.
    fn there<'a>(&self, files: &[&'a str]) -> Vec<&'a str> {
        let is_there = |file: &&&str| self.root.path().join("state").join(file).exists();
        files.iter().filter(is_there).copied().collect()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }
}

/// Another process that has a lock.
struct Holder(Child);

impl Holder {
    fn new(how: &str, file: &Path) -> Self {
        let mut holder = Command::new("flock");
        holder.args(["--no-fork", how]).arg(file).args(["sleep", "60"]);
        let holder = Self(holder.spawn().unwrap());
        let begun = Instant::now();
        while SharedLock::alone(file).unwrap().is_some() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it has the lock");
            sleep(Duration::from_millis(10));
        }
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

const ALL: [&str; 8] = [
    "images/nobodys-1f",
    "builds/blog.ext4",
    "builds/shop.ext4",
    "builds/busy.ext4",
    "deploys/blog",
    "deploys/shop",
    "stateful/blog",
    "stateful/shop",
];

#[test]
fn what_nothing_needs_is_shown_and_freed_once_somebody_says_yes_and_nothing_that_is_in_use() {
    let site = Site::new();
    let building = Holder::new("-x", &site.path("state/builds/busy.lock"));
    let deploying = Holder::new("-s", &site.path("run/images.lock"));
    let (code, told) = site.bellows(&["prune"]);
    assert_eq!((code, site.there(&ALL)), (Some(2), ALL.to_vec()), "{told}");
    for line in [
        "2.0 MiB  the cache of builds of blog",
        "the cache of builds of busy stays",
        "images stay while one",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let (code, told) = site.bellows(&["prune", "--yes"]);
    assert_eq!(code, Some(0), "{told}");
    let left = [
        "images/nobodys-1f",
        "builds/shop.ext4",
        "builds/busy.ext4",
        "deploys/shop",
        "stateful/blog",
        "stateful/shop",
    ];
    assert_eq!(site.there(&ALL), left);
    assert!(!site.path("lxc/.bw-shop-t00000001-draft").exists());
    drop(deploying);
    let (_, told) = site.bellows(&["prune", "--yes", "--caches"]);
    assert!(told.contains("the image nobodys-1f") && told.contains("4.0 MiB are free"), "{told}");
    assert_eq!(
        site.there(&ALL),
        ["builds/busy.ext4", "deploys/shop", "stateful/blog", "stateful/shop"]
    );
    drop(building);
    assert_eq!(site.bellows(&["prune", "--yes"]).0, Some(0));
    let (code, told) = site.bellows(&["prune"]);
    assert_eq!((code, told.as_str()), (Some(0), "Nothing to free.\n"));
    assert_eq!(site.there(&ALL), ["deploys/shop", "stateful/blog", "stateful/shop"]);
}

#[test]
fn what_a_first_deploy_left_that_failed_is_destroyed_and_its_data_where_that_is_said() {
    let site = Site::new();
    let (code, told) = site.bellows(&["destroy", "blog"]);
    assert_eq!((code, site.there(&ALL)), (Some(2), ALL.to_vec()), "{told}");
    let (code, told) = site.bellows(&["destroy", "blog", "--yes"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("blog is not deployed. What was left of it is removed. Its data stays in"),
        "{told}"
    );
    assert!(told.contains("`bellows destroy blog --data` removes it"), "{told}");
    let of_blog = ["builds/blog.ext4", "builds/blog.lock", "deploys/blog", "stateful/blog"];
    assert_eq!(site.there(&of_blog), ["stateful/blog"]);
    let (code, told) = site.bellows(&["destroy", "blog", "--yes"]);
    assert!(code == Some(2) && told.contains("say --data"), "{told}");
    assert_eq!(site.there(&of_blog), ["stateful/blog"]);
    fs::write(site.path("state/id_ranges"), "blog 3000000000 65536\nshop 3000065536 65536\n")
        .unwrap();
    let (code, told) = site.bellows(&["destroy", "blog", "--yes", "--data"]);
    assert_eq!((code, site.there(&of_blog)), (Some(0), vec![]), "{told}");
    let ranges = fs::read_to_string(site.path("state/id_ranges")).unwrap();
    assert_eq!(ranges, "shop 3000065536 65536\n", "nothing of it is left");
    let (code, told) = site.bellows(&["destroy", "blog", "--yes", "--data"]);
    assert!(code == Some(2) && told.contains("there is no service blog"), "{told}");
    assert_eq!(site.there(&["stateful/shop", "deploys/shop"]), ["stateful/shop", "deploys/shop"]);
}
