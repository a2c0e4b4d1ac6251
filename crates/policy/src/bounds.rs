//! How many ready instances a service may have.

use serde::{Deserialize, Serialize};

/// The fewest and the most ready instances of a service, both included. With none at the least, the
/// last one goes when nobody asks for the service, and the load balancer holds the request that
/// starts the first one again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawBounds", into = "RawBounds")]
pub struct Bounds {
    min: u32,
    max: u32,
}

/// Bounds that cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoundsError {
    /// The lower bound lies above the upper one.
    #[error("bounds.min is {min}, above bounds.max, {max}: lower one or raise the other")]
    Crossed {
        /// The lower bound asked for.
        min: u32,
        /// The upper bound asked for.
        max: u32,
    },
    /// A service that could never serve.
    #[error("bounds.max is 0: use 1 or more; with bounds.min = 0 an idle service has no instance")]
    NoRoom,
    /// More instances than a host has addresses for.
    #[error("bounds.max is {0}: use {limit} or less", limit = Bounds::MAX_INSTANCES)]
    TooMany(u32),
}

impl Bounds {
    /// The most instances a service can be given: with spare slots beside them
    /// (see [`crate::slots`]) they still fit the host's 1,000 slots.
    pub const MAX_INSTANCES: u32 = 750;

    /// Bounds from `min` to `max`, with `0 <= min <= max <= 750` and `1 <= max`.
    ///
    /// # Errors
    /// [`BoundsError`] says which of these does not hold.
    pub fn new(min: u32, max: u32) -> Result<Self, BoundsError> {
        if min > max {
            return Err(BoundsError::Crossed { min, max });
        }
        if max == 0 {
            return Err(BoundsError::NoRoom);
        }
        if max > Self::MAX_INSTANCES {
            return Err(BoundsError::TooMany(max));
        }
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
}

/// Bounds as they are written, not yet judged.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBounds {
    min: u32,
    max: u32,
}

impl TryFrom<RawBounds> for Bounds {
    type Error = BoundsError;

    fn try_from(raw: RawBounds) -> Result<Self, BoundsError> {
        Self::new(raw.min, raw.max)
    }
}

impl From<Bounds> for RawBounds {
    fn from(bounds: Bounds) -> Self {
        Self { min: bounds.min, max: bounds.max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_cannot_hold_are_refused() {
        assert_eq!(Bounds::new(3, 2), Err(BoundsError::Crossed { min: 3, max: 2 }));
        assert_eq!(Bounds::new(0, 0), Err(BoundsError::NoRoom));
        assert!(Bounds::new(0, 1).is_ok());
        assert_eq!(Bounds::new(1, 751), Err(BoundsError::TooMany(751)));
        assert!(serde_json::from_str::<Bounds>(r#"{"min":2,"max":1}"#).is_err());
        assert!(serde_json::from_str::<Bounds>(r#"{"min":1,"max":2,"mid":1}"#).is_err());
    }
}
