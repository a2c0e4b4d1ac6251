//! What a launch of `examples/hello-flask` takes from its clone to its first answer, beside gunicorn started in a
//! container of the same files that `lxc-copy` makes, with no init of ours: with the limits of the instance, and without
//! one on CPU time. In turns. Prints a table and has no bound that it could fail.
//!
//! Without `--bench`, as `cargo test --bench applications` runs it, each is done once.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

#[path = "../examples/probe.rs"]
mod probe;
#[path = "../tests/rig/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod rig;
#[path = "../tests/world/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod world;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use host::lxc::{Containers, Image, ImageStart};
use model::names::{InstanceName, TemplateName};
use model::service::Replacement;
use rig::Rig;
use world::{LXC, World, run};

/// A start takes about a second of CPU time at half a core.
const LONGEST: Duration = Duration::from_secs(30);

/// This program is also the init of the world's own instances: cargo builds no example for a benchmark.
fn main() -> std::io::Result<()> {
    if std::process::id() == 1 {
        return probe::main();
    }
    // The argument that `cargo bench` gives and `cargo test` does not.
    let rounds = if std::env::args().any(|it| it == "--bench") { 15 } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let world = World::with(&std::env::current_exe().unwrap(), "", "").await;
        let rig = Rig::on(world).of_example("hello-flask");
        flask(&rig, rounds).await;
    });
    Ok(())
}

async fn flask(rig: &Rig, rounds: usize) {
    let (image, lines) = rig.build_for("test-app").await;
    let image = image.unwrap_or_else(|error| panic!("{error}: {lines:#?}"));
    let lines = "cpus = 0.5\nroot = \"read_only\"\nwritable = [{ path = \"/tmp\", size_mib = 8 }]";
    let figures = [("memory_mib = 48", "memory_mib = 128"), ("    cpus = 1.0\n", "")];
    let template = rig.world.beside_with("test-app", &image, lines, &figures).await;
    let [mut ours, mut bare, mut unlimited] = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let instance = rig.world.name(250);
        let started = Instant::now();
        let cloned = rig.world.containers.clone_ephemeral(&template, &instance, Replacement::Surge);
        cloned.await.unwrap();
        first_answer(&rig.world, &instance);
        ours.push(started.elapsed());
        let config = bare_config(&template, &instance, &image);
        rig.world.containers.stop(&instance, Duration::ZERO).await.unwrap();
        bare.push(bare_start(rig, &template, &config).await);
        let is_of_cpu = |line: &&str| line.contains("cpu.cfs_") || line.contains("cpu.max");
        let config: String =
            config.lines().filter(|it| !is_of_cpu(it)).map(|it| format!("{it}\n")).collect();
        unlimited.push(bare_start(rig, &template, &config).await);
    }
    let base = median(bare);
    let row = |what: &str, took: Duration| {
        println!("{what:<52}{took:8.1?}{:6.2}", took.as_secs_f64() / base.as_secs_f64());
    };
    row("Flask by gunicorn in a bare container", base);
    row("the same without a limit on CPU time", median(unlimited));
    row("an instance, from its clone to its first answer", median(ours));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn first_answer(world: &World, instance: &InstanceName) {
    let started = Instant::now();
    while !world.get(instance, "/").is_ok_and(|body| body == "Hello, world!\n") {
        assert!(started.elapsed() < LONGEST, "{instance} does not answer");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Has `lxc-copy` make and start a container, and waits for its first answer.
async fn bare_start(rig: &Rig, template: &TemplateName, config: &str) -> Duration {
    let file = rig.world.settings.paths.run.join("bare.conf");
    let instance = rig.world.name(250);
    fs::write(&file, config.replace("/NAME/overlay", &format!("/{instance}/overlay"))).unwrap();
    let started = Instant::now();
    let copy = ["-e", "-B", "overlay", "-M", "--rcfile", file.to_str().unwrap()];
    let names = ["-P", LXC, "-n", template.as_str(), "-N", instance.as_str()];
    run("lxc-copy", &[names.as_slice(), copy.as_slice()].concat());
    first_answer(&rig.world, &instance);
    let took = started.elapsed();
    rig.world.containers.stop(&instance, Duration::ZERO).await.unwrap();
    took
}

/// The configuration of an instance without what is ours: it starts the application itself.
fn bare_config(template: &TemplateName, of: &InstanceName, image: &Image) -> String {
    let ImageStart::Application { command, environment, working_folder } = &image.start else {
        panic!("{:?} is no application", image.start)
    };
    let written =
        fs::read_to_string(World::home_of(template).join(of.as_str()).join("config")).unwrap();
    let is_ours = |line: &&str| {
        ["rootfs.path", "ephemeral", "uts.name", "init.cmd", "environment"]
            .iter()
            .any(|key| line.starts_with(&format!("lxc.{key}")))
            || line.contains(" dev/bellows/")
    };
    let mut config = format!("lxc.rootfs.path = dir:{LXC}/{template}/rootfs\n");
    for line in written.lines().filter(|line| !is_ours(line)) {
        config += &format!("{}\n", line.replace(&format!("/{of}/overlay"), "/NAME/overlay"));
    }
    for (name, value) in environment {
        config += &format!("lxc.environment = {name}={value}\n");
    }
    let program = program(image, &command[0], &environment["PATH"]);
    let words = command[1..].join(" ");
    config
        + &format!(
            "lxc.environment = PORT=8000\nlxc.init.cwd = {working_folder}\nlxc.init.cmd = {program} {words}\n"
        )
}

/// Where a program of an image is.
fn program(image: &Image, name: &str, path: &str) -> String {
    let is_there = |folder: &&str| {
        let inside = Path::new(folder).join(name);
        let inside = inside.strip_prefix("/").unwrap();
        image.bases.iter().any(|base| fs::symlink_metadata(base.join(inside)).is_ok())
    };
    format!("{}/{name}", path.split(':').find(is_there).unwrap())
}
