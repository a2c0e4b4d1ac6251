//! `bellows boot`: makes the host ready after a boot, before HAProxy and the scaler are started: what a
//! boot forgets is made again as it was deployed.

use host::command::HostRunner;
use host::deployments::Deployments;
use host::haproxy::{Backends, Haproxy, HaproxySettings};
use host::lxc::TemplateStore;
use host::network::Network;
use host::settings::Settings;

use crate::deployed;
use crate::run_folder;

/// Does what is not yet as it should be, and so nothing while the system is up.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    run_folder::ensure(&settings.paths.run)?;
    deployed::link(settings)?;
    let deployed = Deployments::new(&settings.paths.state).load()?.deployed()?;
    let services = deployed.iter().map(|service| &service.spec);
    Network::new(settings, HostRunner).serving(services).ensure().await?;
    let templates = TemplateStore::new(settings, HostRunner);
    for service in &deployed {
        templates.ensure_mounts(&service.spec).await?;
    }
    let haproxy = HaproxySettings::of_host(settings)?;
    if !haproxy.config_file.as_path().exists() {
        let haproxy = Haproxy::new(haproxy)?;
        // Without a certificate HTTP is served, and the scaler goes on looking for one.
        if let Err(error) = haproxy.follow_certificate().await {
            eprintln!("HTTPS is not served: {:#}", anyhow::Error::from(error));
        }
        haproxy.prepare(&Backends::default()).await?;
    }
    Ok(())
}
