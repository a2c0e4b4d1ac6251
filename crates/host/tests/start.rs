//! Programs that are not made to be the first process of an instance, on real LXC: our init starts them
//! as the service's file says, and the host has what they write.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod running;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::time::{Duration, Instant};

use host::lxc::Containers;
use running::{Running, read};
use world::World;

/// `lines` stand beside `command` in the service's table `[instance]`.
async fn scripted(script: &str, lines: &str) -> Running {
    assert!(std::path::Path::new(world::BUSYBOX).exists(), "run `scripts/setup benches`");
    let command =
        format!("command = [\"/bin/sh\", \"-c\", '{script}', \"a\", \"b c\", \"d\\\"e\"]");
    let world = World::given(&format!("{command}\n{lines}")).await;
    Running::launch(world, 247).await
}

#[tokio::test]
async fn a_program_starts_as_its_services_file_says_and_its_last_words_reach_the_host() {
    let script = "echo \"$0|$1|$2|$A|$HOME|$PWD\"; busybox id -u; busybox id -g; \
                  echo oops >&2; echo by name >/dev/stdout; exit 3";
    let lines = "environment = { A = \"x y\" }\nuser = \"app\"\nworking_folder = \"/opt/app\"\n\
                 root = \"read_only\"";
    let mut instance = scripted(script, lines).await;
    let (stdout, stderr) = instance.written().await;
    assert_eq!(stdout, "a|b c|d\"e|x y|/srv|/opt/app\n500\n501\nby name\n");
    assert_eq!(stderr, "oops\nbellows: the program ended with status 3\n");
    instance.pipes.remove().unwrap();
    let started = Instant::now();
    while !instance.world.is_gone(&instance.name) {
        assert!(started.elapsed() < Duration::from_secs(5), "LXC removes what has ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn orphans_leave_no_zombies_and_a_signal_reaches_the_program() {
    // Each of the 100 is an orphan that has ended; all are gone once none but this shell and its own are left.
    let script = "trap \"echo asked; exit 0\" TERM; \
                  for n in $(busybox seq 1 100); do (busybox true &); done; \
                  while busybox grep -sq \") Z \" /proc/[0-9]*/stat; do busybox sleep 0.01; done; \
                  echo reaped; while :; do busybox sleep 0.01; done";
    let mut instance = scripted(script, "").await;
    let mut stdout = String::new();
    instance.wait_for(&mut stdout, "reaped\n").await;
    let (world, name) = (&instance.world, &instance.name);
    world.containers.stop(name, Duration::from_secs(5)).await.unwrap();
    assert!(world.is_gone(name));
    let (rest, stderr) = instance.written().await;
    assert_eq!(
        (rest.as_str(), stderr.as_str()),
        ("asked\n", "bellows: the program ended with status 0\n")
    );
}

#[tokio::test]
async fn nobody_waits_for_a_log_that_nobody_reads() {
    let script = "busybox seq 1 300000; echo done >&2";
    let mut instance = scripted(script, "").await;
    // Nothing is read meanwhile, and 2 MB are written to a pipe of 64 KiB.
    let started = Instant::now();
    let mut told = String::new();
    while !told.contains("done") {
        assert!(started.elapsed() < Duration::from_secs(5), "the program waits");
        read(&mut instance.pipes.stderr, &mut told);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (stdout, _) = instance.written().await;
    let told = |line: &str| -> Option<usize> {
        line.strip_prefix("bellows: ")?.strip_suffix(" lines were left out")?.parse().ok()
    };
    let (left_out, kept): (Vec<&str>, _) = stdout.lines().partition(|line| told(line).is_some());
    let left_out: usize = left_out.into_iter().filter_map(told).sum();
    assert!(kept.starts_with(&["1", "2"]) && left_out > 200_000, "{left_out}");
    assert_eq!(kept.len() + left_out, 300_000);
}

#[tokio::test]
async fn what_an_instance_is_refused_is_told_with_the_key_that_would_allow_it_or_that_none_would() {
    let cases = [
        ("busybox mount -t tmpfs x /tmp", "", "no key allows it: the system call is none of"),
        ("busybox chown 7 /opt/app", "", "instance.capabilities gives it rights of root: chown,"),
        ("echo x >/opt/app/x", "root = \"read_only\"", "instance.writable names folders"),
    ];
    for (script, lines, cure) in cases {
        let mut instance = scripted(script, lines).await;
        let (_, stderr) = instance.written().await;
        let lines: Vec<String> = stderr.lines().map(str::to_owned).collect();
        let told = model::refusal::cure(&lines).unwrap_or_default();
        assert!(told.starts_with(cure), "{script}: {stderr}{told}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_told() {
    let cases = [
        ("/srv/none", "/srv/none is no folder of the image: mend instance.working_folder"),
        (
            "/closed",
            "/closed cannot be entered by the program's user (Permission denied (os error 13)): mend its mode in \
             the image, or instance.user or instance.working_folder",
        ),
    ];
    for (folder, told) in cases {
        let lines = format!("user = \"500:tape\"\nworking_folder = \"{folder}\"");
        let mut instance = scripted("", &lines).await;
        let (stdout, stderr) = instance.written().await;
        assert_eq!((stdout.as_str(), stderr), ("", format!("bellows: {told}\n")));
    }
}

#[tokio::test]
async fn what_keeps_others_from_connecting_to_an_instance_is_told() {
    let script = "busybox httpd -p 127.0.0.1:8000 -h /; echo begun; busybox sleep 1; \
                  busybox httpd -p 5000 -h /; echo begun; exec busybox sleep 99";
    let mut instance = scripted(script, "").await;
    let mut stdout = String::new();
    instance.wait_for(&mut stdout, "begun\n").await;
    let (world, name) = (&instance.world, &instance.name);
    let told = world.containers.obstacle(name, 8000).await.unwrap();
    assert!(told.starts_with("it listens on 127.0.0.1:8000 alone"), "{told}");
    let told = world.containers.obstacle(name, 80).await.unwrap();
    assert!(
        told.starts_with("it listens on 127.0.0.1:8000 alone: have it listen on 0.0.0.0 and"),
        "{told}"
    );
    stdout.clear();
    instance.wait_for(&mut stdout, "begun\n").await;
    let (world, name) = (&instance.world, &instance.name);
    let told = world.containers.obstacle(name, 80).await.unwrap();
    assert!(told.starts_with("it listens on port 5000, not on 80"), "{told}");
    assert_eq!(world.containers.obstacle(name, 5000).await, None);
    world.containers.stop(name, Duration::ZERO).await.unwrap();
    let told = world.containers.obstacle(name, 8000).await.unwrap();
    assert!(told.starts_with("its program has ended: "), "{told}");
}
