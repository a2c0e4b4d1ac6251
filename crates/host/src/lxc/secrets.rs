//! The secrets of instances: a folder for each version, on a tmpfs of the host, which stands read-only in
//! the version's instances as `/run/secrets`. A template holds which values they are, and no value.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use model::names::{ServiceName, TemplateName};

use super::error::ContainerError;
use super::mounts::is_mounted;
use super::output::Owner;
use crate::command::{CommandLine, Runner};
use crate::files::{FileError, file_error, names_in, remove_tree};
use crate::secrets::{GivenSecrets, SecretError, SecretStore};
use crate::settings::Settings;

/// The folder in the run folder.
const FOLDER: &str = "secrets";

/// The file of a template that says which values its instances are given.
const FILE: &str = "secrets.json";

/// What it may hold, and nobody's programs or devices: eight versions of all secrets that a host may have, which
/// take memory once they are there. Root of an instance passes through to its own.
const OPTIONS: &str = "nosuid,nodev,noexec,size=512m,nr_inodes=65536,mode=0711";

/// The folder in which the values of one version are.
pub(super) fn folder(run: &Path, template: &TemplateName) -> PathBuf {
    run.join(FOLDER).join(template.as_str())
}

/// The same of a run that is no instance, by its name.
pub(super) fn of_run(run: &Path, name: &str) -> PathBuf {
    run.join(FOLDER).join(name)
}

/// Writes down in a template's folder what its instances are given, if anything.
pub(super) fn write_down(template: &Path, given: &GivenSecrets) -> Result<(), FileError> {
    if given.is_empty() {
        return Ok(());
    }
    let path = template.join(FILE);
    fs::write(&path, text(given)).map_err(file_error("write", &path))?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))
        .map_err(file_error("change the mode of", &path))
}

/// What goes into the digest of a version. Names and numbers are JSON whatever they are.
pub(super) fn text(given: &GivenSecrets) -> String {
    serde_json::to_string(given).unwrap_or_default()
}

/// What instances of a template are given.
pub(super) fn given_to(lxc: &Path, template: &TemplateName) -> Result<GivenSecrets, SecretError> {
    let path = lxc.join(template.as_str()).join(FILE);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(GivenSecrets::new()),
        text => text.map_err(file_error("read", &path))?,
    };
    let spoilt =
        |error: serde_json::Error| SecretError::Spoilt { path, problem: error.to_string() };
    serde_json::from_slice(&text).map_err(spoilt)
}

/// What instances of each template of a service are given.
pub(crate) fn given_to_templates(
    lxc: &Path,
    service: &ServiceName,
) -> Result<Vec<GivenSecrets>, SecretError> {
    let names = names_in(lxc)?;
    let templates = names.iter().filter_map(|name| name.parse::<TemplateName>().ok());
    templates.filter(|it| it.service() == service).map(|it| given_to(lxc, &it)).collect()
}

/// Mounts the tmpfs where it is not mounted.
pub(super) async fn ensure_mounted(runner: &impl Runner, run: &Path) -> Result<(), ContainerError> {
    let folder = run.join(FOLDER);
    if is_mounted(&folder)? {
        return Ok(());
    }
    fs::create_dir_all(&folder).map_err(file_error("make", &folder))?;
    let mount = CommandLine::new("mount").args(["-t", "tmpfs", "-o", OPTIONS, "bellows-secrets"]);
    runner.run(&mount.arg(&folder)).await?;
    Ok(())
}

/// Undoes the mount, with all that is in it; says whether there was one.
///
/// # Errors
/// When it is in use.
pub async fn remove_secrets(runner: &impl Runner, run: &Path) -> Result<bool, ContainerError> {
    let folder = run.join(FOLDER);
    let mut was_mounted = false;
    while is_mounted(&folder)? {
        runner.run(&CommandLine::new("umount").arg(&folder)).await?;
        was_mounted = true;
    }
    Ok(was_mounted)
}

/// Removes the values of a version whose template is being removed.
pub(super) fn remove(run: &Path, template: &TemplateName) -> Result<(), FileError> {
    remove_tree(&draft(run, template))?;
    remove_tree(&folder(run, template)).map(drop)
}

/// The folder in which those of one version are put together.
fn draft(run: &Path, template: &TemplateName) -> PathBuf {
    run.join(FOLDER).join(format!(".{template}-draft"))
}

/// Puts the values on the tmpfs, for the launches of a host.
#[derive(Debug)]
pub(super) struct SecretFiles {
    store: SecretStore,
    run: PathBuf,
    lxc: PathBuf,
}

impl SecretFiles {
    pub(super) fn new(settings: &Settings) -> Self {
        let paths = &settings.paths;
        Self { store: SecretStore::new(settings), run: paths.run.clone(), lxc: paths.lxc.clone() }
    }

    /// Makes the folder of a version whose instances are given secrets, for `owner` alone, where it is not
    /// there: a boot empties the run folder.
    ///
    /// # Errors
    /// When a value is gone, or the tmpfs is not mounted: what is written there must reach no disk.
    pub(super) fn ensure(
        &self,
        template: &TemplateName,
        owner: Owner,
    ) -> Result<(), ContainerError> {
        let given = given_to(&self.lxc, template)?;
        if given.is_empty() {
            return Ok(());
        }
        let (all, folder) = (self.run.join(FOLDER), folder(&self.run, template));
        if folder.exists() {
            return Ok(());
        }
        if !is_mounted(&all)? {
            return Err(ContainerError::NoSecrets { folder: all });
        }
        let draft = draft(&self.run, template);
        remove_tree(&draft)?;
        self.give(template.service(), &given, &draft, owner)?;
        fs::rename(&draft, &folder).map_err(file_error("rename", &draft))?;
        Ok(())
    }

    /// Makes a folder of these values, for `owner` alone.
    ///
    /// # Errors
    /// When a value is gone, or the folder is there.
    pub(super) fn give(
        &self,
        service: &ServiceName,
        given: &GivenSecrets,
        folder: &Path,
        owner: Owner,
    ) -> Result<(), ContainerError> {
        fs::DirBuilder::new().mode(0o700).create(folder).map_err(file_error("make", folder))?;
        for (name, generation) in given {
            let value = self.store.read(service, name, *generation)?;
            write(&folder.join(name.as_str()), &value, owner)?;
        }
        Ok(give(folder, owner, 0o500)?)
    }
}

fn write(file: &Path, value: &[u8], owner: Owner) -> Result<(), FileError> {
    fs::write(file, value).map_err(file_error("write", file))?;
    give(file, owner, 0o400)
}

fn give(path: &Path, owner: Owner, mode: u32) -> Result<(), FileError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(file_error("change the mode of", path))?;
    chown(path, Some(owner.uid), Some(owner.gid)).map_err(file_error("change the owner of", path))
}
