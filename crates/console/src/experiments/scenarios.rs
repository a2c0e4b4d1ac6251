//! What an experiment can be asked for with: the scenarios and the policies of the release.

use std::path::Path;
use std::time::Duration;

use model::names::{ScenarioName, ServiceName};
use model::policies::PolicyKind;
use workload::{Load, Scenario};

/// The word for the policy of the service's own file.
const DEFAULT: &str = "default";

/// The scenarios and the policies of the release, which do not change while it runs.
#[derive(Debug, Default)]
pub struct Scenarios {
    scenarios: Vec<ScenarioOnOffer>,
    policies: Vec<String>,
}

/// A scenario.
#[derive(Debug, Clone)]
pub(crate) struct ScenarioOnOffer {
    pub(crate) name: ScenarioName,
    pub(crate) description: String,
    pub(crate) service: ServiceName,
    /// How long its load lasts; `None` where that is as long as answers take.
    pub(crate) load: Option<Duration>,
}

impl Scenarios {
    /// Those in these folders, in the order of their names. A folder that nobody said or that is not there has none, and
    /// what cannot be read is left out, which the log says.
    pub fn read(scenarios: Option<&Path>, policies: Option<&Path>) -> Self {
        let files = |folder: Option<&Path>| folder.map(toml_files).unwrap_or_default();
        let scenarios =
            files(scenarios).into_iter().filter_map(|(name, file)| scenario(&name, &file));
        let policies = files(policies).into_iter().map(|(name, _)| name);
        Self { scenarios: scenarios.collect(), policies: policies.collect() }
    }

    /// The scenarios.
    pub(crate) fn scenarios(&self) -> &[ScenarioOnOffer] {
        &self.scenarios
    }

    /// One of them.
    pub(crate) fn scenario(&self, name: &ScenarioName) -> Option<&ScenarioOnOffer> {
        self.scenarios.iter().find(|it| it.name == *name)
    }

    /// The policies that have a name of their own.
    pub(crate) fn policies(&self) -> &[String] {
        &self.policies
    }

    /// Every word that names a policy.
    pub(crate) fn policy_words(&self) -> Vec<String> {
        let kinds = PolicyKind::all().map(|kind| kind.name().to_owned());
        [DEFAULT.to_owned()].into_iter().chain(kinds).chain(self.policies.iter().cloned()).collect()
    }
}

/// The `.toml` files of a folder with their stems.
fn toml_files(folder: &Path) -> Vec<(String, std::path::PathBuf)> {
    let paths =
        folder.read_dir().into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    let stem = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    let mut files: Vec<_> = paths.filter_map(|path| Some((stem(&path)?, path))).collect();
    files.sort();
    files
}

fn scenario(name: &str, file: &Path) -> Option<ScenarioOnOffer> {
    let left_out = |why: &dyn std::fmt::Display| {
        tracing::warn!(file = %file.display(), %why, "a scenario is left out");
    };
    let scenario: Scenario = config_file::read(file).inspect_err(|error| left_out(error)).ok()?;
    let load = match &scenario.load {
        Load::Phases(phases) => Some(phases.duration()),
        Load::Stages(_) | Load::Trace(_) => None,
    };
    let name = name.parse().inspect_err(|error| left_out(error)).ok()?;
    let service = scenario.service.parse().inspect_err(|error| left_out(error)).ok()?;
    Some(ScenarioOnOffer { name, description: scenario.description, service, load })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_and_policy_that_is_shipped_is_on_offer_with_its_length() {
        let of = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen").join(name);
        let all = Scenarios::read(Some(&of("scenarios")), Some(&of("policies")));
        let shipped = |name| toml_files(&of(name)).len();
        assert_eq!(all.scenarios().len(), shipped("scenarios"));
        assert_eq!(all.policies().len(), shipped("policies"));
        let load = |name: &str| all.scenario(&name.parse().unwrap()).unwrap().load;
        assert_eq!(load("ramp"), Some(Duration::from_secs(180)));
        assert_eq!(load("seven-stages"), None);
        let words = all.policy_words();
        assert_eq!(words[0], "default");
        assert!(words.contains(&"hpa".to_owned()) && words.contains(&"hpa-quick".to_owned()));
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_what_is_not_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bad.toml"), "name = ").unwrap();
        let all = Scenarios::read(Some(folder.path()), Some(Path::new("/nowhere")));
        assert!(all.scenarios().is_empty() && all.policies().is_empty());
    }
}
