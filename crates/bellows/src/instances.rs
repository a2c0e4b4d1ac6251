//! `bellows instances`: which there are, one more, and one fewer.

use std::net::Ipv4Addr;

use anyhow::anyhow;
use command_line::terminal;
use explain::words::age;
use host::settings::Settings;
use model::instance::InstanceStatus;
use model::names::{InstanceName, ServiceName, Slot};
use model::status::ServiceStatus;
use model::version::Version;
use serde::Serialize;

use crate::cli::InstancesCommand;
use crate::clock::now;
use crate::error::BadInput;
use crate::json::{self, FORMAT};
use crate::scale;
use crate::scaler;
use crate::text::{columns, phase};

/// Shows the instances of all services, or of one.
pub(crate) async fn list(
    settings: &Settings,
    service: Option<&ServiceName>,
    json: bool,
) -> anyhow::Result<()> {
    let scaler = scaler::client(settings)?;
    let services = match service {
        Some(service) => vec![scaler::known(&scaler, service).await?],
        None => scaler.services().await?.services,
    };
    let list = List::of(&services, now().as_millis());
    if json {
        return json::print(&list);
    }
    terminal::tell(list.table())?;
    Ok(())
}

/// Adds or removes one.
pub(crate) async fn change(settings: &Settings, what: InstancesCommand) -> anyhow::Result<()> {
    let scaler = scaler::client(settings)?;
    match what {
        InstancesCommand::Add { service } => {
            scaler::known(&scaler, &service).await?;
            scale::show(&scaler.add_instance(&service).await?, false)
        }
        InstancesCommand::Remove { service, instance: None } => {
            scaler::known(&scaler, &service).await?;
            scale::show(&scaler.remove_idlest(&service).await?, false)
        }
        InstancesCommand::Remove { service, instance: Some(instance) } => {
            check_owner(&service, &instance)?;
            scaler::known(&scaler, &service).await?;
            scaler.remove_instance(&instance).await?;
            terminal::tell_line(format_args!(
                "{instance} drains and is stopped as soon as {service} can do without it: where it is needed, once another \
                 has taken its place. `bellows instances {service}` shows how far that is."
            ))?;
            Ok(())
        }
    }
}

fn check_owner(service: &ServiceName, instance: &InstanceName) -> Result<(), BadInput> {
    let owner = instance.service();
    if owner == service {
        return Ok(());
    }
    Err(BadInput::new(anyhow!("{instance} is an instance of {owner}, and not of {service}")))
}

/// The instances as programs are told of them.
pub(crate) fn as_json(services: &[ServiceStatus]) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&List::of(services, now().as_millis()))?)
}

/// The instances, as programs are told of them.
#[derive(Debug, Serialize)]
struct List<'a> {
    format: u32,
    /// When it was read, in milliseconds since 1970.
    at_ms: u64,
    instances: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a InstanceName,
    service: &'a ServiceName,
    slot: Slot,
    phase: &'static str,
    /// Whether an operator wants it gone.
    to_be_removed: bool,
    /// Null where its container does not tell.
    version: Option<Version>,
    address: Ipv4Addr,
    /// Since when it is in its phase.
    since_ms: u64,
    /// When it was planned.
    born_ms: u64,
}

impl<'a> List<'a> {
    fn of(services: &'a [ServiceStatus], at_ms: u64) -> Self {
        let instances = services.iter().flat_map(|service| &service.instances).map(Row::of);
        Self { format: FORMAT, at_ms, instances: instances.collect() }
    }

    fn table(&self) -> String {
        if self.instances.is_empty() {
            return "No instances.\n".to_owned();
        }
        let rows = self.instances.iter().map(|row| {
            [
                row.name.to_string(),
                row.service.to_string(),
                phase(row.phase, row.to_be_removed),
                row.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
                row.address.to_string(),
                age(row.since_ms, self.at_ms),
                age(row.born_ms, self.at_ms),
            ]
        });
        columns(["INSTANCE", "SERVICE", "PHASE", "VERSION", "ADDRESS", "FOR", "AGE"], rows)
    }
}

impl<'a> Row<'a> {
    fn of(status: &'a InstanceStatus) -> Self {
        Self {
            name: &status.name,
            service: status.name.service(),
            slot: status.slot,
            phase: status.phase.into(),
            to_be_removed: status.to_be_removed,
            version: status.version,
            address: status.address,
            since_ms: status.since.as_millis(),
            born_ms: status.name.birth().as_millis(),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::instance::Phase;
    use model::time::Timestamp;

    use super::*;

    #[test]
    fn instances_are_listed_with_their_phase_and_for_how_long() {
        let service: ServiceName = "shop".parse().unwrap();
        let at = Timestamp::from_millis;
        let instance = |slot: u32, phase, since| {
            let slot = Slot::try_from(slot).unwrap();
            InstanceStatus {
                name: InstanceName::new(&service, slot, at(1_795_000_000_000)),
                slot,
                address: Ipv4Addr::new(10, 117, 0, 2),
                version: Some(Version::new(7)),
                phase,
                since: at(since),
                to_be_removed: slot.to_string() == "2",
            }
        };
        let all = [
            instance(1, Phase::Ready, 1_795_000_001_000),
            instance(2, Phase::Ready, 1_795_000_001_000),
            instance(3, Phase::Draining, 1_795_000_590_000),
        ];
        let at_ms = 1_795_000_600_000;
        let list = List { format: FORMAT, at_ms, instances: all.iter().map(Row::of).collect() };
        insta::assert_snapshot!(list.table(), @r"
        INSTANCE            SERVICE  PHASE                 VERSION   ADDRESS     FOR         AGE
        bw-shop-1-mwm0nk74  shop     ready                 00000007  10.117.0.2  9 min 59 s  10 min 0 s
        bw-shop-2-mwm0nk74  shop     ready, to be removed  00000007  10.117.0.2  9 min 59 s  10 min 0 s
        bw-shop-3-mwm0nk74  shop     draining              00000007  10.117.0.2  10 s        10 min 0 s
        ");
        let json = serde_json::to_value(&list).unwrap();
        assert_eq!(json["instances"][1]["to_be_removed"], true);
        assert_eq!(
            (&json["format"], &json["instances"][2]["phase"]),
            (&1.into(), &"draining".into())
        );
        assert_eq!(List::of(&[], 0).table(), "No instances.\n");
    }

    #[test]
    fn an_instance_of_another_service_is_bad_input() {
        let instance = "bw-shop-1-x".parse().unwrap();
        assert!(check_owner(&"shop".parse().unwrap(), &instance).is_ok());
        let error = check_owner(&"cart".parse().unwrap(), &instance).unwrap_err().to_string();
        assert_eq!(error, "bw-shop-1-x is an instance of shop, and not of cart");
    }
}
