//! A service's file as it is written, and its way to a validated [`ServiceSpec`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::actions::{self, RawAction};
use super::capacity::{self, RawCapacity};
use super::egress::RawEgress;
use super::health::RawHealthCheck;
use super::instance::{Beside, RawInstance};
use super::release::RawRelease;
use super::rollout::RawRollout;
use super::route::RawRoute;
use super::stateful::{self, own_folder};
use super::{LargestStep, Rules, ScaleIn, ServiceSpec, reaches};
use crate::bounds::RawBounds;
use crate::names::ServiceName;
use crate::policies::{PolicySpec, RawPolicies};
use crate::size::Sizes;
use crate::value::{DAY_MS, Invalid, SPAN, within};

/// A service's file as it is written, before any value is checked.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawService {
    /// The name of the service, after which the file is named.
    name: String,
    /// The recipe in `rootfs/` that makes its image.
    image: String,
    /// What its instances may reach beyond this host: hosts with their ports, or `"any"`. Nothing unless it is said.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::egress"))]
    egress: RawEgress,
    /// What is run once a deploy, before a new version serves, such as a migration: a line, or a program
    /// and its arguments.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::release"))]
    release: Option<RawRelease>,
    /// Whether it keeps data in a folder of its own, at `/data`, and so has one instance at most.
    #[serde(default)]
    stateful: bool,
    /// Which requests from outside go to it. Without it, none do.
    route: Option<RawRoute>,
    /// What an instance is given.
    instance: RawInstance,
    /// How often instances are asked, and after how many answers they are believed.
    #[serde(default)]
    health_check: RawHealthCheck,
    /// What an instance can do with requests.
    capacity: Option<RawCapacity>,
    /// What a request is to be answered within.
    #[serde(default)]
    objective: RawObjective,
    /// How many ready instances there may be. A stateful service has one without it.
    bounds: Option<RawBounds>,
    /// How the number of ready instances is chosen: a policy, or a list of them.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::policies"))]
    policy: Option<RawPolicies>,
    /// What holds back more instances.
    #[serde(default)]
    scale_out: RawScaleOut,
    /// What holds back fewer instances, and how they leave.
    #[serde(default)]
    scale_in: RawScaleIn,
    /// How a new version takes the place of the one before.
    #[serde(default)]
    rollout: RawRollout,
    /// What can be done with it by one request, by name: 16 at most.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::actions"))]
    actions: BTreeMap<String, RawAction>,
    /// The service's own configuration: in an instance, `/etc/bellows/service.toml`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::application"))]
    application: toml::Table,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawObjective {
    /// Milliseconds, 1 to 600000.
    latency_ms: u64,
}

impl Default for RawObjective {
    fn default() -> Self {
        Self { latency_ms: 250 }
    }
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
struct RawScaleOut {
    /// How long a higher need must hold, in milliseconds.
    patience_ms: u64,
    /// The least time from one rise to the next, in milliseconds.
    cooldown_ms: u64,
    /// The most instances at once.
    max_step: Option<u32>,
    /// The same as a share of those there are, where that is more.
    max_step_percent: Option<u32>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
struct RawScaleIn {
    /// How long a lower need must hold, in milliseconds.
    patience_ms: u64,
    /// The least time from any change to a fall, in milliseconds.
    cooldown_ms: u64,
    /// The most instances at once.
    max_step: Option<u32>,
    /// The same as a share of those there are, where that is more.
    max_step_percent: Option<u32>,
    /// How long a draining instance may take to finish its requests, in milliseconds.
    drain_timeout_ms: u64,
    /// How long it may take from SIGTERM to its end, in milliseconds.
    stop_grace_ms: u64,
}

impl Default for RawScaleIn {
    fn default() -> Self {
        Self {
            patience_ms: 3_000,
            cooldown_ms: 0,
            max_step: None,
            max_step_percent: None,
            drain_timeout_ms: 30_000,
            stop_grace_ms: 10_000,
        }
    }
}

impl RawService {
    /// A file that is right, with all keys that must be there.
    pub const EXAMPLE: &'static str = r#"
        name = "example"
        image = "example"
        [route]
        path_prefix = "/"
        [instance]
        port = 8000
        health_path = "/healthz"
        [capacity]
        requests_per_second = 50
        concurrency = 8
        [bounds]
        min = 1
        max = 10
    "#;

    /// Checks all of it, on a host with these sizes.
    ///
    /// # Errors
    /// [`Invalid`] names the first key whose value is not allowed.
    pub fn checked(self, sizes: &Sizes) -> Result<ServiceSpec, Invalid> {
        let is_stateful = self.stateful;
        let replacement = stateful::replacement(is_stateful, self.rollout.replacement)?;
        let bounds = stateful::bounds(is_stateful, self.bounds)?;
        replacement.allows(bounds)?;
        let watch = self.rollout.watch(replacement)?;
        let release_timeout = self.rollout.release_timeout()?;
        let policy = self.policy.map(PolicySpec::try_from).transpose()?;
        let protocol = self.instance.protocol;
        let demand = capacity::demand(self.route, self.capacity, policy.as_ref(), protocol)?;
        let price_per_hour = self.instance.price_per_hour(sizes)?;
        let name: ServiceName = text("name", &self.name)?;
        let release = self.release.map(RawRelease::checked).transpose()?;
        let beside = Beside { release, own_folder: is_stateful.then(|| own_folder(&name)) };
        let spec = ServiceSpec {
            name,
            image: text("image", &self.image)?,
            instance: self.instance.checked(sizes, &demand, beside)?,
            price_per_hour,
            health_check: self.health_check.checked()?,
            egress: self.egress.checked()?,
            actions: actions::checked(self.actions, &demand)?,
            policy: policy.unwrap_or_else(|| capacity::default_policy(&demand)),
            demand,
            objective: self.objective.checked()?,
            bounds,
            scale_out: self.scale_out.checked()?,
            scale_in: self.scale_in.checked()?,
            replacement,
            watch,
            release_timeout,
            stateful: is_stateful,
            application: self.application,
        };
        spec.check_policy(&spec.policy)?;
        reaches::check_names(&spec)?;
        reaches::check_route(&spec)?;
        Ok(spec)
    }
}

impl RawObjective {
    fn checked(self) -> Result<Duration, Invalid> {
        let allowed = "1 to 600000 (milliseconds)";
        within("objective.latency_ms", self.latency_ms, 1..=600_000, allowed)?;
        Ok(Duration::from_millis(self.latency_ms))
    }
}

impl RawScaleOut {
    fn checked(self) -> Result<Rules, Invalid> {
        let Self { patience_ms, cooldown_ms, max_step, max_step_percent } = self;
        rules("scale_out", [patience_ms, cooldown_ms], max_step, max_step_percent)
    }
}

impl RawScaleIn {
    fn checked(self) -> Result<ScaleIn, Invalid> {
        let Self { patience_ms, cooldown_ms, max_step, max_step_percent, .. } = self;
        Ok(ScaleIn {
            rules: rules("scale_in", [patience_ms, cooldown_ms], max_step, max_step_percent)?,
            drain_timeout: span("scale_in.drain_timeout_ms", self.drain_timeout_ms)?,
            stop_grace: span("scale_in.stop_grace_ms", self.stop_grace_ms)?,
        })
    }
}

/// The rules of the direction that `table` holds.
fn rules(
    table: &str,
    [patience_ms, cooldown_ms]: [u64; 2],
    count: Option<u32>,
    percent: Option<u32>,
) -> Result<Rules, Invalid> {
    let key = |name: &str| format!("{table}.{name}");
    let patience = span(key("patience_ms"), patience_ms)?;
    let cooldown = span(key("cooldown_ms"), cooldown_ms)?;
    within(key("max_step"), count.unwrap_or(1), 1..=1000, "1 to 1000 (instances)")?;
    let allowed = "1 to 10000 (percent of the instances)";
    within(key("max_step_percent"), percent.unwrap_or(1), 1..=10_000, allowed)?;
    let limited = count.is_some() || percent.is_some();
    let largest_step = limited.then_some(LargestStep { count, percent });
    Ok(Rules { patience, cooldown, largest_step })
}

/// A span of time of a day at most.
fn span(key: impl Into<Cow<'static, str>>, ms: u64) -> Result<Duration, Invalid> {
    within(key, ms, 0..=DAY_MS, SPAN)?;
    Ok(Duration::from_millis(ms))
}

/// Parses the text below `key`.
pub(super) fn text<T: FromStr<Err: Display>>(key: &'static str, text: &str) -> Result<T, Invalid> {
    text.parse().map_err(|error| Invalid::form(key, &error))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Demand, Replacement};
    use super::*;

    pub(in super::super) fn parse(text: &str) -> Result<ServiceSpec, String> {
        let raw: RawService = toml::from_str(text).map_err(|error| error.to_string())?;
        raw.checked(&Sizes::default()).map_err(|error| error.to_string())
    }

    pub(in super::super) const GOOD: &str = r#"
        name = "store"
        image = "store"
        [route]
        path_prefix = "/"
        [instance]
        port = 8000
        health_path = "/healthz"
        memory_mib = 64
        cpus = 1.0
        processes = 64
        mounts = [{ source = "objects", target = "/objects" }]
        [capacity]
        requests_per_second = 50
        concurrency = 8
        [bounds]
        min = 1
        max = 10
        [application]
        listen = "0.0.0.0:8000"
    "#;

    #[test]
    fn the_example_is_right() {
        assert_eq!(parse(RawService::EXAMPLE).unwrap().name.as_str(), "example");
    }

    #[test]
    fn a_whole_file_is_read() {
        let spec = parse(GOOD).unwrap();
        assert_eq!(spec.bounds.max(), 10);
        assert_eq!(spec.policy.to_string(), "target_tracking");
        assert_eq!(spec.scale_in.rules.patience, Duration::from_secs(3));
        assert_eq!(spec.scale_out, Rules::default());
        assert_eq!(spec.scale_in.stop_grace, ScaleIn::DEFAULT_STOP_GRACE);
        assert_eq!(spec.replacement, Replacement::Surge);
        assert_eq!(spec.objective, Duration::from_millis(250));
        assert_eq!(spec.instance.open_files, 1024);
        assert_eq!(spec.application["listen"].as_str(), Some("0.0.0.0:8000"));
    }

    #[test]
    fn a_service_that_gets_no_requests_has_a_policy_that_goes_by_none() {
        let (head, tail) = GOOD.split_once("[route]").unwrap();
        let (_, tail) = tail.split_once("[instance]").unwrap();
        let routeless = format!("{head}[instance]{tail}");
        let private = parse(&routeless).unwrap();
        assert_eq!((private.requests().is_some(), private.route()), (true, None));
        let error = private.requests_from_outside().unwrap_err().to_string();
        assert_eq!(
            error,
            "route: service store has none: only the services that reach it can ask it"
        );
        let without = |policy: &str| {
            let (head, tail) = routeless.split_once("[capacity]").unwrap();
            let (_, tail) = tail.split_once("[bounds]").unwrap();
            parse(&format!("{head}{policy}\n[bounds]{tail}"))
        };
        // Who is scaled on requests is there for others.
        for policy in ["", "[policy]\nkind = \"queue_depth\""] {
            let spec = without(policy).unwrap();
            assert_eq!((spec.requests().is_some(), spec.route()), (true, None), "{policy}");
        }
        for policy in ["kind = \"schedule\"", "kind = \"hpa\"\nmeasure = \"cpu\""] {
            let spec = without(&format!("[policy]\n{policy}")).unwrap();
            assert_eq!((spec.demand.clone(), spec.route()), (Demand::Uncounted, None));
            let error = spec.requests_required().unwrap_err().to_string();
            assert_eq!(error, "route: service store has none: choose one that gets requests");
            let error = spec.check_policy(&PolicySpec::default()).unwrap_err().to_string();
            assert!(error.contains("the service has no [route]"), "{policy}: {error}");
        }
    }

    #[test]
    fn each_wrong_value_is_named_with_its_key_and_what_is_allowed() {
        let cases = [
            ("port = 8000", "port = 0", "instance.port is 0: use 1 to 65535"),
            (
                "memory_mib = 64",
                "memory_mib = 1",
                "instance.memory_mib is 1: use 4 to 1048576 (MiB)",
            ),
            (
                "processes = 64",
                "processes = 64\nopen_files = 15",
                "instance.open_files is 15: use 16 to 1048576",
            ),
            ("cpus = 1.0", "cpus = nan", "instance.cpus is NaN: use 0.01 to 1024 (cores)"),
            (
                "min = 1",
                "min = 11",
                "bounds.min is 11, above bounds.max, 10: lower one or raise the other",
            ),
            ("min = 1", "min = -1", "invalid value: integer `-1`, expected u32"),
            (
                "second = 50",
                "second = -5",
                "capacity.requests_per_second is -5: use 0.001 to 1000000",
            ),
            ("\"/healthz\"", "\"/a b\"", "instance.health_path: `/a b` is not a health path"),
            (
                "\"/healthz\"",
                "\"/a\\n  bind :1\"",
                "instance.health_path: `/a\\u{a}  bind :1` is not a health path",
            ),
            (
                "\"objects\"",
                "\"../etc\"",
                "instance.mounts[0].source is ../etc: use the name of a folder",
            ),
            (
                "\"objects\"",
                "\"services\"",
                "instance.mounts[0].source is services: use another name",
            ),
            (
                "\"objects\"",
                "\"secrets\"",
                "instance.mounts[0].source is secrets: use another name",
            ),
            (
                "\"/objects\"",
                "\"/a/../b\"",
                "instance.mounts[0].target is /a/../b: use an absolute path",
            ),
            ("port = 8000", "prot = 8000", "unknown field `prot`, expected one of `port`"),
            ("name = \"store\"", "name = \"Store\"", "name: `Store` is not a name: use 1 to 31 of"),
        ];
        for (from, to, message) in cases {
            let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(message), "{to}: {error}");
        }
    }

    #[test]
    fn a_service_may_have_an_objective_of_its_own() {
        let with = |ms: u64| parse(&format!("{GOOD}\n[objective]\nlatency_ms = {ms}"));
        assert_eq!(with(1).unwrap().objective, Duration::from_millis(1));
        assert_eq!(with(600_000).unwrap().objective, Duration::from_secs(600));
        for ms in [0, 600_001] {
            let message = format!("objective.latency_ms is {ms}: use 1 to 600000 (milliseconds)");
            assert_eq!(with(ms).unwrap_err(), message);
        }
    }

    #[test]
    fn an_unknown_policy_is_refused_with_the_known_ones() {
        let error = parse(&format!("{GOOD}\n[policy]\nkind = \"magic\"")).unwrap_err();
        let message = "unknown variant `magic`, expected one of `target_tracking`, `threshold`";
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn the_rules_of_each_direction_are_read_and_judged() {
        let text = "[scale_out]\nmax_step = 4\nmax_step_percent = 100\n[scale_in]\ncooldown_ms = 5";
        let spec = parse(&format!("{GOOD}\n{text}")).unwrap();
        let step = LargestStep { count: Some(4), percent: Some(100) };
        assert_eq!(spec.scale_out.largest_step, Some(step));
        assert_eq!(spec.scale_in.rules.cooldown, Duration::from_millis(5));
        let refused = [
            ("[scale_out]\nmax_step = 0", "scale_out.max_step is 0: use 1 to 1000 (instances)"),
            ("[scale_in]\ncooldown_ms = 86400001", "scale_in.cooldown_ms is 86400001: use 0 to"),
            (
                "[scale_in]\nstop_grace_ms = 86400001",
                "scale_in.stop_grace_ms is 86400001: use 0 to",
            ),
            ("[policy]\nkind = \"hpa\"\nsync_ms = -1", "invalid value: integer `-1`"),
        ];
        for (text, message) in refused {
            let error = parse(&format!("{GOOD}\n{text}")).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_service_that_is_replaced_by_recreating_has_one_instance_at_most() {
        let recreate = format!("{GOOD}\n[rollout]\nreplacement = \"recreate\"");
        let message = "bounds.max is 10: use 1, since rollout.replacement = \"recreate\" never has \
                       two instances; or choose \"surge\"";
        assert_eq!(parse(&recreate).unwrap_err(), message);
        let spec = parse(&recreate.replacen("max = 10", "max = 1", 1)).unwrap();
        assert_eq!(spec.replacement, Replacement::Recreate);
        let error = parse(&recreate.replacen("\"recreate\"", "\"rolling\"", 1)).unwrap_err();
        let message = "unknown variant `rolling`, expected `surge` or `recreate`";
        assert!(error.contains(message), "{error}");
    }
}
