//! What a service keeps on the host: the folder of its own, and folders that it mounts and no other service does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use host::command::HostRunner;
use host::data::{self, folders_of_one};
use host::deployments::Deployment;
use host::settings::Settings;
use model::names::ServiceName;
use model::service::own_folder;

use crate::progress::Outcome;

/// The folders with its data that are there.
pub(super) fn of(
    settings: &Settings,
    service: &ServiceName,
    deployment: &Deployment,
) -> anyhow::Result<Vec<PathBuf>> {
    let folders = folders_of_one(service, &deployment.deployed()?);
    Ok(data::there(&settings.paths.state, &folders))
}

/// The folder of its own, where that is there.
pub(super) fn own(settings: &Settings, service: &ServiceName) -> Vec<PathBuf> {
    data::there(&settings.paths.state, &BTreeSet::from([own_folder(service)]))
}

/// Removes them.
pub(super) async fn remove(folders: &[PathBuf]) -> anyhow::Result<Outcome> {
    let mut removed = Vec::new();
    for folder in folders {
        if data::remove(&HostRunner, folder).await? {
            removed.push(folder.clone());
        }
    }
    let told = format!("{} removed", listed(&removed));
    Ok(Outcome::changed_if(!removed.is_empty(), told))
}

/// What stays, and what removes it: a part of a line.
pub(super) fn told(settings: &Settings, service: &ServiceName, folders: &[PathBuf]) -> String {
    let own = settings.paths.state.join(own_folder(service));
    let told = |folder: &PathBuf| told_of(service, folder, *folder == own);
    folders.iter().map(told).collect()
}

fn told_of(service: &ServiceName, folder: &Path, is_own: bool) -> String {
    let folder = folder.display();
    match is_own {
        true => {
            format!(" Its data stays in {folder}: `bellows destroy {service} --data` removes it.")
        }
        // Once the service is gone, nobody knows whose it is.
        false => {
            format!(" Its data stays in {folder}: `umount {folder}; rm -r {folder}` removes it.")
        }
    }
}

/// Folders as they are told.
pub(super) fn listed(folders: &[PathBuf]) -> String {
    let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    folders.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_told_with_the_command_that_removes_it() {
        let settings = Settings::default();
        let shop: ServiceName = "shop".parse().unwrap();
        let folders = ["stateful/shop", "uploads"].map(|it| settings.paths.state.join(it));
        assert_eq!(told(&settings, &shop, &[]), "");
        insta::assert_snapshot!(told(&settings, &shop, &folders).trim_start(), @"Its data stays in /var/lib/bellows/stateful/shop: `bellows destroy shop --data` removes it. Its data stays in /var/lib/bellows/uploads: `umount /var/lib/bellows/uploads; rm -r /var/lib/bellows/uploads` removes it.");
        assert_eq!(listed(&folders), "/var/lib/bellows/stateful/shop and /var/lib/bellows/uploads");
    }
}
