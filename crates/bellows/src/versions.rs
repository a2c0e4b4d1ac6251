//! `bellows versions`: what a service can go back to.

use anyhow::Context as _;
use host::deployments::{Deployments, KeptVersion, Past};
use host::settings::Settings;
use model::names::ServiceName;
use model::version::Rollout;

use crate::clock::moment;
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::scaler;

/// Lists the kept versions of a service.
pub(crate) async fn run(settings: &Settings, service: &ServiceName) -> anyhow::Result<()> {
    require_root()?;
    let deployment = Deployments::new(&settings.paths.state).load()?;
    let kept = deployment.kept(service).map_err(BadInput::new)?;
    let rollout = scaler::rollouts(settings).await.remove(service);
    let rollout =
        rollout.context("the scaler does not say which version serves: run `bellows up`")?;
    print!("{}", table(kept, &rollout));
    Ok(())
}

fn table(kept: &[KeptVersion], rollout: &Rollout) -> String {
    let line = |kept: &KeptVersion| {
        let deployed = kept.deployed_at.map_or_else(|| "-".to_owned(), moment);
        format!("{}  {deployed:<20}  {}\n", kept.version, state(kept, rollout))
    };
    let head = format!("{:<8}  {:<20}  STATE\n", "VERSION", "DEPLOYED");
    head + &kept.iter().map(line).collect::<String>()
}

/// What is known of a version, in a word or with its reason.
fn state(kept: &KeptVersion, rollout: &Rollout) -> String {
    let version = kept.version;
    match rollout {
        _ if rollout.serving() == version && !rollout.is_first() => "serves".to_owned(),
        _ if rollout.proving() == Some(version) => "on trial".to_owned(),
        _ if rollout.watched() == Some(version) => "watched".to_owned(),
        Rollout::GivenUp { next, reason, .. } if next.version == version => {
            format!("given up: {reason}")
        }
        _ => match kept.past {
            Some(Past::Served) => "served before".to_owned(),
            Some(Past::Left) => "gone back from".to_owned(),
            None => "kept".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use host::deployments::{Deployment, NewService};
    use model::time::Timestamp;
    use model::version::{Version, Wanted};

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
        let told = table(deployment.kept(&service).unwrap(), &watching);
        assert!(told.contains("00000004  2023-11-14T22:13:24Z  watched\n"), "{told}");
        let rollout = Rollout::GivenUp { version: Version::new(2), next, reason };
        insta::assert_snapshot!(table(deployment.kept(&service).unwrap(), &rollout), @r"
        VERSION   DEPLOYED              STATE
        00000004  2023-11-14T22:13:24Z  given up: no answer from /up
        00000003  2023-11-14T22:13:23Z  kept
        00000002  2023-11-14T22:13:22Z  serves
        00000001  2023-11-14T22:13:21Z  served before
        ");
    }
}
