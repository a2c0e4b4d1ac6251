//! From loads to whole instances.

/// Slack that absorbs binary rounding: 400 requests/s at 50 an instance and 80% are 10 instances,
/// also where the quotient comes out as 10.000000000000002.
const ROUNDING_SLACK: f64 = 1e-9;

/// The next whole number from `value` on, cut to the range of `u32`; not a number counts as 0.
pub(crate) fn ceil(value: f64) -> u32 {
    cut((value - ROUNDING_SLACK).ceil())
}

/// The last whole number up to `value`, cut to the range of `u32`; not a number counts as 0.
pub(crate) fn floor(value: f64) -> u32 {
    cut((value + ROUNDING_SLACK).floor())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-integer cast saturates, which is what is wanted"
)]
fn cut(whole: f64) -> u32 {
    whole as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_and_absurd_ones_are_cut() {
        let near = 10.0 + 2e-15;
        assert_eq!([ceil(near), ceil(10.1), ceil(0.0), ceil(-3.0)], [10, 11, 0, 0]);
        assert_eq!([floor(9.999_999_999_9), floor(9.9), floor(-0.5)], [10, 9, 0]);
        assert_eq!(
            [ceil(f64::NAN), ceil(f64::INFINITY), floor(f64::INFINITY)],
            [0, u32::MAX, u32::MAX]
        );
    }
}
