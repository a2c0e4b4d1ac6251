//! Secrets and codes: made by chance, and known again by a digest of them.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a secret is known by: nothing that leads back to it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretDigest(String);

impl SecretDigest {
    /// That of this secret. It has too many bytes of chance to be guessed, so a plain digest does.
    pub(crate) fn of(secret: &str) -> Self {
        Self(hex(&Sha256::digest(secret)))
    }

    /// Whether both are of the same secret. The time tells nothing of where they differ.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// So many bytes of chance, in hex.
pub(crate) fn chance(bytes: usize) -> String {
    hex(&rand::random_iter().take(bytes).collect::<Vec<u8>>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
