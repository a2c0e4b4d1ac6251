//! From what an instance asks for to a connection: its list, the name's addresses, the verdict on each, and then
//! that very address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use host::slots::Subnet;
use model::egress::{Host, Source, Target};
use model::names::ServiceName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::asker::Asker;
use crate::idle::Idle;
use crate::refusal::Refusal;
use crate::resolve::Resolver;
use crate::verdict::{self, Barred};

/// How long a connection may rest without a byte in either direction: longer than what keeps a connection
/// alive sends its signs of life.
pub(crate) const IDLE: Duration = Duration::from_secs(600);

/// How long one address may take to answer, and how many of a name's are tried.
const PATIENCE: Duration = Duration::from_secs(5);
const TRIES: usize = 3;

/// A connection to a host.
pub(crate) type Upstream = Idle<TcpStream>;

/// What makes connections.
#[derive(Debug)]
pub(crate) struct Connector {
    resolver: Resolver,
    subnet: Subnet,
    asker: fn(ServiceName) -> Asker,
}

impl Connector {
    /// One for a host whose instances are in this network, and for who asks in the name of a service.
    pub(crate) fn new(subnet: Subnet, asker: fn(ServiceName) -> Asker) -> Self {
        Self { resolver: Resolver::new(), subnet, asker }
    }

    /// A connection to what an instance asks for.
    ///
    /// # Errors
    /// The instance may not reach it, or nobody answers there.
    pub(crate) async fn connect(
        &self,
        client: Ipv4Addr,
        source: Source<'_>,
        target: &Target,
    ) -> Result<Upstream, Refusal> {
        let service = source.instance.service();
        if !source.egress.allows(target) {
            let (asker, target) = ((self.asker)(service.clone()), target.clone());
            return Err(Refusal::NotNamed { asker, target });
        }
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.addresses(client, service, name).await?,
        };
        // All of them, not only the one that is used: a name that leads here now and then is not asked
        // again until it does not.
        for address in &addresses {
            self.check(source, target, *address)?;
        }
        reach(target, &addresses).await
    }

    fn check(&self, source: Source<'_>, target: &Target, address: IpAddr) -> Result<(), Refusal> {
        let place = SocketAddr::new(address, target.port.get());
        let barred = |barred: Barred| Refusal::Barred {
            asker: (self.asker)(source.instance.service().clone()),
            target: target.clone(),
            address,
            barred,
        };
        verdict::check(place, source.egress, |address| self.is_ours(address)).map_err(barred)
    }

    fn is_ours(&self, address: IpAddr) -> bool {
        let is_an_instances = match address {
            IpAddr::V4(address) => self.subnet.network().contains(&address),
            IpAddr::V6(_) => false,
        };
        is_an_instances || host::network::is_own(address)
    }
}

/// A connection to the first address that answers.
async fn reach(target: &Target, addresses: &[IpAddr]) -> Result<Upstream, Refusal> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses.iter().take(TRIES) {
        let place = SocketAddr::new(*address, target.port.get());
        let tried = timeout(PATIENCE, TcpStream::connect(place)).await;
        match tried.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                // What a client writes in small pieces waits for nothing. The kernel refuses it on a
                // connection alone that is gone again, which the first write tells as well.
                let _ = stream.set_nodelay(true);
                return Ok(Idle::new(stream, IDLE));
            }
            Err(error) => last = error,
        }
    }
    Err(Refusal::NoAnswer { target: target.clone(), reason: last.to_string() })
}
