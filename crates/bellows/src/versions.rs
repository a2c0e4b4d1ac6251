//! `bellows versions`: what a service can go back to.

use anyhow::Context as _;
use host::deployments::{Deployments, KeptVersion, Past};
use host::settings::Settings;
use model::names::ServiceName;
use model::time::Timestamp;
use model::version::{Rollout, Version};
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
    let kept = deployment.kept(service).map_err(BadInput::new)?;
    let rollout = scaler::rollouts(settings).await.remove(service);
    let rollout =
        rollout.context("the scaler does not say which version serves: run `bellows up`")?;
    if json {
        let versions = kept.iter().map(|kept| Row::of(kept, &rollout)).collect();
        return json::print(&List { format: FORMAT, service, versions });
    }
    print!("{}", table(kept, &rollout));
    Ok(())
}

fn table(kept: &[KeptVersion], rollout: &Rollout) -> String {
    let line = |kept: &KeptVersion| {
        let deployed = kept.deployed_at.map_or_else(|| "-".to_owned(), moment);
        format!("{}  {deployed:<20}  {}\n", kept.version, told(state(kept, rollout), rollout))
    };
    let head = format!("{:<8}  {:<20}  STATE\n", "VERSION", "DEPLOYED");
    head + &kept.iter().map(line).collect::<String>()
}

/// What is known of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Serves,
    OnTrial,
    Watched,
    GivenUp,
    ServedBefore,
    GoneBackFrom,
    Kept,
}

fn state(kept: &KeptVersion, rollout: &Rollout) -> State {
    let version = kept.version;
    match rollout {
        _ if rollout.serving() == version && !rollout.is_first() => State::Serves,
        _ if rollout.proving() == Some(version) => State::OnTrial,
        _ if rollout.watched() == Some(version) => State::Watched,
        Rollout::GivenUp { next, .. } if next.version == version => State::GivenUp,
        _ => match kept.past {
            Some(Past::Served) => State::ServedBefore,
            Some(Past::Left) => State::GoneBackFrom,
            None => State::Kept,
        },
    }
}

/// The same in a word or with its reason.
fn told(state: State, rollout: &Rollout) -> String {
    let word = match (state, reason(state, rollout)) {
        (State::GivenUp, Some(reason)) => return format!("given up: {reason}"),
        (State::GivenUp, None) => "given up",
        (State::Serves, _) => "serves",
        (State::OnTrial, _) => "on trial",
        (State::Watched, _) => "watched",
        (State::ServedBefore, _) => "served before",
        (State::GoneBackFrom, _) => "gone back from",
        (State::Kept, _) => "kept",
    };
    word.to_owned()
}

/// Why a version was given up.
fn reason(state: State, rollout: &Rollout) -> Option<&str> {
    match rollout {
        Rollout::GivenUp { reason, .. } if state == State::GivenUp => Some(reason),
        _ => None,
    }
}

/// The versions of a service, as programs are told of them.
#[derive(Debug, Serialize)]
struct List<'a> {
    format: u32,
    service: &'a ServiceName,
    /// The one that was deployed last first.
    versions: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    version: Version,
    /// Null where it is not known.
    deployed_at_ms: Option<Timestamp>,
    state: State,
    /// Why it was given up; null where it was not.
    reason: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(kept: &KeptVersion, rollout: &'a Rollout) -> Self {
        let state = state(kept, rollout);
        let (version, deployed_at_ms) = (kept.version, kept.deployed_at);
        Self { version, deployed_at_ms, state, reason: reason(state, rollout) }
    }
}

#[cfg(test)]
mod tests {
    use host::deployments::{Deployment, NewService};
    use model::version::Wanted;

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
        let kept = deployment.kept(&service).unwrap();
        let first = serde_json::to_value(Row::of(&kept[0], &rollout)).unwrap();
        let said = r#"{"version":"00000004","deployed_at_ms":1700000004000,"state":"given_up","reason":"no answer from /up"}"#;
        assert_eq!(first, serde_json::from_str::<serde_json::Value>(said).unwrap());
        insta::assert_snapshot!(table(kept, &rollout), @r"
        VERSION   DEPLOYED              STATE
        00000004  2023-11-14T22:13:24Z  given up: no answer from /up
        00000003  2023-11-14T22:13:23Z  kept
        00000002  2023-11-14T22:13:22Z  serves
        00000001  2023-11-14T22:13:21Z  served before
        ");
    }
}
