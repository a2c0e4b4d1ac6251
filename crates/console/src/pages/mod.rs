//! The pages: what the API tells, for people.
//!
//! A page is made here as a whole, so that it reads without JavaScript, of *regions*. Who asks for the same page as
//! `text/event-stream` is told each region anew when it changes: what is on a page is written once, whoever shows it.

mod actions;
mod applications;
mod assets;
mod cost;
mod deploy;
mod event;
mod experiment;
mod experiments;
mod frame;
mod host;
mod instance;
mod instances;
mod jobs;
mod launches;
mod live;
mod logs;
mod overview;
mod policy;
mod routes;
mod service;
mod table;
mod under_way;
mod versions;
mod view;
mod why;

use std::time::{SystemTime, UNIX_EPOCH};

use maud::Markup;
use model::job::JobId;
use model::names::{InstanceName, ServiceName};
use model::time::Timestamp;

pub use applications::Entrance;
pub(crate) use routes::{is_part, routes};
use view::{Asked, View};
use why::Question;

use crate::api::Known;
use crate::api::asker::Asker;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    /// Every service.
    Overview,
    /// One of them.
    Service(ServiceName),
    /// Why one of them has the instances that it has, and not others.
    Why(ServiceName, Question),
    /// The machine.
    Host,
    /// What decides how many instances one of them has.
    Policy(ServiceName),
    /// The versions of one of them, and its deploys.
    Versions(ServiceName),
    /// What the instances of one of them wrote.
    Logs(ServiceName),
    /// One instance, there or gone.
    Instance(InstanceName),
    /// What was tried, and where something is.
    Experiments,
    /// One of that, and the one that it is compared with.
    Experiment(JobId, Option<JobId>),
    /// What is the id of no experiment.
    NoExperiment(String),
    /// What is no instance of the service.
    NoInstance(ServiceName, String),
    /// What is not there.
    Missing(String),
}

/// A part of a page that changes as one.
struct Region {
    id: &'static str,
    html: Markup,
}

impl Page {
    /// What a window is called that shows it.
    fn title(&self) -> String {
        match self {
            Self::Overview => "Services".to_owned(),
            Self::Service(name) => name.to_string(),
            Self::Why(name, _) => format!("Why {name}"),
            Self::Host => "Host".to_owned(),
            Self::Policy(name) => format!("Policy of {name}"),
            Self::Versions(name) => format!("Versions of {name}"),
            Self::Logs(name) => format!("Logs of {name}"),
            Self::Instance(instance) => instance.to_string(),
            Self::Experiments => "Experiments".to_owned(),
            Self::Experiment(id, None) => format!("Experiment {id}"),
            Self::Experiment(..) => "Two experiments".to_owned(),
            Self::NoExperiment(_) | Self::NoInstance(..) | Self::Missing(_) => {
                "Not there".to_owned()
            }
        }
    }

    /// The service of whose doings it tells; `None` where it tells of all.
    fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service(name)
            | Self::Why(name, _)
            | Self::Policy(name)
            | Self::Versions(name)
            | Self::Logs(name)
            | Self::NoInstance(name, _) => Some(name),
            Self::Instance(instance) => Some(instance.service()),
            Self::Overview
            | Self::Host
            | Self::Experiments
            | Self::Experiment(..)
            | Self::NoExperiment(_)
            | Self::Missing(_) => None,
        }
    }

    /// What it asks for beside what is known now.
    async fn ask(&self, known: &Known, asker: &Asker) -> Asked {
        match self {
            Self::Why(name, question) => {
                Asked::Why(Box::new(why::Answers::to(*question, name, known, asker).await))
            }
            Self::Overview => Asked::Overview(Box::new(overview::Answers::of(known, asker).await)),
            Self::Service(name) => Asked::Actions(actions::of(name, known, asker).await),
            Self::Host => Asked::Host(Box::new(host::Answers::of(known, asker).await)),
            Self::Versions(name) => {
                Asked::Versions(Box::new(versions::Answers::to(name, known, asker).await))
            }
            Self::Instance(instance) => {
                Asked::Instance(Box::new(instance::Answers::of(instance, known).await))
            }
            Self::Experiments => {
                Asked::Experiments(Box::new(experiments::Answers::of(known, asker).await))
            }
            Self::Experiment(id, with) => {
                Asked::Experiment(Box::new(experiment::Answers::to(*id, *with, known, asker).await))
            }
            Self::Policy(_)
            | Self::Logs(_)
            | Self::NoExperiment(_)
            | Self::NoInstance(..)
            | Self::Missing(_) => Asked::Nothing,
        }
    }

    /// Whether that changes while the page is shown.
    fn asks_again(&self) -> bool {
        matches!(
            self,
            Self::Overview
                | Self::Host
                | Self::Versions(_)
                | Self::Instance(_)
                | Self::Experiments
                | Self::Experiment(..)
        )
    }

    /// Whether it has charts, for which there is a script of 51 KB.
    fn draws(&self) -> bool {
        matches!(
            self,
            Self::Service(_) | Self::Policy(_) | Self::Instance(_) | Self::Experiment(..)
        )
    }

    /// Its regions as they are, in the order of the page.
    fn regions(&self, view: &View) -> Vec<Region> {
        let mut regions = vec![frame::notices(view)];
        // Of what is not known now, nothing is said to be missing.
        if self.service().is_some() && !view.is_known() {
            return regions;
        }
        regions.extend(match self {
            Self::Overview => overview::regions(view),
            Self::Service(name) => service::regions(name, view),
            Self::Why(name, question) => why::regions(name, *question, view),
            Self::Host => host::regions(view),
            Self::Policy(name) => policy::regions(name, view),
            Self::Versions(name) => versions::regions(name, view),
            Self::Logs(name) => logs::regions(name, view),
            Self::Instance(instance) => instance::regions(instance, view),
            Self::Experiments => experiments::regions(view),
            Self::Experiment(id, _) => experiment::regions(*id, view),
            Self::NoExperiment(id) => vec![experiment::missing(id)],
            Self::NoInstance(name, what) => vec![instance::missing(name, what)],
            Self::Missing(what) => vec![frame::missing(what)],
        });
        regions
    }

    /// Which page it is, as its scripts and styles know it.
    fn word(&self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Service(_) => "service",
            Self::Why(..) => "why",
            Self::Host => "host",
            Self::Policy(_) => "policy",
            Self::Versions(_) => "versions",
            Self::Logs(_) => "logs",
            Self::Instance(_) => "instance",
            Self::Experiments => "experiments",
            Self::Experiment(..) => "experiment",
            Self::NoExperiment(_) | Self::NoInstance(..) | Self::Missing(_) => "missing",
        }
    }
}

/// The time of day.
fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}
