//! The scaler's API as a client sees it.

use std::net::SocketAddrV4;
use std::time::Duration;

use policy::status::HostStatus;

/// Longest wait for the API on loopback.
const DEADLINE: Duration = Duration::from_secs(2);

/// Asks the scaler for its services.
///
/// # Errors
/// Nothing answers at `address`, or not with the expected JSON.
pub(crate) async fn services(address: SocketAddrV4) -> Result<HostStatus, reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build()?;
    let url = format!("http://{address}/v1/services");
    client.get(url).send().await?.error_for_status()?.json().await
}
