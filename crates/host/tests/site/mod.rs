//! A host of its own on which images are built, with a base that is one static file; all of it is taken away again,
//! also after a failed test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::build::{Build, BuildError, BuildLimits, Builds, Input};
use host::command::HostRunner;
use host::id_map::IdMap;
use host::lock::Lock;
use host::lxc::{Image, ImageStart};
use host::settings::Settings;
use model::egress::Egress;
use model::names::ServiceName;

use crate::world::{BUSYBOX, built, init_program, lock, run, settings};

/// What a build wrote and left.
pub(crate) struct Built {
    pub(crate) result: Result<PathBuf, BuildError>,
    pub(crate) lines: Vec<String>,
}

pub(crate) struct Site {
    pub(crate) settings: Settings,
    pub(crate) limits: BuildLimits,
    pub(crate) egress: Egress,
    pub(crate) folder: Folder,
    _lock: Option<Lock>,
}

/// Where its files are.
pub(crate) enum Folder {
    Own(tempfile::TempDir),
    Anothers(PathBuf),
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Anothers(folder) => folder,
        }
    }
}

impl Site {
    /// Waits for other runs of these tests on this host.
    pub(crate) fn new() -> Self {
        assert!(Path::new(BUSYBOX).exists(), "run `scripts/setup benches`");
        let lock = lock();
        let folder = tempfile::tempdir().unwrap();
        run("chmod", &["711", &folder.path().display().to_string()]);
        fs::create_dir(folder.path().join("input")).unwrap();
        Self::with(Folder::Own(folder), Some(lock))
    }

    /// The site of another process of these tests, which waits for this one.
    pub(crate) fn at(folder: &Path) -> Self {
        Self::with(Folder::Anothers(folder.to_owned()), None)
    }

    fn with(folder: Folder, lock: Option<Lock>) -> Self {
        let settings = settings(folder.path());
        let limits = BuildLimits {
            deadline: Duration::from_secs(60),
            memory_mib: 64,
            cpus: 1.0,
            processes: 64,
            disk_mib: 64,
            output_bytes: 100_000,
        };
        Self { settings, limits, egress: Egress::default(), folder, _lock: lock }
    }

    /// The input of the builds.
    pub(crate) fn input(&self) -> PathBuf {
        self.folder.path().join("input")
    }

    pub(crate) fn builds(&self) -> Builds<HostRunner> {
        let builds = Builds::new(&self.settings, HostRunner);
        let init = if self.forgets_parents() { self.forgetful() } else { init_program() };
        builds.with_programs(init, self.proxy())
    }

    /// What stands in the place of our init, where there is such a thing.
    fn forgetful(&self) -> PathBuf {
        self.folder.path().join("init")
    }

    pub(crate) fn forgets_parents(&self) -> bool {
        self.forgetful().exists()
    }

    /// Has the kernel forget that the first process of a build is to die with its parent, as it does with AppArmor.
    pub(crate) fn forget_parents(&self) {
        let path = |path: PathBuf| path.display().to_string();
        run("cp", &[&path(init_program()), &path(self.base().folder.join("bin/init"))]);
        run("cp", &[&path(built("examples/forgetful")), &path(self.forgetful())]);
    }

    /// The proxy, where its user can run it.
    fn proxy(&self) -> PathBuf {
        let program = self.folder.path().join("egress");
        if !program.exists() {
            assert!(built("egress").exists(), "run `cargo build -p egress`");
            run("cp", &[&built("egress").display().to_string(), &program.display().to_string()]);
        }
        program
    }

    /// A base whose shell and tools are one file.
    pub(crate) fn base(&self) -> Image {
        let base = self.folder.path().join("base");
        for path in ["bin", "dev", "proc", "sys", "tmp", "etc", "srv"] {
            fs::create_dir_all(base.join(path)).unwrap();
        }
        for name in ["sh", "busybox"] {
            run("cp", &[BUSYBOX, &base.join("bin").join(name).display().to_string()]);
        }
        Image {
            folder: base,
            bases: Vec::new(),
            digest: "test".to_owned(),
            start: ImageStart::Command(vec!["/bin/sh".to_owned()]),
        }
    }

    /// What comes of a build that runs this script on the base.
    pub(crate) async fn build(&self, script: &str) -> Built {
        self.build_of("test", "1", script).await
    }

    /// The same of a service, with a digest.
    pub(crate) async fn build_of(&self, service: &str, digest: &str, script: &str) -> Built {
        let file = self.folder.path().join("script");
        fs::write(&file, format!("PATH=/bin\nset -eu\nalias b=busybox\n{script}\n")).unwrap();
        let service: ServiceName = service.parse().unwrap();
        let (base, input) = (self.base(), self.input());
        let build = Build {
            service: &service,
            base: &base,
            digest,
            script: &file,
            arguments: vec!["first".to_owned(), "second one".to_owned()],
            environment: BTreeMap::from([("GIVEN".to_owned(), "a value".to_owned())]),
            input: Input::Folder(&input),
            egress: self.egress.clone(),
            limits: self.limits,
        };
        let mut lines = Vec::new();
        let result = self.builds().build(&build, |line| lines.push(line.to_owned())).await;
        Built { result, lines }
    }

    /// What a build has left that is no result of it, nor kept for the next one.
    pub(crate) fn left(&self) -> Vec<String> {
        let groups = run("find", &["/sys/fs/cgroup", "-name", "lxc.*.bw-build.test*"]);
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let state = self.settings.paths.state.display().to_string();
        let mounts = mounts.lines().filter(|line| line.contains(&state));
        let devices = run("losetup", &["--list", "--noheadings", "--output", "BACK-FILE"]);
        let devices = devices.lines().filter(|line| line.contains(&state));
        let folders =
            [self.settings.paths.state.join("builds"), self.settings.paths.run.join("builds")];
        let names = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names = names.filter(|name| !name.ends_with(".ext4") && !name.ends_with(".lock"));
        groups.lines().chain(mounts).chain(devices).map(str::to_owned).chain(names).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Folder::Anothers(_) = self.folder {
            return;
        }
        let home = self.settings.paths.state.join("builds").display().to_string();
        for name in ["bw-build.test", "bw-build.test-other"] {
            run("lxc-stop", &["-P", &home, "-k", "-n", name]);
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let ours = self.folder.path().display().to_string();
        for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
            if place.starts_with(&ours) {
                run("umount", &["--lazy", place]);
            }
        }
        let _ = IdMap::of_host(&self.settings.paths.state, self.settings.id_map).remove();
    }
}
