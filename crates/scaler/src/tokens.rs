//! The tokens with which somebody may change something who is no operator of the host. Of a secret only
//! its digest is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use host::files::replace_file;
use model::access::{Grant, MadeToken, Token};
use model::names::TokenName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::now;
use crate::lock::lock;

/// The bytes of chance in a secret: too many to guess, so that a plain digest of it can be kept.
const SECRET_BYTES: usize = 32;

/// What secrets begin with, so that one that was published by mistake is recognised.
const PREFIX: &str = "bellows_";

/// Tokens at most: each request that carries one is compared with all of them.
pub(crate) const MOST: usize = 1_000;

/// The tokens, and the file that holds them. Whoever reads does not wait for the disk. Two who make or revoke at
/// once get in each other's way.
#[derive(Debug)]
pub(crate) struct TokensFile {
    path: PathBuf,
    held: Mutex<Arc<Vec<Kept>>>,
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    token: Token,
    /// Of the secret, in hex.
    sha256: String,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    /// There is one of that name.
    #[error("there is a token `{0}`: revoke it first, or choose another name")]
    Taken(TokenName),
    /// There are too many.
    #[error("there are {MOST} tokens: revoke one that is of no use any more")]
    TooMany,
    /// It could not be kept.
    #[error(transparent)]
    NotWritten(#[from] io::Error),
}

impl TokensFile {
    /// Reads the file at `path`; none is no tokens.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let held = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), held: Mutex::new(Arc::new(held)) })
    }

    fn held(&self) -> Arc<Vec<Kept>> {
        Arc::clone(&lock(&self.held))
    }

    /// All tokens, in the order of their names.
    pub(crate) fn list(&self) -> Vec<Token> {
        self.held().iter().map(|kept| kept.token.clone()).collect()
    }

    /// The token with this secret. Every token is compared, and each whole, so that the time tells
    /// nothing of any. What is no secret by its length, which is no secret itself, costs no digest.
    pub(crate) fn of_secret(&self, secret: &str) -> Option<Token> {
        if secret.len() != PREFIX.len() + SECRET_BYTES * 2 {
            return None;
        }
        let digest = digest(secret);
        self.held()
            .iter()
            .filter(|kept| kept.sha256.as_bytes().ct_eq(digest.as_bytes()).into())
            .fold(None, |_, kept| Some(kept.token.clone()))
    }

    /// Makes a token, on disk first.
    ///
    /// # Errors
    /// The name is taken, there are too many, or it could not be written.
    pub(crate) fn make(&self, name: TokenName, grant: Grant) -> Result<MadeToken, MakeError> {
        let held = self.held();
        if held.iter().any(|kept| kept.token.name == name) {
            return Err(MakeError::Taken(name));
        }
        if held.len() >= MOST {
            return Err(MakeError::TooMany);
        }
        let Grant { rights, services } = grant;
        let token = Token { name, rights, services, made_at: now() };
        let secret = format!("{PREFIX}{}", hex(&rand::random::<[u8; SECRET_BYTES]>()));
        let kept = Kept { token: token.clone(), sha256: digest(&secret) };
        let mut all = Vec::clone(&held);
        all.insert(all.partition_point(|other| other.token.name < kept.token.name), kept);
        self.replace(all)?;
        Ok(MadeToken { token, secret })
    }

    /// Revokes the token of that name, and gives it; `None` where there is none.
    ///
    /// # Errors
    /// It could not be written. The token goes on to hold.
    pub(crate) fn revoke(&self, name: &TokenName) -> io::Result<Option<Token>> {
        let (revoked, others): (Vec<_>, Vec<_>) =
            self.held().iter().cloned().partition(|kept| kept.token.name == *name);
        if !revoked.is_empty() {
            self.replace(others)?;
        }
        Ok(revoked.into_iter().next().map(|kept| kept.token))
    }

    fn replace(&self, all: Vec<Kept>) -> io::Result<()> {
        replace_file(&self.path, serde_json::to_vec_pretty(&all)?, 0o600)?;
        *lock(&self.held) = Arc::new(all);
        Ok(())
    }
}

fn digest(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use model::access::Right;

    use super::*;

    fn grant() -> Grant {
        Grant { rights: [Right::Operate].into(), services: None }
    }

    fn name(text: &str) -> TokenName {
        text.parse().unwrap()
    }

    #[test]
    fn a_secret_opens_its_own_token_until_that_is_revoked_and_is_nowhere_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let tokens = TokensFile::open(&path).unwrap();
        let b = tokens.make(name("b"), grant()).unwrap();
        let a = tokens.make(name("a"), grant()).unwrap();
        assert_ne!(a.secret, b.secret);
        let tokens = TokensFile::open(&path).unwrap();
        assert_eq!(tokens.list(), [a.token.clone(), b.token.clone()]);
        assert_eq!(tokens.of_secret(&a.secret), Some(a.token.clone()));
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(!written.contains(&a.secret) && !written.contains(&a.secret[PREFIX.len()..]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for wrong in ["", PREFIX, &a.secret[..71], &format!("{}0", a.secret), &"x".repeat(9_999)] {
            assert_eq!(tokens.of_secret(wrong), None, "{wrong}");
        }
        assert_eq!(tokens.revoke(&name("a")).unwrap(), Some(a.token));
        assert_eq!(tokens.revoke(&name("a")).unwrap(), None);
        assert_eq!(tokens.of_secret(&a.secret), None);
        assert_eq!(TokensFile::open(&path).unwrap().list(), [b.token]);
    }

    #[test]
    fn a_name_is_given_once() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokensFile::open(&folder.path().join("tokens.json")).unwrap();
        tokens.make(name("ci"), grant()).unwrap();
        let error = tokens.make(name("ci"), grant()).unwrap_err().to_string();
        assert_eq!(error, "there is a token `ci`: revoke it first, or choose another name");
    }

    #[test]
    fn what_cannot_be_kept_is_not_made_and_not_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokensFile::open(&folder.path().join("tokens.json")).unwrap();
        let made = tokens.make(name("ci"), grant()).unwrap();
        drop(folder);
        assert!(matches!(tokens.make(name("b"), grant()), Err(MakeError::NotWritten(_))));
        assert!(tokens.revoke(&name("ci")).is_err());
        assert_eq!(tokens.of_secret(&made.secret), Some(made.token));
    }
}
