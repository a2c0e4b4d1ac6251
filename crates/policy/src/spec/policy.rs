//! The policies of one service, as a service's file and the API have them: one table, or a list of
//! tables.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SpecError;
use super::figures::check;
use crate::policies::target_tracking::TargetTracking;
use crate::policies::{Kind, Policy};

/// One or more policies with figures that hold. The highest wins out, all must agree in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawPolicies", into = "RawPolicies")]
pub struct PolicySpec(Vec<Policy>);

/// The most policies of one service.
const MOST_POLICIES: usize = 8;

impl PolicySpec {
    /// These policies together.
    ///
    /// # Errors
    /// There are none or more than 8, or a figure of one of them does not hold.
    pub fn new(policies: Vec<Policy>) -> Result<Self, SpecError> {
        let count = policies.len();
        let fits = (1..=MOST_POLICIES).contains(&count);
        check(fits, "policy", format!("a list of {count}"), "1 to 8 policies")?;
        policies.iter().try_for_each(Policy::check)?;
        Ok(Self(policies))
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

impl From<Kind> for PolicySpec {
    /// The policy alone, with its default figures, which hold.
    fn from(kind: Kind) -> Self {
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

/// Policies as they are written, not yet judged.
#[derive(Debug, Clone)]
pub(super) struct RawPolicies(Vec<Policy>);

impl Default for RawPolicies {
    fn default() -> Self {
        PolicySpec::default().into()
    }
}

impl TryFrom<RawPolicies> for PolicySpec {
    type Error = SpecError;

    fn try_from(raw: RawPolicies) -> Result<Self, SpecError> {
        Self::new(raw.0)
    }
}

impl From<PolicySpec> for RawPolicies {
    fn from(spec: PolicySpec) -> Self {
        Self(spec.0)
    }
}

impl Serialize for RawPolicies {
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
        Policy::deserialize(MapAccessDeserializer::new(map)).map(|one| RawPolicies(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawPolicies, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(RawPolicies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        policy: PolicySpec,
    }

    fn file(text: &str) -> Result<PolicySpec, String> {
        toml::from_str::<File>(text).map(|file| file.policy).map_err(|error| error.to_string())
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
        for kind in Kind::ALL {
            let spec = PolicySpec::from(*kind);
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<PolicySpec>(&text).unwrap(), spec, "{text}");
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert!(text.contains(&format!("\"kind\":\"{kind}\"")), "{text}");
        }
        let two = PolicySpec::new(vec![Kind::Hpa.defaults(), Kind::Schedule.defaults()]).unwrap();
        let text = serde_json::to_string(&two).unwrap();
        assert_eq!(serde_json::from_str::<PolicySpec>(&text).unwrap(), two);
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
    }

    #[test]
    fn the_default_figures_of_every_policy_hold() {
        for kind in Kind::ALL {
            assert_eq!(kind.defaults().check(), Ok(()), "{kind}");
        }
    }
}
