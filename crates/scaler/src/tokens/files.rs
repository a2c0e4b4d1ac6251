//! The two files of the tokens. A release before this one reads the first, and would not know of an end: so tokens that
//! end are in the second, which it does not read, and are of no use to it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use host::files::replace_file;
use model::access::Token;
use serde::{Deserialize, Serialize};

use super::secret::SecretDigest;

/// Those that end, beside the file of those that do not.
const ENDING: &str = "ending-tokens.json";

/// A token as it is kept. Unknown keys are refused: one of a later release could say that it is of less use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) token: Token,
    /// Of the secret, in hex.
    pub(super) sha256: SecretDigest,
    /// Whether a browser logged in for it. Such a token ends, so a release before does not read this.
    #[serde(default, skip_serializing_if = "is_no")]
    pub(super) of_a_login: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_no(yes: &bool) -> bool {
    !yes
}

/// Where they are.
#[derive(Debug)]
pub(super) struct Files {
    endless: PathBuf,
    ending: PathBuf,
}

impl Files {
    /// The file of those without an end, and the other one beside it.
    pub(super) fn new(endless: &Path) -> Self {
        Self { endless: endless.to_owned(), ending: endless.with_file_name(ENDING) }
    }

    /// All tokens, in the order of their names. A release before may have given a name again that it could not know of: then
    /// the other token is dropped.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub(super) fn read(&self) -> io::Result<Vec<Kept>> {
        let mut all = read(&self.endless)?;
        let names: BTreeSet<_> = all.iter().map(|kept| kept.token.name.clone()).collect();
        let ending = read(&self.ending).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", self.ending.display()))
        })?;
        all.extend(ending.into_iter().filter(|kept| !names.contains(&kept.token.name)));
        all.sort_by(|one, other| one.token.name.cmp(&other.token.name));
        Ok(all)
    }

    /// Writes what differs. What is dropped is so before anything is added: of two tokens of one name there is one at most.
    ///
    /// # Errors
    /// It could not be written.
    pub(super) fn write(&self, before: &[Kept], after: &[Kept]) -> io::Result<()> {
        for (path, ends) in [(&self.ending, true), (&self.endless, false)] {
            let of = |all: &[Kept]| -> Vec<Kept> {
                let kept = all.iter().filter(|kept| kept.token.expires_at.is_some() == ends);
                kept.cloned().collect()
            };
            let after = of(after);
            if of(before) != after {
                replace_file(path, serde_json::to_vec_pretty(&after)?, 0o600)?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Vec<Kept>> {
    match std::fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
