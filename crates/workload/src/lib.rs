//! What load to offer: the scenario's format, and the arrivals it unfolds into.
//!
//! Everything here is pure. A [`Scenario`] is parsed from text, its phases become a [`RateCurve`]
//! in requests per second, and [`Arrivals`] streams the requests that are due, one at a time and
//! the same ones for the same seed. A [`Trace`] of a real system becomes a [`RateCurve`] as well.
//!
//! ```
//! let text = r#"
//!     name = "tiny"
//!     service = "object-store"
//!     seed = 1
//!
//!     [[phases]]
//!     kind = "constant"
//!     duration_s = 2
//!     rate = 50
//! "#;
//! let scenario = workload::Scenario::parse("tiny.toml", text)?;
//! let curve = scenario.curve(None)?;
//! let arrivals = workload::Arrivals::new(&scenario, curve);
//! assert!((60..140).contains(&arrivals.count()));
//! # Ok::<(), workload::ScenarioError>(())
//! ```

mod arrivals;
mod format;
mod operation;
mod rate;
mod raw;
mod scenario;
mod trace;

pub use arrivals::{Arrival, Arrivals, DueTimes};
pub use format::ScenarioError;
pub use operation::{KeyIndex, Operation, OperationSource};
pub use rate::{RateCurve, Segment, Shape};
pub use scenario::{
    InstanceCapacity, Keys, Limits, Mix, Pacing, Phase, RateUnit, Scenario, Sizes, TimeFactor,
};
pub use trace::{Trace, TraceError, TraceKind};
