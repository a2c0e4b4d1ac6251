//! The running system's own figures: how long a launch takes beside a bare `lxc-copy`, what the scaler costs at
//! 50 instances, and for how long rules of the firewall are missing after a flush. `just bench` brings the
//! system up first.
//!
//! Prints a table; exit code 1 when a figure is above what is wanted.
//!
//! Without `--bench`, as the end-to-end test runs it, everything is done once, with two instances,
//! and no figure is judged.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use host::command::{CommandLine, HostRunner, Runner as _};
use host::deployments::{DeployedService, Deployments};
use host::lxc::{Containers, LxcContainers};
use host::network::{Firewall as _, Network, TABLE};
use host::settings::Settings;
use model::action::ActionKind;
use model::names::{InstanceName, Slot};
use model::service::Replacement;
use model::status::{ServiceStatus, TickPage};
use model::time::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How much is measured.
struct Extent {
    /// Pairs of launches, bare and planned in turn.
    launches: usize,
    /// Instances for the scaler's own costs, and how long these are watched.
    fleet: u32,
    watch: Duration,
    /// How often the firewall's rules are removed.
    flushes: usize,
}

const WHOLE: Extent =
    Extent { launches: 20, fleet: 50, watch: Duration::from_secs(20), flushes: 20 };
const SHORT: Extent = Extent { launches: 1, fleet: 2, watch: Duration::from_secs(1), flushes: 1 };

/// What is wanted at most: of a planned launch in bare ones, and of the scaler with 50 instances.
const MAX_RATIO: f64 = 2.0;
const MAX_CPU_PERCENT: f64 = 5.0;
const MAX_MEMORY_MB: f64 = 64.0;
/// The longest that the firewall's rules may be missing after a flush, of all flushes.
const MAX_MISSING_MS: f64 = 300.0;

/// A slot far from those that the scaler gives out.
const BARE_SLOT: u32 = 1000;

/// No step of this program takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    // The argument that `cargo bench` gives and `cargo test` does not.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let settings = Settings::load(None)?;
    let deployed = Deployments::new(&settings.paths.state).load()?.deployed()?;
    let deployed = deployed.into_iter().find(|d| d.spec.name.as_str() == "object-store");
    let deployed = deployed.context("no object store is deployed: run `./just up` first")?;
    let system = System::find(settings, deployed)?;
    let outcome = system.measure(if whole { &WHOLE } else { &SHORT }).await;
    system.clear_bounds().await?;
    let reached = outcome?;
    Ok(if reached || !whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The bounds of the service, by the operators' socket.
const BOUNDS: &str = "http://localhost/v1/services/object-store/bounds";

/// The running system.
struct System {
    settings: Settings,
    deployed: DeployedService,
    client: reqwest::Client,
    scaler: Pid,
}

impl System {
    fn find(settings: Settings, deployed: DeployedService) -> anyhow::Result<Self> {
        let lock = settings.paths.run.join("scaler.lock");
        let holder = std::fs::read_to_string(&lock).context("no scaler runs: `./just up`")?;
        let scaler = Pid::from_raw(holder.trim().parse().context("the scaler's process id")?);
        let client = reqwest::Client::builder().no_proxy();
        let client = client.unix_socket(settings.operator_socket()).build()?;
        Ok(Self { settings, deployed, client, scaler })
    }

    /// Prints each figure, and says whether all of them are what is wanted.
    async fn measure(&self, extent: &Extent) -> anyhow::Result<bool> {
        let ratio = self.launches(extent.launches).await?;
        let (cpu_percent, memory_mb) = self.costs(extent).await?;
        let missing_ms = self.flushes(extent.flushes).await?;
        let costs_little = cpu_percent < MAX_CPU_PERCENT && memory_mb < MAX_MEMORY_MB;
        Ok(ratio <= MAX_RATIO && costs_little && missing_ms < MAX_MISSING_MS)
    }

    /// The longest that the firewall's rules were missing after one of these flushes, in milliseconds.
    async fn flushes(&self, count: usize) -> anyhow::Result<f64> {
        let network = Network::new(&self.settings, HostRunner);
        let mut missing = Vec::new();
        for number in 0..count {
            // Longer than the scaler waits between two looks that it takes at ease, and at another moment of
            // its tick each time.
            tokio::time::sleep(Duration::from_millis(1_100 + 37 * number as u64 % 100)).await;
            missing.push(missing_after_a_flush(&network).await?);
        }
        let (median, worst) = (median(&mut missing), missing[count - 1]);
        println!("rules missing after a flush             median {median:8.1} ms");
        println!("rules missing after a flush, longest           {worst:8.1} ms");
        Ok(worst)
    }

    /// The time of a planned launch as a multiple of a bare one's.
    async fn launches(&self, pairs: usize) -> anyhow::Result<f64> {
        let containers = LxcContainers::new(&self.settings)?;
        let (mut bare, mut planned) = (Vec::new(), Vec::new());
        self.settle(1).await?;
        for _ in 0..pairs {
            bare.push(self.bare_launch(&containers).await?);
            planned.push(self.planned_launch().await?);
        }
        let (bare, planned) = (median(&mut bare), median(&mut planned));
        println!("lxc-copy to first 200, bare             median {bare:8.1} ms");
        println!("plan to first request served            median {planned:8.1} ms");
        println!("ratio                                          {:8.2}", planned / bare);
        Ok(planned / bare)
    }

    /// The scaler's share of a core in percent, and its memory in MB, at a fleet at rest.
    async fn costs(&self, extent: &Extent) -> anyhow::Result<(f64, f64)> {
        let (fleet, watch) = (extent.fleet, extent.watch);
        self.settle(fleet).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = self.scaler_cpu_seconds()?;
        tokio::time::sleep(watch).await;
        let used = self.scaler_cpu_seconds()? - before;
        let (cpu, memory) = (100.0 * used / watch.as_secs_f64(), self.scaler_memory_mb()?);
        println!("scaler at {fleet} instances: CPU              {cpu:8.2} % of a core");
        println!("scaler at {fleet} instances: memory           {memory:8.1} MB");
        self.settle(1).await?;
        Ok((cpu, memory))
    }

    /// `lxc-copy` and questions until the first 200, without scaler or HAProxy, in milliseconds.
    /// The scaler rests meanwhile: it would take the instance for its own.
    async fn bare_launch(&self, containers: &LxcContainers) -> anyhow::Result<f64> {
        let slot = Slot::try_from(BARE_SLOT)?;
        let birth = Timestamp::from_millis(u64::try_from(unix_now().as_millis())?);
        let name = InstanceName::new(&self.deployed.spec.name, slot, birth);
        let ip = self.settings.network.subnet.address(slot).context("slot 1000 needs a /22")?;
        let address = SocketAddrV4::new(ip, self.deployed.spec.instance.port);
        kill(self.scaler, Signal::SIGSTOP)?;
        let launch = async {
            let begin = Instant::now();
            containers
                .clone_ephemeral(
                    &self.deployed.template(self.deployed.wanted.version),
                    &name,
                    Replacement::Surge,
                )
                .await?;
            while !answers_200(address) {
                if begin.elapsed() > PATIENCE {
                    bail!("the bare instance never answered");
                }
            }
            Ok(begin.elapsed().as_secs_f64() * 1000.0)
        };
        let took = launch.await;
        let stopped = containers.stop(&name, Duration::ZERO).await;
        kill(self.scaler, Signal::SIGCONT)?;
        stopped?;
        took
    }

    /// From the plan of a second instance to the first request that it serves through HAProxy, in
    /// milliseconds.
    async fn planned_launch(&self) -> anyhow::Result<f64> {
        let since = self.last_sequence().await?;
        self.set_bounds(2, 2).await?;
        let (slot, planned_at) = self.clone_planned_after(since).await?;
        let begin = Instant::now();
        let wanted = format!("x-bellows-server: s{slot}\r\n");
        while !ask(self.settings.listen.services, "/healthz")?.contains(&wanted) {
            if begin.elapsed() > PATIENCE {
                bail!("slot {slot} never served a request");
            }
        }
        let served_at = unix_now().as_secs_f64() * 1000.0;
        // The instance can serve before the loop has seen that it does.
        self.settle(2).await?;
        self.settle(1).await?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 2^53")]
        Ok(served_at - planned_at.as_millis() as f64)
    }

    /// The slot of the clone that is planned next, and when it was planned.
    async fn clone_planned_after(&self, since: u64) -> anyhow::Result<(Slot, Timestamp)> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            for tick in self.ticks(since).await?.ticks {
                let clone = tick.plan.iter().find(|action| action.kind == ActionKind::Clone);
                if let Some(clone) = clone {
                    return Ok((clone.slot, tick.at));
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("no launch was planned: see `./just status`")
    }

    /// Waits until exactly `count` instances are ready and nothing else is there.
    async fn settle(&self, count: u32) -> anyhow::Result<()> {
        self.set_bounds(count, count).await?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let status: ServiceStatus = self.get("/v1/services/object-store").await?;
            if status.phases.ready == count && status.instances.len() == count as usize {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("{count} instances were not reached within a minute: see `./just status`")
    }

    async fn set_bounds(&self, min: u32, max: u32) -> anyhow::Result<()> {
        let bounds = model::bounds::Bounds::new(min, max)?;
        self.client.put(BOUNDS).json(&bounds).send().await?.error_for_status()?;
        Ok(())
    }

    async fn clear_bounds(&self) -> anyhow::Result<()> {
        self.client.delete(BOUNDS).send().await?.error_for_status()?;
        Ok(())
    }

    async fn last_sequence(&self) -> anyhow::Result<u64> {
        let mut since = 0;
        loop {
            let page = self.ticks(since).await?;
            if page.ticks.is_empty() {
                return Ok(since);
            }
            since = page.next;
        }
    }

    async fn ticks(&self, since: u64) -> anyhow::Result<TickPage> {
        self.get(&format!("/v1/ticks?since={since}")).await
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let url = format!("http://localhost{path}");
        Ok(self.client.get(url).send().await?.error_for_status()?.json().await?)
    }

    /// User and system time of the scaler and of the children that it waited for.
    fn scaler_cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.scaler_process()?.stat()?;
        let waited_for = u64::try_from(stat.cutime + stat.cstime)?;
        let ticks = stat.utime + stat.stime + waited_for;
        Ok(ticks as f64 / procfs::ticks_per_second() as f64)
    }

    fn scaler_memory_mb(&self) -> anyhow::Result<f64> {
        let resident_kib = self.scaler_process()?.status()?.vmrss.context("VmRSS")?;
        Ok(resident_kib as f64 * 1024.0 / 1e6)
    }

    fn scaler_process(&self) -> anyhow::Result<procfs::process::Process> {
        procfs::process::Process::new(self.scaler.as_raw()).context("the scaler is gone")
    }
}

/// Removes our tables, as a flush does and without those of others, and waits for the scaler to put them back. The
/// command that removes them counts as part of the time.
async fn missing_after_a_flush(network: &Network<HostRunner>) -> anyhow::Result<f64> {
    // Our own transaction is one step. A scaler that has put them back by the time that nft ends is one more.
    let mut seen = network.generation()?.wrapping_add(1);
    let begin = Instant::now();
    let tables = format!("delete table inet {TABLE}; delete table bridge {TABLE}");
    HostRunner.run(&CommandLine::new("nft").arg(tables)).await?;
    while begin.elapsed() < PATIENCE {
        let (generation, at) = (network.generation()?, begin.elapsed());
        // To ask for the generation costs 25 us, and to compare the rules two processes.
        if generation != seen && network.drift().await?.is_none() {
            return Ok(at.as_secs_f64() * 1000.0);
        }
        seen = generation;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bail!("the rules were not put back within a minute: see `./just status`")
}

/// One request on a connection of its own; the answer as text.
fn ask(address: SocketAddrV4, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address.into(), Duration::from_millis(500))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn answers_200(address: SocketAddrV4) -> bool {
    ask(address, "/healthz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
