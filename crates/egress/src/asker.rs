//! Who asks, as refusals tell it, and where its list is written.

use std::fmt;

use model::egress::Target;
use model::names::ServiceName;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    /// An instance of a service.
    Service(ServiceName),
    /// What makes the image of one.
    Build(ServiceName),
}

impl Asker {
    /// The list of what may be reached.
    pub(crate) const fn list(&self) -> &'static str {
        match self {
            Self::Service(_) => "egress",
            Self::Build(_) => "builds.egress",
        }
    }

    /// Why an address of the host's own is not reached.
    pub(crate) const fn own(&self) -> &'static str {
        match self {
            Self::Service(_) => {
                "that is the host or an instance of it; services reach each other by `reaches`"
            }
            Self::Build(_) => "that is the host or an instance of it, which no build reaches",
        }
    }

    /// What to do so that a target may be reached.
    pub(crate) fn cure(&self, target: &Target) -> String {
        let list = self.list();
        match self {
            Self::Service(service) => {
                format!(
                    "add \"{target}\" to {list} in services/{service}.toml, and run `bellows up`"
                )
            }
            Self::Build(_) => format!("add \"{target}\" to {list} in bellows.toml"),
        }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => write!(f, "{service}"),
            Self::Build(service) => write!(f, "the build of {service}"),
        }
    }
}
