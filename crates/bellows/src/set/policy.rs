//! `bellows policy`: what decides on the instances of a service, another one for it, whether that one could be set,
//! and what it would have run.

mod preview;

use std::path::Path;

use anyhow::{Context as _, anyhow};
use command_line::policies::Choice;
use command_line::terminal;
use host::deployments::{Deployments, RollbackError};
use host::releases::POLICIES;
use host::settings::Settings;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::service::ServiceSpec;
use nix::unistd::geteuid;
use scaler_client::Setting;
use serde::Serialize;

use super::{Origin, Shown, carry_out, file_of, origin};
use crate::cli::{PolicyArgs, PolicyCommand};
use crate::code::Code;
use crate::error::{BadInput, Coded};
use crate::json::{self, FORMAT};
use crate::release;
use crate::scaler;

pub(crate) use self::preview::lately;

/// Does what is to be done with a policy. Without one of the words `get`, `set`, `check` and `preview`, a service alone is asked
/// for its policy, and one with a policy is given it.
pub(crate) async fn run(tree: &Path, settings: &Settings, asked: PolicyArgs) -> anyhow::Result<()> {
    let (service, word, json) = match asked {
        PolicyArgs { what: Some(PolicyCommand::Check { service, policy, json }), .. } => {
            return check(tree, settings, &service, &policy, json).await;
        }
        PolicyArgs { what: Some(PolicyCommand::Preview(asked)), .. } => {
            return preview::run(tree, settings, asked).await;
        }
        PolicyArgs { what: Some(PolicyCommand::Get { service, json }), .. } => {
            (service, None, json)
        }
        PolicyArgs { what: Some(PolicyCommand::Set { service, policy, json }), .. } => {
            (service, Some(policy), json)
        }
        PolicyArgs { service: Some(service), policy, json, what: None } => (service, policy, json),
        // The command line does not let it through.
        PolicyArgs { service: None, what: None, .. } => {
            return Err(BadInput::new(anyhow!("name a service")).into());
        }
    };
    show(tree, settings, &service, word.as_deref(), json).await
}

/// Shows the policy of a service, once it is what the word says.
async fn show(
    tree: &Path,
    settings: &Settings,
    service: &ServiceName,
    word: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let choice = word.map(|word| find(tree, word)).transpose()?;
    let setting = choice.map(|choice| Setting::Policy(service.as_str(), choice.spec));
    let status = carry_out(settings, service, setting).await?;
    let shown = Shown::of(Some(service), &status.policy_spec, status.set.policy.as_ref());
    if json {
        return json::print(&shown);
    }
    let command = format!("policy {service}");
    let set = Origin::of(shown.set, shown.in_force);
    let origin = origin(&command, &file_of(service), set);
    let text = status.policy_spec.to_toml();
    let text =
        text.context("the policy cannot be written as TOML; the scaler's API shows it as JSON")?;
    terminal::tell(format_args!("{origin}{text}"))?;
    Ok(())
}

/// The policy that a word stands for, as on the command lines of experiments and simulations.
fn find(tree: &Path, word: &str) -> Result<Choice, BadInput> {
    let found = Choice::find(word, &release::find(tree, POLICIES)).map_err(BadInput::new);
    found.map_err(|wrong| wrong.coded(Code::BadPolicy))
}

/// What a check has found where nothing is wrong, as programs are told of it.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    format: u32,
    service: &'a ServiceName,
    /// The policy as it would be set; null for that of the service's file.
    policy: Option<&'a PolicySpec>,
    /// Whether it was compared with what the service's file says, which root alone may read.
    compared: bool,
}

/// Says what the scaler would refuse of a policy, and changes nothing.
async fn check(
    tree: &Path,
    settings: &Settings,
    service: &ServiceName,
    word: &str,
    json: bool,
) -> anyhow::Result<()> {
    let spec = deployed(settings, service).await?;
    let policy = find(tree, word)?.spec;
    if let (Some(spec), Some(policy)) = (&spec, &policy) {
        suits(spec, policy, word)?;
    }
    let compared = spec.is_some();
    if json {
        let policy = policy.as_ref();
        return json::print(&Checked { format: FORMAT, service, policy, compared });
    }
    terminal::tell_line(format_args!(
        "Nothing is wrong with {word} for {service}: `bellows policy set {service} {word}` sets it."
    ))?;
    if !compared {
        terminal::tell_line(format_args!(
            "Whether it goes with the file of {service} is for root to compare: run it with sudo."
        ))?;
    }
    Ok(())
}

/// Whether a policy goes by what the service has.
fn suits(spec: &ServiceSpec, policy: &PolicySpec, word: &str) -> Result<(), Coded> {
    let told =
        |invalid| Coded::new(Code::BadPolicy, anyhow!("{word} for {}: {invalid}", spec.name));
    spec.check_policy(policy).map_err(told)
}

/// What the file of a deployed service says; `None` where others than root ask, of whom the scaler knows whether there
/// is such a service.
async fn deployed(
    settings: &Settings,
    service: &ServiceName,
) -> anyhow::Result<Option<ServiceSpec>> {
    if !geteuid().is_root() {
        scaler::known(&scaler::client(settings)?, service).await?;
        return Ok(None);
    }
    let services = Deployments::new(&settings.paths.state).load()?.readable().services;
    let found = services.into_iter().find(|deployed| deployed.spec.name == *service);
    let unknown = || BadInput::new(RollbackError::NoService(service.clone()));
    Ok(Some(found.ok_or_else(unknown)?.spec))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use model::policies::{Hpa, Policy, PolicyKind};

    use super::*;

    fn tree(policies: &[(&str, &str)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join(POLICIES);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in policies {
            fs::write(folder.join(name), text).unwrap();
        }
        tree
    }

    #[test]
    fn a_word_for_a_policy_is_a_kind_a_file_of_the_tree_any_file_or_the_services_own() {
        let tree = tree(&[("quick.toml", "kind = \"hpa\"\nsync_ms = 100")]);
        let quick = Policy::Hpa(Hpa { sync_ms: 100, ..Hpa::default() });
        let quick = PolicySpec::new(vec![quick]).unwrap();
        let path = tree.path().join(POLICIES).join("quick.toml");
        let policy = |word: &str| find(tree.path(), word).unwrap().spec;
        assert_eq!(policy("default"), None);
        assert_eq!(policy("concurrency"), Some(PolicyKind::Concurrency.into()));
        assert_eq!(policy("quick"), Some(quick.clone()));
        assert_eq!(policy(path.to_str().unwrap()), Some(quick));
    }

    #[test]
    fn a_policy_that_cannot_be_used_is_bad_input_and_says_what_can() {
        let tree = tree(&[("bad.toml", "kind = \"hpa\"\nin_percent = 101")]);
        for (word, told) in [
            ("magic", "there is no policy `magic`: use default, target_tracking, threshold,"),
            ("magic", "reg, conpaas, bad, or a file whose name ends in .toml"),
            ("../policies/bad", "there is no policy"),
            ("bad", "loadgen/policies/bad.toml, line 2: in_percent is 101: use 0 to 100"),
            ("nowhere.toml", "nowhere.toml cannot be read"),
        ] {
            let error = find(tree.path(), word).unwrap_err().to_string();
            assert!(error.contains(told), "{word}: {error}");
        }
    }

    #[test]
    fn a_policy_that_goes_by_what_the_service_has_not_is_told_before_it_is_set() {
        let worker = "name = \"worker\"\nimage = \"worker\"\n[instance]\nport = 8000\nhealth_path = \"/healthz\"\n\
                      memory_mib = 64\ncpus = 1.0\nprocesses = 64\n[policy]\nkind = \"hpa\"\nmeasure = \"cpu\"\n\
                      [bounds]\nmin = 1\nmax = 2\n";
        let worker: ServiceSpec = config_file::from_toml("worker.toml", worker).unwrap();
        let kind = |kind: PolicyKind| PolicySpec::from(kind);
        let refused = suits(&worker, &kind(PolicyKind::Concurrency), "concurrency").unwrap_err();
        assert_eq!(refused.code(), Code::BadPolicy);
        let told = refused.to_string();
        let expected = "concurrency for worker: policy.kind is concurrency: use schedule, or hpa";
        assert!(told.starts_with(expected), "{told}");
        assert!(suits(&worker, &kind(PolicyKind::Schedule), "schedule").is_ok());
    }
}
