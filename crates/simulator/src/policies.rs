//! The policies that can be simulated by name, each with its default figures.

use policy::policies::Kind;
use policy::spec::{PolicySpec, ServiceSpec, SpecError};

/// The policy of the service's own file.
pub const DEFAULT: &str = "default";

/// Why a service with this policy cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not one that there is.
    #[error(
        "there is no policy `{name}`: allowed is {DEFAULT}, {known}, or a file whose name ends in .toml"
    )]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The text is not TOML.
    #[error("{file} is not a table of a policy")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, with line and key.
        source: Box<toml::de::Error>,
    },
    /// The service's file is not good, or its policy is not.
    #[error("{file}: {source}")]
    Spec {
        /// The file.
        file: String,
        /// Which key, and what is allowed.
        #[source]
        source: SpecError,
    },
}

/// The names of all policies.
pub fn names() -> impl Iterator<Item = &'static str> {
    Kind::ALL.iter().map(|kind| kind.name())
}

/// The service of this text; `file` is where it comes from.
///
/// # Errors
/// [`PolicyError`] says what is wrong, and what is allowed.
pub fn service(file: &str, text: &str) -> Result<ServiceSpec, PolicyError> {
    ServiceSpec::parse(text).map_err(|source| PolicyError::Spec { file: file.to_owned(), source })
}

/// The same service under the policy of this name.
///
/// # Errors
/// There is no such policy, or it does not fit the service.
pub fn with_policy(file: &str, text: &str, name: &str) -> Result<ServiceSpec, PolicyError> {
    if name == DEFAULT {
        return service(file, text);
    }
    let Ok(kind) = name.parse::<Kind>() else {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(PolicyError::Unknown { name: name.to_owned(), known });
    };
    Ok(ServiceSpec { policy: PolicySpec::from(kind), ..service(file, text)? })
}

/// The same service under the policy of a table, that is, of a file with what a service's file has
/// below `[policy]`.
///
/// # Errors
/// It is not TOML, or not a policy.
pub fn with_table(
    file: &str,
    text: &str,
    policy_file: &str,
    table: &str,
) -> Result<ServiceSpec, PolicyError> {
    let parse = |file: &str, text: &str| {
        text.parse::<toml::Table>()
            .map_err(|error| PolicyError::Syntax { file: file.to_owned(), source: Box::new(error) })
    };
    let mut service_table = parse(file, text)?;
    service_table.insert("policy".to_owned(), toml::Value::Table(parse(policy_file, table)?));
    service(policy_file, &service_table.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = include_str!("../../../services/object-store.toml");

    #[test]
    fn every_policy_fits_the_shipped_service() {
        for name in names().chain([DEFAULT]) {
            let spec = with_policy("store.toml", STORE, name).unwrap();
            assert_eq!(spec.bounds, service("store.toml", STORE).unwrap().bounds);
        }
    }

    #[test]
    fn a_wrong_policy_is_named_with_what_is_allowed() {
        let unknown = with_policy("store.toml", STORE, "magic").unwrap_err().to_string();
        assert!(unknown.starts_with("there is no policy `magic`: allowed is default, target_"));
        let table = "kind = \"target_tracking\"\ntarget_percent = 200";
        let wrong = with_table("store.toml", STORE, "mine.toml", table).unwrap_err().to_string();
        assert_eq!(
            wrong,
            "mine.toml: policy.target_percent is 200: use 1 to 100 (percent of an instance's capacity)"
        );
        let broken = with_table("store.toml", STORE, "mine.toml", "kind =").unwrap_err();
        assert!(matches!(broken, PolicyError::Syntax { .. }));
    }
}
