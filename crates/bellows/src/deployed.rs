//! The settings that the running system was brought up with, whatever `bellows.toml` says by now.

use std::collections::BTreeSet;
use std::path::PathBuf;

use host::deployments::Deployments;
use host::files::{FileError, replace_link};
use host::releases::Releases;
use host::settings::{DEFAULT_FILE, Settings};
use model::service::ServiceSpec;

use crate::error::BadInput;
use crate::release;

/// The deployed settings, found in the folders that `edited` names; `None` where nothing is up.
///
/// They lie in the state folder, and the run folder links to them: an edit of one of the two paths
/// does not hide them. An installed program knows the state folder that it lies in.
pub(crate) fn settings(edited: &Settings) -> Option<Settings> {
    let deployed = Deployments::new(&edited.paths.state).settings_file();
    let own = release::own_path().ok();
    let installed = own.as_deref().and_then(Releases::state_of);
    let installed = installed.map(|state| Deployments::new(state).settings_file());
    let files = [link_in(edited), deployed].into_iter().chain(installed);
    files.into_iter().find_map(|file| Settings::load(Some(&file)).ok())
}

/// The settings of what is up, or those that `edited` would bring up. A file that this release cannot use, such as
/// that of a later one in the tree, hides nothing that is up in the `usual` folders.
pub(crate) fn running(
    edited: Result<Settings, BadInput>,
    usual: &Settings,
) -> Result<Settings, BadInput> {
    match edited {
        Ok(edited) => Ok(settings(&edited).unwrap_or(edited)),
        Err(problems) => settings(usual).ok_or(problems),
    }
}

/// The services that are deployed from folders. What is deployed is root's alone to know; of what this release cannot
/// read others tell.
pub(crate) fn of_folders(settings: &Settings) -> Vec<ServiceSpec> {
    let Ok(deployment) = Deployments::new(&settings.paths.state).load() else { return Vec::new() };
    let names: BTreeSet<_> = deployment.folders().map(|(name, _)| name).collect();
    let deployed = deployment.deployed().unwrap_or_default().into_iter().map(|it| it.spec);
    deployed.filter(|spec| names.contains(&spec.name)).collect()
}

/// Makes the link in the run folder.
pub(crate) fn link(settings: &Settings) -> Result<(), FileError> {
    let (link, target) =
        (link_in(settings), Deployments::new(&settings.paths.state).settings_file());
    replace_link(&link, &target).map(drop)
}

fn link_in(settings: &Settings) -> PathBuf {
    settings.paths.run.join(DEFAULT_FILE)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use host::settings::PathSettings;

    use super::*;

    #[test]
    fn the_deployed_settings_are_found_when_one_of_their_folders_was_edited() {
        let root = tempfile::tempdir().unwrap();
        let mut deployed = Settings::default();
        deployed.paths.state = root.path().join("state");
        deployed.paths.run = root.path().join("run");
        fs::create_dir(&deployed.paths.run).unwrap();
        assert_eq!(settings(&deployed), None);
        let text = format!(
            "[paths]\nstate = {:?}\nrun = {:?}\n",
            deployed.paths.state, deployed.paths.run
        );
        Deployments::new(&deployed.paths.state).deploy_settings(&text).unwrap();
        link(&deployed).unwrap();
        link(&deployed).unwrap();
        for path in ["state", "run"] {
            let mut edited = deployed.clone();
            match path {
                "state" => edited.paths.state.push("x"),
                _ => edited.paths.run.push("x"),
            }
            assert_eq!(settings(&edited).as_ref(), Some(&deployed), "{path}");
            assert_eq!(running(Ok(edited.clone()), &edited).unwrap(), deployed);
        }
        let unread = || Err(BadInput::new(anyhow::anyhow!("line 35: unknown field `builds`")));
        assert_eq!(running(unread(), &deployed).unwrap(), deployed);
        let nowhere = Settings {
            paths: PathSettings {
                run: "/nowhere".into(),
                state: "/nowhere".into(),
                ..deployed.paths.clone()
            },
            ..deployed
        };
        assert!(running(unread(), &nowhere).unwrap_err().to_string().contains("`builds`"));
    }
}
