//! Which request a due arrival is: its operation, its key and its size.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal, Zipf};

use crate::scenario::{Keys, Mix, Scenario, Sizes};

/// The number of an object among the scenario's keys, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIndex(pub u32);

/// One request to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Read an object.
    Get(KeyIndex),
    /// Store an object.
    Put {
        /// Which one.
        key: KeyIndex,
        /// Size of the body.
        bytes: u32,
    },
    /// Remove an object.
    Delete(KeyIndex),
}

/// Draws operations for ever, the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct OperationSource {
    rng: Xoshiro256PlusPlus,
    mix: Mix,
    keys: u32,
    zipf: Option<Zipf<f64>>,
    sizes: SizeSource,
}

#[derive(Debug, Clone)]
enum SizeSource {
    Fixed(u32),
    Uniform { min: u32, max: u32 },
    Lognormal { log: LogNormal<f64>, min: u32, max: u32 },
}

impl OperationSource {
    /// The operations of a scenario. Their stream is apart from the arrivals' one, so that another
    /// mix leaves the due times as they are.
    pub fn new(scenario: &Scenario) -> Self {
        Self::seeded(scenario, scenario.seed)
    }

    /// Other operations of the same scenario.
    pub(crate) fn seeded(scenario: &Scenario, seed: u64) -> Self {
        let Keys { count, zipf_exponent } = scenario.keys;
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6f70_6572_6174_696f),
            mix: scenario.mix,
            keys: count,
            // The format's bounds (count at least 1, exponent at least 0) are all that Zipf asks.
            zipf: Zipf::new(f64::from(count), zipf_exponent).ok(),
            sizes: SizeSource::new(scenario.sizes),
        }
    }

    /// A size for a body, in bytes.
    pub fn size(&mut self) -> u32 {
        match &self.sizes {
            SizeSource::Fixed(bytes) => *bytes,
            SizeSource::Uniform { min, max } => self.rng.random_range(*min..=*max),
            SizeSource::Lognormal { log, min, max } => {
                whole(log.sample(&mut self.rng)).clamp(*min, *max)
            }
        }
    }

    fn key(&mut self) -> KeyIndex {
        let rank = self.zipf.map_or(1.0, |z| z.sample(&mut self.rng));
        KeyIndex((whole(rank).saturating_sub(1)).min(self.keys - 1))
    }
}

impl Iterator for OperationSource {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        let Mix { get, put, delete } = self.mix;
        let drawn = self.rng.random_range(0..get + put + delete);
        let key = self.key();
        Some(if drawn < get {
            Operation::Get(key)
        } else if drawn < get + put {
            Operation::Put { key, bytes: self.size() }
        } else {
            Operation::Delete(key)
        })
    }
}

impl SizeSource {
    fn new(sizes: Sizes) -> Self {
        match sizes {
            Sizes::Fixed { bytes } => Self::Fixed(bytes),
            Sizes::Uniform { min, max } => Self::Uniform { min, max },
            Sizes::Lognormal { median, sigma, min, max } => {
                match LogNormal::new(f64::from(median).ln(), sigma) {
                    Ok(log) => Self::Lognormal { log, min, max },
                    // A spread that is no number is refused by the format.
                    Err(_) => Self::Fixed(median),
                }
            }
        }
    }
}

/// The whole part of a number; a float's cast saturates, so none is out of range.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: f64) -> u32 {
    value as u32
}
