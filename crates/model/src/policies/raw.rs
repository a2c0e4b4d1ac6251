//! One policy as it is written: its kind, and its figures by their names. So whatever cannot be read is told with the name
//! of its figure, which `serde` forgets where it reads the fields of an enum with a tag.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::{Policy, PolicyKind};
use crate::value::Invalid;

/// A policy before its figures are read.
#[derive(Debug, Clone)]
pub(super) struct RawPolicy {
    kind: PolicyKind,
    figures: Figures,
}

#[derive(Debug, Clone, Default)]
struct Figures(BTreeMap<String, Figure>);

/// What is given for a figure; `None` is the `null` of JSON.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
struct Figure(Option<toml::Value>);

impl TryFrom<RawPolicy> for Policy {
    type Error = Invalid;

    fn try_from(RawPolicy { kind, figures }: RawPolicy) -> Result<Self, Invalid> {
        Ok(match kind {
            PolicyKind::TargetTracking => Self::TargetTracking(figures.read()?),
            PolicyKind::Threshold => Self::Threshold(figures.read()?),
            PolicyKind::Ratio => Self::Ratio(figures.read()?),
            PolicyKind::Steps => Self::Steps(figures.read()?),
            PolicyKind::Concurrency => Self::Concurrency(figures.read()?),
            PolicyKind::Hpa => Self::Hpa(figures.read()?),
            PolicyKind::QueueDepth => Self::QueueDepth(figures.read()?),
            PolicyKind::Utilization => Self::Utilization(figures.read()?),
            PolicyKind::Predictive => Self::Predictive(figures.read()?),
            PolicyKind::Schedule => Self::Schedule(figures.read()?),
            PolicyKind::React => Self::React(figures.read()?),
            PolicyKind::Adapt => Self::Adapt(figures.read()?),
            PolicyKind::Hist => Self::Hist(figures.read()?),
            PolicyKind::Reg => Self::Reg(figures.read()?),
            PolicyKind::Conpaas => Self::Conpaas(figures.read()?),
        })
    }
}

impl Figures {
    fn read<T: DeserializeOwned>(self) -> Result<T, Invalid> {
        let figures = MapDeserializer::<_, toml::de::Error>::new(self.0.into_iter());
        serde_path_to_error::deserialize(figures).map_err(|error| {
            Invalid::form(format!("policy.{}", error.path()), &error.inner().message())
        })
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawPolicy::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for RawPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByName)
    }
}

struct ByName;

impl<'de> Visitor<'de> for ByName {
    type Value = RawPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys with their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawPolicy, A::Error> {
        let (mut kind, mut figures) = (None, Figures::default());
        while let Some(name) = map.next_key::<String>()? {
            let is_twice = match name.as_str() {
                "kind" => kind.replace(map.next_value()?).is_some(),
                _ => figures.0.insert(name.clone(), map.next_value()?).is_some(),
            };
            if is_twice {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        Ok(RawPolicy { kind, figures })
    }
}

impl IntoDeserializer<'_, toml::de::Error> for Figure {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Figure {
    type Error = toml::de::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Some(value) => value.deserialize_any(visitor),
            None => visitor.visit_unit(),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Some(value) => visitor.visit_some(value),
            None => visitor.visit_none(),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Some(value) => value.deserialize_enum(name, variants, visitor),
            None => visitor.visit_unit(),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        serde_json::from_str::<Policy>(json).unwrap_err().to_string()
    }

    #[test]
    fn a_figure_of_another_type_is_named_wherever_it_stands() {
        for (json, told) in [
            (
                r#"{"target_percent":"x","kind":"hpa"}"#,
                "policy.target_percent: invalid type: string \"x\", expected f64",
            ),
            (
                r#"{"kind":"hpa","out_count":1.5}"#,
                "policy.out_count: invalid type: floating point `1.5`, expected u32",
            ),
            (
                r#"{"kind":"hpa","out_count":null}"#,
                "policy.out_count: invalid type: unit value, expected u32",
            ),
            (
                r#"{"kind":"hpa","out_count":-1}"#,
                "policy.out_count: invalid value: integer `-1`, expected u32",
            ),
            (
                r#"{"kind":"hpa","measure":null}"#,
                "policy.measure: invalid type: unit value, expected",
            ),
            (
                r#"{"kind":"hpa","measure":"x"}"#,
                "policy.measure: unknown variant `x`, expected one of",
            ),
            (
                r#"{"kind":"hpa","sink_ms":5}"#,
                "policy.sink_ms: unknown field `sink_ms`, expected one of",
            ),
            (r#"{"kind":"hpa","sync_ms":5,"sync_ms":5}"#, "duplicate field `sync_ms`"),
            (r#"{"kind":"hpa","kind":"hpa"}"#, "duplicate field `kind`"),
            (
                r#"{"kind":"steps","out":[{"past":0,"by":1},{"past":1,"by":"x"}]}"#,
                "policy.out[1].by: invalid type",
            ),
            (r#"{"kind":"steps","out":[{"past":0}]}"#, "policy.out[0]: missing field `by`"),
            (
                r#"{"kind":"schedule","entries":[{"days":["mon","xmas"]}]}"#,
                "policy.entries[0].days[1]: unknown variant",
            ),
        ] {
            let error = refused(json);
            assert!(error.starts_with(told), "{json}: {error}");
        }
    }

    #[test]
    fn null_is_a_figure_that_is_not_given() {
        let json = r#"{"kind":"predictive","start_up_ms":null}"#;
        let read = serde_json::from_str::<Policy>(json).unwrap();
        assert_eq!(read, PolicyKind::Predictive.defaults());
    }
}
