//! What `policy=WORD` means: the service's own policy, a kind of policy with its default figures, a
//! file among the project's policies, or any other file.

use std::io;
use std::path::{Path, PathBuf};

use config_file::ConfigError;
use model::policies::{PolicyFile, PolicyKind, PolicySpec};

use crate::files::{self, FileError};

/// The word for the policy of the service's own file.
pub const DEFAULT: &str = "default";

/// The policy that a word means.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The policy; `None` for that of the service's own file.
    pub spec: Option<PolicySpec>,
}

impl Choice {
    /// The policy that `word` means. `folder` holds the project's policies; without such a folder
    /// there are none.
    ///
    /// # Errors
    /// [`FileError`] says what is wrong, and what is allowed.
    pub fn find(word: &str, folder: &Path) -> Result<Self, FileError> {
        if word == DEFAULT {
            return Ok(Self { spec: None });
        }
        if let Ok(kind) = word.parse::<PolicyKind>() {
            return Ok(Self { spec: Some(kind.into()) });
        }
        if word.ends_with(".toml") {
            return Ok(Self { spec: Some(read(Path::new(word))?) });
        }
        let kinds = PolicyKind::all().map(PolicyKind::name);
        let others = [DEFAULT].into_iter().chain(kinds).collect();
        let file = files::named("policy", word, all(folder)?, others)?;
        Ok(Self { spec: Some(read(&file)?) })
    }
}

fn read(path: &Path) -> Result<PolicySpec, ConfigError> {
    let text = config_file::read_text(path)?;
    if config_file::has_key(&text, "policy") {
        Ok(config_file::from_toml::<PolicyFile>(path.display(), &text)?.policy)
    } else {
        config_file::from_toml(path.display(), &text)
    }
}

/// The project's policies: the `.toml` files of the folder, in the order of their names.
///
/// # Errors
/// The folder is there and cannot be read.
pub fn all(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    match files::with_extension(folder, "toml") {
        Err(ConfigError::Read { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            Ok(Vec::new())
        }
        files => files,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(word: &str, folder: &Path) -> Result<Option<String>, String> {
        let choice = Choice::find(word, folder).map_err(|error| error.to_string())?;
        Ok(choice.spec.map(|spec| spec.to_string()))
    }

    #[test]
    fn a_word_is_a_kind_a_file_of_the_folder_or_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("patient.toml");
        std::fs::write(&path, "kind = \"hpa\"\nsync_ms = 30000\n").unwrap();
        let hpa = Ok(Some("hpa".to_owned()));
        assert_eq!(find("hpa", folder.path()), hpa);
        assert_eq!(find("patient", folder.path()), hpa);
        assert_eq!(find(path.to_str().unwrap(), Path::new("/nowhere")), hpa);
        assert_eq!(find("default", folder.path()), Ok(None));
        for kind in PolicyKind::all() {
            let spec = Choice::find(kind.name(), folder.path()).unwrap();
            assert_eq!(spec.spec, Some(PolicySpec::from(kind)));
        }
    }

    #[test]
    fn a_wrong_word_is_named_with_what_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.toml"), "kind = \"hpa\"\nin_percent = 101")
            .unwrap();
        let error = find("magic", folder.path()).unwrap_err();
        assert!(error.starts_with("there is no policy `magic`: use default, target_tr"));
        assert!(error.ends_with("conpaas, mine, or a file whose name ends in .toml"), "{error}");
        let error = find("mine", folder.path()).unwrap_err();
        assert!(
            error.ends_with(
                "mine.toml, line 2: in_percent is 101: use 0 to 100 (percent of the fleet)"
            ),
            "{error}"
        );
        let error = find("none.toml", folder.path()).unwrap_err();
        assert!(
            error.starts_with("none.toml cannot be read: No such file or directory"),
            "{error}"
        );
    }
}
