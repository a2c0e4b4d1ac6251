//! Whether what instances reach stays as it is for them: services that are to go may still be used by others.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use host::deployments::{DeployedService, Deployments};
use host::settings::Settings;
use model::names::ServiceName;
use model::service::ServiceSpec;
use model::version::Rollout;

use crate::error::BadInput;
use crate::scaler::rollouts;
use crate::tree::Tree;

/// Refuses to withdraw a service that instances of another one reach. The other's file may not name it any
/// more: its instances go on as they are until those of the new version have proved themselves.
pub(super) async fn check(tree: &Tree, settings: &Settings) -> anyhow::Result<()> {
    let deployment = Deployments::new(&settings.paths.state).load();
    // What this release cannot read is about to be replaced.
    let deployed = deployment.map(|deployment| deployment.readable().services).unwrap_or_default();
    let kept = tree.all_specs().into_iter().map(|spec| &spec.name).collect();
    let mut problems = still_reached(&deployed, &rollouts(settings).await, &kept);
    problems
        .extend(tree.services.iter().filter_map(|file| changed_protocol(&deployed, &file.spec)));
    Ok(BadInput(problems.into_iter().map(|problem| anyhow!(problem)).collect()).or(())?)
}

/// What is said of a service that takes requests and is to take connections, or the other way round: while a
/// new version proves itself, instances of both would stand behind one name. So they would behind two ports, and
/// others reach it by the port.
pub(crate) fn changed_protocol(deployed: &[DeployedService], new: &ServiceSpec) -> Option<String> {
    let old = deployed.iter().find(|old| old.spec.name == new.name)?;
    let name = &new.name;
    let key = match (old.spec.tcp_port(), new.tcp_port()) {
        (None, None) => return None,
        (Some(old), Some(new)) if old == new => return None,
        (Some(_), Some(_)) => "instance.port of a service that takes connections",
        _ => "instance.protocol",
    };
    Some(format!(
        "service {name}: {key} cannot change while {name} is deployed: give the service another name, or \
         remove it first"
    ))
}

/// What is said of each deployed service that is not `kept` and that instances of one that is reach.
pub(crate) fn still_reached(
    deployed: &[DeployedService],
    rollouts: &BTreeMap<ServiceName, Rollout>,
    kept: &BTreeSet<&ServiceName>,
) -> Vec<String> {
    let mut problems = Vec::new();
    for service in deployed.iter().filter(|service| kept.contains(&service.spec.name)) {
        let name = &service.spec.name;
        let serving = rollouts.get(name).map_or(service.wanted.version, Rollout::serving);
        let reaches = &service.instance(Some(serving)).reaches;
        for gone in reaches.iter().filter(|reached| !kept.contains(*reached)) {
            problems.push(format!(
                "service {gone} is to go, and the instances of {name} that serve reach {gone}: keep it, deploy \
                 {name} without {gone} in its instance.reaches, and remove {gone} once that serves"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use host::deployments::{Deployment, NewService};
    use model::service::Protocol;
    use model::time::Timestamp;
    use model::version::{Version, Wanted};

    use super::*;

    const STORE: &str = include_str!("../../../../services/object-store.toml");

    /// What is deployed once `front` has been so with and then without a name.
    fn deployed() -> Vec<DeployedService> {
        let front = |reaches: &str| {
            STORE
                .replacen("name = \"object-store\"", "name = \"front\"", 1)
                .replacen("path_prefix = \"/\"", "path_prefix = \"/front\"", 1)
                .replacen("port = 8000", &format!("port = 8000\nreaches = {reaches}"), 1)
        };
        let texts = [front("[\"object-store\"]"), front("[]")];
        let versions = (1..).zip(&texts);
        let deployment = versions.fold(Deployment::default(), |before, (version, text)| {
            let services = [text.as_str(), STORE].map(|text| {
                let spec: ServiceSpec = config_file::from_toml("a.toml", text).unwrap();
                (spec.name, text)
            });
            let new = services.each_ref().map(|(name, file)| NewService {
                name,
                file,
                version: Version::new(version),
                serving: None,
                again: false,
            });
            before.followed_by(&new, 3, Timestamp::from_millis(1))
        });
        deployment.deployed().unwrap()
    }

    #[test]
    fn a_service_that_is_deployed_goes_on_to_take_requests_or_connections() {
        let deployed = deployed();
        let mut spec = deployed[0].spec.clone();
        assert_eq!(changed_protocol(&deployed, &spec), None);
        spec.instance.protocol = Protocol::Tcp;
        insta::assert_snapshot!(changed_protocol(&deployed, &spec).unwrap(), @"service front: instance.protocol cannot change while front is deployed: give the service another name, or remove it first");
        spec.name = "other".parse().unwrap();
        assert_eq!(changed_protocol(&deployed, &spec), None);
        // Others know it by its port.
        let mut deployed = deployed;
        spec.name = deployed[0].spec.name.clone();
        deployed[0].spec.instance.protocol = Protocol::Tcp;
        assert_eq!(changed_protocol(&deployed, &spec), None);
        spec.instance.port += 1;
        let told = changed_protocol(&deployed, &spec).unwrap();
        assert!(
            told.contains("instance.port of a service that takes connections cannot change"),
            "{told}"
        );
    }

    #[test]
    fn a_service_goes_only_once_no_version_that_serves_reaches_it() {
        let front: ServiceName = "front".parse().unwrap();
        let deployed = deployed();
        let after = |rollout: Rollout| {
            let rollouts = [(front.clone(), rollout)].into();
            still_reached(&deployed, &rollouts, &[&front].into())
        };
        let (old, new) = (Version::new(1), Version::new(2));
        let next = Wanted { version: new, deployed_at: Timestamp::from_millis(1) };
        let given_up = Rollout::GivenUp { version: old, next, reason: "no answer".to_owned() };
        insta::assert_snapshot!(after(given_up).join("\n"), @"service object-store is to go, and the instances of front that serve reach object-store: keep it, deploy front without object-store in its instance.reaches, and remove object-store once that serves");
        assert_eq!(after(Rollout::Serving { version: new }), [""; 0]);
        let none = still_reached(&deployed, &BTreeMap::new(), &BTreeSet::new());
        assert_eq!(none, [""; 0], "all may go at once");
    }
}
