//! The key `egress`: `"any"`, or a list of hosts with their ports.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Unexpected, Visitor};

use crate::egress::Egress;
use crate::value::{Invalid, check};

/// What `"any"` alone stands for: a list of it.
const ANY: &str = "any";

/// The most entries: each is compared with every request of an instance.
const ENTRIES_MAX: usize = 256;

/// The key as it is written.
#[derive(Debug, Default)]
pub(super) struct RawEgress(Vec<String>);

impl RawEgress {
    pub(super) fn checked(self) -> Result<Egress, Invalid> {
        let Self(entries) = self;
        let count = format!("a list of {} entries", entries.len());
        check(entries.len() <= ENTRIES_MAX, "egress", count, format!("{ENTRIES_MAX} at most"))?;
        let parse = |(index, entry): (usize, &String)| {
            entry.parse().map_err(|error| Invalid::form(format!("egress[{index}]"), &error))
        };
        entries.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Egress::new)
    }
}

impl<'de> Deserialize<'de> for RawEgress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyOrList)
    }
}

struct AnyOrList;

impl<'de> Visitor<'de> for AnyOrList {
    type Value = RawEgress;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"any\", or a list of hosts with their ports such as [\"example.org:443\"]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawEgress, E> {
        match text {
            ANY => Ok(RawEgress(vec![ANY.to_owned()])),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawEgress, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(RawEgress(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};

    fn entries(line: &str) -> Result<Vec<String>, String> {
        let spec = parse(&GOOD.replacen("[route]", &format!("{line}\n[route]"), 1))?;
        Ok(spec.egress.destinations().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_service_reaches_what_its_file_names_and_nothing_without() {
        assert!(parse(GOOD).unwrap().egress.is_none());
        assert_eq!(entries("egress = []").unwrap(), Vec::<String>::new());
        assert_eq!(entries("egress = \"any\"").unwrap(), ["any"]);
        let list = r#"egress = ["PyPI.org:443", "*.pythonhosted.org:443", "10.0.0.5:5432", "any"]"#;
        let read = ["pypi.org:443", "*.pythonhosted.org:443", "10.0.0.5:5432", "any"];
        assert_eq!(entries(list).unwrap(), read);
    }

    #[test]
    fn a_bad_entry_is_named_with_its_place_and_what_is_allowed() {
        for (line, told) in [
            ("egress = \"all\"", "invalid value: string \"all\", expected \"any\", or a list"),
            ("egress = 443", "invalid type: integer `443`, expected \"any\", or a list"),
            ("egress = [443]", "invalid type: integer `443`, expected a string"),
            ("egress = [\"a.b:1\", \"pypi.org\"]", "egress[1]: `pypi.org` has no port: add one"),
            ("egress = [\"*:443\"]", "egress[0]: `*` is not the name of a host"),
            ("egress = [\"169.254.169.254:80\"]", "egress[0]: 169.254.169.254 is an address that"),
            ("egress = [\"localhost:80\"]", "egress[0]: `localhost` is not the name of a host"),
        ] {
            let error = entries(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
        let long = format!("egress = [{}]", "\"a.b:1\",".repeat(257));
        let error = entries(&long).unwrap_err();
        assert!(error.contains("egress is a list of 257 entries: use 256 at most"), "{error}");
    }
}
