//! A run that is as an instance of its service is: the same image, program, environment, user, limits, rights and
//! secrets, and a root of the same kind. What it shares with no instance is data: in the place of shared folders it has
//! empty ones.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use model::secrets::SECRETS_FOLDER;
use model::service::{InstanceSpec, RootAccess, ServiceSpec, WritableFolder};

use super::super::image::Image;
use super::super::output::Owner;
use super::super::profile::{self, HostFolders, MountValues, Profile};
use super::super::secrets::SecretFiles;
use super::super::template::{Parts, application_text, write_files};
use super::super::template_error::TemplateError;
use super::super::{layer, secrets, stack, start};
use super::OneRun;
use crate::command::Runner;
use crate::files::{FileError, file_error, remove_tree};
use crate::secrets::SecretStore;
use crate::settings::{IdRange, Settings};

/// What an empty folder in the place of a shared one may hold. It is memory of the run.
const FOLDER_MIB: u32 = 16;

/// Whose instance a run is as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsInstance<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) service: &'a ServiceSpec,
    pub(crate) image: &'a Image,
    /// The service's ids.
    pub(crate) ids: IdRange,
    /// Our init.
    pub(crate) init: &'a Path,
}

impl OneRun {
    /// Makes the container, whose folder is there and empty.
    ///
    /// # Errors
    /// When the disk, a mount or a command fails, a secret is not set, or the image cannot have what the service needs.
    pub(crate) async fn make_as_instance(
        &self,
        runner: &impl Runner,
        of: AsInstance<'_>,
    ) -> Result<(), TemplateError> {
        let AsInstance { settings, service, image, ids, init } = of;
        let (folder, profile) = (self.folder(), Profile::new(settings));
        let instance = without_shared_folders(&service.instance);
        // A program that is the first process by itself would not end with whoever started it where there is AppArmor:
        // our init does.
        let start = start::resolve_by_init(&instance, image, profile.environment(service))?;
        let application = application_text(service)?;
        let given = SecretStore::new(settings).given(service)?;
        let files = stack::lay(&folder, image, ids)?;
        let parts = Parts { start: &start, application: &application, given: &given };
        write_files(&files, &instance, &parts, profile.hosts(&instance), init)?;
        let secrets = secrets::of_run(&settings.paths.run, &self.name);
        let mounts = HostFolders {
            rootfs_options: match instance.root {
                RootAccess::ReadOnly => "ro",
                RootAccess::Writable => "userxattr",
            },
            folders: Vec::new(),
            secrets: (!given.is_empty()).then(|| MountValues::new(&secrets, SECRETS_FOLDER)),
        };
        let shared = profile::confined(&self.name, &folder, &start, &instance, ids, mounts)?;
        if let (false, Some(owner)) = (given.is_empty(), Owner::of_config(&shared)) {
            secrets::ensure_mounted(runner, &settings.paths.run).await?;
            SecretFiles::new(settings).give(&service.name, &given, &secrets, owner)?;
        }
        let root = match instance.layer_mib {
            None => None,
            Some(size_mib) => Some(self.writable_root(runner, ids, size_mib).await?),
        };
        self.set_up(runner, &self.with_own_lines(&shared, root, None)?, ids).await
    }

    /// Removes the values that [`Self::make_as_instance`] gave it.
    pub(crate) fn remove_secrets(&self, settings: &Settings) -> Result<bool, FileError> {
        remove_tree(&secrets::of_run(&settings.paths.run, &self.name))
    }

    /// An overlay of LXC's on the root, as instances have it, whose upper folder is the run's own and in a file system of
    /// this size.
    async fn writable_root(
        &self,
        runner: &impl Runner,
        ids: IdRange,
        size_mib: u32,
    ) -> Result<String, TemplateError> {
        let folder = self.folder();
        layer::reserve(&folder, size_mib)?;
        layer::mount(runner, &folder, &folder.join("overlay")).await?;
        let upper = folder.join("overlay/delta");
        fs::create_dir_all(&upper).map_err(file_error("make", &upper))?;
        for folder in [folder.join("overlay"), upper.clone()] {
            chown(&folder, Some(ids.first), Some(ids.first))
                .map_err(file_error("change the owner of", &folder))?;
        }
        Ok(format!("overlay:{}:{}", folder.join("rootfs").display(), upper.display()))
    }
}

/// The same with empty folders in the place of those that instances share.
fn without_shared_folders(instance: &InstanceSpec) -> InstanceSpec {
    let empty = instance.mounts.iter().map(|mount| WritableFolder {
        path: mount.target.clone(),
        size_mib: FOLDER_MIB,
        exec: false,
    });
    let writable = instance.writable.iter().cloned().chain(empty).collect();
    InstanceSpec { mounts: Vec::new(), writable, ..instance.clone() }
}
