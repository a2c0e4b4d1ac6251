//! `console`: what is seen and remembered of the scaler, told by HTTP to whoever may know it, and the way by which others
//! ask the scaler. It runs as a user without rights.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::Parser;
use console::answered::{Answered, Reader};
use console::api::{self, Entrance, Known, Previews, Rules};
use console::experiments::{Experiments, Scenarios};
use console::history::{self, Place, SIZE_MIN_BYTES};
use console::live::Hub;
use console::metrics::{Counted, Notified, Responses};
use console::notify::{Notifier, StartError};
use console::rights::Rights;
use console::upstream::Upstream;
use console::watch::{Follower, Now};
use futures_util::future::OptionFuture;
use host::lock::Lock;
use model::time::Timestamp;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::geteuid;
use prometheus_client::registry::Registry;
use scaler_client::Scaler;
use service::form::Form;
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

/// Threads that wait for the disk or compute: four that read, one that previews, and some to spare.
const BLOCKING_THREADS: usize = 8;

/// Tells what the scaler does and did
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Exit codes: 0 ended on a signal, 1 failed, 2 bad input")]
struct Arguments {
    /// The scaler's socket for this program
    #[arg(long, value_name = "SOCKET", default_value = "/run/bellows/console.sock")]
    scaler: String,
    /// Where to listen, unless a socket is inherited; beyond loopback, reading needs a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddrV4,
    /// A name by which this host may be asked beside its addresses and localhost; who asks by one needs a token
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Where the load balancer takes requests for services, for links to them: http:PORT or https:PORT
    #[arg(long, value_name = "ENTRANCE")]
    entrance: Option<Entrance>,
    /// The pipe by which the load balancer tells of its answers; without it response times are not known
    #[arg(long, value_name = "PIPE")]
    answers: Option<PathBuf>,
    /// The file of the history
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
    /// What the history may take on the disk, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 200,
          value_parser = clap::value_parser!(u64).range(SIZE_MIN_BYTES / MIB..=1024 * 1024))]
    history_mib: u64,
    /// The folder in which experiments are kept; without it there are none
    #[arg(long, value_name = "FOLDER")]
    experiments: Option<PathBuf>,
    /// The folder of the scenarios that experiments are asked for with
    #[arg(long, value_name = "FOLDER")]
    scenarios: Option<PathBuf>,
    /// The folder of the policies that experiments are asked for with
    #[arg(long, value_name = "FOLDER")]
    policies: Option<PathBuf>,
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
    set_no_new_privs().context("giving up what set-uid programs would give")?;
    service::telemetry::init()?;
    host::open_files::raise_limit().context("raising the limit of open files")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let stop = service::shutdown::on_signal().context("handlers for signals")?;
    // Two of them would write everything twice.
    let _lock = Lock::acquire(&arguments.history.with_added_extension("lock"))?;
    let listener = listener(arguments.listen).await?;
    let size_bytes = arguments.history_mib * MIB;
    let place = Place { file: arguments.history.clone(), size_bytes };
    let (recorder, history) = history::open(place);
    let (now, hub) = (Arc::new(Now::default()), Arc::new(Hub::new(began())));
    let mut registry = Registry::default();
    let requests = HttpMetrics::register(&mut registry);
    let counted = Counted::register(&mut registry);
    let answered = Arc::new(Answered::default());
    let reader = reader(arguments, &answered, &mut registry);
    let notifier = arguments.notify.as_deref().map(|file| notifier(file, arguments, &mut registry));
    let notifier = notifier.flatten();
    let scaler = Scaler::new(&arguments.scaler)?;
    let follower = Follower {
        scaler,
        answered,
        now: Arc::clone(&now),
        hub: Arc::clone(&hub),
        counted,
        recorder,
        notifier: notifier.clone(),
    };
    let upstream = Upstream::new(Path::new(&arguments.scaler)).context("asking by HTTP")?;
    let rights = Rights::new(upstream.clone());
    let registry = Arc::new(registry);
    let previews = Previews::default();
    let experiments = Experiments::new(arguments.experiments.clone());
    let (scenarios, policies) = (arguments.scenarios.as_deref(), arguments.policies.as_deref());
    let scenarios = Arc::new(Scenarios::read(scenarios, policies));
    let known = Known {
        now,
        history: history.clone(),
        hub,
        registry,
        upstream,
        rights,
        previews,
        experiments,
        scenarios,
        entrance: arguments.entrance,
    };
    let routes = api::routes(known, rules(arguments), requests);
    let address = listener.local_addr().context("where it listens")?;
    tracing::info!(%address, "listening");

    let ending = watch::Sender::new(());
    let limits = Limits {
        connections: CONNECTIONS,
        idle_make_way: true,
        take_timeout: Some(TAKE_TIMEOUT),
        drain_timeout: DRAIN,
        form: Form::ProblemJson,
        ..Limits::default()
    };
    let served = serve(Tcp(listener), move |_| routes.clone(), limits, end(&ending));
    let followed = follower.run(history, end(&ending));
    let notified = OptionFuture::from(notifier.map(|it| it.run(end(&ending))));
    let read = OptionFuture::from(reader.map(|it| it.run(end(&ending))));
    let stopped = async move {
        stop.await;
        drop(ending);
    };
    // That live readers were cut at the end is in the log.
    let _ = tokio::join!(served, followed, notified, read, stopped);
    Ok(())
}

/// When the console is to end.
fn end(ending: &watch::Sender<()>) -> impl Future<Output = ()> + Send + use<> {
    let mut end = ending.subscribe();
    async move { drop(end.changed().await) }
}

/// Who reads what the load balancer tells of its answers.
fn reader(
    arguments: &Arguments,
    answered: &Arc<Answered>,
    registry: &mut Registry,
) -> Option<Reader> {
    let (path, answered) = (arguments.answers.clone()?, Arc::clone(answered));
    Some(Reader { path, answered, responses: Responses::register(registry) })
}

/// The socket that was inherited, or else a new one.
async fn listener(address: SocketAddrV4) -> anyhow::Result<TcpListener> {
    let inherited = host::units::inherited(host::console::SOCKET)
        .with_context(|| format!("the socket of {}", host::console::SOCKET))?;
    Ok(match inherited {
        Some(socket) => TcpListener::from_std(socket)?,
        None => TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}: end what listens there"))?,
    })
}

/// Who may read without a token: on loopback, whoever is on this host.
fn rules(arguments: &Arguments) -> Rules {
    let unnamed_read = arguments.listen.ip().is_loopback();
    if !unnamed_read {
        tracing::info!(listen = %arguments.listen, "listens beyond loopback: reading needs a token");
    }
    Rules { unnamed_read, hosts: arguments.hosts.clone(), ..Rules::default() }
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
