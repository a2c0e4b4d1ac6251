//! Lists of tables in a policy's figures.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};

/// Reads them by their keys alone. What `serde` derives would also take `[[0, 1]]`, values in the order
/// of the fields; and below the tag of an enum, a policy's `kind`, nothing around it can tell.
pub(super) fn read<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let tables = Vec::<toml::Table>::deserialize(deserializer)?;
    tables.into_iter().map(|table| table.try_into().map_err(D::Error::custom)).collect()
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
            assert!(read(list).is_err_and(|error| error.contains("expected a map")), "{list}");
        }
        let unknown = r#"{"kind":"steps","out":[{"past":0,"by":1,"at":2}]}"#;
        insta::assert_snapshot!(read(unknown).unwrap_err(), @"unknown field `at`, expected one of `past`, `by`, `unit`");
    }
}
