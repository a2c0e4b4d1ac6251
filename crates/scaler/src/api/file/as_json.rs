//! A table of TOML as JSON, and back without a loss. What JSON has no form for (dates, times, `inf` and `nan`) is told by
//! its text in TOML, below one key: `{"$toml": "1979-05-27"}`. So is a table that has that key itself.

use std::fmt;

use model::output::harmless;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

/// The one key of what JSON has no form for.
const TEXT: &str = "$toml";

/// A table as JSON.
pub(super) fn to_json(table: toml::Table) -> Value {
    told(toml::Value::Table(table))
}

fn told(value: toml::Value) -> Value {
    match value {
        toml::Value::Table(table) if !table.contains_key(TEXT) => {
            let keys = table.into_iter().map(|(key, value)| (key, told(value)));
            Value::Object(keys.collect::<Map<_, _>>())
        }
        toml::Value::Array(items) => items.into_iter().map(told).collect(),
        toml::Value::String(text) => text.into(),
        toml::Value::Boolean(is) => is.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) if number.is_finite() => number.into(),
        value => json!({ TEXT: value.to_string() }),
    }
}

/// Whether it is a value that JSON has no form for, and no table.
pub(super) fn is_text(table: &Map<String, Value>) -> bool {
    table.contains_key(TEXT)
}

/// A table of the same in JSON. Nothing is taken for something else than it says: a key that stands there twice, a number
/// that TOML does not have and `null` are refused, each by its field.
///
/// # Errors
/// It is no JSON, or a value has no form in TOML.
pub(super) fn from_json(body: &[u8]) -> Result<toml::Table, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = Field(String::new()).deserialize(&mut json)?;
    json.end()?;
    match value {
        toml::Value::Table(table) => Ok(table),
        _ => Err(Error::custom("the file is no object: write its keys with their values")),
    }
}

/// The field that is read, by its name with the tables that it is in: `application.days[1]`; of the whole, none.
struct Field(String);

impl Field {
    fn key(&self, key: &str) -> Self {
        Self(if self.0.is_empty() { key.to_owned() } else { format!("{}.{key}", self.0) })
    }

    fn refused<E: Error>(&self, problem: impl fmt::Display) -> E {
        let name = if self.0.is_empty() { "the file" } else { &self.0 };
        E::custom(format!("{} {problem}", harmless(name)))
    }
}

impl<'de> DeserializeSeed<'de> for Field {
    type Value = toml::Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<toml::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field {
    type Value = toml::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a service's file")
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<toml::Value, E> {
        Ok(is.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<toml::Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<toml::Value, E> {
        let most = i64::MAX;
        let read = i64::try_from(number).map(toml::Value::Integer);
        read.map_err(|_| self.refused(format!("is {number}: use a whole number up to {most}")))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<toml::Value, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<toml::Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E: Error>(self) -> Result<toml::Value, E> {
        Err(self.refused("is null: leave the key out"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<toml::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(Self(format!("{}[{}]", self.0, list.len())))?
        {
            list.push(item);
        }
        Ok(toml::Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut keys: A) -> Result<toml::Value, A::Error> {
        let mut table = toml::Table::new();
        while let Some(key) = keys.next_key::<String>()? {
            let field = self.key(&key);
            if table.contains_key(&key) {
                return Err(field.refused("stands there twice: give it once"));
            }
            table.insert(key, keys.next_value_seed(field)?);
        }
        match table.get(TEXT) {
            None => Ok(toml::Value::Table(table)),
            Some(toml::Value::String(text)) if table.len() == 1 => text.parse().map_err(|_| {
                let problem = format!(
                    "has {text:?} as {TEXT}, which is no value of TOML: write it as a service's file has it, such \
                     as 1979-05-27"
                );
                self.refused(problem)
            }),
            Some(_) => Err(self.refused(format!(
                "has the key {TEXT} beside others or not as a text: {TEXT} stands alone, for a value that JSON has no \
                 form for"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of value that TOML has.
    const ALL: &str = r#"
        texts = ["", "1979-05-27", "a\nb\u0000", "{\"$toml\": 1}"]
        whole = [0, -9223372036854775808, 9223372036854775807]
        numbers = [0.1, -0.0, 1e300, 5e-324, 3.0, inf, -inf]
        dates = [1979-05-27T07:32:00Z, 1979-05-27T00:32:00.999999-07:00, 1979-05-27T07:32:00, 1979-05-27, 07:32:00.5]
        mixed = [true, { when = 2026-11-30 }, [[1, inf], []]]

        [empty]

        [own]
        "$toml" = "1979-05-27"

        [deep.own]
        "$toml" = { at = 07:32:00 }
        other = "a"
    "#;

    #[test]
    fn every_value_of_toml_comes_back_as_what_it_was() {
        let table: toml::Table = ALL.parse().unwrap();
        let json = to_json(table.clone());
        assert_eq!(json["dates"][3], json!({ "$toml": "1979-05-27" }));
        assert_eq!(json["texts"][1], "1979-05-27");
        assert_eq!(json["numbers"][5], json!({ "$toml": "inf" }));
        let back = from_json(json.to_string().as_bytes()).unwrap();
        assert_eq!(back, table);
        // Zero and what is below it are equal, and not the same.
        assert_eq!(toml::to_string(&back).unwrap(), toml::to_string(&table).unwrap());
        let nan = from_json(br#"{"a":{"$toml":"nan"}}"#).unwrap();
        assert!(nan["a"].as_float().unwrap().is_nan());
        assert_eq!(to_json(nan), json!({ "a": { "$toml": "nan" } }));
    }

    #[test]
    fn what_toml_has_no_form_for_is_refused_by_its_field() {
        for (body, told) in [
            (r#"{"a":{"b":[1,null]}}"#, "a.b[1] is null: leave the key out"),
            (r#"{"a":1,"b":{"c":1,"c":2}}"#, "b.c stands there twice"),
            (
                r#"{"a":18446744073709551615}"#,
                "a is 18446744073709551615: use a whole number up to",
            ),
            (r#"{"a":{"$toml":"1979-13-01"}}"#, "a has \"1979-13-01\" as $toml, which is no value"),
            (r#"{"a":{"$toml":"1\nb = 2"}}"#, "a has \"1\\nb = 2\" as $toml"),
            (r#"{"a":{"$toml":""}}"#, "a has \"\" as $toml"),
            (r#"{"a":{"$toml":1}}"#, "a has the key $toml beside others or not as a text"),
            (r#"{"a":{"$toml":"1","b":2}}"#, "a has the key $toml beside others"),
            (r#"{"a\u001b":{"\u009b":null}}"#, "a\\u{1b}.\\u{9b} is null"),
            ("[]", "the file is no object"),
            (r#"{"$toml":"1"}"#, "the file is no object"),
            ("null", "the file is null"),
        ] {
            let error = from_json(body.as_bytes()).unwrap_err();
            assert!(error.is_data(), "{body}: {error}");
            assert!(error.to_string().contains(told), "{body}: {error}");
        }
        let deep = "[".repeat(500);
        for body in ["", "{", "{}{}", "{\"a\":1,}", "\u{feff}{}", &deep] {
            let error = from_json(body.as_bytes()).unwrap_err();
            assert!(!error.is_data(), "{body}: {error}");
        }
        assert!(!from_json(b"\xff").unwrap_err().is_data());
    }
}
