//! Numbers of a command line: digits, as everybody writes them. Rust's own reading takes a sign before them, and of
//! fractions words such as `inf`.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// A text that is no number, or none that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use {0}")]
pub struct NumberError(String);

/// A whole number.
///
/// # Errors
/// Something else than digits, or more of them than the number holds.
pub fn whole<T: FromStr>(text: &str) -> Result<T, NumberError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    number.ok_or_else(|| NumberError("a whole number, without a sign".to_owned()))
}

/// A whole number within a range.
///
/// # Errors
/// From the function: something else, or a number out of the range.
pub fn within(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, NumberError> + Clone + Send + Sync + 'static {
    move |text| {
        let number = whole(text).ok().filter(|number| range.contains(number));
        number.ok_or_else(|| NumberError(format!("{} to {}", range.start(), range.end())))
    }
}

/// A number with or without a fraction.
///
/// # Errors
/// Something else than digits with a point.
pub fn fraction(text: &str) -> Result<f64, NumberError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = text.parse().ok().filter(|_| is_plain);
    number.ok_or_else(|| NumberError("a number such as 0.5, without a sign".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_nothing_before_or_after_them() {
        assert_eq!([whole("0"), whole("42"), whole("007")], [Ok(0_u32), Ok(42), Ok(7)]);
        assert_eq!([within(1..=9)("9"), fraction("0.25").map(|_| 1)], [Ok(9), Ok(1)]);
        for text in ["", "+3", "-3", " 3", "3 ", "3_0", "0x3", "1e3", "4294967296", "٣"] {
            assert!(whole::<u32>(text).is_err() && within(0..=9)(text).is_err(), "{text:?}");
        }
        for text in ["", ".", "+0.5", "-0.5", "1e3", "inf", "NaN"] {
            assert!(fraction(text).is_err(), "{text:?}");
        }
        let told = [
            within(1..=9)("0").unwrap_err().to_string(),
            whole::<u8>("+3").unwrap_err().to_string(),
        ];
        assert_eq!(told, ["use 1 to 9", "use a whole number, without a sign"]);
    }
}
