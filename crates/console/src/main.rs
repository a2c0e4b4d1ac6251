//! `console`: what is seen and remembered of the scaler, told over HTTP on loopback. It changes nothing, and runs as a user
//! without rights.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::Parser;
use console::api::{self, Known};
use console::history::{self, Place, SIZE_MIN_BYTES};
use console::live::Hub;
use console::metrics::{Counted, Notified};
use console::notify::{Notifier, StartError};
use console::watch::{Follower, Now};
use host::lock::Lock;
use model::time::Timestamp;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::geteuid;
use prometheus_client::registry::Registry;
use scaler_client::Scaler;
use service::listener::Tcp;
use service::metrics::HttpMetrics;
use service::server::{Limits, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Connections at a time. Those that do nothing make way for others.
const CONNECTIONS: usize = 256;

/// A client that takes nothing of its answer for so long is cut off: live readers get one that does not end.
const TAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests in flight have at the end. Live readers never end by themselves.
const DRAIN: Duration = Duration::from_secs(1);

/// Threads that wait for the disk: four that read, and some to spare.
const DISK_THREADS: usize = 8;

/// Tells what the scaler does and did
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Exit codes: 0 ended on a signal, 1 failed, 2 bad input")]
struct Arguments {
    /// The scaler's socket for this program
    #[arg(long, value_name = "SOCKET", default_value = "/run/bellows/console.sock")]
    scaler: String,
    /// Where to listen, on loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The file of the history
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// What the history may take on the disk, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 200,
          value_parser = clap::value_parser!(u64).range(SIZE_MIN_BYTES / MIB..=1024 * 1024))]
    history_mib: u64,
    /// Whom to tell of episodes, as `bellows up` wrote it
    #[arg(long, value_name = "FILE")]
    notify: Option<PathBuf>,
}

const MIB: u64 = 1024 * 1024;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => service::exit::report("console", error.as_ref()),
    }
}

fn start(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(!geteuid().is_root(), "this is not for root: start it as a user without rights");
    ensure!(
        arguments.listen.ip().is_loopback(),
        "--listen is {}: what is told here is for this host alone, use an address of loopback",
        arguments.listen
    );
    set_no_new_privs().context("giving up what set-uid programs would give")?;
    service::telemetry::init()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(DISK_THREADS)
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let stop = service::shutdown::on_signal().context("handlers for signals")?;
    // Two of them would write everything twice.
    let _lock = Lock::acquire(&arguments.history.with_added_extension("lock"))?;
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: end what listens there"))?;
    let size_bytes = arguments.history_mib * MIB;
    let place = Place { file: arguments.history.clone(), size_bytes };
    let (recorder, history) = history::open(place);
    let (now, hub) = (Arc::new(Now::default()), Arc::new(Hub::new(began())));
    let mut registry = Registry::default();
    let requests = HttpMetrics::register(&mut registry);
    let counted = Counted::register(&mut registry);
    let notifier = arguments.notify.as_deref().map(|file| notifier(file, arguments, &mut registry));
    let notifier = notifier.flatten();
    let scaler = Scaler::new(&arguments.scaler)?;
    let follower = Follower {
        scaler,
        now: Arc::clone(&now),
        hub: Arc::clone(&hub),
        counted,
        recorder,
        notifier: notifier.clone(),
    };
    let known = Known { now, history: history.clone(), hub, registry: Arc::new(registry) };
    let routes = api::routes(known, requests);
    tracing::info!(address = %listener.local_addr().unwrap_or(listen), "listening");

    let (ending, mut end) = watch::channel(());
    let limits = Limits {
        connections: CONNECTIONS,
        idle_make_way: true,
        take_timeout: Some(TAKE_TIMEOUT),
        drain_timeout: DRAIN,
        ..Limits::default()
    };
    let mut served_end = ending.subscribe();
    let served = serve(Tcp(listener), move |_| routes.clone(), limits, async move {
        drop(served_end.changed().await);
    });
    let followed = follower.run(history, async move { drop(end.changed().await) });
    let mut notified_end = ending.subscribe();
    let notified = async move {
        let end = async move { drop(notified_end.changed().await) };
        if let Some(notifier) = notifier {
            notifier.run(end).await;
        }
    };
    let stopped = async move {
        stop.await;
        drop(ending);
    };
    // That live readers were cut at the end is in the log.
    let _ = tokio::join!(served, followed, notified, stopped);
    Ok(())
}

/// Who tells others. Where that cannot be, the console goes on without, as nobody else would tell anything either.
fn notifier(file: &Path, arguments: &Arguments, registry: &mut Registry) -> Option<Notifier> {
    let notifier = Notifier::new(file, &arguments.history, Notified::register(registry));
    let told = |error: &StartError| {
        tracing::error!(error = service::exit::chain(error), "nobody is told of episodes");
    };
    notifier.inspect_err(told).ok()
}

/// When the console began.
fn began() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}
