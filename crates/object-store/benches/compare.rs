//! The object store against what its work costs without it: reads against nginx serving files of
//! the same size, writes against a bare write-sync-rename loop. Both sides run in turns in one
//! run, so that the ratios mean something on a machine with other work.
//!
//! Without `--bench`, as `cargo test --bench compare` runs it, one round of each is run and any ratio
//! will do.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

const OBJECT_BYTES: usize = 4096;
const CONNECTIONS: usize = 32;
const KEYS: u64 = 1000;
const ROUNDS: usize = 11;
const ROUND: Duration = Duration::from_secs(1);

/// The least ratio to nginx, and to the bare loop.
const TARGETS: (f64, f64) = (0.5, 0.8);

fn main() -> anyhow::Result<ExitCode> {
    // The argument that `cargo bench` gives and `cargo test` does not.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (rounds, targets) = if whole { (ROUNDS, TARGETS) } else { (1, (0.0, 0.0)) };
    // On the disk of the build and not in /tmp, which may be memory, where a sync is nothing.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = ObjectStore::start(folder.path())?;
    let nginx = Nginx::start(folder.path())?;
    let gets = in_turns(rounds, || store.gets(), || wrk(nginx.address, "/object", None))?;
    drop(nginx);
    let get = report("GET  4 KiB", "nginx", &gets, targets.0);
    let puts = in_turns(rounds, || store.puts(folder.path()), || bare_writes(folder.path()))?;
    let put = report("PUT  4 KiB", "bare loop", &puts, targets.1);
    Ok(if get && put { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Requests a second of ours and of the other, one after the other.
struct Round {
    ours: f64,
    other: f64,
}

fn in_turns(
    rounds: usize,
    ours: impl Fn() -> anyhow::Result<f64>,
    other: impl Fn() -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<Round>> {
    (0..rounds).map(|_| Ok(Round { ours: ours()?, other: other()? })).collect()
}

/// Prints the medians, and whether the median of the rounds' ratios reaches `target`. A shared
/// disk can be twice as fast in one minute as in the next, so only neighbours are compared.
fn report(what: &str, other: &str, rounds: &[Round], target: f64) -> bool {
    let median = |figure: fn(&Round) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let ratio = median(|round| round.ours / round.other);
    let reached = ratio >= target;
    println!(
        "{what}: object store {:.0}/s, {other} {:.0}/s, ratio {ratio:.2}, target {target}: {}",
        median(|round| round.ours),
        median(|round| round.other),
        if reached { "reached" } else { "MISSED" },
    );
    reached
}

struct ObjectStore {
    process: Killed,
    address: SocketAddr,
}

impl ObjectStore {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let objects = folder.join("store");
        std::fs::create_dir(&objects)?;
        let config = folder.join("service.toml");
        let text = format!(
            "listen = '127.0.0.1:0'\nobjects_dir = '{}'\nrate_limit.enabled = false\n",
            objects.display()
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_object-store"));
        command.arg("--config").arg(config).stderr(Stdio::piped());
        let mut process = Killed(command.spawn().context("cannot start the object store")?);
        let log = process.0.stderr.take().context("no log")?;
        let mut line = String::new();
        let mut log = BufReader::new(log);
        log.read_line(&mut line)?;
        let rest = line.split("\"address\":\"").nth(1).context("no address in the log")?;
        let address = rest.split('"').next().unwrap_or_default().parse()?;
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(Self { process, address })
    }

    fn gets(&self) -> anyhow::Result<f64> {
        put_one(self.address)?;
        wrk(self.address, "/objs/object", None)
    }

    fn puts(&self, folder: &Path) -> anyhow::Result<f64> {
        let script = folder.join("put.lua");
        let text = format!(
            "local n = 0\n\
             local body = string.rep('x', {OBJECT_BYTES})\n\
             request = function()\n  n = n + 1\n  \
             return wrk.format('PUT', '/objs/' .. n % {KEYS}, nil, body)\nend\n"
        );
        std::fs::write(&script, text)?;
        let rate = wrk(self.address, "/", Some(&script));
        if rate.is_err() {
            bail!("the object store (process {}) refused writes: {rate:?}", self.process.0.id());
        }
        rate
    }
}

fn put_one(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "PUT /objs/object HTTP/1.1\r\nhost: x\r\ncontent-length: {OBJECT_BYTES}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&[b'x'; OBJECT_BYTES])?;
    let answer = std::io::read_to_string(stream)?;
    if !answer.starts_with("HTTP/1.1 20") {
        bail!("the object store refused an object: {answer}");
    }
    Ok(())
}

struct Nginx {
    _process: Killed,
    address: SocketAddr,
}

impl Nginx {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let files = folder.join("files");
        std::fs::create_dir(&files)?;
        std::fs::write(files.join("object"), vec![b'x'; OBJECT_BYTES])?;
        // Taken from the kernel and given back, for nginx to take.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let text = format!(
            "user root;\nworker_processes auto;\npid nginx.pid;\nerror_log stderr error;\n\
             daemon off;\nevents {{}}\nhttp {{\n  access_log off;\n  sendfile on;\n  \
             tcp_nopush on;\n  server {{ listen {address}; root {}; }}\n}}\n",
            files.display()
        );
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(config);
        let process =
            Killed(command.spawn().context("cannot start nginx: run `scripts/setup benches`")?);
        let end = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                bail!("nginx does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { _process: process, address })
    }
}

/// A process that ends with this value. SIGTERM, so that nginx takes its workers along.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            eprintln!("process {} may be left", self.0.id());
            return;
        }
        let _ = self.0.wait();
    }
}

/// Requests a second that wrk counts, all of them answered with success.
fn wrk(address: SocketAddr, path: &str, script: Option<&Path>) -> anyhow::Result<f64> {
    let mut command = Command::new("wrk");
    command.arg("-t1").arg(format!("-c{CONNECTIONS}")).arg(format!("-d{}s", ROUND.as_secs()));
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let output = command
        .arg(format!("http://{address}{path}"))
        .output()
        .context("cannot run wrk: run `scripts/setup benches`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        bail!("not every request succeeded:\n{text}");
    }
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.with_context(|| format!("wrk said no rate:\n{text}"))?.trim().parse().map_err(Into::into)
}

/// Writes a second of as many threads as there are connections, each of which writes a file,
/// syncs it, renames it and syncs the folder. The loop is the plain one, and costs no HTTP: where
/// the disk is mounted with `discard`, a loop that held the file it replaces open, as the store
/// does, would be up to twice as fast.
fn bare_writes(folder: &Path) -> anyhow::Result<f64> {
    let folder = folder.join("bare");
    std::fs::create_dir_all(&folder)?;
    let count = AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..CONNECTIONS)
            .map(|writer| {
                let (folder, count) = (&folder, &count);
                scope.spawn(move || bare_writer(folder, writer, begun + ROUND, count))
            })
            .collect();
        writers.into_iter().try_for_each(|writer| match writer.join() {
            Ok(written) => written.context("a bare write failed"),
            Err(_) => bail!("a bare writer panicked"),
        })
    })?;
    Ok(count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}

fn bare_writer(
    folder: &Path,
    writer: usize,
    end: Instant,
    count: &AtomicU64,
) -> std::io::Result<()> {
    let opened = File::open(folder)?;
    while Instant::now() < end {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!("tmp-{writer}-{number}"));
        let mut file = File::create_new(&temporary)?;
        file.write_all(&[b'x'; OBJECT_BYTES])?;
        file.sync_data()?;
        std::fs::rename(&temporary, folder.join((number % KEYS).to_string()))?;
        opened.sync_all()?;
    }
    Ok(())
}
