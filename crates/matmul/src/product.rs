//! The work of a request: the product of two random matrices.

use std::time::{Duration, Instant};

use ndarray::Array2;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

/// The largest `n` there may be: three matrices of 5,000 x 5,000 numbers take 600 MB.
pub const N_MAX: usize = 5000;

/// The elements of both factors are below this, and whole: with `n` up to [`N_MAX`] every element of the product
/// is at most 49,005,000 and their sum below 2^53, so that all of it is exact in an `f64`, and the sum the same
/// on every processor, in whatever order it adds.
const ELEMENT_END: u32 = 100;

/// A product, without its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// The sum of its elements.
    pub checksum: u64,
    /// How long the multiplication took, without the making of its factors.
    pub took: Duration,
}

/// Multiplies two matrices of `n` x `n` numbers, which follow from the seed.
pub fn multiply(n: usize, seed: u64) -> Product {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut factor =
        || Array2::from_shape_simple_fn((n, n), || f64::from(rng.random_range(0..ELEMENT_END)));
    let (left, right) = (factor(), factor());
    let begun = Instant::now();
    let product = left.dot(&right);
    let took = begun.elapsed();
    // Whole, not negative, and below 2^53.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let checksum = product.sum() as u64;
    Product { checksum, took }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of a product's elements is that of the sums of the left factor's columns times those of the right
    /// one's rows, which takes no product.
    fn expected(n: usize, seed: u64) -> u64 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut number = || u64::from(rng.random_range(0..ELEMENT_END));
        let left: Vec<u64> = (0..n * n).map(|_| number()).collect();
        let right: Vec<u64> = (0..n * n).map(|_| number()).collect();
        let column = |k: usize| left.iter().skip(k).step_by(n).sum::<u64>();
        let row = |k: usize| right[k * n..(k + 1) * n].iter().sum::<u64>();
        (0..n).map(|k| column(k) * row(k)).sum()
    }

    #[test]
    fn the_checksum_is_that_of_the_product() {
        for (n, seed) in [(1, 0), (2, 1), (3, 2), (64, 3), (129, u64::MAX)] {
            assert_eq!(multiply(n, seed).checksum, expected(n, seed), "{n} {seed}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_product_on_every_machine() {
        insta::assert_snapshot!(multiply(100, 42).checksum, @"2466159217");
        assert_ne!(multiply(100, 43).checksum, multiply(100, 42).checksum);
    }

    #[test]
    fn every_checksum_there_can_be_is_exact() {
        let element = u64::from(ELEMENT_END - 1);
        let n = N_MAX as u64;
        assert!(element * element * n * n * n < 1 << 53);
    }
}
