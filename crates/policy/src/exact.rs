//! Floats that survive a text. JSON has no form for those that are infinite or no number, and a controller that is
//! decided again must go on with the very bits that the first one had.
//!
//! For fields: `#[serde(with = "crate::exact")]`.

use std::collections::VecDeque;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a value with its floats as [`Wire`].
pub(crate) fn serialize<T: Floats, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.to_wire().serialize(serializer)
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, T: Floats, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::Wire::deserialize(deserializer).map(T::of_wire)
}

/// What floats are part of.
pub(crate) trait Floats {
    /// The same as it is written.
    type Wire: Serialize + for<'de> Deserialize<'de>;

    /// As it is written.
    fn to_wire(&self) -> Self::Wire;

    /// As it was before it was written.
    fn of_wire(wire: Self::Wire) -> Self;
}

/// A float as it is written: a number, whose digits name one float alone; or, where it is none that is finite, a text
/// of its 64 bits in hex.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire(f64);

impl Serialize for Wire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else {
            serializer.collect_str(&format_args!("{:016x}", self.0.to_bits()))
        }
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WireVisitor)
    }
}

struct WireVisitor;

impl Visitor<'_> for WireVisitor {
    type Value = Wire;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or the 64 bits of a float as 16 hex digits")
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Wire, E> {
        Ok(Wire(value))
    }

    /// A whole number may be written without a point.
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Wire, E> {
        Ok(Wire(value as f64))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Wire, E> {
        Ok(Wire(value as f64))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Wire, E> {
        let bits = (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        let bits = bits.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
        Ok(Wire(f64::from_bits(bits)))
    }
}

impl Floats for f64 {
    type Wire = Wire;

    fn to_wire(&self) -> Wire {
        Wire(*self)
    }

    fn of_wire(Wire(value): Wire) -> Self {
        value
    }
}

impl<T: Floats> Floats for Option<T> {
    type Wire = Option<T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.as_ref().map(T::to_wire)
    }

    fn of_wire(wire: Self::Wire) -> Self {
        wire.map(T::of_wire)
    }
}

impl<T: Floats> Floats for Vec<T> {
    type Wire = Vec<T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.iter().map(T::to_wire).collect()
    }

    fn of_wire(wire: Self::Wire) -> Self {
        wire.into_iter().map(T::of_wire).collect()
    }
}

impl<T: Floats> Floats for VecDeque<T> {
    type Wire = VecDeque<T::Wire>;

    fn to_wire(&self) -> Self::Wire {
        self.iter().map(T::to_wire).collect()
    }

    fn of_wire(wire: Self::Wire) -> Self {
        wire.into_iter().map(T::of_wire).collect()
    }
}

impl Floats for [f64; 3] {
    type Wire = [Wire; 3];

    fn to_wire(&self) -> Self::Wire {
        self.map(Wire)
    }

    fn of_wire(wire: Self::Wire) -> Self {
        wire.map(f64::of_wire)
    }
}

/// A place with two figures.
impl Floats for (usize, f64, f64) {
    type Wire = (usize, Wire, Wire);

    fn to_wire(&self) -> Self::Wire {
        (self.0, Wire(self.1), Wire(self.2))
    }

    fn of_wire((place, first, second): Self::Wire) -> Self {
        (place, first.0, second.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Held {
        #[serde(with = "crate::exact")]
        figure: f64,
        #[serde(with = "crate::exact")]
        figures: VecDeque<Option<f64>>,
    }

    fn there_and_back(figure: f64) -> Held {
        let held = Held { figure, figures: [Some(figure), None].into() };
        let text = serde_json::to_string(&held).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn same_bits(figure: f64) {
        let back = there_and_back(figure);
        assert_eq!(back.figure.to_bits(), figure.to_bits(), "{figure:?}");
        let figures: Vec<_> = back.figures.iter().map(|it| it.map(f64::to_bits)).collect();
        assert_eq!(figures, [Some(figure.to_bits()), None], "{figure:?}");
    }

    /// The first is read one bit wrong by a parser that takes the quick way, as `serde_json` does unless it is told.
    #[test]
    fn awkward_floats_come_back_with_all_their_bits() {
        let odd_nan = f64::from_bits(0xfff8_0000_0000_0001);
        for figure in [
            f64::from_bits(1_093_309_591_870_548_587),
            51.248_178_685_734_22,
            0.1 + 0.2,
            f64::MIN_POSITIVE / 3.0,
            f64::from_bits(1),
            f64::MAX,
            -0.0,
            9_007_199_254_740_993.0,
            1e22,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            odd_nan,
        ] {
            same_bits(figure);
        }
    }

    proptest! {
        #[test]
        fn all_floats_come_back_with_all_their_bits(bits: u64) {
            same_bits(f64::from_bits(bits));
        }
    }

    #[test]
    fn a_text_that_is_no_float_is_refused() {
        for text in [r#""nan""#, r#""7ff000000000000""#, "true", "[]"] {
            assert!(serde_json::from_str::<Wire>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Wire>("3").unwrap().0.to_bits(), 3.0_f64.to_bits());
    }
}
