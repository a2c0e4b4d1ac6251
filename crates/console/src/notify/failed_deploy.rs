//! A version that was given up.

use model::tick::Tick;
use model::version::Rollout;

use super::sign::{Evidence, Sign};

/// Begins with the turn that gives up, and ends with the one at which another deploy, or a rollback, is under way or
/// serves. Nothing swings here: each step is an operator's.
pub(super) fn sign(tick: &Tick) -> Sign {
    match &tick.rollout {
        // The host was not seen yet.
        None => Sign::Unclear,
        Some(Rollout::GivenUp { next, .. }) => {
            Sign::Present(Evidence::FailedDeploy { tried: *next })
        }
        Some(Rollout::Serving { .. } | Rollout::Proving { .. } | Rollout::Watching { .. }) => {
            Sign::Absent
        }
    }
}

#[cfg(test)]
mod tests {
    use model::time::Timestamp;
    use model::version::{Version, Wanted};

    use super::*;
    use crate::samples;

    #[test]
    fn it_lasts_until_another_deploy_is_under_way() {
        let (version, since) = (Version::new(1), Timestamp::default());
        let next = Wanted { version: Version::new(2), deployed_at: since };
        let of = |rollout| sign(&Tick { rollout, ..samples::tick("store", 1) });
        assert_eq!(of(None), Sign::Unclear);
        let given_up = Rollout::GivenUp { version, next, reason: "no answer".to_owned() };
        assert_eq!(of(Some(given_up)), Sign::Present(Evidence::FailedDeploy { tried: next }));
        for other in [
            Rollout::Serving { version },
            Rollout::Proving { version, next, since },
            Rollout::Watching { version, next, since },
        ] {
            assert_eq!(of(Some(other)), Sign::Absent);
        }
    }
}
