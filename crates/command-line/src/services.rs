//! The services' files, for programs that know of a host's settings its sizes alone.

use std::collections::BTreeMap;
use std::path::Path;

use config_file::ConfigError;
use model::service::{RawService, ServiceSpec};
use model::size::{Size, Sizes};
use serde::Deserialize;

/// The host's settings, beside the folder of the services.
const SETTINGS: &str = "bellows.toml";

/// What is read of the settings.
#[derive(Deserialize)]
struct RawSizes {
    #[serde(default)]
    sizes: BTreeMap<String, Size>,
}

/// The service that is described by the file at `path`, which lies in a folder beside the host's settings: `size` in
/// it is one of these, or of the default ones where there are no settings.
///
/// # Errors
/// [`ConfigError`] says what is wrong, where, and what is allowed.
pub fn read(path: &Path) -> Result<ServiceSpec, ConfigError> {
    let text = config_file::read_text(path)?;
    let sizes = sizes(path)?;
    let check = |raw: RawService| raw.checked(&sizes);
    config_file::from_toml_with(path.display(), &text, check)
}

fn sizes(service: &Path) -> Result<Sizes, ConfigError> {
    let folder = service.parent().unwrap_or(Path::new("."));
    let settings = folder.join("..").join(SETTINGS);
    if !settings.exists() {
        return Ok(Sizes::default());
    }
    let text = config_file::read_text(&settings)?;
    config_file::from_toml_with(settings.display(), &text, |raw: RawSizes| Sizes::with(raw.sizes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_size_is_one_of_the_settings_beside_the_folder_or_a_default_one() {
        let tree = tempfile::tempdir().unwrap();
        let file = tree.path().join("services/store.toml");
        fs::create_dir(tree.path().join("services")).unwrap();
        let shipped = include_str!("../../../services/object-store.toml");
        fs::write(&file, shipped.replacen("memory_mib = 128", "size = \"small\"", 1)).unwrap();
        let memory_mib = || read(&file).map(|spec| spec.instance.memory_mib);
        assert_eq!(memory_mib().unwrap(), 128);
        let settings = "[sizes.small]\ncpus = 1\nmemory_mib = 200\nprocesses = 9\n[listen]\n";
        fs::write(tree.path().join(SETTINGS), settings).unwrap();
        assert_eq!(memory_mib().unwrap(), 200);
        fs::write(tree.path().join(SETTINGS), "[sizes.small]\ncpus = 1\n").unwrap();
        let error = memory_mib().unwrap_err().to_string();
        assert!(error.contains("bellows.toml: ") && error.contains("missing field"), "{error}");
    }
}
