//! What another policy would have run, which the console alone can say: it has the history.

use std::time::Duration;

use model::names::ServiceName;
use model::policies::PolicySpec;
use model::preview::Preview;

use crate::{Scaler, ScalerError};

/// One is computed for 5 s at most, after it has waited up to 2 s for the one before.
const COMPUTES: Duration = Duration::from_secs(15);

/// The load of which time, up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lately {
    /// By second: 1 to 30.
    Minutes(u64),
    /// By minute: 1 to 24.
    Hours(u64),
}

impl Lately {
    const fn query(self) -> (&'static str, u64) {
        match self {
            Self::Minutes(count) => ("minutes", count),
            Self::Hours(count) => ("hours", count),
        }
    }
}

impl Scaler {
    /// What a policy would have run under the load that was; it sets nothing. Of the console, at its address.
    ///
    /// # Errors
    /// No answer, or none that tells it: it says what cannot be previewed, and why.
    pub async fn preview(
        &self,
        service: &ServiceName,
        policy: &PolicySpec,
        of: Lately,
    ) -> Result<Preview, ScalerError> {
        let (key, count) = of.query();
        let mut url = self.url(&format!("/v1/services/{service}/preview"));
        url.query_pairs_mut().append_pair(key, &count.to_string());
        self.answer(self.http.post(url).json(policy).timeout(COMPUTES)).await
    }
}
