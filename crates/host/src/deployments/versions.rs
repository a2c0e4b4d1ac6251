//! What is known of the versions that a service can go back to.

use model::names::ServiceName;
use model::version::{Rollout, Version, VersionList, VersionState, VersionStatus};

use super::{Deployment, KeptVersion, Past, RollbackError};

impl Deployment {
    /// The versions of a service that are kept, the one that was deployed last first, with what became of each. `rollout`
    /// is how far the change to the last one has come.
    ///
    /// # Errors
    /// [`RollbackError::NoService`].
    pub fn versions(
        &self,
        service: &ServiceName,
        rollout: &Rollout,
    ) -> Result<VersionList, RollbackError> {
        let versions = self.kept(service)?.iter().map(|kept| status(kept, rollout)).collect();
        Ok(VersionList { service: service.clone(), versions })
    }
}

fn status(kept: &KeptVersion, rollout: &Rollout) -> VersionStatus {
    let state = state(kept, rollout);
    let reason = match rollout {
        Rollout::GivenUp { reason, .. } if state == VersionState::GivenUp => Some(reason.clone()),
        _ => None,
    };
    VersionStatus { version: kept.version, deployed_at: kept.deployed_at, state, reason }
}

fn state(kept: &KeptVersion, rollout: &Rollout) -> VersionState {
    let version: Version = kept.version;
    match rollout {
        _ if rollout.serving() == version && !rollout.is_first() => VersionState::Serves,
        _ if rollout.proving() == Some(version) => VersionState::OnTrial,
        _ if rollout.watched() == Some(version) => VersionState::Watched,
        Rollout::GivenUp { next, .. } if next.version == version => VersionState::GivenUp,
        _ => match kept.past {
            Some(Past::Served) => VersionState::ServedBefore,
            Some(Past::Left) => VersionState::GoneBackFrom,
            None => VersionState::Kept,
        },
    }
}
