//! The policies of one service, as a service's file and the API have them: one table, or a list of
//! tables.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw::RawPolicy;
use super::{Policy, PolicyKind, TargetTracking, Utilization};
use crate::value::{Checked, Invalid, check};

/// One or more policies with figures that hold. The highest wins out, all must agree in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "RawPolicies")]
pub struct PolicySpec(Vec<Policy>);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for PolicySpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policies".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<Policy>();
        let many = schemars::json_schema!({
            "type": "array", "items": one, "minItems": 1, "maxItems": Self::MOST,
        });
        schemars::json_schema!({ "anyOf": [one, many] })
    }
}

impl PolicySpec {
    /// The most policies of one service.
    pub const MOST: usize = 8;

    /// These policies together.
    ///
    /// # Errors
    /// There are none or more than 8, or a figure of one of them does not hold.
    pub fn new(policies: Vec<Policy>) -> Result<Self, Invalid> {
        let count = policies.len();
        let fits = (1..=Self::MOST).contains(&count);
        check(fits, "policy", format!("a list of {count}"), "1 to 8 policies")?;
        for (index, policy) in policies.iter().enumerate() {
            policy.check().map_err(|error| of_several(count, index, error))?;
        }
        Ok(Self(policies))
    }

    /// The text of a policy's own file: one policy's keys alone, or a list of `[[policy]]` tables.
    ///
    /// # Errors
    /// A figure has no form in TOML, whose integers end at 2^63. None that holds is as large.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        match self.0.as_slice() {
            [one] => toml::to_string(one),
            _ => toml::to_string(&PolicyFile { policy: self.clone() }),
        }
    }

    /// The policy of a service of which nobody has said what an instance serves: [`Utilization`].
    pub fn without_a_figure() -> Self {
        Self(vec![Policy::Utilization(Utilization::default())])
    }

    /// The policies, in the order of the file.
    pub fn policies(&self) -> &[Policy] {
        &self.0
    }
}

impl Default for PolicySpec {
    /// Target tracking at 80%.
    fn default() -> Self {
        Self(vec![Policy::TargetTracking(TargetTracking::default())])
    }
}

impl From<PolicyKind> for PolicySpec {
    /// The policy alone, with its default figures, which hold.
    fn from(kind: PolicyKind) -> Self {
        Self(vec![kind.defaults()])
    }
}

impl fmt::Display for PolicySpec {
    /// The names of the policies, joined by `+`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, policy) in self.0.iter().enumerate() {
            let joint = if i == 0 { "" } else { "+" };
            write!(f, "{joint}{}", policy.kind())?;
        }
        Ok(())
    }
}

impl Checked for PolicySpec {
    type Raw = RawPolicies;

    /// Checks the keys of one policy alone, which stand at the top level of their file.
    fn from_raw(raw: RawPolicies) -> Result<Self, Invalid> {
        let at_top_level = |key: &str| key.strip_prefix("policy.").unwrap_or(key).to_owned();
        Self::try_from(raw).map_err(|error| error.with_keys(at_top_level))
    }
}

/// A policy's own file with the tables of a service's file: `[policy]` or `[[policy]]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyFile {
    /// What the file holds.
    pub policy: PolicySpec,
}

/// [`PolicyFile`] as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPolicyFile {
    policy: RawPolicies,
}

impl Checked for PolicyFile {
    type Raw = RawPolicyFile;

    fn from_raw(raw: RawPolicyFile) -> Result<Self, Invalid> {
        Ok(Self { policy: raw.policy.try_into()? })
    }
}

/// What is wrong with one of several policies has its place.
fn of_several(count: usize, index: usize, error: Invalid) -> Invalid {
    if count > 1 { error.of_item("policy", index) } else { error }
}

/// Policies as they are written, before their figures are read and checked.
#[derive(Debug, Clone)]
pub struct RawPolicies(Vec<RawPolicy>);

impl TryFrom<RawPolicies> for PolicySpec {
    type Error = Invalid;

    fn try_from(raw: RawPolicies) -> Result<Self, Invalid> {
        let count = raw.0.len();
        let read = |(index, one): (usize, RawPolicy)| {
            Policy::try_from(one).map_err(|error| of_several(count, index, error))
        };
        Self::new(raw.0.into_iter().enumerate().map(read).collect::<Result<_, _>>()?)
    }
}

impl Serialize for PolicySpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RawPolicies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Takes a table or a list of tables. An untagged enum would do the same and lose the errors.
struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = RawPolicies;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy or a list of policies")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawPolicies, A::Error> {
        RawPolicy::deserialize(MapAccessDeserializer::new(map)).map(|one| RawPolicies(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawPolicies, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(RawPolicies)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn file(text: &str) -> Result<PolicySpec, String> {
        let raw: RawPolicyFile = toml::from_str(text).map_err(|error| error.to_string())?;
        PolicyFile::from_raw(raw).map(|file| file.policy).map_err(|error| error.to_string())
    }

    fn alone(text: &str) -> Result<PolicySpec, String> {
        let raw: RawPolicies = toml::from_str(text).map_err(|error| error.to_string())?;
        PolicySpec::from_raw(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn one_policy_is_a_table_and_several_are_a_list() {
        let one = file("[policy]\nkind = \"hpa\"\nsync_ms = 5000").unwrap();
        assert_eq!(one.to_string(), "hpa");
        let two = "[[policy]]\nkind = \"predictive\"\n[[policy]]\nkind = \"schedule\"";
        assert_eq!(file(two).unwrap().to_string(), "predictive+schedule");
        assert!(file("policy = []").unwrap_err().contains("policy is a list of 0: use 1 to 8"));
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for kind in PolicyKind::all() {
            let spec = PolicySpec::from(kind);
            is_read_back(&spec);
            assert_eq!(kind.name().parse(), Ok(kind));
            let text = serde_json::to_string(&spec).unwrap();
            assert!(text.contains(&format!("\"kind\":\"{kind}\"")), "{text}");
        }
        let entries = "[[policy.entries]]\nfrom = \"08:00\"\nto = \"24:00\"\nmin = 1\nmax = 3";
        let text =
            format!("[[policy]]\nkind = \"hpa\"\n[[policy]]\nkind = \"schedule\"\n{entries}");
        is_read_back(&file(&text).unwrap());
    }

    #[test]
    fn unknown_keys_and_wrong_figures_are_named() {
        let error = file("[policy]\nkind = \"hpa\"\nsink_ms = 5000").unwrap_err();
        assert!(error.contains("unknown field `sink_ms`, expected one of `measure`"), "{error}");
        let error = file("[policy]\nkind = \"hpa\"\nin_percent = 101").unwrap_err();
        assert!(error.contains("policy.in_percent is 101: use 0 to 100 (percent of"), "{error}");
        let crossed = "[policy]\nkind = \"threshold\"\nlower_percent = 80\nupper_percent = 70";
        assert!(
            file(crossed).unwrap_err().contains(
                "policy.lower_percent is 80, not below policy.upper_percent, 70: lower one"
            )
        );
        let error = file("policy = 5").unwrap_err();
        assert!(error.contains("expected a policy or a list of policies"), "{error}");
        let error = file("[policy]\nkind = \"hpa\"\n[bounds]\nmin = 1").unwrap_err();
        assert!(error.contains("unknown field `bounds`, expected `policy`"), "{error}");
    }

    #[test]
    fn a_file_may_hold_the_keys_of_one_policy_alone() {
        let keys = "kind = \"hpa\"\ntarget_percent = 70";
        assert_eq!(alone(keys), file(&format!("[policy]\n{keys}")));
        for (text, told) in [
            ("", "missing field `kind`"),
            ("kind = \"magic\"", "unknown variant `magic`, expected one of `target_tracking`"),
            ("kind = \"hpa\"\nsink_ms = 5", "unknown field `sink_ms`"),
            ("kind = \"hpa\"\nin_percent = 101", "in_percent is 101: use 0 to 100"),
        ] {
            let error = alone(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_wrong_figure_in_a_list_is_named_with_its_place() {
        let second = |figures: &str| {
            file(&format!("[[policy]]\nkind = \"hpa\"\n[[policy]]\n{figures}")).unwrap_err()
        };
        assert_eq!(
            second("kind = \"target_tracking\"\ntarget_percent = 200"),
            "policy[1].target_percent is 200: use 1 to 100 (percent of an instance's capacity)"
        );
        assert_eq!(
            second("kind = \"threshold\"\nlower_percent = 80\nupper_percent = 70"),
            "policy[1].lower_percent is 80, not below policy[1].upper_percent, 70: lower \
             one or raise the other"
        );
        let entries = "entries = [{ from = \"08:00\", to = \"24:00\", min = 1, max = 3 },\n\
             { from = \"8:00\", to = \"24:00\", min = 1, max = 3 }]";
        assert_eq!(
            second(&format!("kind = \"schedule\"\n{entries}")),
            "policy[1].entries[1].from is 8:00: use a time of day from 00:00 to 23:59"
        );
    }

    /// The policy with every number multiplied, to whole numbers and quarters: JSON and TOML say
    /// these exactly.
    fn scaled(kind: PolicyKind, factors: &[f64]) -> Value {
        let mut value = serde_json::to_value(kind.defaults()).unwrap();
        let numbers = value.as_object_mut().unwrap().values_mut().filter(|v| v.is_number());
        for (number, factor) in numbers.zip(factors.iter().cycle()) {
            let product = number.as_f64().unwrap() * factor;
            *number = if number.is_f64() {
                json!((product * 4.0).round() / 4.0)
            } else {
                product.round().to_string().parse().unwrap()
            };
        }
        value
    }

    fn is_read_back(spec: &PolicySpec) {
        let (json, toml) = (serde_json::to_string(spec).unwrap(), spec.to_toml().unwrap());
        assert_eq!(serde_json::from_str::<PolicySpec>(&json).unwrap(), *spec, "{json}");
        let read = match spec.policies() {
            [_] => alone(&toml),
            _ => file(&toml),
        };
        assert_eq!(read.unwrap(), *spec, "{toml}");
    }

    proptest! {
        #[test]
        fn any_figures_that_hold_are_read_back_the_same(
            kinds in prop::collection::vec(prop::sample::select(PolicyKind::all().collect::<Vec<_>>()), 1..=8),
            factors in prop::collection::vec(0.5..2.0, 16),
        ) {
            let written: Vec<Value> = kinds.iter().map(|kind| scaled(*kind, &factors)).collect();
            for one in &written {
                if let Ok(spec) = serde_json::from_value(one.clone()) {
                    is_read_back(&spec);
                }
            }
            if let Ok(spec) = serde_json::from_value(written.into()) {
                is_read_back(&spec);
            }
        }
    }

    #[test]
    fn the_default_figures_of_every_policy_hold() {
        for kind in PolicyKind::all() {
            assert_eq!(kind.defaults().check(), Ok(()), "{kind}");
        }
    }
}
