//! The settings that the running system was brought up with, whatever `bellows.toml` says by now.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use command_line::terminal;
use host::deployments::{DeployedService, DeploymentError, Deployments, Readable};
use host::files::{FileError, replace_link};
use host::releases::Releases;
use host::settings::{DEFAULT_FILE, Settings};
use model::service::ServiceSpec;
use nix::unistd::geteuid;

use crate::cli::Place;
use crate::error::BadInput;
use crate::release;
use crate::tree;

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
    files.into_iter().find_map(|file| load(&file))
}

/// The settings of what is up: in the folders that the named place says, or else in the `usual` ones or those of the
/// release that this program belongs to; where nothing is up, those that would be brought up.
///
/// What lies in the current folder is of no account unless it is named. A tree that this release cannot use, such as
/// that of a later one, hides nothing that is up in the `usual` folders.
pub(crate) fn running(place: &Place, usual: &Settings) -> Result<Settings, BadInput> {
    let edited = match place.is_named() {
        true => tree::settings(place).map(|(settings, _)| settings),
        false => Ok(usual.clone()),
    };
    match edited {
        Ok(edited) => Ok(settings(&edited).unwrap_or(edited)),
        // Whoever names a file means that one.
        Err(problems) if place.settings.is_some() => Err(problems),
        Err(problems) => settings(usual).ok_or(problems),
    }
}

/// The settings in this file, if there are any: for root, only what nobody else can have written.
fn load(file: &Path) -> Option<Settings> {
    let data = fs::metadata(file).ok()?;
    if geteuid().is_root() && !is_roots(data.uid(), data.mode()) {
        terminal::note(format_args!(
            "{} is not read: others than root may write to it",
            file.display()
        ));
        return None;
    }
    Settings::load(Some(file)).ok()
}

/// Whether root alone may write to a file of this owner and mode.
const fn is_roots(uid: u32, mode: u32) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    uid == 0 && mode & OTHERS_WRITE == 0
}

/// A service that is deployed from a folder, or by the API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OfFolder {
    pub(crate) spec: ServiceSpec,
    /// Its folder, or [`host::deployments::by_api`].
    pub(crate) folder: PathBuf,
}

/// The services that are deployed from folders or by the API, and what is wrong with those that cannot be used. What is
/// deployed is root's alone to know.
pub(crate) fn of_folders(settings: &Settings) -> (Vec<OfFolder>, Vec<DeploymentError>) {
    let Ok(deployment) = Deployments::new(&settings.paths.state).load() else {
        return <_>::default();
    };
    let folders: BTreeMap<_, _> = deployment.folders().collect();
    let Readable { services, problems } = deployment.readable();
    let of_folder = |DeployedService { spec, .. }| {
        let folder = folders.get(&spec.name)?.to_path_buf();
        Some(OfFolder { spec, folder })
    };
    let problems = problems.into_iter().filter(|(name, _)| folders.contains_key(name));
    (
        services.into_iter().filter_map(of_folder).collect(),
        problems.map(|(_, problem)| problem).collect(),
    )
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use host::settings::PathSettings;

    use super::*;

    #[test]
    fn a_file_that_others_than_root_may_write_is_not_read_for_root() {
        assert!(is_roots(0, 0o100_644) && is_roots(0, 0o100_600));
        assert!(!is_roots(1000, 0o100_600) && !is_roots(0, 0o100_664) && !is_roots(0, 0o100_602));
        let root = tempfile::tempdir().unwrap();
        let mut others = Settings::default();
        others.paths.state = root.path().join("state");
        let deployments = Deployments::new(&others.paths.state);
        deployments.deploy_settings(&text(&others)).unwrap();
        let file = deployments.settings_file();
        assert_eq!(load(&file).as_ref(), Some(&others));
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(load(&file).is_some(), !geteuid().is_root());
    }

    /// The text of settings that have these two folders of their own.
    fn text(settings: &Settings) -> String {
        let PathSettings { state, run, .. } = &settings.paths;
        format!("[paths]\nstate = {state:?}\nrun = {run:?}\n")
    }

    /// A tree whose file has the text of these settings.
    fn in_tree(root: &Path, settings: &Settings) -> Place {
        let tree = root.join("tree");
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join(DEFAULT_FILE), text(settings)).unwrap();
        Place { tree: Some(tree), settings: None }
    }

    #[test]
    fn the_deployed_settings_are_found_when_one_of_their_folders_was_edited() {
        let root = tempfile::tempdir().unwrap();
        let mut deployed = Settings::default();
        deployed.paths.state = root.path().join("state");
        deployed.paths.run = root.path().join("run");
        fs::create_dir(&deployed.paths.run).unwrap();
        assert_eq!(settings(&deployed), None);
        Deployments::new(&deployed.paths.state).deploy_settings(&text(&deployed)).unwrap();
        link(&deployed).unwrap();
        link(&deployed).unwrap();
        for path in ["state", "run"] {
            let mut edited = deployed.clone();
            match path {
                "state" => edited.paths.state.push("x"),
                _ => edited.paths.run.push("x"),
            }
            assert_eq!(settings(&edited).as_ref(), Some(&deployed), "{path}");
            let place = in_tree(root.path(), &edited);
            assert_eq!(running(&place, &edited).unwrap(), deployed);
        }
        let unread = in_tree(root.path(), &deployed);
        let file = unread.tree().join(DEFAULT_FILE);
        fs::write(&file, "[later]\n").unwrap();
        assert_eq!(running(&unread, &deployed).unwrap(), deployed);
        let nowhere = Settings {
            paths: PathSettings {
                run: "/nowhere".into(),
                state: "/nowhere".into(),
                ..deployed.paths.clone()
            },
            ..deployed.clone()
        };
        assert!(running(&unread, &nowhere).unwrap_err().to_string().contains("`later`"));
        let named = Place { tree: None, settings: Some(file) };
        assert!(running(&named, &deployed).unwrap_err().to_string().contains("`later`"));
    }
}
