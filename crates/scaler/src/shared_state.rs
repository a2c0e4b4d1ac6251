//! What the loop and the API share: the record of ticks, the latest state of each service, and
//! what an operator set.

mod secrets;
mod standing;
mod tokens;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use host::deployments::DeployedService;
use host::secrets::SecretStore;
use model::access::{Change, Changed, Deploy, Who};
use model::bounds::Bounds;
use model::cost::CostPage;
use model::feed::{InstanceFigures, ServiceFeed};
use model::instance::InstanceStatus;
use model::names::{InstanceName, ServiceName};
use model::network::NetworkStatus;
use model::policies::PolicySpec;
use model::service::ServiceSpec;
use model::status::{
    HostStatus, Membership, MembershipStatus, ServiceOverrides, ServiceStatus, TickPage,
};
use model::tick::Tick;
use model::time::Timestamp;
use policy::ledger::Price;
use policy::terms::Terms;

use crate::actions::Actions;
use crate::changes::Changes;
use crate::clock;
use crate::deployment_watch::Read;
use crate::failures::Failures;
use crate::feed::Feed;
use crate::jobs::JobDesk;
use crate::journal::{Count, Journal};
use crate::kept_file::KeptFile;
use crate::ledger::Ledger;
use crate::lock::lock;
use crate::logins::Logins;
use crate::machine::Machine;
use crate::output::Outputs;
use crate::overrides::{self, Overrides};
use crate::recordings::Recordings;
use crate::services::Services;
use crate::standing::Standing;
use crate::tokens::TokensFile;

/// The record of ticks, below the state directory.
const JOURNAL: &str = "ticks.jsonl";

/// What an operator set, below the state directory.
const OVERRIDES: &str = "overrides.json";

/// What an operator asked for that stands for a while, below the state directory.
const STANDING: &str = "standing.json";

/// Who changed what, below the state directory.
const CHANGES: &str = "changes.jsonl";

/// From when to when instances were there, below the state directory.
const LEDGER: &str = "ledger.jsonl";

/// The tokens, below the state directory.
const TOKENS: &str = "tokens.json";

/// Written by the loop and read by the API; what an operator sets goes the other way.
#[derive(Debug)]
pub(crate) struct SharedState {
    services: Arc<Services>,
    journal: Mutex<Journal>,
    ledger: Mutex<Ledger>,
    overrides: KeptFile<Overrides>,
    standing: KeptFile<Standing>,
    changes: Mutex<Changes>,
    tokens: TokensFile,
    logins: Logins,
    /// Held by whoever sets something, from the check of what he asks for to the record of it. The loop never
    /// waits for it, since the disk may be waited for meanwhile.
    setting: Mutex<()>,
    secrets: SecretStore,
    outputs: Arc<Outputs>,
    feed: Feed,
    /// The last turn of each service, and the instances after it.
    turns: Mutex<BTreeMap<ServiceName, (Tick, Vec<InstanceStatus>)>>,
    /// What went wrong last with each service.
    failures: Mutex<Failures>,
    network: Mutex<NetworkStatus>,
    recordings: Recordings,
    desk: Arc<JobDesk>,
    actions: Actions,
    machine: Machine,
    /// The way of membership of the host's settings.
    membership: Membership,
    /// What all instances may have together, in MiB.
    memory_mib: u64,
}

impl SharedState {
    /// Opens what earlier processes left in the state directory.
    ///
    /// # Errors
    /// A file there cannot be read.
    pub(crate) fn open(
        state: &Path,
        membership: Membership,
        memory_mib: u64,
        services: Arc<Services>,
        secrets: SecretStore,
        (desk, actions, machine): (JobDesk, Actions, Machine),
    ) -> io::Result<Self> {
        let named = |file: &'static str| {
            move |error: io::Error| {
                let path = state.join(file);
                let text = format!("{}: {error}; mend it or move it away", path.display());
                io::Error::new(error.kind(), text)
            }
        };
        let journal = Journal::open(&state.join(JOURNAL)).map_err(named(JOURNAL))?;
        let ledger = Ledger::open(&state.join(LEDGER)).map_err(named(LEDGER))?;
        let overrides = KeptFile::open(&state.join(OVERRIDES), overrides::parse);
        let overrides = overrides.map_err(named(OVERRIDES))?;
        let standing = KeptFile::open(&state.join(STANDING), |text| serde_json::from_slice(text));
        let standing = standing.map_err(named(STANDING))?;
        let changes = Changes::open(&state.join(CHANGES)).map_err(named(CHANGES))?;
        let tokens = TokensFile::open(&state.join(TOKENS)).map_err(named(TOKENS))?;
        let shared = Self {
            services,
            journal: Mutex::new(journal),
            ledger: Mutex::new(ledger),
            overrides,
            standing,
            changes: Mutex::new(changes),
            tokens,
            logins: Logins::default(),
            setting: Mutex::default(),
            secrets,
            outputs: Arc::new(Outputs::new(state)),
            feed: Feed::default(),
            turns: Mutex::default(),
            failures: Mutex::default(),
            network: Mutex::default(),
            recordings: Recordings::default(),
            desk: Arc::new(desk),
            actions,
            machine,
            membership,
            memory_mib,
        };
        shared.note_secrets();
        Ok(shared)
    }

    /// Says for which services something was set that is of no use, since they are not deployed.
    pub(crate) fn report_unused(&self) {
        for service in self.overrides.held().services() {
            if self.services.get(service).is_none() {
                tracing::info!(%service, "what was set for it waits: it is not deployed");
            }
        }
    }

    /// The recordings that are being taken.
    pub(crate) fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    /// Where jobs are asked for.
    pub(crate) fn desk(&self) -> &Arc<JobDesk> {
        &self.desk
    }

    /// What sends the actions of services.
    pub(crate) fn actions(&self) -> &Actions {
        &self.actions
    }

    /// The machine.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Keeps that somebody asked for something which others carry out.
    pub(crate) fn note_asked(&self, who: Who, changed: Changed) {
        self.note(who, changed);
    }

    /// What instances write.
    pub(crate) fn outputs(&self) -> &Arc<Outputs> {
        &self.outputs
    }

    /// What the console is told.
    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The services that are deployed.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// The memory that all instances may have together, in MiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        self.memory_mib
    }

    /// Has `set` check and set something while nobody else does. It may wait for the disk, and so not on the loop's
    /// thread.
    pub(crate) fn one_after_the_other<T>(&self, set: impl FnOnce(&Self) -> T) -> T {
        let _setting = lock(&self.setting);
        set(self)
    }

    /// The bounds in force for a service: those that were set, or its file's.
    pub(crate) fn bounds(&self, spec: &ServiceSpec) -> Bounds {
        bounds_in_force(spec, self.set_for(&spec.name).bounds)
    }

    /// A service as it is now: what its file says, under what was set.
    pub(crate) fn in_force<'a>(&self, spec: &'a ServiceSpec) -> Cow<'a, ServiceSpec> {
        match self.set_for(&spec.name) {
            ServiceOverrides { bounds: None, policy: None } => Cow::Borrowed(spec),
            ServiceOverrides { bounds, policy } => Cow::Owned(ServiceSpec {
                bounds: bounds_in_force(spec, bounds),
                policy: policy_in_force(spec, policy),
                ..spec.clone()
            }),
        }
    }

    /// How changes of membership reach the load balancer, and whether that was set.
    pub(crate) fn membership(&self) -> MembershipStatus {
        let set = self.overrides.held().membership;
        MembershipStatus { membership: set.unwrap_or(self.membership), set }
    }

    /// Sets the bounds of a service, or goes back to its file's. They hold from the next turn on,
    /// and after a restart.
    ///
    /// # Errors
    /// They could not be written; those from before go on to hold.
    pub(crate) fn set_bounds(
        &self,
        who: Who,
        spec: &ServiceSpec,
        bounds: Option<Bounds>,
    ) -> io::Result<()> {
        let before = self.bounds(spec);
        if self.overrides.change(|set| assign(&mut set.bounds, &spec.name, bounds))? {
            let (service, after) = (spec.name.clone(), self.bounds(spec));
            self.note(who, Changed::Bounds { service, before, after });
        }
        Ok(())
    }

    /// Sets the policy of a service, or goes back to its file's. It decides from the next turn on,
    /// and after a restart.
    ///
    /// # Errors
    /// It could not be written; the one from before goes on to decide.
    pub(crate) fn set_policy(
        &self,
        who: Who,
        spec: &ServiceSpec,
        policy: Option<PolicySpec>,
    ) -> io::Result<()> {
        let before = self.in_force(spec).policy.clone();
        if self.overrides.change(|set| assign(&mut set.policies, &spec.name, policy))? {
            let (service, after) = (spec.name.clone(), self.in_force(spec).policy.clone());
            self.note(who, Changed::Policy { service, before, after });
        }
        Ok(())
    }

    /// Sets how changes of membership reach the load balancer, or goes back to the settings'. It
    /// holds from the next turn on, and after a restart.
    ///
    /// # Errors
    /// It could not be written; the one from before goes on to hold.
    pub(crate) fn set_membership(
        &self,
        who: Who,
        membership: Option<Membership>,
    ) -> io::Result<()> {
        let before = self.membership().membership;
        if self.overrides.change(|set| set.membership = membership)? {
            let after = self.membership().membership;
            self.note(who, Changed::Membership { before, after });
        }
        Ok(())
    }

    /// At most `limit` kept changes with a sequence number above `since`, oldest first.
    pub(crate) fn changes(&self, since: u64, limit: usize) -> Vec<Change> {
        lock(&self.changes).since(since, limit)
    }

    /// The last change that `is_it`; `None` where none is kept in memory.
    pub(crate) fn last_change(&self, is_it: impl Fn(&Changed) -> bool) -> Option<Change> {
        lock(&self.changes).last(is_it).cloned()
    }

    /// From the next turn on, these services are deployed and no others.
    pub(crate) fn deploy(&self, Read { services, deploys }: Read) {
        self.services.replace(services);
        self.note_deployed(&deploys);
        let after = self.services.all();
        lock(&self.turns).retain(|name, _| after.contains_key(name));
        lock(&self.failures).retain(|name| after.contains_key(name));
    }

    /// Notes what was deployed since it was last noted, while this process ran or before.
    pub(crate) fn note_deployed(&self, deploys: &[Deploy]) {
        lock(&self.changes).note_deploys(deploys);
        let who = deploys.last().map_or(Who::Up, |deploy| deploy.who.clone());
        let before = lock(&self.changes).last_deployed();
        let after = self.services.all();
        for service in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let before = before.get(service).copied();
            let after = after.get(service).map(|deployed| deployed.wanted.version);
            if before != after {
                let service = service.clone();
                self.note(who.clone(), Changed::Deployment { service, before, after });
            }
        }
    }

    fn note(&self, who: Who, changed: Changed) {
        lock(&self.changes).note(who, changed);
    }

    /// Shows a service's turn, and keeps its tick if it is worth it. `figures` are those of its instances, which are
    /// asked for where somebody reads them.
    pub(crate) fn show(
        &self,
        tick: Tick,
        instances: Vec<InstanceStatus>,
        figures: impl FnOnce() -> Vec<InstanceFigures>,
    ) {
        let mut kept = tick.clone();
        if let Err(error) = lock(&self.journal).offer(&mut kept) {
            tracing::error!(%error, "a tick is kept in memory only: check the state directory's disk");
        }
        lock(&self.failures).note(&tick);
        lock(&self.turns).insert(tick.service.clone(), (tick, instances));
        if self.feed.is_read() {
            self.tell(kept, figures);
        }
    }

    /// Tells the feed of a turn that is shown.
    fn tell(&self, tick: Tick, figures: impl FnOnce() -> Vec<InstanceFigures>) {
        let (service, at) = (tick.service.clone(), tick.at);
        let is_due = tick.sequence > 0 || self.feed.is_due(&service, at);
        self.feed.tick(tick);
        if let Some(deployed) = self.services.get(&service).filter(|_| is_due) {
            let status = self.service_status(&deployed);
            let terms = Some(Terms::of(&deployed.spec).to_file());
            self.feed.service(ServiceFeed { at, status, instances: figures(), terms });
        }
    }

    /// Notes in the ledger which instances are there. What they cost is their service's price of now.
    pub(crate) fn note_there<'a>(
        &self,
        there: impl Iterator<Item = &'a InstanceName>,
        at: Timestamp,
    ) {
        let price = |instance: &InstanceName| -> Price {
            Some(self.services.last_known(instance.service())?.spec.price_per_hour)
        };
        lock(&self.ledger).look(there, price, at);
    }

    /// What the instances of the services that `sees` lets through ran and cost from one moment to another.
    pub(crate) fn cost(
        &self,
        (since, at): (Timestamp, Timestamp),
        sees: impl Fn(&ServiceName) -> bool,
    ) -> CostPage {
        lock(&self.ledger).page(since, at, sees)
    }

    /// Waits until the ledger is in its file.
    pub(crate) fn end_ledger(&self) {
        lock(&self.ledger).end();
    }

    /// Ends the turn of all services.
    pub(crate) fn end_turn(&self, at: Timestamp) {
        self.feed.end_turn(at, || self.network());
    }

    /// What became of the instances' firewall.
    pub(crate) fn network(&self) -> NetworkStatus {
        lock(&self.network).clone()
    }

    /// Shows what became of the instances' firewall.
    pub(crate) fn show_network(&self, status: NetworkStatus) {
        *lock(&self.network) = status;
    }

    /// The services that `sees` lets through, and the instances' firewall.
    pub(crate) fn host_status(&self, sees: impl Fn(&ServiceName) -> bool) -> HostStatus {
        let services = self.services.all();
        let seen = services.values().filter(|deployed| sees(&deployed.spec.name));
        HostStatus {
            services: seen.map(|deployed| self.service_status(deployed)).collect(),
            network: self.network(),
        }
    }

    /// One service: its last turn, and what is in force now.
    pub(crate) fn service_status(&self, deployed: &DeployedService) -> ServiceStatus {
        let spec = &deployed.spec;
        let (tick, instances) = lock(&self.turns).get(&spec.name).cloned().unzip();
        let now = self.in_force(spec);
        ServiceStatus {
            name: spec.name.clone(),
            route: spec.route().map(ToString::to_string),
            reaches: spec.instance.reaches.clone(),
            bounds: now.bounds,
            policy: now.policy.to_string(),
            policy_spec: now.policy.clone(),
            objective_ms: u64::try_from(spec.objective.as_millis()).unwrap_or(u64::MAX),
            wanted: deployed.wanted,
            rollout: tick.as_ref().and_then(|tick| tick.rollout.clone()),
            set: self.set_for(&spec.name),
            hold: self.standing().hold(&spec.name, clock::now()),
            phases: tick.as_ref().map(|tick| tick.observation.phases).unwrap_or_default(),
            instances: instances.unwrap_or_default(),
            tick,
            last_failure: lock(&self.failures).of(&spec.name),
        }
    }

    /// Kept ticks with a sequence number above `since` that `is_told` lets through, oldest first.
    pub(crate) fn tick_page(
        &self,
        since: u64,
        count: Count,
        is_told: impl Fn(&Tick) -> bool,
    ) -> TickPage {
        lock(&self.journal).page(since, count, is_told)
    }

    /// What an operator set for a service.
    pub(crate) fn set_for(&self, service: &ServiceName) -> ServiceOverrides {
        self.overrides.held().of(service)
    }
}

/// The bounds that were set, unless the service's file says by now that it may not have them: then its
/// own, and what was set waits.
fn bounds_in_force(spec: &ServiceSpec, set: Option<Bounds>) -> Bounds {
    set.filter(|bounds| spec.replacement.allows(*bounds).is_ok()).unwrap_or(spec.bounds)
}

/// The policy that was set, unless it goes by what the service has not by now: then its file's, and what was set
/// waits.
fn policy_in_force(spec: &ServiceSpec, set: Option<PolicySpec>) -> PolicySpec {
    let suits = |policy: &PolicySpec| spec.check_policy(policy).is_ok();
    set.filter(suits).unwrap_or_else(|| spec.policy.clone())
}

fn assign<T>(by_service: &mut BTreeMap<ServiceName, T>, service: &ServiceName, value: Option<T>) {
    match value {
        Some(value) => by_service.insert(service.clone(), value),
        None => by_service.remove(service),
    };
}
