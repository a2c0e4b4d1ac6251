//! Builds on real LXC: what a stranger's program finds in its container, what it takes, and what it leaves.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod site;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host::build::BuildError;
use host::id_ranges::IdRanges;
use model::egress::Egress;
use site::Site;

/// An address beyond the host that is tried: whatever the walls do, the host sends nothing there meanwhile.
const BEYOND: &str = "192.0.2.19";

#[tokio::test]
async fn a_build_has_its_input_and_what_it_leaves_is_a_part_of_an_image() {
    let site = Site::new();
    fs::write(site.input().join("file"), "of the input").unwrap();
    let script = "echo $1, $2, $GIVEN, $HOME; busybox pwd; busybox cat file; echo; busybox id -u; \
        echo told >&2; busybox mkdir /srv/app; echo text >/srv/app/result; echo kept >/build/cache/x; \
        echo x >/tmp/x; echo y >>file";
    let built = site.build(script).await;
    let folder = built.result.unwrap();
    assert_eq!(
        built.lines,
        ["first, second one, a value, /tmp", "/build/input", "of the input", "0", "told"]
    );
    let result = folder.join("srv/app/result");
    assert_eq!(fs::read_to_string(&result).unwrap(), "text\n");
    assert_eq!(fs::metadata(&result).unwrap().uid(), 0);
    assert_eq!(fs::read_to_string(site.input().join("file")).unwrap(), "of the input");
    // It is there now, for this service and this digest alone.
    let again = site.build("echo not run; exit 1").await;
    assert_eq!((again.result.unwrap(), again.lines.len()), (folder.clone(), 0));
    let script = "busybox ls /srv /tmp; busybox cat /build/cache/x file; echo; echo 2 >/srv/2";
    let second = site.build_of("test", "2", script).await;
    assert_eq!(second.lines, ["/srv:", "", "/tmp:", "kept", "of the input"]);
    assert_ne!(second.result.unwrap(), folder);
    let other = site.build_of("test-other", "1", "busybox ls /build/cache").await;
    assert_eq!(other.lines, [""; 0]);
    assert_ne!(other.result.unwrap(), folder);
    assert_eq!(site.left(), [""; 0]);
}

/// A script that tries what is refused, tells what was not, and then what it has.
fn tries(site: &Site, port: u16, name: &str, inherited: &str) -> String {
    let refused = [
        format!("busybox nc -w 1 127.0.0.1 {port}"),
        format!("busybox nc -w 1 {BEYOND} 80"),
        "busybox nc -w 1 10.117.8.1 80".to_owned(),
        format!("busybox grep {name} /proc/net/unix"),
        "echo x >/etc/x".to_owned(),
        "echo x >/bin/x".to_owned(),
        "echo x >/etc/bellows/build".to_owned(),
        "busybox mount -o remount,rw /".to_owned(),
        "busybox mount -t tmpfs none /tmp".to_owned(),
        "busybox mknod /tmp/null c 1 3".to_owned(),
        "busybox chown 1 /tmp".to_owned(),
        "busybox chroot /tmp".to_owned(),
        "busybox unshare -n".to_owned(),
        format!("busybox ls {}", site.folder.path().display()),
        "busybox test -e /dev/bellows/way-out".to_owned(),
        "echo 1 >/proc/sys/vm/drop_caches".to_owned(),
        ": >/proc/1/mem".to_owned(),
        "busybox renice -n -1 -p $$".to_owned(),
        format!("busybox ls -l /proc/1/fd /proc/self/fd | busybox grep -F '{inherited}'"),
    ];
    let tries = refused
        .iter()
        .map(|line| format!("({line}) 2>/dev/null && echo 'DONE: {}'", line.replace('\'', "")));
    format!(
        "set +e\n{}\nbusybox ls /sys/class/net; busybox grep -E 'Cap(Eff|Bnd|Prm)|NoNewPrivs|Seccomp:' /proc/self/status; \
         busybox cat /proc/self/uid_map; busybox cut -d ' ' -f 19 /proc/1/stat /proc/self/stat; \
         busybox env | busybox grep -i proxy; exit 0",
        tries.collect::<Vec<_>>().join("\n")
    )
}

#[tokio::test]
async fn a_build_has_no_network_no_right_and_no_way_to_the_hosts_files() {
    let site = Site::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("bellows-test-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap());
    assert!(fs::read_to_string("/proc/net/unix").unwrap().contains(&name));
    // As a shell or a service manager may leave one open for its children.
    let (_reader, writer) = nix::unistd::pipe().unwrap();
    let inherited = format!("pipe:[{}]", nix::sys::stat::fstat(&writer).unwrap().st_ino);
    world::run("ip", &["route", "replace", "unreachable", BEYOND]);
    let script = tries(&site, port, &name, &inherited);
    let built = site.build(&script).await;
    world::run("ip", &["route", "del", "unreachable", BEYOND]);
    built.result.unwrap();
    let lines: Vec<String> = built
        .lines
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let first = IdRanges::new(&site.settings).ensure_builds().unwrap().first;
    let none = "0000000000000000";
    assert_eq!(
        lines,
        [
            "lo".to_owned(),
            format!("CapPrm: {none}"),
            format!("CapEff: {none}"),
            format!("CapBnd: {none}"),
            "NoNewPrivs: 1".to_owned(),
            "Seccomp: 2".to_owned(),
            format!("0 {first} 65536"),
            "10".to_owned(),
            "10".to_owned(),
        ]
    );
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "it was reached");
    assert!(IdRanges::new(&site.settings).given().unwrap().is_empty(), "they are no service's");
}

#[tokio::test]
async fn the_way_out_of_a_build_is_what_its_list_names() {
    let mut site = Site::new();
    let named = Egress::new(vec!["named.invalid:80".parse().unwrap()]);
    site.egress = named;
    let get = |url: &str| format!("busybox wget -q -O - http://{url}/ || true");
    let script = [
        get("other.example"),
        get("127.0.0.1:8080"),
        get("10.117.8.1"),
        get("169.254.169.254"),
        get("named.invalid"),
    ];
    let script = format!(
        "{}; echo $https_proxy $SSL_CERT_FILE; busybox ls -l /dev/bellows/way-out | busybox cut -c 1-10",
        script.join("; ")
    );
    let built = site.build(&script).await;
    built.result.unwrap();
    let told = built.lines.join("\n");
    for refused in ["other.example:80", "127.0.0.1:8080", "10.117.8.1:80", "169.254.169.254:80"] {
        let cure = format!(
            "403 the build of test may not reach {refused}: add \"{refused}\" to builds.egress"
        );
        assert!(told.contains(&cure), "{told}");
    }
    assert!(told.contains("502 this host finds no address of named.invalid"), "{told}");
    let end = ["http://127.0.0.1:3128 /etc/bellows/authorities.crt", "srw-rw-rw-"];
    assert_eq!(built.lines[built.lines.len() - 2..], end);
    assert_eq!(site.left(), [""; 0]);
}

#[tokio::test]
async fn a_build_that_fails_tells_its_status_and_its_last_lines() {
    let site = Site::new();
    let built = site.build("for n in $(busybox seq 30); do echo line $n; done; exit 3").await;
    assert_eq!(built.lines.len(), 30);
    let error = built.result.unwrap_err();
    assert!(matches!(error, BuildError::Failed { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("the build ended with status 3: mend what its last lines name"),
        "{text}"
    );
    assert!(text.ends_with("\n    line 29\n    line 30") && !text.contains("line 10\n"), "{text}");
    assert_eq!(site.left(), [""; 0]);
    // The next one finds nothing of it.
    site.build("echo well").await.result.unwrap();
}

#[tokio::test]
async fn a_build_ends_at_its_deadline_with_all_that_it_started() {
    let mut site = Site::new();
    site.limits.deadline = Duration::from_secs(4);
    let begun = Instant::now();
    let script = "busybox setsid busybox sleep 1000 & busybox yes >/dev/null & echo begun; while :; do :; done";
    let built = site.build(script).await;
    let error = built.result.unwrap_err();
    assert!(matches!(error, BuildError::Deadline { deadline_s: 4, .. }), "{error:?}");
    assert!(error.to_string().ends_with("\n    begun"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(site.left(), [""; 0]);
}

/// It may write where our init tells how the program ended, and nobody reads as fast.
#[tokio::test]
async fn a_build_that_writes_in_the_place_of_our_init_ends_at_its_deadline_too() {
    let mut site = Site::new();
    site.limits.deadline = Duration::from_secs(4);
    let error = site.build("busybox yes '' >/dev/bellows/stderr").await.result.unwrap_err();
    assert!(matches!(error, BuildError::Deadline { deadline_s: 4, .. }), "{error:?}");
    site.limits.deadline = Duration::from_secs(60);
    let much = "busybox yes x | busybox head -c 300000 >/dev/bellows/stderr; exit 5";
    let error = site.build(much).await.result.unwrap_err();
    assert!(error.to_string().starts_with("the build ended with status 5"), "{error}");
    assert_eq!(site.left(), [""; 0]);
}

#[tokio::test]
async fn what_a_build_takes_of_memory_processes_and_disk_is_bounded_and_told() {
    let mut site = Site::new();
    let error =
        site.build("busybox dd if=/dev/zero of=/dev/null bs=200M").await.result.unwrap_err();
    assert!(matches!(error, BuildError::Memory { memory_mib: 64, .. }), "{error:?}");
    let many = "for n in $(busybox seq 200); do busybox sleep 100 & done; exit 0";
    let error = site.build(many).await.result.unwrap_err();
    assert!(matches!(error, BuildError::Processes { processes: 64, .. }), "{error:?}");
    for folder in ["/tmp", "/srv", "/build/cache", "/build/input"] {
        let script =
            format!("echo x >/build/cache/x; busybox dd if=/dev/zero of={folder}/full bs=1M");
        let error = site.build(&script).await.result.unwrap_err();
        assert!(matches!(error, BuildError::Disk { disk_mib: 64, .. }), "{folder}: {error:?}");
        let cache = site.build("busybox ls /build/cache; exit 1").await;
        assert_eq!(cache.lines, [""; 0], "{folder}");
    }
    let files = "n=0; while echo x >/srv/$n; do n=$((n+1)); done; exit 1";
    let error = site.build(files).await.result.unwrap_err();
    assert!(matches!(error, BuildError::Disk { .. }), "{error:?}");
    // A bomb ends at the deadline, if not before.
    site.limits.deadline = Duration::from_secs(5);
    site.build("f() { f | f & }; f; while :; do busybox sleep 1; done").await.result.unwrap_err();
    assert_eq!(site.left(), [""; 0]);
    let disk = fs::metadata(site.settings.paths.state.join("builds/test.ext4")).unwrap();
    assert!(disk.blocks() * 512 < 32 << 20, "what is removed goes back: {}", disk.blocks());
}

#[tokio::test]
async fn what_a_build_writes_without_an_end_is_shown_up_to_a_bound() {
    let mut site = Site::new();
    site.limits.deadline = Duration::from_secs(3);
    let built = site.build("busybox yes 0123456789012345678901234567890123456789").await;
    assert!(matches!(built.result, Err(BuildError::Deadline { .. })), "{:?}", built.result);
    let bytes: usize = built.lines.iter().map(String::len).sum();
    assert!((50_000..110_000).contains(&bytes), "{bytes}");
    let told =
        built.lines.iter().filter(|line| line.starts_with("bellows: it writes more")).count();
    assert_eq!(told, 1);
}

#[tokio::test]
async fn nothing_that_could_do_more_than_a_file_becomes_a_part_of_an_image() {
    let site = Site::new();
    let script = "cd /srv; busybox cp /bin/busybox b; busybox chmod 6755 b; busybox mkfifo pipe; \
        busybox ln -s /etc/shadow shadow; busybox ln -s ../../../../../../etc up; busybox mkdir d; \
        busybox chmod 3777 d; busybox ln b hard; busybox mknod whiteout c 0 0; busybox mknod zero c 1 5 || echo no device; \
        echo end";
    let built = site.build(script).await;
    let folder = built.result.unwrap().join("srv");
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["b", "d", "hard", "shadow", "up"]);
    for (name, mode) in [("b", 0o755), ("hard", 0o755), ("d", 0o777)] {
        let found = fs::metadata(folder.join(name)).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (mode, 0, 0), "{name}");
    }
    assert_eq!(fs::read_link(folder.join("shadow")).unwrap(), Path::new("/etc/shadow"));
    let told = "bellows: left out of the image, since it is no file: ";
    let mut left_out: Vec<_> =
        built.lines.iter().filter_map(|line| line.strip_prefix(told)?.rsplit('/').next()).collect();
    left_out.sort_unstable();
    assert_eq!(left_out, ["pipe", "whiteout"]);
    assert!(built.lines.iter().any(|line| line == "no device"));
    // More than its disk holds, by a file that takes none of it.
    let large = site.build_of("test", "2", "busybox truncate -s 1024G /srv/large").await;
    assert!(matches!(large.result, Err(BuildError::Result(_))), "{:?}", large.result);
    assert_eq!(site.left(), [""; 0]);
}

/// Not a test of its own: a builder that another test kills, as a process of its own.
#[tokio::test]
async fn a_builder_for_the_test_that_kills_one() {
    let Some(folder) = std::env::var_os("BELLOWS_TEST_BUILDER") else { return };
    let mut site = Site::at(Path::new(&folder));
    // Without its proxy a build ends as well.
    if !site.forgets_parents() {
        site.egress = Egress::new(vec!["named.invalid:80".parse().unwrap()]);
    }
    let script = "echo kept >/build/cache/x; busybox setsid busybox sleep 1000 & busybox touch /srv/begun; busybox sleep 1000";
    site.build(script).await.result.unwrap();
}

/// Another process that builds, once it has begun.
fn builder(site: &Site) -> Child {
    let builder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_builder_for_the_test_that_kills_one", "--nocapture"])
        .env("BELLOWS_TEST_BUILDER", site.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = site.settings.paths.state.join("builds/bw-build.test/disk/out/begun");
    wait_until("the build to begin", || begun.exists());
    assert!(processes(site) > 2);
    builder
}

/// With AppArmor it is the kernel that forgets.
#[tokio::test]
async fn a_build_ends_with_its_builder_and_at_its_deadline_also_where_the_kernel_forgets_its_parent()
 {
    let mut site = Site::new();
    site.forget_parents();
    let mut builder = builder(&site);
    builder.kill().unwrap();
    builder.wait().unwrap();
    wait_until("all of it to end", || processes(&site) == 0);
    site.limits.deadline = Duration::from_secs(2);
    let script = "busybox setsid busybox sleep 1000 & busybox sleep 1000";
    let error = site.build(script).await.result.unwrap_err();
    assert!(matches!(error, BuildError::Deadline { deadline_s: 2, .. }), "{error:?}");
    assert_eq!(site.left(), [""; 0]);
}

#[tokio::test]
async fn when_a_builder_is_killed_nothing_of_its_build_runs_on_and_the_next_one_removes_the_rest() {
    let site = Site::new();
    let mut builder = builder(&site);
    let busy = site.build("echo x").await.result.unwrap_err();
    assert_eq!(busy.to_string(), "test is being built already; wait until that has ended");
    builder.kill().unwrap();
    builder.wait().unwrap();
    wait_until("all of it to end", || processes(&site) == 0);
    assert_ne!(site.left(), [""; 0]);
    let next = site.build("busybox cat /build/cache/x; busybox ls /srv").await;
    next.result.unwrap();
    assert_eq!(next.lines, ["kept"]);
    assert_eq!(site.left(), [""; 0]);
}

#[tokio::test]
async fn a_build_that_is_given_up_ends_and_all_that_builds_had_can_be_removed() {
    let site = Site::new();
    let begun = site.settings.paths.state.join("builds/bw-build.test/disk/out/begun");
    tokio::select! {
        built = site.build("echo x >/srv/begun; busybox sleep 1000") => panic!("{:?}", built.result),
        () = appears(&begun) => {}
    }
    wait_until("all of it to end", || processes(&site) == 0);
    assert_ne!(site.left(), [""; 0]);
    let home = site.settings.paths.state.join("builds");
    assert!(home.join("test.ext4").exists());
    assert_eq!(site.builds().remove_all().await.unwrap(), 1);
    let names: Vec<_> = fs::read_dir(&home).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, [""; 0]);
    assert_eq!(site.left(), [""; 0]);
    assert_eq!(site.builds().remove_all().await.unwrap(), 0);
}

#[tokio::test]
async fn a_disk_that_is_broken_or_of_another_size_is_made_anew() {
    let mut site = Site::new();
    site.build_of("test", "1", "echo kept >/build/cache/x").await.result.unwrap();
    let disk = site.settings.paths.state.join("builds/test.ext4");
    let spoilt = vec![0xab; 8 << 20];
    std::os::unix::fs::FileExt::write_all_at(
        &fs::OpenOptions::new().write(true).open(&disk).unwrap(),
        &spoilt,
        0,
    )
    .unwrap();
    let built =
        site.build_of("test", "2", "busybox ls /build/cache; echo kept >/build/cache/x").await;
    assert_eq!(built.lines, [""; 0]);
    built.result.unwrap();
    site.limits.disk_mib = 80;
    let built = site.build_of("test", "3", "busybox ls /build/cache").await;
    assert_eq!(built.lines, [""; 0]);
    built.result.unwrap();
    assert_eq!(fs::metadata(&disk).unwrap().len(), 80 << 20);
    site.limits.disk_mib = u32::MAX;
    let error = site.build_of("test", "4", "echo x").await.result.unwrap_err();
    assert!(matches!(error, BuildError::NoRoom { .. }), "{error:?}");
}

/// The processes of builds on this site.
fn processes(site: &Site) -> usize {
    let first = IdRanges::new(&site.settings).ensure_builds().unwrap().first;
    let of_range = world::run("ps", &["-eo", "uid,args"]);
    let lines = of_range.lines().filter_map(|line| line.trim().split_once(' '));
    let folder = site.folder.path().display().to_string();
    lines
        .filter(|(uid, arguments)| {
            let uid: u32 = uid.parse().unwrap_or_default();
            (first..first + 65_536).contains(&uid)
                || (arguments.contains(&folder)
                    && ["lxc-start", "egress build"].iter().any(|it| arguments.contains(it)))
        })
        .count()
}

/// Waits for a file as a build goes on beside it.
async fn appears(file: &Path) {
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
