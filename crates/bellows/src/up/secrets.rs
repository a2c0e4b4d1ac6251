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

#[cfg(test)]
mod tests {
    use host::settings::Settings;

    use super::*;

    #[test]
    fn every_secret_that_is_not_set_is_told_at_once_with_the_command_that_sets_it() {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.state = root.path().join("state");
        let service = |name: &str, secrets: &str| {
            let text = include_str!("../../../../services/object-store.toml");
            let text = text.replacen("\"object-store\"", &format!("{name:?}"), 1).replacen(
                "port = 8000",
                &format!("port = 8000\nsecrets = [{secrets}]"),
                1,
            );
            ServiceFile { spec: config_file::from_toml("a.toml", &text).unwrap(), text }
        };
        let services = vec![
            service("shop", "{ name = \"db\" }, { name = \"tls.key\" }"),
            service("store", ""),
            service("wiki", "{ name = \"db\" }"),
        ];
        let tree = Tree {
            root: root.path().to_owned(),
            settings,
            settings_text: String::new(),
            services,
            of_folders: Vec::new(),
        };
        insta::assert_snapshot!(check(&tree).unwrap_err(), @r"
        service shop: its secret `db` is not set: `bellows secret set shop db` reads it from standard input
        service shop: its secret `tls.key` is not set: `bellows secret set shop tls.key` reads it from standard input
        service wiki: its secret `db` is not set: `bellows secret set wiki db` reads it from standard input
        ");
        assert!(!root.path().join("state").exists(), "nothing is made");
    }
}
