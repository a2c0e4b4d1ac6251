//! Instances on real LXC: what a launch costs beside `lxc-copy` alone, what a list costs, and a stop.
//! Prints a table and has no bound that it could fail.
//!
//! `--init=PROGRAM` launches another static program, such as the object store, and `--instance=LINES`
//! adds lines to the service's table `[instance]`.
//!
//! Without `--bench`, as `cargo test --bench lxc` runs it, each is done once.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

#[path = "../examples/probe.rs"]
mod probe;
#[path = "../tests/world/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use host::lxc::Containers;
use model::service::Replacement;
use world::{LXC, World, run};

/// This program is also the init of the instances that it launches: cargo builds no example for a
/// benchmark, so the tests' probe may not be there.
fn main() -> std::io::Result<()> {
    if std::process::id() == 1 {
        return probe::main();
    }
    // The argument that `cargo bench` gives and `cargo test` does not.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (pairs, lists) = if whole { (20, 100) } else { (1, 1) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let named = |key| std::env::args().find_map(|it| it.strip_prefix(key).map(str::to_owned));
    let program = named("--init=").map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    let lines = named("--instance=").unwrap_or_default();
    runtime.block_on(async {
        let world = World::with(&program, "", &lines).await;
        launches(&world, pairs).await;
        list_of_fifty(&world, lists).await;
        stops(&world, pairs).await;
    });
    Ok(())
}

/// What a stop costs, of an instance that ends when it is asked to: killed at once, and asked.
async fn stops(world: &World, pairs: usize) {
    let (mut killed, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        for (grace, times) in [(Duration::ZERO, &mut killed), (Duration::from_secs(10), &mut asked)]
        {
            let instance = world.launch(250).await;
            // An init that the command line named has a handler of its own.
            let _ = world.get(&instance, "/on-halt?/objects/last");
            let started = Instant::now();
            world.containers.stop(&instance, grace).await.unwrap();
            times.push(started.elapsed());
        }
    }
    killed.sort();
    asked.sort();
    let (killed, asked) = (killed[pairs / 2], asked[pairs / 2]);
    let ratio = asked.as_secs_f64() / killed.as_secs_f64();
    println!("stop, killed at once, median       {killed:8.1?}");
    println!("stop, asked to end, median         {asked:8.1?}");
    println!("ratio                              {ratio:8.2}");
}

async fn launches(world: &World, pairs: usize) {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let config = world.settings.paths.run.join("bare.conf");
    for _ in 0..pairs {
        let instance = world.name(250);
        let started = Instant::now();
        world
            .containers
            .clone_ephemeral(&world.template, &instance, Replacement::Surge)
            .await
            .unwrap();
        world.first_answer(&instance);
        ours.push(started.elapsed());
        let written = world.home().join(instance.as_str()).join("config");
        let own = std::fs::read_to_string(written).unwrap();
        let shared = own.replace(&format!("/{instance}/overlay"), "/NAME/overlay");
        world.containers.stop(&instance, Duration::ZERO).await.unwrap();

        let instance = world.name(250);
        std::fs::write(&config, bare_config(&shared, world.template.as_str())).unwrap();
        let started = Instant::now();
        let copy = ["-e", "-B", "overlay", "-M", "--rcfile", config.to_str().unwrap()];
        let names = ["-P", LXC, "-n", world.template.as_str(), "-N", instance.as_str()];
        run("lxc-copy", &[names.as_slice(), copy.as_slice()].concat());
        world.first_answer(&instance);
        bare.push(started.elapsed());
        world.containers.stop(&instance, Duration::ZERO).await.unwrap();
    }
    ours.sort();
    bare.sort();
    let (ours, bare) = (ours[pairs / 2], bare[pairs / 2]);
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!("launch to first answer, median     {ours:8.1?}");
    println!("lxc-copy alone, median             {bare:8.1?}");
    println!("ratio                              {ratio:8.2}");
}

/// An instance's configuration, turned back into its template's. Its pipes went with it.
fn bare_config(instance: &str, template: &str) -> String {
    let kept = instance.lines().filter(|line| {
        !["lxc.rootfs.path", "lxc.ephemeral", "lxc.uts.name"]
            .iter()
            .any(|key| line.starts_with(key))
            && !line.contains(" dev/bellows/")
    });
    let rootfs = format!("lxc.rootfs.path = dir:{LXC}/{template}/rootfs\n");
    kept.fold(rootfs, |text, line| text + line + "\n")
}

/// What one list of fifty containers costs.
async fn list_of_fifty(world: &World, lists: u32) {
    for number in 0..50 {
        let name = format!("bw-test-{}-list{number}", 200 + number);
        let folder = Path::new(LXC).join(name);
        std::fs::create_dir(&folder).unwrap();
        let lower = format!("{LXC}/{}/rootfs", world.template);
        let config = format!("lxc.rootfs.path = overlay:{lower}:{}/delta\n", folder.display());
        std::fs::write(folder.join("config"), config).unwrap();
    }
    assert!(world.containers.list().await.unwrap().len() >= 50);
    let started = Instant::now();
    for _ in 0..lists {
        world.containers.list().await.unwrap();
    }
    let each = started.elapsed() / lists;
    println!("list of 50 containers              {each:8.1?}");
}
