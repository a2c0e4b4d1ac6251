//! `bellows versions`: what a service can go back to.

use anyhow::Context as _;
use command_line::terminal;
use explain::words;
use host::deployments::Deployments;
use host::settings::Settings;
use model::names::ServiceName;
use model::version::{VersionList, VersionStatus};
use serde::Serialize;

use crate::clock::moment;
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::json::{self, FORMAT};
use crate::scaler;

/// Lists the kept versions of a service.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    json: bool,
) -> anyhow::Result<()> {
    require_root()?;
    let deployment = Deployments::new(&settings.paths.state).load()?;
    deployment.kept(service).map_err(BadInput::new)?;
    let rollout = scaler::rollouts(settings).await.remove(service);
    let rollout =
        rollout.context("the scaler does not say which version serves: run `bellows up`")?;
    let VersionList { service, versions } =
        deployment.versions(service, &rollout).map_err(BadInput::new)?;
    if json {
        return json::print(&List { format: FORMAT, service: &service, versions: &versions });
    }
    terminal::tell(table(&versions))?;
    Ok(())
}

fn table(versions: &[VersionStatus]) -> String {
    let line = |version: &VersionStatus| {
        let deployed = version.deployed_at.map_or_else(|| "-".to_owned(), moment);
        format!("{}  {deployed:<20}  {}\n", version.version, told(version))
    };
    let head = format!("{:<8}  {:<20}  STATE\n", "VERSION", "DEPLOYED");
    head + &versions.iter().map(line).collect::<String>()
}

/// What is known of a version, in a word or with its reason.
fn told(version: &VersionStatus) -> String {
    let word = words::version_state(version.state);
    match &version.reason {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    }
}

/// The versions of a service, as programs are told of them.
#[derive(Debug, Serialize)]
struct List<'a> {
    format: u32,
    service: &'a ServiceName,
    /// The one that was deployed last first.
    versions: &'a [VersionStatus],
}

#[cfg(test)]
mod tests {
    use host::deployments::{Deployment, NewService};
    use model::time::Timestamp;
    use model::version::{Rollout, Version, Wanted};

    use super::*;

    #[test]
    fn versions_are_listed_with_what_became_of_them() {
        let service: ServiceName = "shop".parse().unwrap();
        let at = |second: u64| Timestamp::from_millis(1_700_000_000_000 + second * 1000);
        let deploy = |before: Deployment, number: u32| {
            let version = Version::new(number);
            let new = NewService { name: &service, file: "", version, serving: None, again: false };
            before.followed_by(&[new], 4, at(number.into()))
        };
        let served = [1, 2].into_iter().fold(Deployment::default(), |before, number| {
            deploy(before, number).served([&service])
        });
        let deployment = [3, 4].into_iter().fold(served, deploy);
        let next = Wanted { version: Version::new(4), deployed_at: at(4) };
        let reason = "no answer from /up".to_owned();
        let watching = Rollout::Watching { version: Version::new(2), next, since: at(4) };
        let told = table(&deployment.versions(&service, &watching).unwrap().versions);
        assert!(told.contains("00000004  2023-11-14T22:13:24Z  watched\n"), "{told}");
        let rollout = Rollout::GivenUp { version: Version::new(2), next, reason };
        let versions = deployment.versions(&service, &rollout).unwrap().versions;
        let first = serde_json::to_value(&versions[0]).unwrap();
        let said = r#"{"version":"00000004","deployed_at_ms":1700000004000,"state":"given_up","reason":"no answer from /up"}"#;
        assert_eq!(first, serde_json::from_str::<serde_json::Value>(said).unwrap());
        insta::assert_snapshot!(table(&versions), @r"
        VERSION   DEPLOYED              STATE
        00000004  2023-11-14T22:13:24Z  given up: no answer from /up
        00000003  2023-11-14T22:13:23Z  kept
        00000002  2023-11-14T22:13:22Z  serves
        00000001  2023-11-14T22:13:21Z  served before
        ");
    }
}
