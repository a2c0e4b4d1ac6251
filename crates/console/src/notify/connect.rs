//! Connections to webhooks: names as the host looks them up, and TLS by the certificates of the host.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use host::name_lookup;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

/// What makes connections.
pub(super) type Connector = HttpsConnector<HttpConnector<Names>>;

/// One that trusts these authorities.
///
/// # Errors
/// The library of TLS has no version that it speaks, which this one has.
pub(super) fn connector(roots: RootCertStore) -> Result<Connector, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new_with_resolver(Names);
    // Both are spoken; which one is wanted, the URL says.
    tcp.enforce_http(false);
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}

/// The authorities that the host trusts: Debian has them in `/etc/ssl/certs`, and those of a firm are added by
/// `update-ca-certificates`.
pub(super) fn roots_of_host() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let errors = found.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        tracing::error!(
            errors,
            "the host trusts no authority, so no https:// webhook is reached: install ca-certificates"
        );
    }
    roots
}

/// Looks up names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names;

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = name_lookup::addresses(name.as_str()).await?;
            // The port is that of the URL.
            let found: Vec<_> =
                found.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "its name has no address"));
            }
            Ok(found.into_iter())
        })
    }
}
