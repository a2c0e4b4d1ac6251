//! How many ready instances a service may have.

use serde::{Deserialize, Serialize};

use crate::value::{self, Checked, Invalid};

/// The fewest and the most ready instances of a service, both included. With none at the least, the
/// last one goes when nobody asks for the service, and the load balancer holds the request that
/// starts the first one again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawBounds")]
pub struct Bounds {
    min: u32,
    max: u32,
}

impl Bounds {
    /// The most instances a service can be given: with those beside them that drain, or that take
    /// over from others, they still fit the host's 1,000 slots.
    pub const MAX_INSTANCES: u32 = 750;

    /// Bounds from `min` to `max`, with `0 <= min <= max <= 750` and `1 <= max`.
    ///
    /// # Errors
    /// [`Invalid`] says which of these does not hold.
    pub fn new(min: u32, max: u32) -> Result<Self, Invalid> {
        value::not_above(["bounds.min", "bounds.max"], min, max)?;
        let allowed = "1 to 750 (instances); with bounds.min = 0 an idle service has none";
        value::within("bounds.max", max, 1..=Self::MAX_INSTANCES, allowed)?;
        Ok(Self { min, max })
    }

    /// The fewest ready instances.
    pub const fn min(self) -> u32 {
        self.min
    }

    /// The most ready instances.
    pub const fn max(self) -> u32 {
        self.max
    }

    /// The number within them that is nearest to this one.
    pub fn clamp(self, ready: u32) -> u32 {
        ready.clamp(self.min, self.max)
    }
}

/// Bounds as they are written, not yet checked.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawBounds {
    /// The fewest ready instances, 0 or more.
    min: u32,
    /// The most ready instances, 1 to 750.
    max: u32,
}

impl TryFrom<RawBounds> for Bounds {
    type Error = Invalid;

    fn try_from(raw: RawBounds) -> Result<Self, Invalid> {
        Self::new(raw.min, raw.max)
    }
}

impl Checked for Bounds {
    type Raw = RawBounds;

    fn from_raw(raw: RawBounds) -> Result<Self, Invalid> {
        raw.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_cannot_hold_are_refused() {
        let refused = |min, max| Bounds::new(min, max).unwrap_err().to_string();
        let crossed = "bounds.min is 3, above bounds.max, 2: lower one or raise the other";
        assert_eq!(refused(3, 2), crossed);
        assert!(refused(0, 0).starts_with("bounds.max is 0: use 1 to 750"));
        assert!(Bounds::new(0, 1).is_ok());
        assert!(refused(1, 751).starts_with("bounds.max is 751: use 1 to 750"));
        assert!(serde_json::from_str::<Bounds>(r#"{"min":2,"max":1}"#).is_err());
        assert!(serde_json::from_str::<Bounds>(r#"{"min":1,"max":2,"mid":1}"#).is_err());
    }
}
