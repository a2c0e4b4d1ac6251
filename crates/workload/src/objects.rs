//! Operations on the objects that a service stores: which object, and how large it is.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal, Zipf};

/// The objects that a scenario reads and writes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objects {
    /// How often each operation is chosen.
    pub mix: Mix,
    /// Which objects are used.
    pub keys: Keys,
    /// How large the bodies are.
    pub sizes: Sizes,
}

/// Relative weights of the operations; at least one is above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Weight of reads.
    pub get: u32,
    /// Weight of writes.
    pub put: u32,
    /// Weight of removals.
    pub delete: u32,
}

/// The objects in use: key `k` is chosen with a weight of `1 / (k + 1)^zipf_exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keys {
    /// How many there are.
    pub count: u32,
    /// 0 chooses uniformly; around 1 is what web traffic looks like.
    pub zipf_exponent: f64,
}

/// Sizes of bodies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sizes {
    /// All the same.
    Fixed {
        /// The size.
        bytes: u32,
    },
    /// Every size from `min` to `max` is as likely.
    Uniform {
        /// Smallest size.
        min: u32,
        /// Largest size.
        max: u32,
    },
    /// Many small and a few large ones, clamped to `min..=max`.
    Lognormal {
        /// Half of the sizes lie below.
        median: u32,
        /// Standard deviation of the size's natural logarithm.
        sigma: f64,
        /// Smallest size.
        min: u32,
        /// Largest size.
        max: u32,
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
        let Keys { count, zipf_exponent } = objects.keys;
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            mix: objects.mix,
            keys: count,
            // The format's bounds (count at least 1, exponent at least 0) are all that Zipf asks.
            zipf: Zipf::new(f64::from(count), zipf_exponent).ok(),
            sizes: SizeSource::new(objects.sizes),
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

    /// The next operation.
    pub fn draw(&mut self) -> ObjectOperation {
        let Mix { get, put, delete } = self.mix;
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
        KeyIndex((whole(rank).saturating_sub(1)).min(self.keys - 1))
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
