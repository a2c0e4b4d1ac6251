//! What instances ran and cost.

use model::cost::CostPage;
use model::time::Timestamp;

use crate::{Scaler, ScalerError};

impl Scaler {
    /// What the instances of each service ran and cost since a moment; since the ledger begins where that is 0.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn cost(&self, since: Timestamp) -> Result<CostPage, ScalerError> {
        self.get("/v1/cost", &[("since", since.as_millis().to_string())]).await
    }
}
