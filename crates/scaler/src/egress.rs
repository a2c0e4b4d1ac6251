//! Tells the proxy which instance may reach what beyond the host: before an instance starts, and again whenever
//! instances or services have changed.

use std::path::Path;
use std::sync::{Arc, Mutex};

use host::egress::SourcesFile;
use host::files::FileError;
use model::egress::{Egress, Sources};
use model::names::InstanceName;

use crate::lock::lock;
use crate::services::Services;

/// The proxy's file, and what it holds.
#[derive(Debug)]
pub(crate) struct EgressSources {
    file: SourcesFile,
    services: Arc<Services>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the file holds; `None` where this process has not written it yet.
    written: Option<Sources>,
    /// Whether it could not be written last, which is told once.
    failed: bool,
}

impl EgressSources {
    /// The file at this path, about instances of these services.
    pub(crate) fn new(file: &Path, services: Arc<Services>) -> Self {
        Self { file: SourcesFile::new(file), services, state: Mutex::default() }
    }

    /// An instance is about to start: what had its address before has no right any more, and it has its own.
    ///
    /// # Errors
    /// The file could not be written, and the instance is not to start.
    pub(crate) fn admit(&self, instance: &InstanceName) -> Result<(), FileError> {
        let mut state = lock(&self.state);
        let mut sources = self.told(&state);
        self.add(&mut sources, instance);
        self.write(&mut state, sources)
    }

    /// These instances are there, and no others.
    pub(crate) fn follow<'a>(&self, instances: impl Iterator<Item = &'a InstanceName>) {
        self.judge(&mut lock(&self.state), instances);
    }

    /// Nobody knows which instances are there: those that were told of last may reach what their services may
    /// now, so that a right that was taken back is not in force for as long as HAProxy gives no answer.
    pub(crate) fn judge_again(&self) {
        let mut state = lock(&self.state);
        let before = self.told(&state);
        self.judge(&mut state, before.instances());
    }

    /// What the file holds.
    fn told(&self, state: &State) -> Sources {
        let before = state.written.clone();
        // An earlier process wrote it.
        let before = before.or_else(|| self.file.read().ok().map(|read| read.sources));
        before.unwrap_or_default()
    }

    fn judge<'a>(&self, state: &mut State, instances: impl Iterator<Item = &'a InstanceName>) {
        let mut sources = Sources::default();
        instances.for_each(|instance| self.add(&mut sources, instance));
        let written = self.write(state, sources);
        if let (Err(error), false) = (&written, state.failed) {
            let error = service::exit::chain(error);
            tracing::error!(error, "what instances may reach beyond the host is as it was before");
        }
        state.failed = written.is_err();
    }

    /// Those of a service that was withdrawn keep their right while they drain.
    fn add(&self, sources: &mut Sources, instance: &InstanceName) {
        let Some(address) = self.services.subnet().address(instance.slot()) else { return };
        match self.services.last_known(instance.service()) {
            Some(service) => sources.admit(address, instance, &service.spec.egress),
            None => sources.admit(address, instance, &Egress::default()),
        }
    }

    /// Where nobody may reach anything there need be no file.
    fn write(&self, state: &mut State, sources: Sources) -> Result<(), FileError> {
        let is_there = self.file.exists();
        let holds = state.written.as_ref() == Some(&sources) && is_there;
        if !holds && (is_there || !sources.is_empty()) {
            self.file.write(&sources)?;
        }
        state.written = Some(sources);
        Ok(())
    }
}
