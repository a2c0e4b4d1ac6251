//! Whether the secrets are set that the services' files name.

use anyhow::anyhow;
use host::secrets::SecretStore;

use crate::error::BadInput;
use crate::tree::{ServiceFile, Tree};

/// Tells every secret that a service's file names and that no version could be given.
///
/// # Errors
/// There are such.
pub(super) fn check(tree: &Tree) -> Result<(), BadInput> {
    let store = SecretStore::new(&tree.settings);
    let problems = tree.services.iter().flat_map(|ServiceFile { spec, .. }| store.problems(spec));
    BadInput(problems.map(|problem| anyhow!(problem)).collect()).or(())
}
