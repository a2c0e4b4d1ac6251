//! The secrets of services, and the record of who set them.

use std::collections::BTreeSet;

use host::accounts;
use host::secrets::SecretError;
use model::access::{Changed, Who};
use model::names::{SecretName, ServiceName};
use model::secrets::{Secret, SecretChange, SecretValue, Secrets};

use super::SharedState;
use crate::clock::now;
use crate::lock::lock;

impl SharedState {
    /// The secrets of a service.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn secrets(&self, service: &ServiceName) -> Result<Secrets, SecretError> {
        Ok(Secrets { secrets: self.secrets.list(service)? })
    }

    /// Sets a secret of a service, which need not be deployed. Instances of versions that are made from then
    /// on are given it.
    ///
    /// # Errors
    /// There are too many, or it could not be written; what was set before still is.
    pub(crate) fn set_secret(
        &self,
        who: Who,
        service: &ServiceName,
        name: &SecretName,
        value: &SecretValue,
    ) -> Result<SecretChange, SecretError> {
        let change = self.secrets.set(service, name, value, (who.clone(), now()))?;
        let SecretChange { before, after } = change;
        if before != Some(after) {
            let (service, name, after) = (service.clone(), name.clone(), Some(after));
            self.note(who, Changed::Secret { service, name, before, after });
        }
        Ok(change)
    }

    /// Removes a secret of a service, and says whether there was one of that name.
    ///
    /// # Errors
    /// The service's file names it, or it could not be removed.
    pub(crate) fn remove_secret(
        &self,
        who: Who,
        service: &ServiceName,
        name: &SecretName,
    ) -> Result<bool, SecretError> {
        let deployed = self.services.get(service);
        let spec = deployed.as_ref().map(|deployed| &deployed.spec);
        let before = self.secrets.remove(service, name, spec)?;
        if before.is_some() {
            let (service, name) = (service.clone(), name.clone());
            self.note(who, Changed::Secret { service, name, before, after: None });
        }
        Ok(before.is_some())
    }

    /// Notes which secrets root set and removed while no scaler ran.
    pub(super) fn note_secrets(&self) {
        let before = lock(&self.changes).last_secrets();
        let after = match self.secrets.all() {
            Ok(after) => after,
            Err(error) => {
                tracing::error!(%error, "whether secrets were changed is not known");
                return;
            }
        };
        for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let (before, secret) = (before.get(key).copied(), after.get(key));
            let after = secret.map(|secret| secret.generation);
            if before != after {
                let root = || Who::Operator { uid: 0, user: accounts::user_name(0) };
                let who = secret.map_or_else(root, |Secret { set_by, .. }| set_by.clone());
                let (service, name) = key.clone();
                self.note(who, Changed::Secret { service, name, before, after });
            }
        }
    }
}
