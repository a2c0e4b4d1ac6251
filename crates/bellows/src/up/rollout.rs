//! The versions that `up` deployed: each serves, or was given up.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use host::deployments::{DeployedService, Deployment};
use host::settings::Settings;
use model::instance::{InstanceStatus, Phase};
use model::names::ServiceName;
use model::output::harmless;
use model::refusal::cure;
use model::service::{Replacement, ServiceSpec};
use model::status::ServiceStatus;
use model::tick::Tick;
use model::version::{Rollout, Version};
use scaler_client::{Scaler, TickFilter};
use tokio::time::{Instant, sleep};

use crate::code::Code;
use crate::error::Coded;
use crate::progress::Outcome;
use crate::scaler;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// What a trial may take beside the time that an instance has to get healthy: a scaler that starts,
/// and a host that is busy.
const SPARE: Duration = Duration::from_secs(20);

/// Among so many of a service's newest kept turns is that in which its trial failed: a try has some ten.
const TURNS: usize = 1_000;

/// How a version's trial ended.
#[derive(Debug, PartialEq, Eq)]
enum Trial {
    /// It serves.
    Serves,
    /// It serves, beside instances of others that it is about to take the place of.
    Replaces,
    /// It goes on, or the scaler has not seen the deployment yet.
    GoesOn,
    /// Another version was deployed meanwhile.
    Overtaken,
    /// It was given up, and another version serves.
    GivenUp {
        /// What is told of it.
        told: String,
        /// The version that was tried.
        version: Version,
    },
}

impl Trial {
    const fn serves(&self) -> bool {
        matches!(self, Self::Serves | Self::Replaces)
    }

    /// Whether there is nothing to wait for, when it `is_late`.
    fn has_ended(&self, is_late: bool) -> bool {
        *self != Self::GoesOn && (is_late || *self != Self::Replaces)
    }
}

/// Waits until the wanted version of each of these services serves alone or was given up; `cure` says what to do then.
/// Where many are to be replaced, it waits no longer than a trial may take.
///
/// # Errors
/// One was given up, or nothing was heard of it in its time.
pub(crate) async fn wait(
    settings: &Settings,
    deployment: &Deployment,
    names: &[&ServiceName],
    cure: fn(&ServiceName) -> String,
) -> anyhow::Result<Outcome> {
    let scaler = scaler::client(settings)?;
    let longest = longest(deployment, names, settings.scaler.launch_timeout)?;
    let deadline = Instant::now() + longest + SPARE;
    let mut waited = false;
    loop {
        let is_late = Instant::now() >= deadline;
        let services = scaler.services().await.map(|host| host.services);
        if let Ok(services) = &services {
            let trial = |name| (name, trial(name, deployment, services));
            let trials: Vec<(&ServiceName, _)> = names.iter().copied().map(trial).collect();
            if trials.iter().all(|(_, trial)| trial.has_ended(is_late)) {
                let tries = tries(&scaler, &trials).await;
                return outcome(trials, &tries, waited, cure);
            }
            waited = true;
        }
        if is_late {
            let heard = services.map(drop);
            return heard
                .context("the scaler does not say how far the deployment has come")
                .and_then(|()| {
                    bail!(
                        "the trial of a version has not ended in its time: look at `bellows status`"
                    )
                });
        }
        sleep(PAUSE).await;
    }
}

/// Those of the services that serve as they are deployed, with an instance that is ready.
pub(super) async fn serving<'a>(
    settings: &Settings,
    deployment: &Deployment,
    names: Vec<&'a ServiceName>,
) -> Vec<&'a ServiceName> {
    let Ok(scaler) = scaler::client(settings) else { return Vec::new() };
    let Ok(host) = scaler.services().await else { return Vec::new() };
    let is_ready = |name: &ServiceName| {
        host.services.iter().any(|status| status.name == *name && status.phases.ready > 0)
    };
    let serves =
        |name: &&'a ServiceName| trial(name, deployment, &host.services).serves() && is_ready(name);
    names.into_iter().filter(serves).collect()
}

/// How long the trial of any of these services may take and its watch lasts, on a host with this launch timeout.
fn longest(
    deployment: &Deployment,
    names: &[&ServiceName],
    launch_timeout: Duration,
) -> anyhow::Result<Duration> {
    let deployed = deployment.readable().services;
    let deployed = deployed.iter().filter(|service| names.contains(&&service.spec.name));
    // A try that fails early is made again, and the last one has all of its time.
    let trial = |service: &DeployedService| {
        let spec = &service.spec;
        let release = if service.release { spec.release_timeout } else { Duration::ZERO };
        leave(spec) + release + 2 * spec.launch_timeout(launch_timeout) + spec.watch
    };
    let trials = deployed.map(trial);
    Ok(trials.max().unwrap_or_default())
}

/// How long the instance of a service that never has two may take to leave, before which the trial does not
/// begin.
fn leave(spec: &ServiceSpec) -> Duration {
    match spec.replacement {
        Replacement::Surge => Duration::ZERO,
        Replacement::Recreate => spec.scale_in.drain_timeout + spec.scale_in.stop_grace,
    }
}

fn trial(name: &ServiceName, deployment: &Deployment, services: &[ServiceStatus]) -> Trial {
    let status = services.iter().find(|status| status.name == *name);
    let Some(wanted) = deployment.wanted(name) else { return Trial::GoesOn };
    if status.is_some_and(|status| status.wanted.deployed_at > wanted.deployed_at) {
        return Trial::Overtaken;
    }
    match status.filter(|status| status.wanted == wanted).and_then(|s| s.rollout.as_ref()) {
        Some(Rollout::Serving { version }) if *version == wanted.version => {
            let mut instances = status.into_iter().flat_map(|status| &status.instances);
            let is_other = |it: &InstanceStatus| {
                it.phase == Phase::Ready && it.version != Some(wanted.version)
            };
            if instances.any(is_other) { Trial::Replaces } else { Trial::Serves }
        }
        Some(rollout @ Rollout::GivenUp { version, next, reason }) if *next == wanted => {
            let serves = match rollout.is_first() {
                true => "no version has served yet".to_owned(),
                false => format!("version {version} goes on to serve"),
            };
            let told =
                format!("version {} of {name} was given up, and {serves}: {reason}", next.version);
            Trial::GivenUp { told, version: next.version }
        }
        _ => Trial::GoesOn,
    }
}

/// The newest turns of the services of which a version was given up, in which stands what its instances wrote; none where
/// the scaler does not say them any more.
async fn tries(scaler: &Scaler, trials: &[(&ServiceName, Trial)]) -> Vec<Tick> {
    let mut tries = Vec::new();
    let failed = trials.iter().filter(|(_, trial)| matches!(trial, Trial::GivenUp { .. }));
    for (service, _) in failed {
        let filter = TickFilter { service: Some((*service).clone()), ..TickFilter::default() };
        let newest = scaler.newest_ticks(&filter, TURNS).await;
        tries.extend(newest.map(|(ticks, _)| ticks).unwrap_or_default());
    }
    tries
}

fn outcome(
    trials: Vec<(&ServiceName, Trial)>,
    ticks: &[Tick],
    waited: bool,
    cure: fn(&ServiceName) -> String,
) -> anyhow::Result<Outcome> {
    let given_up: Vec<_> = trials
        .into_iter()
        .filter_map(|(name, trial)| match trial {
            Trial::GivenUp { told, version } => {
                let lines = last_lines(ticks, name, version);
                Some(format!("{told}. {}{lines}", cure(name)))
            }
            Trial::Overtaken => Some(format!(
                "another version of {name} was deployed before this one served: `bellows versions {name}` says which"
            )),
            Trial::Serves | Trial::Replaces | Trial::GoesOn => None,
        })
        .collect();
    if !given_up.is_empty() {
        return Err(Coded::new(Code::VersionGivenUp, anyhow!(given_up.join("\n"))).into());
    }
    Ok(Outcome::changed_if(waited, "every wanted version serves"))
}

/// What the instance wrote last on which a version was tried last; empty where that is not known.
fn last_lines(ticks: &[Tick], service: &ServiceName, version: Version) -> String {
    let of_service = ticks.iter().rev().filter(|tick| tick.service == *service);
    let mut tries = of_service.flat_map(|tick| {
        let done = tick.done.iter().map(|it| (&it.instance, it.version, &it.last_lines));
        let ended = tick.ended.iter().chain(&tick.given_up);
        let ended = ended.map(|it| (&it.instance, it.version, &it.last_lines));
        ended.chain(done).rev()
    });
    let last = tries.find(|(_, of, lines)| *of == Some(version) && !lines.is_empty());
    let Some((instance, _, lines)) = last else { return String::new() };
    let told = lines.iter().map(|line| format!("\n    {}", harmless(line))).collect::<String>();
    let cure =
        cure(lines).map_or_else(String::new, |cure| format!("\n  What it was refused: {cure}."));
    format!("\n  {instance} wrote last:{told}{cure}")
}

#[cfg(test)]
mod tests {
    use model::time::Timestamp;
    use model::version::Wanted;

    use super::*;
    use crate::fake_scaler::FakeScaler;

    const WANTED: Wanted =
        Wanted { version: Version::new(2), deployed_at: Timestamp::from_millis(5) };

    fn trial_in(rollout: Option<Rollout>, wanted: Wanted) -> Trial {
        trial_with(rollout, wanted, &[])
    }

    /// The same with ready instances of these versions.
    fn trial_with(rollout: Option<Rollout>, wanted: Wanted, ready: &[Version]) -> Trial {
        let name: ServiceName = "store".parse().unwrap();
        let json = r#"{"name":"store","route":"/","bounds":{"min":1,"max":2},"policy":"hpa",
            "policy_spec":{"kind":"hpa"},"objective_ms":250,
            "wanted":{"version":"00000001","deployed_at_ms":1},"rollout":null,
            "set":{"bounds":null,"policy":null},
            "phases":{"starting":0,"ready":0,"draining":0,"failed":0},"instances":[],"tick":null}"#;
        let status: ServiceStatus = serde_json::from_str(json).unwrap();
        let new = host::deployments::NewService {
            name: &name,
            file: "",
            version: WANTED.version,
            serving: None,
            again: false,
        };
        let deployment = Deployment::default().followed_by(&[new], 3, WANTED.deployed_at);
        let instance = |(slot, version): (u16, &Version)| InstanceStatus {
            name: format!("bw-store-{slot}-a").parse().unwrap(),
            slot: serde_json::from_value(slot.into()).unwrap(),
            address: [10, 0, 0, 1].into(),
            version: Some(*version),
            phase: Phase::Ready,
            since: Timestamp::from_millis(1),
            to_be_removed: false,
        };
        let instances = (1..).zip(ready).map(instance).collect();
        trial(&name, &deployment, &[ServiceStatus { rollout, wanted, instances, ..status }])
    }

    #[test]
    fn a_version_serves_alone_once_no_other_has_an_instance_that_answers() {
        let [old, new] = [1, 2].map(Version::new);
        let serves = Some(Rollout::Serving { version: new });
        let beside = trial_with(serves.clone(), WANTED, &[new, old]);
        assert_eq!(beside, Trial::Replaces);
        assert!(beside.serves() && !beside.has_ended(false) && beside.has_ended(true));
        let alone = trial_with(serves, WANTED, &[new, new]);
        assert!(alone.serves() && alone.has_ended(false));
        assert!(!Trial::GoesOn.has_ended(true));
    }

    #[test]
    fn a_trial_ends_when_the_version_serves_or_was_given_up() {
        let (old, new) = (Version::new(1), Version::new(2));
        let proving =
            Rollout::Proving { version: old, next: WANTED, since: Timestamp::from_millis(5) };
        let given_up =
            Rollout::GivenUp { version: old, next: WANTED, reason: "no answer".to_owned() };
        assert_eq!(trial_in(None, WANTED), Trial::GoesOn);
        let watching =
            Rollout::Watching { version: old, next: WANTED, since: Timestamp::from_millis(5) };
        assert_eq!(trial_in(Some(proving), WANTED), Trial::GoesOn);
        assert_eq!(trial_in(Some(watching), WANTED), Trial::GoesOn);
        assert_eq!(trial_in(Some(Rollout::Serving { version: old }), WANTED), Trial::GoesOn);
        assert_eq!(trial_in(Some(Rollout::Serving { version: new }), WANTED), Trial::Serves);
        let first = Rollout::GivenUp {
            version: new,
            next: WANTED,
            reason: "release `./migrate` ended with status 3".to_owned(),
        };
        let Trial::GivenUp { told, .. } = trial_in(Some(first), WANTED) else { panic!() };
        insta::assert_snapshot!(told, @"version 00000002 of store was given up, and no version has served yet: release `./migrate` ended with status 3");
        let Trial::GivenUp { told, .. } = trial_in(Some(given_up), WANTED) else { panic!() };
        insta::assert_snapshot!(told, @"version 00000002 of store was given up, and version 00000001 goes on to serve: no answer");
    }

    #[tokio::test]
    async fn what_an_instance_wrote_is_looked_for_in_the_newest_turns_of_its_own_service() {
        let turn = r#"{"sequence":9,"at_ms":6,"service":"store","observation":{"offered_rps":null,"served_rps":null,
            "rejected_rps":null,"queued":null,"in_flight":null,"cpu_cores":null,"phases":{"starting":0,"ready":1,
            "draining":0,"failed":0}},"decision":{"kind":"target","ready":1,"reasons":[]},"plan":[],"blocked":[],
            "done":[],"given_up":[{"instance":"bw-store-1-a","version":"00000002","last_lines":["no such table"]}]}"#;
        let scaler = FakeScaler::new(move |path| {
            let is_asked = path == "/v1/ticks?service=store&newest=1000";
            is_asked.then(|| format!(r#"{{"ticks":[{turn}],"next":9}}"#))
        });
        let [store, shop]: [ServiceName; 2] = ["store", "shop"].map(|name| name.parse().unwrap());
        let told = "version 00000002 of store was given up".to_owned();
        let given_up = Trial::GivenUp { told, version: WANTED.version };
        let trials = vec![(&shop, Trial::Serves), (&store, given_up)];
        let tries = tries(&scaler.client(), &trials).await;
        let told = outcome(trials, &tries, true, |_| "Mend it".to_owned()).unwrap_err().to_string();
        assert!(told.ends_with("bw-store-1-a wrote last:\n    no such table"), "{told}");
        assert_eq!(scaler.asked().len(), 1, "nothing of what serves");
    }

    #[test]
    fn what_the_scaler_says_of_an_earlier_deployment_does_not_count() {
        let earlier = Wanted { deployed_at: Timestamp::from_millis(4), ..WANTED };
        let serves = Rollout::Serving { version: WANTED.version };
        assert_eq!(trial_in(Some(serves), earlier), Trial::GoesOn);
    }

    #[test]
    fn a_version_that_was_overtaken_is_waited_for_no_longer() {
        let later = Wanted { version: Version::new(3), deployed_at: Timestamp::from_millis(6) };
        let proving = Rollout::Proving {
            version: Version::new(1),
            next: later,
            since: Timestamp::from_millis(6),
        };
        assert_eq!(trial_in(Some(proving), later), Trial::Overtaken);
    }
}
