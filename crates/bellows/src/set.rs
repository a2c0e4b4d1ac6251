//! `bellows policy` and `bellows bounds`: what an operator sets of a service while it runs.

use std::path::Path;

use command_line::policies::{Choice, PolicyError};
use host::settings::Settings;
use policy::bounds::{Bounds, BoundsError};
use policy::names::ServiceName;
use policy::spec::{PolicySpec, SpecError};
use policy::status::ServiceStatus;
use serde::Serialize;

use crate::api::{Api, ApiError};

/// The folder of policies that have a name, in the tree.
const POLICIES: &str = "loadgen/policies";

/// The word for what the service's own file says.
const FILE: &str = "file";

/// Why nothing was set or shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(
        "the bounds are `{given}`: use MIN MAX, such as 1 10, or `{FILE}` for what the service's own file says"
    )]
    BoundsForm { given: String },
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error("there is no service {given}: use {known}")]
    UnknownService { given: ServiceName, known: String },
    #[error("the policy cannot be written as TOML; the scaler's API shows it as JSON")]
    Toml(#[from] SpecError),
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl SetError {
    /// Whether the input was bad, and nothing was tried.
    pub(crate) fn is_bad_input(&self) -> bool {
        match self {
            Self::Policy(_)
            | Self::BoundsForm { .. }
            | Self::Bounds(_)
            | Self::UnknownService { .. } => true,
            Self::Api(ApiError::Refused { status, .. }) => status.is_client_error(),
            Self::Api(ApiError::Away { .. }) | Self::Toml(_) => false,
        }
    }
}

/// What is wanted of a setting.
#[derive(Debug, PartialEq)]
enum Wish<T> {
    Show,
    FileAgain,
    Set(T),
}

/// Shows the policy of a service, once what is wished of it is done.
pub(crate) async fn policy(
    tree: &Path,
    settings: &Settings,
    service: &ServiceName,
    word: Option<&str>,
) -> Result<(), SetError> {
    let wish = policy_wish(tree, word)?;
    let status = carry_out(settings, service, "policy", wish).await?;
    let origin = origin(service, "policy", status.set.policy.is_some());
    print!("{origin}{}", status.policy_spec.to_toml()?);
    Ok(())
}

/// Shows the bounds of a service, once what is wished of them is done.
pub(crate) async fn bounds(
    settings: &Settings,
    service: &ServiceName,
    words: &[String],
) -> Result<(), SetError> {
    let wish = bounds_wish(words)?;
    let status = carry_out(settings, service, "bounds", wish).await?;
    let origin = origin(service, "bounds", status.set.bounds.is_some());
    print!("{origin}min = {}\nmax = {}\n", status.bounds.min(), status.bounds.max());
    Ok(())
}

/// A line of TOML above what is in force.
fn origin(service: &ServiceName, what: &str, set: bool) -> String {
    if set {
        format!("# set while it runs; `bellows {what} {service} {FILE}` goes back to its file's\n")
    } else {
        format!("# as the file of {service} says\n")
    }
}

async fn carry_out<T: Serialize>(
    settings: &Settings,
    service: &ServiceName,
    what: &str,
    wish: Wish<T>,
) -> Result<ServiceStatus, SetError> {
    let api = Api::new(settings.listen.api)?;
    let services = api.services().await?.services;
    let Some(status) = services.iter().find(|status| status.name == *service) else {
        let known: Vec<&str> = services.iter().map(|status| status.name.as_str()).collect();
        let (given, known) = (service.clone(), known.join(", "));
        return Err(SetError::UnknownService { given, known });
    };
    let path = format!("/v1/services/{service}/{what}");
    Ok(match wish {
        Wish::Show => status.clone(),
        Wish::FileAgain => api.clear(&path).await?,
        Wish::Set(value) => api.set(&path, &value).await?,
    })
}

/// The policy that a word stands for, as on the command lines of experiments and simulations.
fn policy_wish(tree: &Path, word: Option<&str>) -> Result<Wish<PolicySpec>, SetError> {
    let Some(word) = word else { return Ok(Wish::Show) };
    if word == FILE {
        return Ok(Wish::FileAgain);
    }
    Ok(match Choice::find(word, &tree.join(POLICIES))? {
        Choice::OfService => Wish::FileAgain,
        Choice::Other { spec, .. } => Wish::Set(spec),
    })
}

fn bounds_wish(words: &[String]) -> Result<Wish<Bounds>, SetError> {
    let form = || SetError::BoundsForm { given: words.join(" ") };
    match words {
        [] => Ok(Wish::Show),
        [word] if word == FILE => Ok(Wish::FileAgain),
        [min, max] => {
            let number = |word: &String| word.parse::<u32>().map_err(|_| form());
            Ok(Wish::Set(Bounds::new(number(min)?, number(max)?)?))
        }
        _ => Err(form()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use policy::policies::hpa::Hpa;
    use policy::policies::{Kind, Policy};

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
        let wish = |word: Option<&str>| policy_wish(tree.path(), word).unwrap();
        assert_eq!(wish(None), Wish::Show);
        assert_eq!(wish(Some("file")), Wish::FileAgain);
        assert_eq!(wish(Some("default")), Wish::FileAgain);
        assert_eq!(wish(Some("concurrency")), Wish::Set(Kind::Concurrency.into()));
        assert_eq!(wish(Some("quick")), Wish::Set(quick.clone()));
        assert_eq!(wish(path.to_str()), Wish::Set(quick));
    }

    #[test]
    fn a_policy_that_cannot_be_used_is_bad_input_and_says_what_can() {
        let tree = tree(&[("bad.toml", "kind = \"hpa\"\nin_percent = 101")]);
        for (word, told) in [
            (
                "magic",
                "there is no policy `magic`: allowed is default, target_tracking, threshold,",
            ),
            ("magic", "reg, conpaas, bad, or a file whose name ends in .toml"),
            ("../policies/bad", "there is no policy"),
            (
                "bad",
                "loadgen/policies/bad.toml holds no policy: policy.in_percent is 101: use 0 to 100",
            ),
            ("nowhere.toml", "nowhere.toml cannot be read"),
        ] {
            let error = policy_wish(tree.path(), Some(word)).unwrap_err();
            assert!(error.is_bad_input(), "{word}");
            let error = format!("{:#}", anyhow::Error::from(error));
            assert!(error.contains(told), "{word}: {error}");
        }
    }

    #[test]
    fn bounds_are_two_numbers_or_the_files() {
        let wish = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            bounds_wish(&words).map_err(|error| error.to_string())
        };
        assert_eq!(wish(&[]), Ok(Wish::Show));
        assert_eq!(wish(&["file"]), Ok(Wish::FileAgain));
        assert_eq!(wish(&["2", "4"]), Ok(Wish::Set(Bounds::new(2, 4).unwrap())));
        for words in [&["2"][..], &["a", "4"], &["-1", "4"]] {
            let told = format!("the bounds are `{}`: use MIN MAX", words.join(" "));
            assert!(wish(words).unwrap_err().contains(&told), "{words:?}");
        }
        assert!(wish(&["5", "4"]).unwrap_err().contains("bounds.min is 5, above bounds.max, 4"));
    }
}
