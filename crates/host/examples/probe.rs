//! The init of the instances that the tests launch: a small HTTP server that can say what it sees
//! and try what it must not be able to do.
//!
//! `GET /` answers `ok`, `/file?PATH` the file's content, `/connect?ADDRESS` whether a TCP
//! connection can be made within a second, `/tunnel?PROXY,TARGET` what a proxy says to a CONNECT,
//! `/allocate?MIB` after touching that much memory, and
//! `/fork` how many threads could be started and `/open` how many files opened. `/fill?FOLDER` writes there until
//! it may not, at most 1 GiB, and `/litter?FOLDER` makes empty files, at most 100,000. `/make?PATH`, `/remove?PATH` and `/rename?FROM:TO` change
//! folders. `/own?PATH` gives a file to the user 33,
//! `/attack?KIND` takes from others what it can, for a second. `/become` says what a program is that was started as that user, and `/listen?PORT` listens. Process 1 ignores SIGTERM as long as it has no handler:
//! after `/on-halt?PATH` it writes that file when it is asked to end, and ends.

#[path = "probe/attacks.rs"]
pub(crate) mod attacks;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use signal_hook::low_level::pipe;

pub(crate) fn main() -> std::io::Result<()> {
    if std::env::var(attacks::COPY).is_ok_and(|what| what == "memory") {
        return attacks::take_memory();
    }
    if std::process::id() != 1 {
        // As `/become` starts it.
        return std::io::copy(
            &mut std::fs::File::open("/proc/self/status")?,
            &mut std::io::stdout(),
        )
        .map(drop);
    }
    let listener = TcpListener::bind("0.0.0.0:8000")?;
    loop {
        let (stream, _) = listener.accept()?;
        // A client that leaves early is no reason for the init to end.
        let _ = answer(&stream);
    }
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let target = request.split(' ').nth(1).unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = match path {
        "/file" => match std::fs::read(query) {
            Ok(content) => String::from_utf8_lossy(&content).into_owned(),
            Err(error) => error.to_string(),
        },
        "/write" => outcome(std::fs::write(query, "text"), "written"),
        "/make" => outcome(std::fs::create_dir(query), "made"),
        "/remove" => {
            let removed = std::fs::remove_file(query);
            outcome(removed.or_else(|_| std::fs::remove_dir_all(query)), "removed")
        }
        "/rename" => {
            let (from, to) = query.split_once(':').unwrap_or_default();
            outcome(std::fs::rename(from, to), "renamed")
        }
        "/connect" => connect(query),
        "/tunnel" => tunnel(query),
        "/allocate" => allocate(query),
        "/fork" => threads(),
        "/open" => files(),
        "/own" => outcome(std::os::unix::fs::chown(query, Some(33), Some(33)), "given"),
        "/become" => step_down(),
        "/listen" => outcome(TcpListener::bind(format!("0.0.0.0:{query}")).map(drop), "listens"),
        "/fill" => fill(query),
        "/litter" => litter(query),
        "/on-halt" => on_halt(query),
        "/attack" => attacks::attack(query, Duration::from_secs(1)).to_string(),
        _ => "ok".to_owned(),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn outcome(result: std::io::Result<()>, done: &str) -> String {
    result.map_or_else(|error| error.to_string(), |()| done.to_owned())
}

fn connect(query: &str) -> String {
    let Ok(address) = query.parse::<SocketAddr>() else { return "no address".to_owned() };
    match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("failed: {error}"),
    }
}

fn tunnel(query: &str) -> String {
    let (proxy, target) = query.split_once(',').unwrap_or_default();
    let asked = TcpStream::connect(proxy).and_then(|mut stream| {
        write!(stream, "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    });
    asked.unwrap_or_else(|error| error.to_string())
}

fn allocate(query: &str) -> String {
    let mib: usize = query.parse().unwrap_or(1);
    let mut block = vec![0_u8; mib * 1024 * 1024];
    for page in block.chunks_mut(4096) {
        page[0] = 1;
    }
    format!("touched {} MiB", std::hint::black_box(block).len() / 1024 / 1024)
}

fn threads() -> String {
    let mut started = Vec::new();
    while started.len() < 1000 {
        let work = || std::thread::sleep(Duration::from_millis(200));
        match std::thread::Builder::new().stack_size(64 * 1024).spawn(work) {
            Ok(thread) => started.push(thread),
            Err(_) => break,
        }
    }
    started.len().to_string()
}

fn files() -> String {
    let mut open = Vec::new();
    let error = loop {
        match std::fs::File::open("/dev/null") {
            Ok(file) => open.push(file),
            Err(error) => break error,
        }
    };
    format!("{}: {error}", open.len())
}

fn step_down() -> String {
    let started =
        std::env::current_exe().and_then(|program| Command::new(program).uid(33).gid(33).output());
    match started {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => error.to_string(),
    }
}

fn fill(folder: &str) -> String {
    let chunk = vec![1_u8; 1024 * 1024];
    let mut written = 0;
    let result = std::fs::File::create(format!("{folder}/full")).and_then(|mut file| {
        while written < 1024 {
            file.write_all(&chunk)?;
            written += 1;
        }
        Ok(())
    });
    format!("{written}: {}", outcome(result, "not full"))
}

fn litter(folder: &str) -> String {
    let make = |number| std::fs::File::create(format!("{folder}/{number}")).err();
    let failed = (0..100_000).find_map(|number| Some((number, make(number)?)));
    failed.map_or_else(|| "no end".to_owned(), |(count, error)| format!("{count}: {error}"))
}

fn on_halt(path: &str) -> String {
    let handled = UnixStream::pair().and_then(|(asked, writer)| {
        pipe::register(SIGTERM, writer)?;
        Ok(asked)
    });
    let Ok(mut asked) = handled else { return "no handler".to_owned() };
    let path = path.to_owned();
    std::thread::spawn(move || {
        if asked.read_exact(&mut [0]).is_ok() {
            let written = std::fs::write(path, "ended");
            std::process::exit(i32::from(written.is_err()));
        }
    });
    "will end".to_owned()
}
