//! What one look at the memory of 200 instances takes, which the scaler has once a second while somebody follows its feed:
//! by control groups of this host's own kernel, with nothing in them. Prints the CPU time of one, the mean of 200, and ends with 1
//! where that is more than what a reader of the feed may take a second, beside what the lines for it take.
//!
//! The groups are named as instances are that were born in 1970, which nobody's were. They are removed at the end, also of one
//! that is interrupted; what a killed one left, the next one takes away. Without `--bench`, as `cargo test` runs it, there is one
//! look and no judgement.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host::cgroups::Cgroups;
use host::lxc::{Containers as _, LxcContainers};
use host::settings::Settings;
use model::names::InstanceName;
use signal_hook::consts::{SIGINT, SIGTERM};

const INSTANCES: u32 = 200;

/// One reader may take 10 ms a second, and the lines that it is told take 1.2 ms of them.
const WANTED: Duration = Duration::from_micros(8_800);

fn main() -> io::Result<()> {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let looks = if whole { 200 } else { 1 };
    let is_interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&is_interrupted))?;
    }
    let groups = Groups::make()?;
    let containers = LxcContainers::new(&Settings::default()).map_err(io::Error::other)?;
    let before = cpu_time()?;
    for _ in 0..looks {
        if is_interrupted.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        look(&containers, &groups.instances)?;
    }
    // The kernel may count it by ticks of 4 ms: of one look alone it would say nothing.
    let cpu = cpu_time()?.saturating_sub(before) / looks;
    println!("a look at the memory of {INSTANCES} instances: {cpu:.1?} of CPU time");
    let is_costly = whole && cpu > WANTED;
    if is_costly { Err(io::Error::other(format!("more than {WANTED:?}"))) } else { Ok(()) }
}

/// Looks once, as the scaler does.
fn look(containers: &LxcContainers, instances: &[InstanceName]) -> io::Result<()> {
    let known = instances.iter().filter_map(|name| containers.memory_bytes(name)).count();
    let told = || format!("the memory of {known} of {} groups is counted", instances.len());
    if known == instances.len() { Ok(()) } else { Err(io::Error::other(told())) }
}

/// Of this thread, in the kernel too.
fn cpu_time() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::Error::other("the kernel counts no CPU time"))
}

/// Control groups as instances have, which are removed when this is dropped.
struct Groups {
    instances: Vec<InstanceName>,
    folders: Vec<PathBuf>,
}

impl Groups {
    fn make() -> io::Result<Self> {
        let cgroups = Cgroups::of_host().map_err(io::Error::other)?;
        let mut made = Self { instances: Vec::new(), folders: Vec::new() };
        for slot in 1..=INSTANCES {
            let name = format!("bw-bench-{slot}-x");
            let folder = cgroups.memory_group(&name);
            let folder = folder.ok_or_else(|| io::Error::other("nothing counts memory here"))?;
            // One that was killed may have left it, as empty as it made it.
            let _ = fs::remove_dir(&folder);
            fs::create_dir(&folder)?;
            made.folders.push(folder);
            made.instances.push(name.parse().map_err(io::Error::other)?);
        }
        Ok(made)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for folder in &self.folders {
            // Somebody who takes all instances of the host down may have been quicker.
            let _ = fs::remove_dir(folder);
        }
    }
}
