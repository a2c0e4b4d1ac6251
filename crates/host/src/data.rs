//! What a service keeps on the host, beyond all of its versions: the folder of its own, and those that it mounts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use model::names::ServiceName;
use model::service::own_folder;

use crate::command::Runner;
use crate::deployments::DeployedService;
use crate::files::{FileError, remove_file, remove_tree};
use crate::lxc::{ContainerError, remove_shared_folder};

/// Data that cannot be removed.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Somebody has it open.
    #[error("{} is in use: see by `fuser -vm {0}` who has it open, and run this again", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// What the kernel said.
        source: ContainerError,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The folders below the state directory that hold data of this service and of no other that is deployed: those that any
/// kept version mounts, and its own.
pub fn folders_of_one(service: &ServiceName, deployed: &[DeployedService]) -> BTreeSet<String> {
    let (own, others): (Vec<_>, Vec<_>) = deployed.iter().partition(|it| it.spec.name == *service);
    let of_others: BTreeSet<_> = others.into_iter().flat_map(mounted).collect();
    let mounted = own.into_iter().flat_map(mounted).filter(|source| !of_others.contains(source));
    mounted.map(str::to_owned).chain([own_folder(service)]).collect()
}

/// The folders that a service mounts, in any kept version.
fn mounted(service: &DeployedService) -> impl Iterator<Item = &str> {
    let versions = service.versions.values().chain([&service.spec.instance]);
    versions.flat_map(|instance| &instance.mounts).map(|mount| mount.source.as_str())
}

/// Which of these folders are there, by their paths.
pub fn there(state: &Path, folders: &BTreeSet<String>) -> Vec<PathBuf> {
    let folders = folders.iter().map(|folder| state.join(folder));
    folders.filter(|folder| fs::symlink_metadata(folder).is_ok()).collect()
}

/// Removes a folder that no instance mounts any more, with what is in it and with its mount on itself. Where it is a
/// link, what that leads to is emptied and removed as well.
///
/// # Errors
/// While somebody has it open, or when something in it cannot be removed.
pub async fn remove(runner: &impl Runner, folder: &Path) -> Result<bool, DataError> {
    if fs::symlink_metadata(folder).is_err() {
        return Ok(false);
    }
    let unmounted = remove_shared_folder(runner, folder).await;
    unmounted.map_err(|source| DataError::InUse { folder: folder.to_owned(), source })?;
    if let Ok(place) = fs::canonicalize(folder) {
        remove_tree(&place)?;
    }
    // Of a link the name is left.
    remove_file(folder)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use model::service::{Mount, ServiceSpec};
    use model::time::Timestamp;
    use model::version::{Version, Wanted};

    use super::*;
    use crate::command::HostRunner;
    use crate::lxc::ensure_shared_folder;

    /// A service whose wanted version mounts the first of these, and an earlier one the second.
    fn deployed(name: &str, now: &[&str], before: &[&str]) -> DeployedService {
        let text = format!(
            "name = \"{name}\"\nimage = \"x\"\nbounds = {{ min = 1, max = 1 }}\ninstance.port = 1\n"
        );
        let spec: ServiceSpec = config_file::from_toml("service.toml", &text).unwrap();
        let mounting = |folders: &[&str]| {
            let mount = |folder: &&str| Mount {
                source: (*folder).to_owned(),
                target: format!("/{folder}"),
                shared: true,
            };
            let mut instance = spec.instance.clone();
            instance.mounts = folders.iter().map(mount).collect();
            instance
        };
        let versions = [(Version::new(1), mounting(now)), (Version::new(2), mounting(before))];
        let wanted = Wanted { version: Version::new(1), deployed_at: Timestamp::from_millis(1) };
        let spec = ServiceSpec { instance: mounting(now), ..spec };
        let versions = BTreeMap::from(versions);
        DeployedService { spec, wanted, versions, unreadable: BTreeMap::new(), release: false }
    }

    #[test]
    fn the_data_of_one_service_is_what_its_kept_versions_mount_and_no_other_service_does() {
        let services = [
            deployed("shop", &["a", "b"], &["c", "stateful/shop"]),
            deployed("other", &["b"], &["d"]),
        ];
        let folders = |name: &str| -> Vec<String> {
            folders_of_one(&name.parse().unwrap(), &services).into_iter().collect()
        };
        assert_eq!(folders("shop"), ["a", "c", "stateful/shop"]);
        assert_eq!(folders("other"), ["d", "stateful/other"]);
        assert_eq!(folders("gone"), ["stateful/gone"]);
        let only_before = [deployed("shop", &["a"], &[]), deployed("other", &[], &["a"])];
        let shop = folders_of_one(&"shop".parse().unwrap(), &only_before);
        assert!(!shop.contains("a"), "another may be gone back to a version that mounts it");
    }

    #[tokio::test]
    async fn what_is_removed_is_unmounted_before_and_nothing_of_another_is() {
        let state = tempfile::tempdir().unwrap();
        let state = fs::canonicalize(state.path()).unwrap();
        let (one, other) = (state.join("stateful/one"), state.join("stateful/other"));
        for folder in [&one, &other] {
            ensure_shared_folder(&HostRunner, folder, 0).await.unwrap();
            fs::write(folder.join("rows"), "1").unwrap();
        }
        let all = ["stateful/one", "stateful/other", "none"].map(str::to_owned).into();
        assert_eq!(there(&state, &all), [one.clone(), other.clone()]);
        let held = fs::File::open(one.join("rows")).unwrap();
        let error = remove(&HostRunner, &one).await.unwrap_err().to_string();
        assert!(error.contains("stateful/one is in use"), "{error}");
        assert!(one.join("rows").exists());
        drop(held);
        assert!(remove(&HostRunner, &one).await.unwrap());
        assert!(!remove(&HostRunner, &one).await.unwrap());
        assert!(!one.exists() && other.join("rows").exists());
        let link = state.join("link");
        symlink(&other, &link).unwrap();
        assert!(remove(&HostRunner, &link).await.unwrap());
        assert_eq!(
            there(&state, &["link", "stateful/other"].map(str::to_owned).into()),
            [""; 0].map(PathBuf::from)
        );
    }
}
