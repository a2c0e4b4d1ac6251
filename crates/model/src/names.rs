//! The names of services, images, secrets, templates and instances, and the slot from which an instance's
//! address, MAC, network interface and load balancer entry derive.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::output::harmless;
use crate::time::Timestamp;
use crate::version::Version;

/// Every container that Bellows makes is named with this prefix, and nothing else is ever touched.
pub const CONTAINER_PREFIX: &str = "bw-";

/// Longest service name in bytes. With prefix, slot and birth an instance's name stays below 64
/// bytes, the longest host name that Linux takes.
const SERVICE_NAME_MAX_BYTES: usize = 31;

/// Longest name of a secret in bytes: enough for any variable, and short of what a folder takes.
const SECRET_NAME_MAX_BYTES: usize = 64;

/// A text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not the name of a service, an image, a token, an action or a scenario.
    #[error(
        "`{}` is not a name: use 1 to 31 of a-z, 0-9 and `-`, starting with a letter and not ending with `-`",
        harmless(.0)
    )]
    Name(String),
    /// Not the name of a secret.
    #[error(
        "`{}` is not the name of a secret: use 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`, starting with a letter, a digit or `_`",
        harmless(.0)
    )]
    Secret(String),
    /// Not an instance's name.
    #[error("`{}` is not the name of an instance: it reads bw-SERVICE-SLOT-BIRTH",
        harmless(.0))]
    Instance(String),
    /// Not a template's name.
    #[error("`{}` is not the name of a template: it reads bw-SERVICE-tDIGEST with 8 hex digits",
        harmless(.0))]
    Template(String),
    /// Not a slot number.
    #[error("{0} is not a slot: slots go from 1 to {max}", max = Slot::MAX)]
    Slot(u32),
}

/// The name of a service: 1 to 31 of `a-z`, `0-9` and `-`, starting with a letter, not ending in `-`.
///
/// Every turn of the loop copies the names of all instances, so the texts are shared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=SERVICE_NAME_MAX_BYTES).contains(&text.len())
            && text.bytes().all(allowed)
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-');
        if good { Ok(Self(text.into())) } else { Err(NameError::Name(text.to_owned())) }
    }
}

/// The name of an image, which is the name of its recipe's folder in `rootfs/`. Same form as a
/// service's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ImageName(ServiceName);

impl ImageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ImageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

/// The name of a token for the scaler's API. Same form as a service's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct TokenName(ServiceName);

impl TokenName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TokenName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

/// The name of an action of a service. Same form as a service's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ActionName(ServiceName);

impl ActionName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ActionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

/// The name of a scenario, which is that of its file without the ending. Same form as a service's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ScenarioName(ServiceName);

impl ScenarioName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ScenarioName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

/// The name of a secret, which is that of its file too: 1 to 64 of `a-z`, `A-Z`, `0-9`, `-`, `_` and `.`,
/// starting with a letter, a digit or `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

impl SecretName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let good = (1..=SECRET_NAME_MAX_BYTES).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with(['-', '.']);
        if good { Ok(Self(text.to_owned())) } else { Err(NameError::Secret(text.to_owned())) }
    }
}

/// The place of an instance on the host, 1 to 1,000. Two instances never share one at a time.
///
/// The slot gives the address, the MAC, the host's end of the network cable and the server in the
/// load balancer, so the same address always has the same MAC and a change of membership never
/// changes an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "u32", into = "u32")]
pub struct Slot(u16);

impl Slot {
    /// The highest slot: 1,000 instances and a gateway fit the default /22 network of 1,022
    /// addresses.
    pub const MAX: u16 = 1000;

    /// The slot as a number, 1 to 1,000.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u32> for Slot {
    type Error = NameError;

    fn try_from(number: u32) -> Result<Self, NameError> {
        match u16::try_from(number) {
            Ok(n @ 1..=Self::MAX) => Ok(Self(n)),
            _ => Err(NameError::Slot(number)),
        }
    }
}

impl From<Slot> for u32 {
    fn from(slot: Slot) -> Self {
        slot.0.into()
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The name of an instance's container: `bw-{service}-{slot}-{birth}`, where birth is the moment
/// of its plan in milliseconds since 1970 in base 36. Names are never used twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct InstanceName {
    text: Arc<str>,
    service: ServiceName,
    slot: Slot,
    birth: Timestamp,
}

impl InstanceName {
    /// The name of the instance of `service` that is planned for `slot` at `birth`.
    pub fn new(service: &ServiceName, slot: Slot, birth: Timestamp) -> Self {
        let text = format!("{CONTAINER_PREFIX}{service}-{slot}-{}", base36(birth.as_millis()));
        Self { text: text.into(), service: service.clone(), slot, birth }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The service that the instance belongs to.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The slot that the instance holds.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// When the instance was planned.
    pub fn birth(&self) -> Timestamp {
        self.birth
    }
}

impl FromStr for InstanceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // `bw-a-5-tdeadbeef` is the template of the service `a-5`, not an instance of `a` in slot 5:
        // births reach nine digits that start with `t` in the year 4562.
        let parts = || {
            if text.parse::<TemplateName>().is_ok() {
                return None;
            }
            let (rest, birth) = text.strip_prefix(CONTAINER_PREFIX)?.rsplit_once('-')?;
            let (service, slot) = rest.rsplit_once('-')?;
            let birth_is_plain =
                birth.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            let birth = Timestamp::from_millis(u64::from_str_radix(birth, BIRTH_RADIX).ok()?);
            let slot_is_plain = !slot.starts_with(['0', '+']);
            let slot = Slot::try_from(slot.parse::<u32>().ok()?).ok()?;
            (birth_is_plain && slot_is_plain).then_some((service.parse().ok()?, slot, birth))
        };
        let (service, slot, birth) = parts().ok_or_else(|| NameError::Instance(text.to_owned()))?;
        Ok(Self { text: text.into(), service, slot, birth })
    }
}

/// The name of a template's container: `bw-{service}-t{version}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct TemplateName {
    text: String,
    service: ServiceName,
    version: Version,
}

impl TemplateName {
    /// The name of the template of this version of `service`.
    pub fn new(service: &ServiceName, version: Version) -> Self {
        let text = format!("{CONTAINER_PREFIX}{service}-t{version}");
        Self { text, service: service.clone(), version }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The service that the template belongs to.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The version of the service that the template was made of.
    pub fn version(&self) -> Version {
        self.version
    }
}

impl FromStr for TemplateName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parts = || {
            let (service, version) = text.strip_prefix(CONTAINER_PREFIX)?.rsplit_once("-t")?;
            Some((service.parse().ok()?, version.parse().ok()?))
        };
        let (service, version) = parts().ok_or_else(|| NameError::Template(text.to_owned()))?;
        Ok(Self { text: text.to_owned(), service, version })
    }
}

is_text!(
    ServiceName,
    ImageName,
    TokenName,
    ActionName,
    ScenarioName,
    SecretName,
    InstanceName,
    TemplateName
);

/// Births are written in base 36: nine digits until the year 5188.
const BIRTH_RADIX: u32 = 36;

/// A number in base 36, without leading zeros.
fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    let radix = u64::from(BIRTH_RADIX);
    loop {
        let digit = u32::try_from(number % radix).unwrap_or_default();
        digits.push(char::from_digit(digit, BIRTH_RADIX).unwrap_or('0'));
        number /= radix;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_outside_the_charset_are_refused() {
        for bad in ["", "A", "1a", "-a", "a-", "a_b", "a b", "a\nb", "../a", &"a".repeat(32)] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_secrets_name_is_one_of_a_file_or_a_variable_and_leads_nowhere_else() {
        for good in ["DB_PASSWORD", "tls.key", "_x", "1", &"a".repeat(64)] {
            assert!(good.parse::<SecretName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".a", "-a", "a/b", "a b", "a\0", "\u{e9}", &"a".repeat(65)] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_template_is_never_taken_for_an_instance() {
        let service: ServiceName = "store".parse().unwrap();
        let template = TemplateName::new(&service, Version::new(0xdead_beef));
        assert_eq!(template.as_str(), "bw-store-tdeadbeef");
        assert!(template.as_str().parse::<InstanceName>().is_err());
        assert_eq!(template.as_str().parse(), Ok(template));
        assert!("bw-a-5-tdeadbeef".parse::<InstanceName>().is_err());
    }

    #[test]
    fn a_birth_is_a_plain_number_that_fits() {
        for bad in ["", "A1", "+1", "a_b", "zzzzzzzzzzzzzz"] {
            assert!(format!("bw-a-5-{bad}").parse::<InstanceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn slots_outside_the_network_are_refused() {
        assert!(Slot::try_from(0).is_err());
        assert!(Slot::try_from(1001).is_err());
        assert!(serde_json::from_str::<Slot>("70000").is_err());
        assert_eq!(serde_json::to_string(&Slot::try_from(17).unwrap()).unwrap(), "17");
    }

    proptest! {
        #[test]
        fn an_instance_name_reads_back_as_its_parts(
            service in "[a-z][a-z0-9-]{0,29}[a-z0-9]", slot in 1_u32..=1000, birth in 0_u64..1 << 45
        ) {
            let service: ServiceName = service.parse().unwrap();
            let slot = Slot::try_from(slot).unwrap();
            let name = InstanceName::new(&service, slot, Timestamp::from_millis(birth));
            let read: InstanceName = name.as_str().parse().unwrap();
            prop_assert_eq!(read.service(), &service);
            prop_assert_eq!(read.slot(), slot);
            prop_assert_eq!(read.birth(), Timestamp::from_millis(birth));
            prop_assert_eq!(&read, &name);
            prop_assert!(name.as_str().len() < 64);
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in ".{0,80}") {
            let _ = text.parse::<InstanceName>();
            let _ = text.parse::<TemplateName>();
        }
    }
}
