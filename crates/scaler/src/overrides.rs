//! What an operator set while the system runs, on top of the services' files and the host's
//! settings: kept in a file, so that it survives a restart.

use std::collections::{BTreeMap, BTreeSet};

use model::bounds::Bounds;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::status::{Membership, ServiceOverrides};
use serde::{Deserialize, Serialize};

/// What was set. What was set for a service that is not deployed waits until it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Overrides {
    /// Bounds, by service.
    pub(crate) bounds: BTreeMap<ServiceName, Bounds>,
    /// Policies, by service.
    pub(crate) policies: BTreeMap<ServiceName, PolicySpec>,
    /// The way of membership of the whole host.
    pub(crate) membership: Option<Membership>,
}

impl Overrides {
    /// What was set for one service.
    pub(crate) fn of(&self, service: &ServiceName) -> ServiceOverrides {
        ServiceOverrides {
            bounds: self.bounds.get(service).copied(),
            policy: self.policies.get(service).cloned(),
        }
    }

    /// The services that something was set for.
    pub(crate) fn services(&self) -> BTreeSet<&ServiceName> {
        self.bounds.keys().chain(self.policies.keys()).collect()
    }
}

/// Reads the file's text. The first version held bounds by service and nothing else, which no file
/// of this form can be taken for: its values are numbers two levels down.
pub(crate) fn parse(text: &[u8]) -> serde_json::Result<Overrides> {
    serde_json::from_slice(text).or_else(|error| match serde_json::from_slice(text) {
        Ok(bounds) => Ok(Overrides { bounds, ..Overrides::default() }),
        Err(_) => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use model::policies::PolicyKind;

    use super::*;
    use crate::kept_file::KeptFile;

    fn parsed(text: &str) -> Result<Overrides, String> {
        parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_set_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overrides.json");
        let store: ServiceName = "store".parse().unwrap();
        let file = KeptFile::open(&path, parse).unwrap();
        assert_eq!(*file.held(), Overrides::default());
        let set = |set: &mut Overrides| {
            set.bounds.insert(store.clone(), Bounds::new(2, 5).unwrap());
            set.policies.insert(store.clone(), PolicyKind::Hpa.into());
            set.membership = Some(Membership::Reload);
        };
        assert!(file.change(set).unwrap());
        let written = || std::fs::metadata(&path).unwrap().ino();
        let first = written();
        assert!(!file.change(set).unwrap(), "it is set so already");
        assert_eq!(written(), first);
        let again = KeptFile::open(&path, parse).unwrap();
        assert_eq!(again.held(), file.held());
        assert_eq!(again.held().of(&store).policy, Some(PolicyKind::Hpa.into()));
    }

    #[test]
    fn bounds_as_the_first_version_kept_them_are_read() {
        for service in ["store", "bounds", "policies", "membership"] {
            let overrides = parsed(&format!(r#"{{"{service}":{{"min":2,"max":5}}}}"#)).unwrap();
            let bounds = overrides.of(&service.parse().unwrap()).bounds;
            assert_eq!(bounds, Some(Bounds::new(2, 5).unwrap()), "{service}");
        }
        assert_eq!(parsed("{}"), Ok(Overrides::default()));
    }

    #[test]
    fn a_file_that_was_spoilt_is_an_error_that_names_what_is_wrong() {
        for (text, told) in [
            (r#"{"bounds":{"store":{"min":9,"max":1}}}"#, "bounds.min is 9, above bounds.max, 1"),
            (r#"{"store":{"min":9,"max":1}}"#, "unknown field `store`, expected one of `bounds`"),
            (
                r#"{"policies":{"store":{"kind":"hpa","in_percent":101}}}"#,
                "policy.in_percent is 101: use 0 to 100",
            ),
            (r#"{"membership":"both"}"#, "unknown variant `both`, expected `runtime` or `reload`"),
            ("", "EOF"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
