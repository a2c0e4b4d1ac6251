//! Sockets that listen for as long as a unit is wanted, whatever becomes of its program. Whoever keeps
//! the program running holds them; the program inherits them, and finds the number of each in its
//! environment. While no program runs, who comes waits in the kernel and is not refused. A pipe that a program
//! writes to is held in the same way.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::str::FromStr;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrIn, bind, getsockname, listen,
    setsockopt, shutdown, socket,
};
use nix::unistd::close;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::pipes;

/// What stands before a socket's number, as HAProxy wants it.
const PREFIX: &str = "fd@";

/// What a program inherits open: an address that it listens on by a socket, or a pipe that it writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSocket {
    /// The variable of the program's environment whose value is `fd@` and the number of what is open:
    /// `A-Z` and `_`.
    pub variable: String,
    /// Where it listens, or writes to.
    pub address: ListenAddress,
}

/// Where a program listens, or writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// It listens there.
    Tcp(SocketAddrV4),
    /// It writes to the pipe at this absolute path, which the console's group alone reads.
    Pipe(PathBuf),
}

impl From<SocketAddrV4> for ListenAddress {
    fn from(address: SocketAddrV4) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Pipe(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for ListenSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.variable, self.address)
    }
}

/// A text that names no socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use VARIABLE=ADDRESS:PORT or VARIABLE=/PATH")]
pub struct ListenSocketError;

impl FromStr for ListenSocket {
    type Err = ListenSocketError;

    fn from_str(text: &str) -> Result<Self, ListenSocketError> {
        let (variable, address) = text.split_once('=').ok_or(ListenSocketError)?;
        let address = match address.starts_with('/') {
            true => ListenAddress::Pipe(address.into()),
            false => ListenAddress::Tcp(address.parse().map_err(|_| ListenSocketError)?),
        };
        Ok(Self { variable: variable.to_owned(), address })
    }
}

/// The socket that this process was given by the variable; `None` where it was given none. Its children do not
/// inherit it, and it does not block.
///
/// # Errors
/// The variable names no open socket.
pub fn inherited(variable: &str) -> io::Result<Option<TcpListener>> {
    let Some(value) = std::env::var_os(variable) else { return Ok(None) };
    let number = number(&value).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // A number can be taken over without `unsafe` by asking the kernel for a duplicate of what it is.
    let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(&own, number, PidfdGetfdFlags::empty())?;
    close(number)?;
    let socket = TcpListener::from(socket);
    socket.set_nonblocking(true)?;
    Ok(Some(socket))
}

/// Open sockets of this process that its children inherit, as the variables that tell of them. They
/// stay open until this process ends, and when it executes another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held(Vec<(String, String)>);

impl Held {
    /// Those that the program which was this process before has left to it.
    pub(super) fn inherited(sockets: &[ListenSocket]) -> Option<Self> {
        let variable = |socket: &ListenSocket| {
            let value = std::env::var_os(&socket.variable)?;
            is_open_at(number(&value)?, &socket.address)
                .then(|| (socket.variable.clone(), value.to_string_lossy().into_owned()))
        };
        sockets.iter().map(variable).collect::<Option<_>>().map(Self)
    }

    /// Those of a program that lives and whose keeper died.
    pub(super) fn of_program(pid: i32, sockets: &[ListenSocket]) -> Option<Self> {
        let fetched = fetch(pid, sockets).ok()?;
        let kept = sockets.iter().zip(fetched).map(|(socket, open)| keep(socket, open));
        kept.collect::<io::Result<_>>().ok().map(Self)
    }

    /// New ones.
    pub(super) fn listen(sockets: &[ListenSocket]) -> io::Result<Self> {
        let listen = |socket: &ListenSocket| {
            let open = open(&socket.address)
                .map_err(|error| io::Error::other(format!("{}: {error}", socket.address)))?;
            keep(socket, open)
        };
        sockets.iter().map(listen).collect::<io::Result<_>>().map(Self)
    }

    /// The variables for a program that is to inherit them.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(variable, value)| (variable.as_str(), value.as_str()))
    }
}

/// Has the sockets that a program inherited refuse who comes, wherever else they are open. What was
/// accepted goes on. Sockets that cannot be reached go on until all who hold them have ended.
pub(super) fn refuse(pid: i32, sockets: &[ListenSocket]) {
    for open in fetch(pid, sockets).into_iter().flatten() {
        // One that listens no more refuses already, and a pipe cannot.
        let _ = shutdown(open.as_raw_fd(), Shutdown::Both);
    }
}

/// Duplicates of the sockets that a program inherited.
fn fetch(pid: i32, sockets: &[ListenSocket]) -> io::Result<Vec<OwnedFd>> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let process = procfs::process::Process::new(pid).map_err(io::Error::other)?;
    let environment = process.environ().map_err(io::Error::other)?;
    let process = pidfd_open(Pid::from_raw(pid).ok_or_else(gone)?, PidfdFlags::empty())?;
    let fetch = |socket: &ListenSocket| {
        let value = environment.get(OsStr::new(&socket.variable)).ok_or_else(gone)?;
        let number = number(value).ok_or_else(gone)?;
        let open = pidfd_getfd(&process, number, PidfdGetfdFlags::empty())?;
        if is_open_at(open.as_raw_fd(), &socket.address) { Ok(open) } else { Err(gone()) }
    };
    sockets.iter().map(fetch).collect()
}

fn number(value: &OsStr) -> Option<RawFd> {
    value.to_str()?.strip_prefix(PREFIX)?.parse().ok()
}

fn is_open_at(open: RawFd, address: &ListenAddress) -> bool {
    match address {
        ListenAddress::Tcp(address) => {
            getsockname::<SockaddrIn>(open).is_ok_and(|held| SocketAddrV4::from(held) == *address)
        }
        ListenAddress::Pipe(path) => pipes::is_open_at(open, path),
    }
}

fn open(address: &ListenAddress) -> io::Result<OwnedFd> {
    match address {
        ListenAddress::Tcp(address) => Ok(listen_on(*address)?),
        ListenAddress::Pipe(path) => pipes::open(path),
    }
}

fn listen_on(address: SocketAddrV4) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let open = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    // Connections of before that are not over yet are in nobody's way.
    setsockopt(&open, ReuseAddr, &true)?;
    bind(open.as_raw_fd(), &SockaddrIn::from(address))?;
    // All who come while the program is started again.
    listen(&open, Backlog::MAXCONN)?;
    Ok(open)
}

/// Keeps a socket open for this process and for its children.
fn keep(socket: &ListenSocket, open: OwnedFd) -> io::Result<(String, String)> {
    fcntl(&open, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok((socket.variable.clone(), format!("{PREFIX}{}", open.into_raw_fd())))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::process::Command;

    use super::*;

    fn socket(address: &str) -> ListenSocket {
        format!("TEST_SOCKET={address}").parse().unwrap()
    }

    #[test]
    fn a_socket_or_a_pipe_is_read_as_it_is_written() {
        for address in ["127.0.0.1:8080", "/run/bellows/answers.pipe"] {
            let socket = socket(address);
            assert_eq!(socket.to_string(), format!("TEST_SOCKET={address}"));
            assert_eq!(socket.to_string().parse(), Ok(socket));
        }
        for bad in ["", "A", "A=", "A=localhost:1", "A=pipe"] {
            assert_eq!(bad.parse::<ListenSocket>(), Err(ListenSocketError), "{bad}");
        }
    }

    #[test]
    fn a_socket_can_be_had_of_the_program_that_inherited_it_and_then_be_closed_to_all() {
        let [_, second, third, _] = std::process::id().to_be_bytes();
        let address = SocketAddrV4::new([127, second % 100 + 100, third, 9].into(), 7070);
        let folder = tempfile::tempdir().unwrap();
        let socket = socket(&address.to_string());
        let path = folder.path().join("x.pipe");
        let pipe = format!("TEST_PIPE={}", path.display()).parse().unwrap();
        let both = [socket.clone(), pipe];
        let held = Held::listen(&both).unwrap();
        let twice = Held::listen(&both).unwrap_err().to_string();
        assert!(twice.starts_with(&socket.address.to_string()), "{twice}");
        let mut child = Command::new("sleep").arg("60").envs(held.variables()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // The kernel tells a new program's variables a moment after it has begun.
        let begun = std::time::Instant::now();
        while Held::of_program(pid, &both).is_none() {
            assert!(begun.elapsed().as_secs() < 5, "its sockets are not found");
        }
        let elsewhere = self::socket("127.0.0.1:1");
        assert_eq!(Held::of_program(pid, &[elsewhere]), None);
        // Another pipe of the same name is another place.
        std::fs::remove_file(path).unwrap();
        assert_eq!(Held::of_program(pid, &both), None);
        assert!(TcpStream::connect(address).is_ok());
        refuse(pid, std::slice::from_ref(&socket));
        assert!(TcpStream::connect(address).is_err());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
