//! What a page is made of: what is known at one moment, as far as whoever asks may see it.

use std::collections::BTreeMap;

use model::names::{InstanceName, ServiceName};
use model::network::NetworkStatus;
use model::service::ServiceActions;
use model::status::ServiceStatus;
use model::time::Timestamp;

use super::applications::Applications;
use super::{Page, experiment, experiments, host, instance, now, overview, versions, why};
use crate::api::Known;
use crate::api::asker::Asker;
use crate::events::Event;
use crate::series::point::Row;
use crate::watch::Seen;

/// What is known at one moment, as far as one may see it.
#[derive(Debug)]
pub(super) struct View {
    /// The moment.
    pub(super) at: Timestamp,
    /// Whether whoever asks may see anything.
    pub(super) is_open: bool,
    /// Whether what is known is of now.
    pub(super) seen: Seen,
    /// In the order of their names.
    pub(super) services: Vec<ServiceStatus>,
    /// The last second of each.
    pub(super) seconds: BTreeMap<ServiceName, Row>,
    /// The memory that instances need, in bytes, as far as it is known.
    pub(super) memory: BTreeMap<InstanceName, u64>,
    /// What happened last, the newest first.
    pub(super) events: Vec<Event>,
    /// The instances' firewall.
    pub(super) network: NetworkStatus,
    /// Where services are reached, as far as that is known.
    pub(super) applications: Option<Applications>,
    /// What the page asked for beside it.
    pub(super) asked: Asked,
}

/// What a page asks for beside what is known now: of the history, or of the scaler.
#[derive(Debug, Clone, Default)]
pub(super) enum Asked {
    #[default]
    Nothing,
    Actions(ServiceActions),
    Host(Box<host::Answers>),
    Overview(Box<overview::Answers>),
    Why(Box<why::Answers>),
    Versions(Box<versions::Answers>),
    Instance(Box<instance::Answers>),
    Experiments(Box<experiments::Answers>),
    Experiment(Box<experiment::Answers>),
}

impl View {
    /// What is known now, and what the page asks for beside it.
    pub(super) async fn of(known: &Known, asker: &Asker, page: &Page) -> Self {
        let mut view = Self::of_now(known, asker);
        if view.has(page) && view.is_open {
            view.asked = page.ask(known, asker).await;
        }
        view
    }

    /// What is known now, without what the history would have to be asked for.
    pub(super) fn of_now(known: &Known, asker: &Asker) -> Self {
        let picture = known.now.picture();
        let sees = |service: &ServiceName| asker.sees(service).is_ok();
        let mut services = picture.host.services;
        services.retain(|service| sees(&service.name));
        // What instances wrote is for those with a token, and is on a page of its own.
        services.iter_mut().for_each(ServiceStatus::hide_output);
        let mut seconds = picture.seconds;
        seconds.retain(|service, _| sees(service));
        let mut memory = picture.memory;
        memory.retain(|instance, _| sees(instance.service()));
        let of_all = asker.sees_all_of(None).is_ok();
        let is_for = |event: &Event| event.service.as_ref().map_or(of_all, sees);
        Self {
            at: now(),
            is_open: !matches!(asker, Asker::Stranger),
            seen: known.now.seen(),
            services,
            seconds,
            memory,
            events: picture.events.into_iter().filter(is_for).collect(),
            network: picture.host.network,
            applications: None,
            asked: Asked::Nothing,
        }
        .only_if_open()
    }

    fn only_if_open(mut self) -> Self {
        if !self.is_open {
            self.services.clear();
            self.seconds.clear();
            self.memory.clear();
            self.events.clear();
            self.network = NetworkStatus::default();
        }
        self
    }

    /// One service.
    pub(super) fn service(&self, name: &ServiceName) -> Option<&ServiceStatus> {
        self.services.iter().find(|it| it.name == *name)
    }

    /// Whether what is there is known, and whoever asks may know it.
    pub(super) fn is_known(&self) -> bool {
        self.is_open && self.seen == Seen::Now
    }

    /// Whether there is what a page is about, as far as anybody knows.
    pub(super) fn has(&self, page: &Page) -> bool {
        match page {
            Page::Missing(_) | Page::NoInstance(..) | Page::NoExperiment(_) => false,
            Page::Experiment(..) => {
                !matches!(&self.asked, Asked::Experiment(answers) if answers.is_missing())
            }
            page => {
                page.service().is_none_or(|name| !self.is_known() || self.service(name).is_some())
            }
        }
    }
}
