//! Lists of tables in a policy's figures.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Reads them by their keys alone. What `serde` derives would also take `[[0, 1]]`, values in the order
/// of the fields.
pub(super) fn read<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let tables = Vec::<Table<T>>::deserialize(deserializer)?;
    Ok(tables.into_iter().map(|Table(it)| it).collect())
}

struct Table<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys(PhantomData)).map(Self)
    }
}

struct Keys<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Keys<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys with their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use crate::policies::Policy;

    #[test]
    fn a_list_in_the_place_of_a_table_is_refused_below_the_tag() {
        let read = |json: &str| serde_json::from_str::<Policy>(json).map_err(|e| e.to_string());
        let table = r#"{"kind":"steps","out":[{"past":0,"by":1}]}"#;
        assert!(read(table).is_ok());
        for list in [
            r#"{"kind":"steps","out":[[0,1,"instances"]]}"#,
            r#"{"kind":"steps","in":[[0,1,"instances"]]}"#,
            r#"{"kind":"schedule","entries":[[[],"08:00","24:00",1,3]]}"#,
        ] {
            assert!(
                read(list).is_err_and(|error| error.contains("expected keys with their values")),
                "{list}"
            );
        }
        let unknown = r#"{"kind":"steps","out":[{"past":0,"by":1,"at":2}]}"#;
        insta::assert_snapshot!(read(unknown).unwrap_err(), @"policy.out[0].at: unknown field `at`, expected one of `past`, `by`, `unit`");
    }
}
