//! The proxy of one build: it listens on a Unix socket, and whoever can connect there may reach what the arguments
//! say. It ends with whoever started it, however that ends: its standard input, a pipe, does then.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use host::slots::Subnet;
use model::egress::{Destination, Egress, Sources};
use model::names::{InstanceName, ServiceName, Slot};
use model::time::Timestamp;
use tokio::net::UnixListener;
use tokio::net::unix::pipe;

use crate::asker::Asker;
use crate::prepare;
use crate::rights::Rights;
use crate::server::{NO_ADDRESS, Proxy};

/// The folder says who gets here: to connect takes the right to write.
const MODE: u32 = 0o666;

/// What one build may reach.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen: a path at which nothing is yet
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Whose build it is
    #[arg(long, value_name = "NAME")]
    service: ServiceName,
    /// The instances' network, which is never reached from here
    #[arg(long, value_name = "NETWORK")]
    subnet: Subnet,
    /// What may be reached, and nothing else
    #[arg(long = "allow", value_name = "HOST:PORT")]
    allow: Vec<Destination>,
}

/// Serves the build until the standard input ends.
///
/// # Errors
/// This runs as root, or cannot listen there.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    prepare()?;
    let stop = service::shutdown::on_signal().context("handlers for signals")?;
    let ended = end_of_input().context("the standard input, which is to be a pipe")?;
    let rights = Arc::new(Rights::given(sources(arguments)?));
    let proxy = Arc::new(Proxy::new(rights, arguments.subnet, Asker::Build));
    let socket = &arguments.socket;
    let listener = UnixListener::bind(socket);
    let listener = listener.with_context(|| format!("cannot listen at {}", socket.display()))?;
    fs::set_permissions(socket, Permissions::from_mode(MODE)).context("opening the socket")?;
    tokio::select! {
        () = proxy.serve_one_asker(listener) => {}
        () = stop => {}
        () = ended => {}
    }
    // Nobody waits for what is under way.
    Ok(())
}

/// The rights of the one who asks, as if it were an instance.
fn sources(arguments: &Arguments) -> anyhow::Result<Sources> {
    let mut sources = Sources::default();
    let slot = Slot::try_from(1)?;
    let asker = InstanceName::new(&arguments.service, slot, Timestamp::default());
    sources.admit(NO_ADDRESS, &asker, &Egress::new(arguments.allow.clone()));
    Ok(sources)
}

/// Completes when the standard input ends: nobody writes to it.
fn end_of_input() -> io::Result<impl Future<Output = ()>> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let input = pipe::Receiver::from_file(input)?;
    Ok(async move {
        let mut byte = [0];
        while input.readable().await.is_ok() {
            match input.try_read(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    })
}
