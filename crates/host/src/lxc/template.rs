//! Templates: the stopped containers that instances are cloned from, one for each version of a
//! service's image, confinement and configuration.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::names::{CONTAINER_PREFIX, TemplateName};
use model::secrets::SECRETS_FOLDER;
use model::service::{HealthStatus, HttpHealth, InstanceSpec, Mount, Protocol, ServiceSpec};
use model::version::Version;
use sha2::{Digest, Sha256};

use super::apparmor::{AppArmorProfile, ensure_profile};
use super::error::ContainerError;
use super::image::Image;
use super::image_file;
use super::inventory::{Inventory, container_states};
use super::layer;
use super::mounts::{remove_unmounted, unmount_below};
use super::own_files::OwnFiles;
use super::ownership::copy_image;
use super::profile::{Profile, SECCOMP};
use super::secrets;
use super::shared_folder::ensure_shared_folder;
use super::stack;
use super::start::{self, COMMAND_FILE, INIT, Start, User};
use super::template_error::TemplateError;
use crate::command::Runner;
use crate::files::{FileError, file_error, names_in, sync_file_system};
use crate::id_ranges::IdRanges;
use crate::lock::{Lock, holders, lock_for_programs};
use crate::releases::Releases;
use crate::render::RenderError;
use crate::secrets::{GivenSecrets, SecretStore};
use crate::settings::{IdRange, Settings};

/// Where an instance reads its configuration.
const SERVICE_FILE: &str = "etc/bellows/service.toml";

/// Where an instance finds the services that it reaches by their names.
const HOSTS_FILE: &str = "etc/hosts";

/// What the hidden name of a template ends with that is not whole.
const DRAFT: &str = "-draft";

/// How long another process may mount: 100 versions of one service may be kept, and 100 layers take 3 s.
const MOUNT_WAIT: Duration = Duration::from_secs(20);

/// What goes into a template beside its image and its configuration.
pub(super) struct Parts<'a> {
    pub(super) start: &'a Start,
    pub(super) application: &'a str,
    pub(super) given: &'a GivenSecrets,
}

/// What [`TemplateStore::ensure_mounts`] has come to.
#[derive(Debug)]
#[must_use]
pub struct Mounts {
    /// The service's range of ids.
    pub ids: IdRange,
    /// The templates that lack what they need, and why.
    pub failed: Vec<(TemplateName, TemplateError)>,
}

/// The templates of this host.
#[derive(Debug)]
pub struct TemplateStore<R> {
    runner: R,
    profile: Profile,
    lxc: PathBuf,
    state: PathBuf,
    run: PathBuf,
    secrets: SecretStore,
    ranges: IdRanges,
    /// Our init, for programs that are not made to be the first process.
    init: PathBuf,
}

impl<R: Runner> TemplateStore<R> {
    /// The templates of a host with these settings.
    pub fn new(settings: &Settings, runner: R) -> Self {
        Self {
            runner,
            profile: Profile::new(settings),
            lxc: settings.paths.lxc.clone(),
            state: settings.paths.state.clone(),
            run: settings.paths.run.clone(),
            secrets: SecretStore::new(settings),
            ranges: IdRanges::new(settings),
            init: Releases::new(&settings.paths.state).current().join("init"),
        }
    }

    /// The same, with another init than that of the release in force.
    #[must_use]
    pub fn with_init(self, init: PathBuf) -> Self {
        Self { init, ..self }
    }

    /// Makes the template of a service unless it is there, and the folders it shares, and has the
    /// kernel know the instances' AppArmor profile.
    ///
    /// It is made under a hidden name and renamed when it is whole and on disk, so that a crash at
    /// any moment leaves no half a template that is used. Two callers at once get in each other's
    /// way: hold a lock.
    ///
    /// # Errors
    /// When the disk or a command fails, or the profile's template is wrong.
    pub async fn ensure(
        &self,
        service: &ServiceSpec,
        image: &Image,
    ) -> Result<TemplateName, TemplateError> {
        // What another version lacks is no reason not to make this one.
        let ids = self.ensure_mounts(service).await?.ids;
        let application = application_text(service)?;
        let start = start::resolve(&service.instance, image, self.profile.environment(service))?;
        self.hand_over(service, start.user, ids)?;
        let given = self.secrets.given(service)?;
        let parts = Parts { start: &start, application: &application, given: &given };
        let name = self.name(service, image, &parts, ids)?;
        self.remove_stale(&name).await?;
        if !self.lxc.join(name.as_str()).exists() {
            self.make(&name, service, image, &parts, ids).await?;
        }
        // From here on its values stay; before, somebody may have set one anew.
        self.secrets.ensure_kept(&service.name, &given)?;
        let _lock = self.lock_mounts().await?;
        layer::ensure(&self.runner, &self.lxc, &name).await?;
        stack::ensure_mounted(&self.lxc, &name).await?;
        Ok(name)
    }

    /// Keeps other processes from mounting and unmounting, such as `boot` beside `up`: each of the two would see that
    /// nothing is mounted, and do it.
    async fn lock_mounts(&self) -> Result<Lock, ContainerError> {
        Ok(Lock::acquire_within(&self.run.join("mounts.lock"), MOUNT_WAIT).await?)
    }

    /// Removes a template that does not stand any more on what it was made on, to be made anew.
    ///
    /// # Errors
    /// [`ContainerError::StoodOn`] while it has instances.
    async fn remove_stale(&self, template: &TemplateName) -> Result<(), TemplateError> {
        let Err(stale) = stack::check_folders(&self.lxc, template) else { return Ok(()) };
        match self.remove(template).await {
            Err(TemplateError::InUse { .. }) => Err(stale.into()),
            removed => removed,
        }
    }

    async fn make(
        &self,
        name: &TemplateName,
        service: &ServiceSpec,
        image: &Image,
        parts: &Parts<'_>,
        ids: IdRange,
    ) -> Result<(), TemplateError> {
        let folder = self.lxc.join(name.as_str());
        let draft = self.draft(name);
        let lock = self.lock_drafts()?;
        remove_unmounted(&draft)?;
        fs::create_dir_all(&draft).map_err(file_error("make", &draft))?;
        let files = self.lay(&draft, image, ids, lock).await?;
        let hosts = self.profile.hosts(&service.instance);
        write_files(&files, &service.instance, parts, hosts, &self.init)?;
        let config = self.config(name, service, parts.start, ids)?;
        write(&draft.join("seccomp"), SECCOMP)?;
        write(&draft.join("config"), &config)?;
        image_file::write(&draft, image)?;
        secrets::write_down(&draft, parts.given)?;
        if let Some(size_mib) = service.instance.layer_mib {
            layer::reserve(&draft, size_mib)?;
        }
        lock_out_others(&draft, ids)?;
        sync_file_system(&draft)?;
        Ok(fs::rename(&draft, &folder).map_err(file_error("rename", &draft))?)
    }

    /// Gives the service its range of ids, makes the folders that it shares, mounts the layers and the root file
    /// systems of its templates and what holds secrets, and has the kernel know the instances' AppArmor profile: what a
    /// template needs and a boot forgets. One version that cannot have it keeps no other from it.
    ///
    /// # Errors
    /// When what all versions need cannot be had, or the profile's template is wrong.
    pub async fn ensure_mounts(&self, service: &ServiceSpec) -> Result<Mounts, TemplateError> {
        let _lock = self.lock_mounts().await?;
        let ids = self.ranges.ensure(service)?;
        self.mount_folders(&service.instance, ids).await?;
        let templates = self.list()?;
        let mut has_secrets = !service.instance.secrets.is_empty();
        let mut failed = Vec::new();
        for template in templates.into_iter().filter(|name| name.service() == &service.name) {
            match self.ensure_mounts_of(&template).await {
                Ok(is_given) => has_secrets |= is_given,
                Err(error) => failed.push((template, error)),
            }
        }
        if has_secrets {
            secrets::ensure_mounted(&self.runner, &self.run).await?;
        }
        ensure_profile(&self.runner, &AppArmorProfile::render()?).await?;
        Ok(Mounts { ids, failed })
    }

    /// Mounts the folders that instances share: those of a version that is kept may be others than the service's file
    /// names now.
    ///
    /// # Errors
    /// When one cannot be made or mounted.
    pub async fn ensure_folders(
        &self,
        instance: &InstanceSpec,
        ids: IdRange,
    ) -> Result<(), ContainerError> {
        let _lock = self.lock_mounts().await?;
        self.mount_folders(instance, ids).await
    }

    /// Gives the folder of a service's own to the user of its first process and to nobody else, as long as nothing is in
    /// it. Whose what is in it should be, the service alone knows.
    fn hand_over(&self, service: &ServiceSpec, user: User, ids: IdRange) -> Result<(), FileError> {
        let Some(own) = service.own_folder() else { return Ok(()) };
        let folder = self.state.join(own);
        let in_range = user.uid.max(user.gid) < ids.count;
        if in_range && names_in(&folder)?.is_empty() {
            let (uid, gid) = (ids.first + user.uid, ids.first + user.gid);
            chown(&folder, Some(uid), Some(gid))
                .map_err(file_error("change the owner of", &folder))?;
            let mode = fs::Permissions::from_mode(0o700);
            fs::set_permissions(&folder, mode).map_err(file_error("close", &folder))?;
        }
        Ok(())
    }

    async fn mount_folders(
        &self,
        instance: &InstanceSpec,
        ids: IdRange,
    ) -> Result<(), ContainerError> {
        for Mount { source, .. } in &instance.mounts {
            let folder = self.state.join(source);
            ensure_shared_folder(&self.runner, &folder, ids.first).await?;
        }
        Ok(())
    }

    /// Mounts what one template needs; says whether its instances are given secrets.
    async fn ensure_mounts_of(&self, template: &TemplateName) -> Result<bool, TemplateError> {
        layer::ensure(&self.runner, &self.lxc, template).await?;
        stack::ensure_mounted(&self.lxc, template).await?;
        Ok(!secrets::given_to(&self.lxc, template)?.is_empty())
    }

    /// That instances of a template can be launched, as far as mounts go.
    ///
    /// # Errors
    /// With what keeps it from being mounted, where that is known.
    pub fn check_mounted(&self, template: &TemplateName) -> Result<(), ContainerError> {
        layer::of_template(&self.lxc, template)?;
        stack::check_mounted(&self.lxc, template)
    }

    /// The templates on this host, sorted by name.
    ///
    /// # Errors
    /// When LXC's folder cannot be read.
    pub fn list(&self) -> Result<Vec<TemplateName>, TemplateError> {
        let names = container_states(&self.lxc)?;
        Ok(names.into_iter().filter_map(|(name, _)| name.parse().ok()).collect())
    }

    /// Whether a template is there, and gives the secrets that a new version of the service would be given.
    ///
    /// # Errors
    /// When a secret is not set, or what is kept of one cannot be read.
    pub fn is_as_if_new(
        &self,
        template: &TemplateName,
        service: &ServiceSpec,
    ) -> Result<bool, TemplateError> {
        let is_there = self.folder(template).is_dir();
        let given = secrets::given_to(&self.lxc, template)?;
        Ok(is_there && given == self.secrets.given(service)?)
    }

    /// The folders of images that the templates on this host stand on.
    ///
    /// # Errors
    /// When what one stands on cannot be read.
    pub fn stood_on(&self) -> Result<BTreeSet<PathBuf>, TemplateError> {
        let folders = self.list()?.into_iter().map(|name| stack::folders_of(&self.lxc, &name));
        Ok(folders.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Removes a template that no instance stands on, and nothing of what it stands on itself. One that is gone is
    /// no error.
    ///
    /// # Errors
    /// [`TemplateError::InUse`] while it has instances.
    pub async fn remove(&self, template: &TemplateName) -> Result<(), TemplateError> {
        let instances = Inventory::default().list(&self.lxc)?;
        if let Some(user) = instances.iter().find(|it| it.template.as_ref() == Some(template)) {
            return Err(TemplateError::InUse {
                template: template.to_string(),
                instance: user.name.to_string(),
            });
        }
        let _lock = self.lock_mounts().await?;
        let folder = self.lxc.join(template.as_str());
        layer::remove(&self.runner, &self.lxc, template).await?;
        secrets::remove(&self.run, template)?;
        if !folder.exists() {
            return Ok(());
        }
        unmount_below(&folder)?;
        let draft = self.draft(template);
        remove_unmounted(&draft)?;
        fs::rename(&folder, &draft).map_err(file_error("rename", &folder))?;
        remove_unmounted(&draft)?;
        Ok(())
    }

    /// Removes templates that a crash left half made, under their hidden names; gives how many there were.
    ///
    /// # Errors
    /// [`TemplateError::UnderWay`] while an earlier call goes on.
    pub fn remove_drafts(&self) -> Result<usize, TemplateError> {
        let _lock = self.lock_drafts()?;
        let drafts = self.drafts()?;
        for draft in &drafts {
            remove_unmounted(draft)?;
        }
        Ok(drafts.len())
    }

    /// The folders of templates that are half made, or being made.
    ///
    /// # Errors
    /// When LXC's folder cannot be read.
    pub fn drafts(&self) -> Result<Vec<PathBuf>, TemplateError> {
        let hidden = format!(".{CONTAINER_PREFIX}");
        let mut names = names_in(&self.lxc)?;
        names.retain(|name| name.starts_with(&hidden) && name.ends_with(DRAFT));
        Ok(names.iter().map(|name| self.lxc.join(name)).collect())
    }

    /// Where a template is.
    pub(super) fn folder(&self, template: &TemplateName) -> PathBuf {
        self.lxc.join(template.as_str())
    }

    /// Where a template is made, and removed.
    fn draft(&self, template: &TemplateName) -> PathBuf {
        self.lxc.join(format!(".{template}{DRAFT}"))
    }

    /// The lock of whoever writes to drafts: what copies an image goes on when this process is killed.
    fn lock_drafts(&self) -> Result<Arc<File>, TemplateError> {
        let file = self.run.join("drafts.lock");
        let lock = lock_for_programs(&file)?;
        lock.ok_or_else(|| TemplateError::UnderWay { holders: holders(&file) })
    }

    /// The name with a digest of everything that goes into the template.
    fn name(
        &self,
        service: &ServiceSpec,
        image: &Image,
        Parts { start, application, given }: &Parts<'_>,
        ids: IdRange,
    ) -> Result<TemplateName, TemplateError> {
        let nameless = TemplateName::new(&service.name, Version::new(0));
        let config = self.config(&nameless, service, start, ids)?;
        let (command, init) = match &start.command {
            Some(command) => (command.as_bytes(), read(&self.init)?),
            None => (&[][..], Vec::new()),
        };
        let mut hash = Sha256::new();
        // Port and health check are no part of the template, but of what an instance is known by.
        let port = service.instance.port.to_string();
        let health = health(&service.instance.protocol);
        let layer = format!("{:?}", service.instance.layer_mib);
        let hosts = self.profile.hosts(&service.instance);
        let texts = [image.digest.as_str(), &config, SECCOMP, application, &port, &health, &layer];
        // Which values they are, and nothing of the values. A service without is what it was.
        let given = (!given.is_empty()).then(|| secrets::text(given));
        let texts = texts.into_iter().chain(hosts.as_deref());
        let parts = texts.map(str::as_bytes).chain([command, &init]);
        let parts = parts.chain(given.iter().map(|text| text.as_bytes()));
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let digest =
            hash.finalize().iter().take(4).fold(0, |all, byte| all << 8 | u32::from(*byte));
        Ok(TemplateName::new(&service.name, Version::new(digest)))
    }

    fn config(
        &self,
        name: &TemplateName,
        service: &ServiceSpec,
        start: &Start,
        ids: IdRange,
    ) -> Result<String, RenderError> {
        let folder = self.lxc.join(name.as_str());
        self.profile.template_config(name, &folder, start, &service.instance, ids)
    }

    /// Puts the image into the draft of a template: a copy, or what lies above those that it shares.
    async fn lay<'a>(
        &self,
        draft: &Path,
        image: &'a Image,
        ids: IdRange,
        lock: Arc<File>,
    ) -> Result<OwnFiles<'a>, TemplateError> {
        if !image.bases.is_empty() {
            return Ok(stack::lay(draft, image, ids)?);
        }
        let rootfs = draft.join("rootfs");
        copy_image(&self.runner, &image.folder, &rootfs, ids, lock).await?;
        Ok(OwnFiles::in_copy(rootfs, ids))
    }
}

/// A service's table `[application]`, as its instances read it.
pub(super) fn application_text(service: &ServiceSpec) -> Result<String, TemplateError> {
    toml::to_string(&service.application)
        .map_err(|source| TemplateError::Application { service: service.name.to_string(), source })
}

/// Adds to an image what instances of a service find in it: its folders, and files of ours.
pub(super) fn write_files(
    files: &OwnFiles<'_>,
    instance: &InstanceSpec,
    parts: &Parts<'_>,
    hosts: Option<String>,
    init: &Path,
) -> Result<(), TemplateError> {
    make_folders(files, instance)?;
    files.write(SERVICE_FILE, parts.application, 0o644)?;
    if let Some(command) = &parts.start.command {
        files.write(COMMAND_FILE, command, 0o644)?;
        files.write(INIT, read(init)?, 0o755)?;
    }
    if let Some(hosts) = hosts {
        files.write(HOSTS_FILE, hosts, 0o644)?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(file).map_err(file_error("read", file))
}

/// Makes the folders that are mounted on or written to, and that of our own files.
fn make_folders(files: &OwnFiles<'_>, instance: &InstanceSpec) -> Result<(), TemplateError> {
    let targets = instance.mounts.iter().map(|mount| &mount.target);
    let writable = instance.writable.iter().map(|folder| &folder.path);
    let secrets = (!instance.secrets.is_empty()).then_some(SECRETS_FOLDER);
    let targets = targets.chain(writable).map(String::as_str).chain(secrets);
    for target in targets.filter(|target| !target.starts_with("/dev/")) {
        files.make_folder(target)?;
    }
    match SERVICE_FILE.rsplit_once('/') {
        Some((folder, _)) => files.make_folder(folder),
        None => Ok(()),
    }
}

/// Lets nobody but the service's own root pass into a template, and the host's: its configuration may hold what
/// other services and users of the host are not to know. The folder stays the host's, which runs as root what
/// the configuration says: who owns a folder can put another file in the place of one that is not theirs.
pub(super) fn lock_out_others(template: &Path, ids: IdRange) -> Result<(), FileError> {
    chown(template, None, Some(ids.first)).map_err(file_error("change the group of", template))?;
    let mode = fs::Permissions::from_mode(0o710);
    fs::set_permissions(template, mode).map_err(file_error("change the mode of", template))
}

/// Writes a file of LXC's.
pub(super) fn write(file: &Path, content: impl AsRef<[u8]>) -> Result<(), FileError> {
    fs::write(file, content).map_err(file_error("write", file))?;
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(file, mode).map_err(file_error("change the mode of", file))
}

/// What an instance is checked by. With the usual status it is the path alone, as it was before there were
/// others: a release that knows them makes no new version of what is deployed.
fn health(protocol: &Protocol) -> String {
    match protocol {
        Protocol::Http { health: Some(HttpHealth { path, status }) }
            if *status == HealthStatus::default() =>
        {
            path.to_string()
        }
        Protocol::Http { health: Some(HttpHealth { path, status }) } => format!("{path} {status}"),
        Protocol::Http { health: None } => "connection".to_owned(),
        Protocol::Tcp => String::new(),
    }
}

#[cfg(test)]
mod tests;
