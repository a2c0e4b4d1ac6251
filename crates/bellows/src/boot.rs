//! `bellows boot`: makes the host ready after a boot, before HAProxy and the scaler are started: what a
//! boot forgets is made again as it was deployed.

use command_line::terminal;
use host::command::HostRunner;
use host::deployments::{DeployedService, Deployments, Readable};
use host::haproxy::{Backends, Haproxy, HaproxySettings};
use host::lxc::{Mounts, TemplateStore};
use host::network::Network;
use host::settings::Settings;

use crate::deployed;
use crate::run_folder;

/// Has what a service's versions need. A version, or a service, that cannot have it is told, and holds up no other.
async fn mount(templates: &TemplateStore<HostRunner>, service: &DeployedService) {
    let name = &service.spec.name;
    let Mounts { ids, failed } = match templates.ensure_mounts(&service.spec).await {
        Ok(mounts) => mounts,
        Err(error) => {
            terminal::note(format_args!("{name} is not ready: {:#}", anyhow::Error::from(error)));
            return;
        }
    };
    for (template, error) in failed {
        terminal::note(format_args!(
            "{template} cannot be launched: {:#}",
            anyhow::Error::from(error)
        ));
    }
    for (version, instance) in &service.versions {
        if let Err(error) = templates.ensure_folders(instance, ids).await {
            let error = anyhow::Error::from(error);
            terminal::note(format_args!("version {version} of {name} is not ready: {error:#}"));
        }
    }
}

/// Does what is not yet as it should be, and so nothing while the system is up.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    run_folder::ensure(&settings.paths.run)?;
    deployed::link(settings)?;
    host::notify::write(settings)?;
    let Readable { services: deployed, problems } =
        Deployments::new(&settings.paths.state).load()?.readable();
    problems.values().for_each(terminal::note);
    let services = deployed.iter().map(|service| &service.spec);
    Network::new(settings, HostRunner).serving(services).ensure().await?;
    let templates = TemplateStore::new(settings, HostRunner);
    for service in &deployed {
        mount(&templates, service).await;
    }
    let haproxy = HaproxySettings::of_host(settings)?;
    if !haproxy.config_file.as_path().exists() {
        let haproxy = Haproxy::new(haproxy)?;
        // Without a certificate HTTP is served, and the scaler goes on looking for one.
        if let Err(error) = haproxy.follow_certificate().await {
            terminal::note(format_args!("HTTPS is not served: {:#}", anyhow::Error::from(error)));
        }
        haproxy.prepare(&Backends::default()).await?;
    }
    Ok(())
}
