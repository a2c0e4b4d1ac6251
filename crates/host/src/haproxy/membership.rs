//! The one owner of the running HAProxy: brings it to the desired backends, by commands or by a
//! reload, one change at a time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::names::{ServiceName, Slot};
use tokio::time::Instant;

use super::admin::Session;
use super::backends::{Backend, Backends, ServerState};
use super::certificate::{Certificate, CertificateError};
use super::deferred_write::{Content, DeferredWrite};
use super::drains::Drains;
use super::error::HaproxyError;
use super::file::ConfigFile;
use super::lines::Layout;
use super::load_balancer::{Applied, LoadBalancer, Way};
use super::reload::reload;
use super::running::{Running, known_to, workers};
use super::scrape::Scraper;
use super::settings::HaproxySettings;
use super::stats::{Stats, StatsError};
use super::template::{Rendered, Template};
use crate::command::HostRunner;
use crate::settings::Membership;

/// HAProxy on this host, started by somebody else with [`HaproxySettings::arguments`].
///
/// What it holds is asked of the process at every change and never remembered, so a restart of
/// HAProxy or of this program in between is mended by the next change.
#[derive(Debug)]
pub struct Haproxy {
    settings: HaproxySettings,
    template: Arc<Template>,
    file: Arc<ConfigFile>,
    deferred: DeferredWrite,
    scraper: Scraper,
    /// The change that was asked for last, and its number.
    latest: Mutex<(u64, Backends)>,
    /// Locked by the change under way. Holds the number of the change that took effect last, and what
    /// came of it; `None` before the first.
    in_effect: tokio::sync::Mutex<(u64, Option<Applied>)>,
    drains: Mutex<Drains>,
    membership: Mutex<Membership>,
}

impl Haproxy {
    /// Reads the template. Must be called in a tokio runtime, for it starts the task that keeps the
    /// file up to date. Touches neither the file nor the process.
    ///
    /// # Errors
    /// The template cannot be read or parsed.
    pub fn new(settings: HaproxySettings) -> Result<Self, HaproxyError> {
        let template = Arc::new(Template::load(&settings)?);
        let file = Arc::new(ConfigFile::new(&settings, &template.file));
        if settings.tls.is_some() {
            template.set_certificate(Certificate::of_config(&file.text()?));
        }
        Ok(Self {
            deferred: DeferredWrite::start(Arc::clone(&template), Arc::clone(&file)),
            scraper: Scraper::new(&settings)?,
            membership: Mutex::new(settings.membership),
            settings,
            template,
            file,
            latest: Mutex::default(),
            in_effect: tokio::sync::Mutex::default(),
            drains: Mutex::default(),
        })
    }

    /// Puts a checked file with `backends` in place, and makes the empty folder that is HAProxy's
    /// root, so that HAProxy can be started. Does nothing to a file that holds them already. While
    /// HAProxy runs, use [`LoadBalancer::apply`].
    ///
    /// # Errors
    /// HAProxy refuses what the template renders to, or a file cannot be written.
    pub async fn prepare(&self, backends: &Backends) -> Result<(), HaproxyError> {
        let root = self.settings.chroot.as_path();
        std::fs::create_dir_all(root).map_err(|source| HaproxyError::File {
            file: root.to_owned(),
            doing: "made",
            source,
        })?;
        let change = self.note_latest(backends);
        let _in_effect = self.in_effect.lock().await;
        self.refresh_file(change, backends).await
    }

    /// Goes on with the certificate that the settings name, where its files hold another than the one in
    /// use. Returns whether they did. Where HAProxy runs it has taken it up then, by a reload.
    ///
    /// # Errors
    /// It cannot be read or is refused, and the one of before stays in use; or HAProxy does not take it
    /// up, and the next change brings it.
    pub async fn follow_certificate(&self) -> Result<bool, FollowError> {
        let Some(tls) = &self.settings.tls else { return Ok(false) };
        let program = &self.settings.program;
        let copy = Certificate::copy(&HostRunner, program, tls, self.folder()).await?;
        if self.template.certificate().as_ref() == Some(&copy) {
            return Ok(false);
        }
        self.template.set_certificate(Some(copy));
        let latest = lock(&self.latest).clone();
        // Before the first change nothing is known of the services: it takes the certificate along.
        if latest.0 > 0 {
            self.apply(&latest.1).await?;
        }
        Ok(true)
    }

    /// Waits until the file holds what was applied last.
    pub async fn flush(&self) {
        self.deferred.flush().await;
    }

    /// Notes `desired` as the latest change, and gives its number.
    fn note_latest(&self, desired: &Backends) -> u64 {
        let mut latest = lock(&self.latest);
        *latest = (latest.0 + 1, desired.clone());
        latest.0
    }

    async fn carry_out(&self, change: u64, desired: &Backends) -> Result<Applied, HaproxyError> {
        let admin = self.settings.admin_socket.as_path();
        let observed = async {
            let mut session = Session::open(admin).await?;
            let running = Running::observe(&mut session, &self.settings).await?;
            Ok((session, running))
        };
        let (mut session, running) = match observed.await {
            Ok(observed) => observed,
            Err(error) => {
                // It does not run. Whoever starts it again starts it from the file.
                self.refresh_file(change, desired).await?;
                return Err(error);
            }
        };
        let same_shape = running.shape == self.template.shape(desired.iter().map(Backend::fixed));
        let layout = same_shape.then(|| running.layout(desired)).flatten();
        let Some(layout) = layout else {
            return self.reload(change, desired, running.generation).await;
        };
        let reaches = running.reach_commands(&layout);
        let mut commands = running.commands(&layout);
        let all = commands.len();
        if *lock(&self.membership) == Membership::Reload {
            commands.retain(|command| is_first_or_last(&running, desired, &command.service));
        }
        let suffice = commands.len() == all;
        let generation = running.generation;
        if suffice {
            self.deferred.put(Content { change, generation, layout });
        }
        for text in reaches.iter().chain(commands.iter().map(|command| &command.text)) {
            session.tell(text).await?;
        }
        if !suffice {
            return self.reload(change, desired, generation).await;
        }
        let way = match all + reaches.len() {
            0 => Way::Unchanged,
            count => Way::Commands(count),
        };
        self.note_drains(desired, way).await?;
        Ok(Applied { generation, way })
    }

    async fn reload(
        &self,
        change: u64,
        desired: &Backends,
        running: u64,
    ) -> Result<Applied, HaproxyError> {
        let generation = running.max(self.file.generation()?) + 1;
        let rendered = self.template.render(generation, &Layout::new(desired))?;
        self.install(change, &rendered).await?;
        let (master, admin) = (&self.settings.master_socket, &self.settings.admin_socket);
        let asks = reload(master.as_path(), admin.as_path(), generation).await?;
        if asks > 1 {
            tracing::warn!(
                generation,
                asks,
                "HAProxy took up a configuration only when asked again"
            );
        }
        let way = Way::Reload { asks };
        self.note_drains(desired, way).await?;
        Ok(Applied { generation, way })
    }

    /// Notes the servers that drain from now on, and which workers may still send to them. A worker
    /// that came by a reload never had them as ready; one that was told by commands did.
    async fn note_drains(&self, desired: &Backends, way: Way) -> Result<(), HaproxyError> {
        let mut predating = BTreeSet::new();
        if lock(&self.drains).has_new(desired) {
            let workers = workers(self.master()).await?;
            predating.extend(workers.old);
            if !matches!(way, Way::Reload { .. }) {
                predating.extend(workers.current);
            }
        }
        lock(&self.drains).note(desired, Instant::now(), &predating);
        Ok(())
    }

    /// Brings the file to `desired` while no process can be asked.
    async fn refresh_file(&self, change: u64, desired: &Backends) -> Result<(), HaproxyError> {
        let generation = self.file.generation()?;
        let layout = Layout::new(desired);
        if self.file.holds(&self.template.render(generation, &layout)?)? {
            return Ok(());
        }
        let rendered = self.template.render(generation + 1, &layout)?;
        self.install(change, &rendered).await
    }

    async fn install(&self, change: u64, rendered: &Rendered) -> Result<(), HaproxyError> {
        self.deferred.forget();
        self.file.install_checked(change, rendered).await?;
        // What is in place names one, and what comes next may name another.
        let kept = [Certificate::of_config(&rendered.config), self.template.certificate()];
        let kept: Vec<_> = kept.into_iter().flatten().collect();
        Certificate::remove_all_but(&kept, self.folder());
        Ok(())
    }

    /// The folder of the configuration and of all that it names.
    fn folder(&self) -> &Path {
        self.settings.config_file.as_path().parent().unwrap_or(Path::new("/"))
    }

    fn master(&self) -> &Path {
        self.settings.master_socket.as_path()
    }
}

impl LoadBalancer for Haproxy {
    async fn apply(&self, desired: &Backends) -> Result<Applied, HaproxyError> {
        let mine = self.note_latest(desired);
        let mut in_effect = self.in_effect.lock().await;
        if let (done, Some(applied)) = *in_effect
            && done >= mine
        {
            // A later change was carried out while this one waited, and replaces it.
            return Ok(applied);
        }
        let (change, desired) = lock(&self.latest).clone();
        let applied = self.carry_out(change, &desired).await?;
        *in_effect = (change, Some(applied));
        Ok(applied)
    }

    fn set_membership(&self, membership: Membership) {
        *lock(&self.membership) = membership;
    }

    async fn scrape(&self) -> Result<Stats, StatsError> {
        self.scraper.scrape().await
    }

    async fn old_workers(&self) -> Result<BTreeSet<u32>, HaproxyError> {
        Ok(workers(self.master()).await?.old.into_iter().collect())
    }

    async fn known_to_old_workers(&self) -> Result<BTreeSet<(ServiceName, Slot)>, HaproxyError> {
        let mut known = BTreeSet::new();
        for worker in self.old_workers().await? {
            match known_to(self.master(), worker, self.settings.subnet).await {
                Ok(places) => known.extend(places),
                // One that ended meanwhile knows nothing any more.
                Err(error) if self.old_workers().await?.contains(&worker) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(known)
    }

    async fn drained(&self, stats: &Stats) -> Result<BTreeSet<(ServiceName, Slot)>, HaproxyError> {
        let idle = lock(&self.drains).idle(stats);
        if idle.is_empty() {
            return Ok(BTreeSet::new());
        }
        let old = self.old_workers().await?;
        Ok(lock(&self.drains).drained(idle, &old))
    }
}

/// A certificate that is not in use as its files say.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// It cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// HAProxy could not be brought to it.
    #[error(transparent)]
    Haproxy(#[from] HaproxyError),
}

/// Whether no instance of the service takes requests before the change, or none after it. Such a change
/// is by command also where every other is a reload: requests may be held, and the worker that holds
/// them must be the one that learns of the next instance, for an old one takes no commands.
fn is_first_or_last(running: &Running, desired: &Backends, service: &ServiceName) -> bool {
    let mut servers = desired.servers().filter(|(owner, _)| *owner == service);
    let has_after = servers.any(|(_, server)| server.state == ServerState::Ready);
    !(has_after && running.has_in_rotation(service))
}

/// What these locks guard is whole at any moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
