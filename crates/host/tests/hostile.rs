//! A hostile application in an instance: Debian's userland, and programs that try every way out, on real LXC.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod running;
mod userland;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use host::lxc::{Image, ImageStart};
use running::Running;
use serde_json::{Value, json};
use world::World;

/// All that a service's file can ask for.
const MOST: &str = r#"capabilities = ["chown", "dac_override", "fowner", "setuid", "setgid", "kill", "net_bind_service"]"#;

/// What opens ways to others: at the top of a service's file, and in its table `[instance]`.
const EGRESS: &str = "egress = [\"example.org:443\"]";
const REACHES: &str = "reaches = [\"other\"]";

/// The folder of what the tests of this file share, which is kept.
fn prepared() -> PathBuf {
    static MADE: OnceLock<()> = OnceLock::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/prepare");
    MADE.get_or_init(|| {
        let status = Command::new(&script).arg(&folder).status().unwrap();
        assert!(status.success(), "run `scripts/setup benches`, and see {}", folder.display());
    });
    folder
}

/// Debian with the programs of the tests, of which one runs.
async fn debian(command: &[&str]) -> Image {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    let start = ImageStart::Command(command);
    let userland = userland::python().await;
    let (folder, digest) = (prepared().join("image"), "hostile".to_owned());
    Image { folder, digest, start, ..userland }
}

/// The numbers of the system calls that an instance may make.
fn allowed() -> Vec<u32> {
    let header = fs::read_to_string("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").unwrap();
    let number = |name: &str| {
        let line = format!("#define __NR_{name} ");
        header.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok())
    };
    let list = include_str!("../../../lxc/seccomp").lines().skip(3);
    let names = list.filter_map(|line| line.split(' ').next());
    // Some are younger than the header.
    names.filter_map(number).collect()
}

#[tokio::test]
async fn a_hostile_program_finds_no_way_out_whatever_its_services_file_may_ask_for() {
    let abstract_name = format!("bellows-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let _listens = UnixListener::bind_addr(&address).unwrap();
    let host_file = tempfile::NamedTempFile::new().unwrap();
    let both = format!("{MOST}\n{REACHES}");
    for (head, lines) in [("", "root = \"read_only\""), ("", MOST), (EGRESS, &both)] {
        let writable = "writable = [{ path = \"/writable\", size_mib = 8, exec = true }]";
        let given = serde_json::json!({
            "abstract": abstract_name, "file": host_file.path(), "allowed": allowed(),
            "addresses": { "the host": ["10.117.8.1", 22], "the load balancer": ["10.117.8.1", 8080],
                "the scaler": ["10.117.8.1", 8090], "another instance": ["10.117.8.242", 8000] },
            "hidden": { "containers": world::LXC, "programs": env!("CARGO_MANIFEST_DIR") },
        });
        let command = ["/usr/bin/python3", "/attempts.py", &given.to_string()];
        let image = debian(&command).await;
        let world = World::of(|_| image, head, &format!("{lines}\n{writable}")).await;
        let mut instance = Running::launch(world, 243).await;
        // The other one, whose address ends in 242.
        instance.world.launch_mute(241).await;
        let (stdout, stderr) = instance.written().await;
        let (attempts, ends): (Vec<&str>, Vec<&str>) =
            stdout.lines().partition(|line| line.contains(": "));
        assert_eq!(
            (ends, stderr.as_str()),
            (vec!["end"], "bellows: the program ended with status 0\n")
        );
        let done: Vec<_> = attempts.iter().filter(|line| !line.contains(": refused (")).collect();
        assert!(done.is_empty(), "{head} {lines}: {done:#?}");
        assert_eq!(attempts.len(), 149);
    }
}

#[tokio::test]
async fn what_a_hostile_program_takes_is_its_own_and_no_more() {
    let lines = "root = \"read_only\"\nopen_files = 256\nwritable = [{ path = \"/writable\", size_mib = 8 }]";
    let image = debian(&["/usr/bin/python3", "/hogs.py"]).await;
    let world = World::of(|_| image, "", lines).await;
    let mut instance = Running::launch(world, 245).await;
    let (stdout, _) = instance.written().await;
    let told: Vec<&str> = stdout.lines().collect();
    let taken = |line: usize, kind: &str, why: &str| -> u32 {
        let inner = told[line].strip_prefix(kind).and_then(|rest| rest.strip_suffix(why));
        inner.unwrap_or_else(|| panic!("{told:#?}")).parse().unwrap()
    };
    // Beside the program itself and our init, of 24.
    assert_eq!(taken(0, "processes: ", " (Resource temporarily unavailable)"), 22);
    assert!((16..48).contains(&taken(1, "memory: ", " (ended by signal 9)")), "{told:#?}");
    assert!((240..256).contains(&taken(2, "descriptors: ", " (Too many open files)")), "{told:#?}");
    assert_eq!(taken(3, "disk: ", " (No space left on device)"), 8);
    assert_eq!(
        told[4..],
        ["(Read-only file system)", "log: 8 (nothing)", "(Function not implemented)", "end"]
    );
}

#[tokio::test]
async fn a_public_enumerator_of_escapes_finds_none() {
    let shell = "sh /enumerate >/objects/new && mv /objects/new /objects/posture.json && sleep 300";
    let image = debian(&["/bin/sh", "-c", shell]).await;
    let world = World::of(|_| image, "", MOST).await;
    let running = Running::launch(world, 244).await;
    let told = running.world.settings.paths.state.join("objects/posture.json");
    wait_for(&told);
    let mut posture: Value = serde_json::from_slice(&fs::read(&told).unwrap()).unwrap();
    // It looked: this is what the instance has.
    let seven = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE"];
    assert_eq!(
        posture["capabilities"]["effective"],
        json!(seven.map(|name| format!("CAP_{name}")))
    );
    assert_eq!(posture["security"]["seccomp"], "filtering");
    assert_eq!(posture["namespaces"]["user"], true);
    let mounts = posture["mounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["destination"] == "/objects"), "{mounts:?}");
    // Not even one that it only guesses at.
    assert_eq!(ways_out(&posture), BTreeSet::new());
    // It would find some: with rights that an instance has not, of each of these a way.
    let more = ["SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH", "NET_ADMIN"];
    posture["capabilities"]["effective"] = json!(more.map(|name| format!("CAP_{name}")));
    posture["security"]["seccomp"] = json!("disabled");
    let found = ways_out(&posture);
    for way in ["cap_sys_admin_mount", "cap_sys_module", "cap_sys_rawio", "cap_dac_read_search"] {
        assert!(found.contains(way), "{found:?}");
    }
}

/// The ways out that the enumerator's engine makes of what it was told, by their first steps.
fn ways_out(posture: &Value) -> BTreeSet<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), posture.to_string()).unwrap();
    let analysis = Command::new("python3")
        .args(["-m", "cepheus", "analyze", "--format", "json"])
        .arg(file.path())
        .env("PYTHONPATH", prepared().join("cepheus"))
        .output()
        .unwrap();
    let found: Value = serde_json::from_slice(&analysis.stdout).unwrap();
    assert!(found["total_techniques_checked"].as_u64() >= Some(75), "{found}");
    let chains = found["chains"].as_array().unwrap();
    let first = |chain: &Value| chain["steps"][0]["technique"]["id"].as_str().unwrap().to_owned();
    chains.iter().map(first).collect()
}

/// Waits until there is such a file.
fn wait_for(file: &Path) {
    let started = Instant::now();
    while !file.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "{} is not there", file.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}
