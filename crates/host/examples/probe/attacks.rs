//! What an instance can do to take from others what is not its own: processor, memory, disk, network.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// As many as make both cores of a small host busy, and fit 24 processes with those that they start.
const THREADS: usize = 8;

/// The variable that tells a copy of this program what it is for: `ends`, or `memory`.
pub(crate) const COPY: &str = "PROBE_COPY";

/// All kinds, each with what it wants of others.
pub(crate) const KINDS: [&str; 9] = [
    "spin",
    "processes",
    "memory",
    "descriptors",
    "disk",
    "files",
    "packets",
    "connections",
    "output",
];

/// Does it in the background for this long. Returns whether there is such a kind.
pub(crate) fn attack(kind: &str, lasts: Duration) -> bool {
    let Some(kind) = KINDS.iter().find(|known| **known == kind) else { return false };
    let until = Instant::now() + lasts;
    for number in 0..THREADS {
        // Where no more threads are to be had, those that run are the attack.
        let _ = std::thread::Builder::new().spawn(move || {
            while Instant::now() < until {
                // What is refused is tried again.
                let _ = once(kind, number);
            }
        });
    }
    true
}

fn once(kind: &str, number: usize) -> std::io::Result<()> {
    match kind {
        "processes" => copy("ends"),
        "memory" => copy("memory"),
        "descriptors" => {
            let mut open = Vec::new();
            while let Ok(pipe) = std::io::pipe() {
                open.push(pipe);
            }
            Ok(())
        }
        "disk" => {
            let mut file = fs::File::create(format!("/objects/{number}"))?;
            file.write_all(&vec![1; 4 << 20])?;
            file.sync_all()
        }
        "files" => {
            let name = format!("/tmp/{number}");
            fs::create_dir(&name)?;
            fs::remove_dir(&name)
        }
        "packets" => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            for _ in 0..1000 {
                let _ = socket.send_to(&[1; 1400], gateway(9));
            }
            Ok(())
        }
        "connections" => {
            TcpStream::connect_timeout(&gateway(9), Duration::from_millis(1)).map(drop)
        }
        "output" => {
            let mut options = OpenOptions::new();
            let mut pipe =
                options.read(true).write(true).custom_flags(0o4000).open("/dev/bellows/stdout")?;
            (0..1000).for_each(|_| drop(pipe.write(&[b'x'; 4096])));
            Ok(())
        }
        // To ask for the time is enough, which is done at each turn.
        _ => Ok(()),
    }
}

/// The address of the host in the network of the tests.
fn gateway(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 117, 8, 1], port))
}

/// Starts a copy of this program, and waits until it has ended.
fn copy(what: &str) -> std::io::Result<()> {
    Command::new(std::env::current_exe()?).env(COPY, what).stdout(Stdio::null()).status().map(drop)
}

/// Takes memory until there is no more, as the first that the kernel kills for it.
pub(crate) fn take_memory() -> std::io::Result<()> {
    fs::write("/proc/self/oom_score_adj", "1000")?;
    let mut taken = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}
