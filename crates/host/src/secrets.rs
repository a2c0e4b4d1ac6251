//! The secrets of services, as they are kept on this host: below the state folder, for root alone. Each
//! value that was set is a file of its own, which never changes: a version goes on with those that it was
//! given until it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use model::access::Who;
use model::names::{SecretName, ServiceName};
use model::secrets::{Secret, SecretChange, SecretGeneration, SecretValue};
use model::service::{SecretSpec, ServiceSpec};
use model::time::Timestamp;
use nix::fcntl::{Flock, FlockArg};

use crate::files::{
    FileError, ensure_private_folder, file_error, names_in, remove_file, remove_tree, replace_file,
    sync_file_system,
};
use crate::lxc::given_to_templates;
use crate::settings::Settings;

/// The folder in the state folder. In it a folder for each service, and in that one for each secret.
const FOLDER: &str = "secrets";

/// Beside the values of a secret: which of them is the newest, since when and by whom. No generation is
/// written so.
const NEWEST: &str = "newest.json";

/// Whoever changes something holds a lock on this file in [`FOLDER`]. No service is named so.
const LOCK: &str = ".lock";

/// Secrets of all services at most: 64 MB of their newest values.
const MOST: usize = 1_000;

/// Secrets of one service at most, twice as many as its file may name: who may set those of one service takes
/// nothing from others.
const MOST_OF_A_SERVICE: usize = 64;

/// The values of secrets that a version is given.
pub type GivenSecrets = BTreeMap<SecretName, SecretGeneration>;

/// A secret that could not be set, removed or given.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A service's file names one that is not there.
    #[error(
        "service {service}: its secret `{name}` is not set: `bellows secret set {service} {name}` reads it \
         from standard input"
    )]
    NotSet {
        /// The service.
        service: ServiceName,
        /// The secret.
        name: SecretName,
    },
    /// One is to be in a variable, and cannot.
    #[error(
        "service {service}: its secret `{name}` has a NUL, which no variable can hold: leave \
         `environment` out of instance.secrets, and have the program read the file"
    )]
    Nul {
        /// The service.
        service: ServiceName,
        /// The secret.
        name: SecretName,
    },
    /// The value that a version was given is not there any more.
    #[error(
        "service {service}: the value of `{name}` that its version was given is gone: deploy it again, which \
         gives it the newest"
    )]
    Gone {
        /// The service.
        service: ServiceName,
        /// The secret.
        name: SecretName,
    },
    /// It is of use.
    #[error(
        "the file of the service {service} names the secret `{name}`: remove it there, and deploy that first"
    )]
    InUse {
        /// The service.
        service: ServiceName,
        /// The secret.
        name: SecretName,
    },
    /// There are too many.
    #[error("there are {MOST} secrets: remove one that is of no use any more")]
    TooMany,
    /// The service has too many.
    #[error(
        "the service {service} has {MOST_OF_A_SERVICE} secrets: remove one that its file does not name any more"
    )]
    TooManyOfService {
        /// The service.
        service: ServiceName,
    },
    /// What is kept of one was spoilt.
    #[error("{} is spoilt ({problem}): set the secret again", path.display())]
    Spoilt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The secrets of this host's services.
#[derive(Debug, Clone)]
pub struct SecretStore {
    folder: PathBuf,
    lxc: PathBuf,
}

impl SecretStore {
    /// The secrets on a host with these settings.
    pub fn new(settings: &Settings) -> Self {
        Self { folder: settings.paths.state.join(FOLDER), lxc: settings.paths.lxc.clone() }
    }

    /// The secrets of a service, in the order of their names.
    ///
    /// # Errors
    /// When the folder cannot be read, or what is kept of one was spoilt.
    pub fn list(&self, service: &ServiceName) -> Result<Vec<Secret>, SecretError> {
        let names = self.names(service)?;
        names.iter().filter_map(|name| self.newest(service, name).transpose()).collect()
    }

    /// The secrets of all services.
    ///
    /// # Errors
    /// When a folder cannot be read, or what is kept of one was spoilt.
    pub fn all(&self) -> Result<BTreeMap<(ServiceName, SecretName), Secret>, SecretError> {
        let mut all = BTreeMap::new();
        for service in self.services()? {
            let secrets = self.list(&service)?.into_iter();
            all.extend(secrets.map(|secret| ((service.clone(), secret.name.clone()), secret)));
        }
        Ok(all)
    }

    /// The services that have secrets, or had.
    fn services(&self) -> Result<Vec<ServiceName>, SecretError> {
        Ok(names_in(&self.folder)?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Sets a secret, on the disk when this returns. Where it has this value already, nothing changes.
    ///
    /// # Errors
    /// When there are too many, or the disk fails; what was set before still is.
    pub fn set(
        &self,
        service: &ServiceName,
        name: &SecretName,
        value: &SecretValue,
        (who, now): (Who, Timestamp),
    ) -> Result<SecretChange, SecretError> {
        let _lock = self.lock()?;
        let newest = self.newest(service, name).ok().flatten().map(|secret| secret.generation);
        if let Some(held) = newest
            && self.read(service, name, held).is_ok_and(|bytes| bytes == value.bytes())
        {
            return Ok(SecretChange { before: newest, after: held });
        }
        if newest.is_none() {
            self.check_room(service)?;
        }
        let generation = SecretGeneration::new(rand::random());
        self.write(service, name, generation, value)?;
        let secret = Secret { name: name.clone(), generation, set_at: now, set_by: who };
        let path = self.secret(service, name).join(NEWEST);
        let json = serde_json::to_vec(&secret).map_err(io::Error::from);
        json.and_then(|json| replace_file(&path, json, 0o600))
            .map_err(file_error("write", &path))?;
        self.sweep_after(service);
        Ok(SecretChange { before: newest, after: generation })
    }

    /// Sweeps after a change, which is done by then: what this leaves, the next `up` finds.
    fn sweep_after(&self, service: &ServiceName) {
        if let Err(error) = self.sweep_service(service) {
            tracing::warn!(%service, %error, "values of secrets that are of no use are left");
        }
    }

    /// Removes a secret, and gives it; `None` where there is none. Values that a version was given go with
    /// that. `deployed` is what the service's file says, where it is deployed.
    ///
    /// # Errors
    /// When that names it, or the disk fails.
    pub fn remove(
        &self,
        service: &ServiceName,
        name: &SecretName,
        deployed: Option<&ServiceSpec>,
    ) -> Result<Option<SecretGeneration>, SecretError> {
        let named = |spec: &ServiceSpec| spec.instance.secrets.iter().any(|it| it.name == *name);
        if deployed.is_some_and(named) {
            return Err(SecretError::InUse { service: service.clone(), name: name.clone() });
        }
        let _lock = self.lock()?;
        let Some(secret) = self.newest(service, name)? else { return Ok(None) };
        remove_file(&self.secret(service, name).join(NEWEST))?;
        self.sweep_after(service);
        Ok(Some(secret.generation))
    }

    /// Which values a version of the service that is made now is given.
    ///
    /// # Errors
    /// When one that its file names is not set.
    pub fn given(&self, service: &ServiceSpec) -> Result<GivenSecrets, SecretError> {
        let given = |SecretSpec { name, .. }: &SecretSpec| {
            let secret = self.newest(&service.name, name)?.ok_or_else(|| SecretError::NotSet {
                service: service.name.clone(),
                name: name.clone(),
            })?;
            Ok((name.clone(), secret.generation))
        };
        service.instance.secrets.iter().map(given).collect()
    }

    /// All that keeps a version of the service from being made: what is not set, and what no variable
    /// can hold.
    pub fn problems(&self, service: &ServiceSpec) -> Vec<SecretError> {
        service
            .instance
            .secrets
            .iter()
            .filter_map(|it| self.check(&service.name, it).err())
            .collect()
    }

    fn check(&self, service: &ServiceName, secret: &SecretSpec) -> Result<(), SecretError> {
        let name = &secret.name;
        let not_set = || SecretError::NotSet { service: service.clone(), name: name.clone() };
        let newest = self.newest(service, name)?.ok_or_else(not_set)?;
        let value = self.read(service, name, newest.generation)?;
        if secret.environment.is_some() && value.contains(&0) {
            return Err(SecretError::Nul { service: service.clone(), name: name.clone() });
        }
        Ok(())
    }

    /// A value, whether it is the newest or not.
    ///
    /// # Errors
    /// [`SecretError::Gone`] where it is not kept.
    pub(crate) fn read(
        &self,
        service: &ServiceName,
        name: &SecretName,
        generation: SecretGeneration,
    ) -> Result<Vec<u8>, SecretError> {
        let file = self.value(service, name, generation);
        fs::read(&file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                SecretError::Gone { service: service.clone(), name: name.clone() }
            }
            _ => file_error("read", &file)(error).into(),
        })
    }

    /// Makes sure that what a version was given is kept: somebody may have set a secret while the version was
    /// made.
    pub(crate) fn ensure_kept(
        &self,
        service: &ServiceName,
        given: &GivenSecrets,
    ) -> Result<(), SecretError> {
        let mut given = given.iter();
        given.try_for_each(|(name, value)| self.read(service, name, *value).map(drop))
    }

    /// Removes the values that are neither the newest nor given to a version whose template is there. A service of
    /// which that cannot be told keeps all, and is given with what is wrong.
    ///
    /// # Errors
    /// When the services cannot be listed.
    pub fn sweep(&self) -> Result<Vec<(ServiceName, SecretError)>, SecretError> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        let swept = |service| self.sweep_service(&service).err().map(|error| (service, error));
        Ok(self.services()?.into_iter().filter_map(swept).collect())
    }

    fn sweep_service(&self, service: &ServiceName) -> Result<(), SecretError> {
        let given = given_to_templates(&self.lxc, service)?;
        for name in self.names(service)? {
            let folder = self.secret(service, &name);
            // One that was spoilt is left to whoever sets it again.
            let Ok(newest) = self.newest(service, &name) else { continue };
            let newest = newest.map(|secret| secret.generation);
            let given = given.iter().filter_map(|given| given.get(&name).copied());
            let kept: BTreeSet<_> = given
                .chain(newest)
                .map(|kept| kept.to_string())
                .chain([NEWEST.to_owned()])
                .collect();
            for file in names_in(&folder)?.iter().filter(|file| !kept.contains(*file)) {
                remove_file(&folder.join(file))?;
            }
            if names_in(&folder)?.is_empty() {
                remove_tree(&folder)?;
            }
        }
        if self.names(service)?.is_empty() {
            remove_tree(&self.folder.join(service.as_str()))?;
        }
        Ok(())
    }

    fn write(
        &self,
        service: &ServiceName,
        name: &SecretName,
        generation: SecretGeneration,
        value: &SecretValue,
    ) -> Result<(), FileError> {
        let folder = self.secret(service, name);
        let is_new = !folder.exists();
        make_folder(&folder)?;
        let file = self.value(service, name, generation);
        replace_file(&file, value.bytes(), 0o600).map_err(file_error("write", &file))?;
        if is_new { sync_file_system(&folder) } else { Ok(()) }
    }

    fn newest(
        &self,
        service: &ServiceName,
        name: &SecretName,
    ) -> Result<Option<Secret>, SecretError> {
        let path = self.secret(service, name).join(NEWEST);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(file_error("read", &path))?,
        };
        let spoilt = |error: serde_json::Error| SecretError::Spoilt {
            path: path.clone(),
            problem: error.to_string(),
        };
        serde_json::from_slice(&text).map(Some).map_err(spoilt)
    }

    /// Refuses one secret more of a service where there are too many.
    fn check_room(&self, service: &ServiceName) -> Result<(), SecretError> {
        if self.names(service)?.len() >= MOST_OF_A_SERVICE {
            return Err(SecretError::TooManyOfService { service: service.clone() });
        }
        let counts = self.services()?.into_iter().map(|service| Ok(self.names(&service)?.len()));
        match counts.sum::<Result<usize, SecretError>>()? {
            MOST.. => Err(SecretError::TooMany),
            _ => Ok(()),
        }
    }

    fn names(&self, service: &ServiceName) -> Result<Vec<SecretName>, SecretError> {
        let names = names_in(&self.folder.join(service.as_str()))?;
        let mut names: Vec<SecretName> =
            names.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    fn secret(&self, service: &ServiceName, name: &SecretName) -> PathBuf {
        self.folder.join(service.as_str()).join(name.as_str())
    }

    fn value(
        &self,
        service: &ServiceName,
        name: &SecretName,
        generation: SecretGeneration,
    ) -> PathBuf {
        self.secret(service, name).join(generation.to_string())
    }

    /// Nobody else changes anything until this is dropped: `up` sweeps while the scaler sets. It is held for
    /// milliseconds.
    fn lock(&self) -> Result<Flock<File>, FileError> {
        ensure_private_folder(&self.folder)?;
        let path = self.folder.join(LOCK);
        let file = File::create(&path).map_err(file_error("make", &path))?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| file_error("lock", &path)(error.into()))
    }
}

/// A folder for root alone, whatever the umask.
fn make_folder(folder: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(file_error("make", folder))
}

#[cfg(test)]
mod tests;
