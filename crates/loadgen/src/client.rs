//! One client of a service: carries out operations over its connections, each by the driver for its
//! kind of request.

use std::sync::Arc;

use tokio::time::Instant;
use workload::Operation;

use crate::driver::http;
use crate::driver::objects::{ObjectDriver, RunIdentity};
use crate::outcome::Answer;
use crate::pool::Pool;
use crate::target::Target;

/// What the operations of one run have in common.
#[derive(Debug)]
pub(crate) struct Client {
    pool: Pool,
    objects: Arc<ObjectDriver>,
}

impl Client {
    /// A client for the run of that name and identity.
    pub(crate) fn new(target: Target, run: &str, identity: RunIdentity) -> Self {
        Self { pool: Pool::new(target), objects: Arc::new(ObjectDriver::new(run, identity)) }
    }

    /// A client of the same objects over connections of its own.
    pub(crate) fn with_own_connections(&self) -> Self {
        let pool = Pool::new(self.pool.target().clone());
        Self { pool, objects: Arc::clone(&self.objects) }
    }

    /// The connections.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Carries the operation out and compares the answer with what is expected. A request without its
    /// whole answer by `deadline` has timed out.
    pub(crate) async fn carry_out(&self, operation: &Operation, deadline: Instant) -> Answer {
        match operation {
            Operation::Object(operation) => {
                self.objects.carry_out(&self.pool, *operation, deadline).await
            }
            Operation::Http(request) => http::carry_out(&self.pool, request, deadline).await,
        }
    }
}
