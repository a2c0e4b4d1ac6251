//! How a browser comes to its token: a code that is good for one login, and what it is given for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::value::{Checked, Invalid};

/// A code that an operator was just given: the only time that it is told. For one login, in a link's fragment, which no
/// browser sends on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoginCode {
    /// The code: 32 digits of base 16.
    pub code: String,
    /// When it is of no use any more.
    #[serde(rename = "expires_at_ms")]
    pub expires_at: Timestamp,
}

/// Without the code, which has no place in a log.
impl fmt::Debug for LoginCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginCode").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A code, as a browser brings it back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The code.
    pub code: String,
}

/// Without the code, which has no place in a log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Checked for Login {
    type Raw = Self;

    fn from_raw(raw: Self) -> Result<Self, Invalid> {
        Ok(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_of_a_login_has_no_code() {
        let code = "0123456789abcdef".to_owned();
        let given = LoginCode { code: code.clone(), expires_at: Timestamp::from_millis(7) };
        let told = format!("{given:?} {:?}", Login { code: code.clone() });
        assert_eq!(told, "LoginCode { expires_at: Timestamp(7), .. } Login { .. }");
    }
}
