//! The ledger: what the starts and ends of instances come to. It is held as a [`Book`], and written and read as [`Entry`]s, a line
//! each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::cost::{CostPage, ServiceCost};
use model::names::{InstanceName, ServiceName};
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

const HOUR_S: f64 = 3_600.0;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is summed up once there is too much of it: what ended so long ago, by spans of such a length. Each step takes in
/// what the one before left.
const SUMMED_UP: [(Duration, Duration); 4] = [
    (DAY, DAY),
    (Duration::ZERO, DAY),
    (Duration::from_secs(60 * 24 * 3_600), Duration::from_secs(30 * 24 * 3_600)),
    (Duration::ZERO, Duration::MAX),
];

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Entry {
    /// An instance is there, or costs something else, from this moment on.
    Start {
        /// Since when.
        #[serde(rename = "at_ms")]
        at: Timestamp,
        /// Which one.
        instance: InstanceName,
        /// `None` where it has no price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        price_per_hour: Option<f64>,
    },
    /// It is not there any more.
    End {
        /// Until when it was.
        #[serde(rename = "at_ms")]
        at: Timestamp,
        /// Which one.
        instance: InstanceName,
    },
    /// Whatever is said to be there was seen at this moment.
    Seen {
        /// When.
        #[serde(rename = "at_ms")]
        at: Timestamp,
    },
    /// What instances that ended within a span came to.
    Sum {
        /// Whose they were.
        service: ServiceName,
        /// When the first of them began.
        #[serde(rename = "from_ms")]
        from: Timestamp,
        /// Where the span ends.
        #[serde(rename = "to_ms")]
        to: Timestamp,
        /// What they came to.
        totals: Totals,
    },
}

/// What some instances come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    launches: u64,
    runtime_ms: u64,
    charged_s: u64,
    unpriced_s: u64,
    cost: f64,
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.launches += other.launches;
        self.runtime_ms += other.runtime_ms;
        self.charged_s += other.charged_s;
        self.unpriced_s += other.unpriced_s;
        self.cost += other.cost;
    }
}

/// From when to when an instance was there, and at what prices.
#[derive(Debug, Clone, PartialEq)]
struct Life {
    /// Each price with the moment from which on it holds; there is one at least.
    prices: Vec<(Timestamp, Option<f64>)>,
}

impl Life {
    fn price(&self) -> Option<f64> {
        self.prices.last().and_then(|(_, price)| *price)
    }

    fn begin(&self) -> Timestamp {
        self.prices.first().map_or_else(Timestamp::default, |(at, _)| *at)
    }

    /// What it comes to from one moment to another. Every second that is begun is charged; with another price a second begins.
    fn totals(&self, since: Timestamp, end: Timestamp) -> Totals {
        let mut totals = Totals { launches: u64::from(self.begin() >= since), ..Totals::default() };
        let ends = self.prices.iter().skip(1).map(|(at, _)| *at).chain([end]);
        for ((from, price), to) in self.prices.iter().zip(ends) {
            let runtime = to.min(end).since((*from).max(since));
            let runtime_ms = u64::try_from(runtime.as_millis()).unwrap_or(u64::MAX);
            let charged_s = runtime_ms.div_ceil(1_000);
            // Seconds are far below 2^53, up to where this is exact.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            let hours = charged_s as f64 / HOUR_S;
            totals.add(Totals {
                launches: 0,
                runtime_ms,
                charged_s,
                unpriced_s: if price.is_none() { charged_s } else { 0 },
                cost: price.map_or(0.0, |price| hours * price),
            });
        }
        totals
    }
}

/// What an instance costs now: `None` where that is not known, and holds as it was, and `Some(None)` where it has no price.
pub type Price = Option<Option<f64>>;

/// All that is known of instances that were and are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    there: BTreeMap<InstanceName, Life>,
    /// With their ends.
    ended: Vec<(InstanceName, Life, Timestamp)>,
    /// By service and the end of their spans, with the first begin of what is in them.
    sums: BTreeMap<(ServiceName, Timestamp), (Timestamp, Totals)>,
    /// The last moment of which something is said.
    seen: Timestamp,
}

impl Book {
    /// Takes in the next line. What does not follow from those before is passed over: a line may have been lost.
    pub fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Start { at, instance, price_per_hour } => {
                self.saw(at);
                let life = self.there.entry(instance).or_insert(Life { prices: Vec::new() });
                life.prices.push((at.max(life.begin()), price_per_hour));
            }
            Entry::End { at, instance } => {
                self.saw(at);
                if let Some(life) = self.there.remove(&instance) {
                    let end = at.max(life.begin());
                    self.ended.push((instance, life, end));
                }
            }
            Entry::Seen { at } => self.saw(at),
            Entry::Sum { service, from, to, totals } => {
                self.saw(to);
                self.add_sum((service, to), from, totals);
            }
        }
    }

    /// What is there was seen at this moment.
    pub fn saw(&mut self, at: Timestamp) {
        self.seen = self.seen.max(at);
    }

    /// The last moment of which something is known.
    pub fn seen(&self) -> Timestamp {
        self.seen
    }

    /// The instances that are there.
    pub fn there(&self) -> impl Iterator<Item = &InstanceName> {
        self.there.keys()
    }

    /// What is new where these instances are there, and what they cost: those that are gone ended at `end`, and those that
    /// nobody has noted began at the moment of their names.
    pub fn news<'a>(
        &self,
        there: impl Iterator<Item = &'a InstanceName>,
        price_of: impl Fn(&InstanceName) -> Price,
        (end, now): (Timestamp, Timestamp),
    ) -> Vec<Entry> {
        let there: BTreeSet<&InstanceName> = there.collect();
        let gone = self.there().filter(|instance| !there.contains(instance));
        let ends = gone.map(|instance| Entry::End { at: end, instance: instance.clone() });
        let starts = there.iter().filter_map(|instance| {
            let (before, price) = (self.price(instance), price_of(instance));
            let at = match before {
                None => instance.birth().min(now),
                Some(before) if price.is_some_and(|price| price != before) => now,
                Some(_) => return None,
            };
            let price_per_hour = price.flatten();
            Some(Entry::Start { at, instance: (*instance).clone(), price_per_hour })
        });
        ends.chain(starts).collect()
    }

    /// What an instance costs that is there; `None` for one that is not.
    fn price(&self, instance: &InstanceName) -> Option<Option<f64>> {
        self.there.get(instance).map(Life::price)
    }

    /// What is to be written so that it can be read again.
    pub fn entries(&self) -> Vec<Entry> {
        let starts = |instance: &InstanceName, life: &Life| {
            let start = |(at, price): &(Timestamp, Option<f64>)| Entry::Start {
                at: *at,
                instance: instance.clone(),
                price_per_hour: *price,
            };
            life.prices.iter().map(start).collect::<Vec<_>>()
        };
        let sums = self.sums.iter().map(|((service, to), (from, totals))| Entry::Sum {
            service: service.clone(),
            from: *from,
            to: *to,
            totals: *totals,
        });
        let ended = self.ended.iter().flat_map(|(instance, life, at)| {
            let end = Entry::End { at: *at, instance: instance.clone() };
            starts(instance, life).into_iter().chain([end])
        });
        let there = self.there.iter().flat_map(|(instance, life)| starts(instance, life));
        sums.chain(ended).chain(there).chain([Entry::Seen { at: self.seen }]).collect()
    }

    /// Sums up what is old until it takes `most` lines, or all that ended is summed up.
    pub fn shrink(&mut self, most: usize, now: Timestamp) {
        for (age, span) in SUMMED_UP {
            if self.entries().len() <= most {
                return;
            }
            self.sum_up(now.before(age), span);
        }
    }

    /// Sums up what ended before a moment, by spans of this length.
    fn sum_up(&mut self, before: Timestamp, span: Duration) {
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        // What began in an earlier span is told as of the one in which it ended.
        let span_end = |last_ms: u64| {
            let from = last_ms / span_ms * span_ms;
            Timestamp::from_millis(from.saturating_add(span_ms)).min(before)
        };
        for (instance, life, end) in std::mem::take(&mut self.ended) {
            if end >= before {
                self.ended.push((instance, life, end));
                continue;
            }
            let totals = life.totals(Timestamp::default(), end);
            let key = (instance.service().clone(), span_end(end.as_millis()));
            self.add_sum(key, life.begin(), totals);
        }
        for ((service, to), (from, totals)) in std::mem::take(&mut self.sums) {
            let is_old = to <= before;
            let to = if is_old { span_end(to.as_millis().saturating_sub(1)) } else { to };
            self.add_sum((service, to), from, totals);
        }
    }

    fn add_sum(&mut self, key: (ServiceName, Timestamp), from: Timestamp, totals: Totals) {
        let (first, all) = self.sums.entry(key).or_insert((from, Totals::default()));
        *first = from.min(*first);
        all.add(totals);
    }

    /// What the instances of the services that `sees` lets through came to. What is summed up counts whole, with all of a span in
    /// which the moment lies.
    pub fn page(
        &self,
        since: Timestamp,
        now: Timestamp,
        sees: impl Fn(&ServiceName) -> bool,
    ) -> CostPage {
        let mut rows: BTreeMap<&ServiceName, (u32, Totals)> = BTreeMap::new();
        let mut told_since = now;
        let mut add = |service, begin: Timestamp, totals, is_there| {
            told_since = told_since.min(begin);
            let (there, all) = rows.entry(service).or_default();
            *there += u32::from(is_there);
            all.add(totals);
        };
        for ((service, to), (from, totals)) in &self.sums {
            if *to > since && sees(service) {
                add(service, *from, *totals, false);
            }
        }
        let ended = self.ended.iter().filter(|(_, _, end)| *end > since);
        let ended = ended.map(|(instance, life, end)| (instance, life, *end, false));
        let there = self.there.iter().map(|(instance, life)| (instance, life, now, true));
        for (instance, life, end, is_there) in ended.chain(there) {
            let service = instance.service();
            if sees(service) {
                add(service, life.begin().max(since), life.totals(since, end), is_there);
            }
        }
        let services = rows.into_iter().map(|(service, (instances, totals))| {
            let Totals { launches, runtime_ms, charged_s, unpriced_s, cost } = totals;
            let cost = (unpriced_s < charged_s).then_some(cost);
            ServiceCost {
                service: service.clone(),
                instances,
                launches,
                runtime_ms,
                charged_s,
                cost,
                unpriced_s,
            }
        });
        let services = services.collect();
        let is_asked = since > Timestamp::default();
        let since = if is_asked { since.min(told_since) } else { told_since };
        CostPage { since, at: now, services }
    }
}

#[cfg(test)]
mod tests;
