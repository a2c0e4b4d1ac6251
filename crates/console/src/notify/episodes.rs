//! When an episode begins and when it ends, of all kinds and services. Pure: the time is what it is told.
//!
//! Each kind says of each moment whether its matter is there; here that becomes one beginning and one end, in turn.

use std::collections::{BTreeMap, BTreeSet};

use host::settings::EpisodeKind;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::at_maximum::AtMaximum;
use super::failed_deploy;
use super::full_disk::{FullDisk, Room};
use super::message::{Change, Message};
use super::replacement::Replacement;
use super::sentence;
use super::sign::{Evidence, Sign};

/// A service that the scaler does not tell of for so many seconds, while it tells, is not deployed any more. After a
/// restart of either it is told of within 2 s.
const GONE_AFTER_S: u32 = 60;

/// Something that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// What it is about.
    pub kind: EpisodeKind,
    /// Of which service; `None` of the whole host.
    pub service: Option<ServiceName>,
    /// When its beginning was seen.
    #[serde(rename = "since_ms")]
    pub since: Timestamp,
    /// What was seen then.
    pub evidence: Evidence,
}

/// What can be seen.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// A turn of the loop for one service.
    Tick(&'a Tick),
    /// All services of which the scaler tells, once in each second in which it does.
    Services(&'a BTreeSet<ServiceName>),
    /// The file system of the state folder, every 10 s.
    Disk(Room),
}

/// All episodes that go on, and what is remembered to tell the next ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Episodes {
    under_way: BTreeMap<(EpisodeKind, Option<ServiceName>), Episode>,
    services: BTreeMap<ServiceName, OfService>,
    disk: FullDisk,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OfService {
    at_maximum: AtMaximum,
    replacement: Replacement,
    absent_s: u32,
}

impl Episodes {
    /// Goes on with the episodes that an earlier run left. Nobody is told of them again; those that are over will end
    /// as soon as that is seen.
    pub fn resume(left: impl IntoIterator<Item = Episode>) -> Self {
        let left = left.into_iter().collect::<Vec<_>>();
        // One of a service that is gone is to end like any other.
        let known = left.iter().filter_map(|it| Some((it.service.clone()?, OfService::default())));
        let services = known.collect();
        let under_way = left.into_iter().map(|it| ((it.kind, it.service.clone()), it)).collect();
        Self { under_way, services, disk: FullDisk::default() }
    }

    /// Those that go on.
    pub fn under_way(&self) -> impl Iterator<Item = &Episode> {
        self.under_way.values()
    }

    /// Takes in what is seen, and gives what there is to tell.
    pub fn see(&mut self, seen: Seen<'_>, now: Timestamp) -> Vec<Message> {
        match seen {
            Seen::Tick(tick) => self.tick(tick, now),
            Seen::Services(told) => self.services(told, now),
            Seen::Disk(room) => {
                let sign = self.disk.look(room);
                self.follow(EpisodeKind::FullDisk, None, sign, now)
            }
        }
    }

    fn tick(&mut self, tick: &Tick, now: Timestamp) -> Vec<Message> {
        let own = self.services.entry(tick.service.clone()).or_default();
        own.absent_s = 0;
        let signs = [
            (EpisodeKind::AtMaximum, own.at_maximum.tick(tick)),
            (EpisodeKind::RepeatedReplacement, own.replacement.tick(tick)),
            (EpisodeKind::FailedDeploy, failed_deploy::sign(tick)),
        ];
        let follow = |(kind, sign)| self.follow(kind, Some(&tick.service), sign, now);
        signs.into_iter().flat_map(follow).collect()
    }

    /// What a service is not told of any more ends with it.
    fn services(&mut self, told: &BTreeSet<ServiceName>, now: Timestamp) -> Vec<Message> {
        let mut gone = Vec::new();
        for (name, own) in &mut self.services {
            own.absent_s = if told.contains(name) { 0 } else { own.absent_s.saturating_add(1) };
            if own.absent_s >= GONE_AFTER_S {
                gone.push(name.clone());
            }
        }
        self.services.retain(|name, _| !gone.contains(name));
        let of_gone = |(_, service): &(_, Option<ServiceName>)| {
            service.as_ref().is_some_and(|service| gone.contains(service))
        };
        let over = self.under_way.extract_if(.., |key, _| of_gone(key));
        over.map(|(_, episode)| episode.message(Change::Ended, sentence::gone(&episode, now), now))
            .collect()
    }

    fn follow(
        &mut self,
        kind: EpisodeKind,
        service: Option<&ServiceName>,
        sign: Sign,
        now: Timestamp,
    ) -> Vec<Message> {
        let key = (kind, service.cloned());
        let before = self.under_way.get(&key);
        let is_over = match (sign, before) {
            (Sign::Absent, Some(_)) => true,
            (Sign::Present(evidence), Some(before)) => evidence.is_of_another(before.evidence),
            _ => false,
        };
        let mut messages = Vec::new();
        if is_over && let Some(episode) = self.under_way.remove(&key) {
            messages.push(episode.message(Change::Ended, sentence::ended(&episode, now), now));
        }
        if let Sign::Present(evidence) = sign
            && !self.under_way.contains_key(&key)
        {
            let episode = Episode { kind, service: service.cloned(), since: now, evidence };
            messages.push(episode.message(Change::Began, sentence::began(&episode), now));
            self.under_way.insert(key, episode);
        }
        messages
    }
}

impl Episode {
    /// Tells it from all others of this host.
    fn id(&self) -> String {
        let service = self.service.as_ref().map_or("host", ServiceName::as_str);
        format!("{}-{service}-{}", self.kind.word(), self.since.as_millis())
    }

    fn message(&self, state: Change, text: String, at: Timestamp) -> Message {
        let (kind, service) = (self.kind, self.service.clone());
        Message { kind, state, service, at, episode: self.id(), text }
    }
}
