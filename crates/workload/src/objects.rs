//! Operations on the objects that a service stores: which object, and how large it is.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal, Zipf};
use serde::Deserialize;

/// The objects that a scenario reads and writes: how often each operation is chosen, on which of
/// them, and how large the bodies are.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objects {
    /// Weight of reads, relative to the two others; at least one of the three is above 0.
    pub get: u32,
    /// Weight of writes.
    pub put: u32,
    /// Weight of removals.
    pub delete: u32,
    /// How many objects are in use.
    pub count: u32,
    /// Object `k` is chosen with a weight of `1 / (k + 1)^zipf_exponent`: 0 chooses uniformly;
    /// around 1 is what web traffic looks like.
    pub zipf_exponent: f64,
    /// How large the bodies are.
    pub size: Sizes,
}

impl Default for Objects {
    fn default() -> Self {
        let size = Sizes::Fixed { bytes: 1_024 };
        Self { get: 1, put: 0, delete: 0, count: 100, zipf_exponent: 0.0, size }
    }
}

/// Sizes of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sizes {
    /// All the same.
    Fixed {
        /// The size.
        bytes: u32,
    },
    /// Every size from `min_bytes` to `max_bytes` is as likely.
    Uniform {
        /// Smallest size.
        min_bytes: u32,
        /// Largest size.
        max_bytes: u32,
    },
    /// Many small and a few large ones, clamped to `min_bytes..=max_bytes`.
    Lognormal {
        /// Half of the sizes lie below.
        median_bytes: u32,
        /// Standard deviation of the size's natural logarithm.
        sigma: f64,
        /// Smallest size.
        min_bytes: u32,
        /// Largest size.
        max_bytes: u32,
    },
}

/// The number of an object among the scenario's keys, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIndex(pub u32);

/// What to do with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectOperation {
    /// Read it.
    Get(KeyIndex),
    /// Store it.
    Put {
        /// Which one.
        key: KeyIndex,
        /// Size of the body.
        bytes: u32,
    },
    /// Remove it.
    Delete(KeyIndex),
}

/// Draws operations on objects for ever, the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct ObjectSource {
    rng: Xoshiro256PlusPlus,
    objects: Objects,
    zipf: Option<Zipf<f64>>,
    /// Of sizes that are log-normal.
    lognormal: Option<LogNormal<f64>>,
}

impl ObjectOperation {
    /// The object that it is about.
    pub fn key(self) -> KeyIndex {
        match self {
            Self::Get(key) | Self::Put { key, .. } | Self::Delete(key) => key,
        }
    }
}

impl ObjectSource {
    /// The operations that follow from `seed`.
    pub fn new(objects: &Objects, seed: u64) -> Self {
        let lognormal = match objects.size {
            Sizes::Lognormal { median_bytes, sigma, .. } => {
                LogNormal::new(f64::from(median_bytes).ln(), sigma).ok()
            }
            Sizes::Fixed { .. } | Sizes::Uniform { .. } => None,
        };
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            objects: *objects,
            // The format's bounds (count at least 1, exponent at least 0) are all that Zipf asks.
            zipf: Zipf::new(f64::from(objects.count), objects.zipf_exponent).ok(),
            lognormal,
        }
    }

    /// A size for a body, in bytes.
    pub fn size(&mut self) -> u32 {
        match self.objects.size {
            Sizes::Fixed { bytes } => bytes,
            Sizes::Uniform { min_bytes, max_bytes } => self.rng.random_range(min_bytes..=max_bytes),
            Sizes::Lognormal { median_bytes, min_bytes, max_bytes, .. } => {
                // A spread that is no number is refused by the format.
                let drawn = self.lognormal.map(|log| whole(log.sample(&mut self.rng)));
                drawn.unwrap_or(median_bytes).clamp(min_bytes, max_bytes)
            }
        }
    }

    /// The next operation.
    pub fn draw(&mut self) -> ObjectOperation {
        let Objects { get, put, delete, .. } = self.objects;
        let drawn = self.rng.random_range(0..get + put + delete);
        let key = self.key();
        if drawn < get {
            ObjectOperation::Get(key)
        } else if drawn < get + put {
            ObjectOperation::Put { key, bytes: self.size() }
        } else {
            ObjectOperation::Delete(key)
        }
    }

    fn key(&mut self) -> KeyIndex {
        let rank = self.zipf.map_or(1.0, |z| z.sample(&mut self.rng));
        KeyIndex((whole(rank).saturating_sub(1)).min(self.objects.count - 1))
    }
}

/// The whole part of a number; a float's cast saturates, so none is out of range.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: f64) -> u32 {
    value as u32
}
