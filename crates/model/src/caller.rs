//! Who calls the API, as the scaler knows it.

use serde::{Deserialize, Serialize};

use crate::access::Token;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CallerStatus {
    /// An operator of the host, by the operators' socket.
    Operator,
    /// Whoever has this token.
    Token {
        /// The token.
        token: Token,
    },
    /// Anybody who may read.
    Reader,
}
