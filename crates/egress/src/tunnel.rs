//! A tunnel: bytes both ways until both sides have ended, one is quiet for too long, or the instance's right is
//! taken away.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::connect::Upstream;

/// Carries bytes between a client whose request is being answered and a host.
pub(crate) async fn carry(
    client: OnUpgrade,
    mut upstream: Upstream,
    revoked: impl Future<Output = ()>,
) {
    let carried = async {
        let mut client = match client.await {
            Ok(client) => TokioIo::new(client),
            Err(error) => return tracing::debug!(%error, "a client left before its tunnel"),
        };
        if let Err(error) = copy_bidirectional(&mut client, &mut upstream).await {
            tracing::debug!(%error, "a tunnel broke off");
        }
    };
    tokio::select! {
        () = carried => {}
        () = revoked => {}
    }
}
