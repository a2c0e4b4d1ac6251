//! Instances on real LXC: what a launch costs beside `lxc-copy` alone, what a list costs, and a stop; and what an
//! image costs that stands on Debian's userland beside one that holds it. Prints a table and has no bound that it
//! could fail.
//!
//! `--init=PROGRAM` launches another static program, such as the object store, and `--instance=LINES`
//! adds lines to the service's table `[instance]`.
//!
//! Without `--bench`, as `cargo test --bench lxc` runs it, each is done once.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

#[path = "../examples/probe.rs"]
mod probe;
#[path = "../tests/userland/mod.rs"]
mod userland;
#[path = "../tests/world/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use host::lxc::{Containers, Image, ImageStart};
use model::names::TemplateName;
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
    let (pairs, lists, services) = if whole { (20, 100, 20) } else { (1, 1, 2) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let named = |key| std::env::args().find_map(|it| it.strip_prefix(key).map(str::to_owned));
    let program = named("--init=").map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    let lines = named("--instance=").unwrap_or_default();
    runtime.block_on(async {
        let world = World::with(&program, "", &lines).await;
        launches(&world, pairs).await;
        list_of_fifty(&world, lists).await;
        stops(&world, pairs).await;
        userlands(&world, &program, pairs).await;
        services_on_a_base(&world, &program, services).await;
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
    compare([("stop, killed at once", killed), ("stop, asked to end", asked)]);
}

/// Prints the median of each, and that of the second beside that of the first.
fn compare(measured: [(&str, Vec<Duration>); 2]) {
    let medians = measured.map(|(name, mut times)| {
        times.sort();
        let median = times[times.len() / 2];
        println!("{:<35}{median:8.1?}", format!("{name}, median"));
        median.as_secs_f64()
    });
    println!("{:<35}{:8.2}", "ratio", medians[1] / medians[0]);
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
    compare([("lxc-copy alone", bare), ("launch to first answer", ours)]);
}

/// Debian's userland with the program, held by the image or stood on by it.
async fn image(world: &World, program: &Path, holds_all: bool) -> Image {
    let mut image = userland::python().await;
    let folder = world.folder().join(if holds_all { "whole" } else { "added" });
    if holds_all {
        for base in std::mem::take(&mut image.bases) {
            run("cp", &["-a", base.to_str().unwrap(), folder.to_str().unwrap()]);
        }
    }
    std::fs::create_dir_all(folder.join("opt")).unwrap();
    std::fs::copy(program, folder.join("opt/program")).unwrap();
    let digest = folder.display().to_string();
    Image { folder, digest, start: ImageStart::Init("/opt/program".to_owned()), ..image }
}

/// What a launch costs where the userland is shared, in turns with one where it was copied, and the templates.
async fn userlands(world: &World, program: &Path, pairs: usize) {
    let (whole, added) = (image(world, program, true).await, image(world, program, false).await);
    let started = Instant::now();
    let copied = world.beside("test-copied", &whole, "").await;
    println!("template, userland copied          {:8.1?}", started.elapsed());
    let started = Instant::now();
    let shared = world.beside("test-shared", &added, "").await;
    println!("template, userland shared          {:8.1?}", started.elapsed());
    let launch = async |template: &TemplateName| {
        let started = Instant::now();
        let instance = world.launch_from(template, 250).await;
        let took = started.elapsed();
        world.containers.stop(&instance, Duration::ZERO).await.unwrap();
        took
    };
    let (mut of_copied, mut of_shared) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        of_copied.push(launch(&copied).await);
        of_shared.push(launch(&shared).await);
    }
    compare([("launch, userland copied", of_copied), ("launch, userland shared", of_shared)]);
}

/// What so many services on one userland take of the disk beside it.
async fn services_on_a_base(world: &World, program: &Path, services: usize) {
    let added = image(world, program, false).await;
    let taken = || -> u64 {
        let told = run("du", &["--one-file-system", "--summarize", "--block-size=1K", LXC]);
        told.split('\t').next().unwrap().parse().unwrap()
    };
    let (before, started) = (taken(), Instant::now());
    for number in 0..services {
        world.beside(&format!("test-{number}"), &added, "").await;
    }
    let mib = (taken() - before) as f64 / 1024.0;
    println!(
        "{services} services on one userland     {mib:6.1} MiB, made in {:.1?}",
        started.elapsed()
    );
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
