//! What an operator asked for that stands for a while: numbers that services are held at until their time is over, and
//! instances that are to be removed until they are gone.
//!
//! It is kept beside what was set, and not with it: the release before reads no file of what was set with a key that it
//! does not know, and would not start.

use std::collections::{BTreeMap, BTreeSet};

use model::hold::Hold;
use model::names::{InstanceName, ServiceName};
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What was asked for. What a later release adds is passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Standing {
    /// Numbers, by service. One whose time is over holds no longer, be it here or not.
    pub(crate) holds: BTreeMap<ServiceName, Hold>,
    /// Instances that are to be removed. A name is never given again.
    pub(crate) removals: BTreeSet<InstanceName>,
}

impl Standing {
    /// What a service is held at.
    pub(crate) fn hold(&self, service: &ServiceName, now: Timestamp) -> Option<Hold> {
        self.holds.get(service).copied().filter(|hold| !hold.is_over(now))
    }

    /// The instances of a service that are to be removed.
    pub(crate) fn removals(&self, service: &ServiceName) -> Vec<InstanceName> {
        self.removals.iter().filter(|name| name.service() == service).cloned().collect()
    }

    /// What stands no longer, where `is_gone` says so of instances.
    pub(crate) fn past(&self, is_gone: impl Fn(&InstanceName) -> bool, now: Timestamp) -> Past {
        Past {
            holds: self.holds.iter().filter(|(_, hold)| hold.is_over(now)).map(owned).collect(),
            removals: self.removals.iter().filter(|name| is_gone(name)).cloned().collect(),
        }
    }

    /// Leaves out what is past, but for holds that were set anew since.
    pub(crate) fn forget(&mut self, past: &Past) {
        for (service, hold) in &past.holds {
            if self.holds.get(service) == Some(hold) {
                self.holds.remove(service);
            }
        }
        self.removals.retain(|name| !past.removals.contains(name));
    }
}

fn owned((service, hold): (&ServiceName, &Hold)) -> (ServiceName, Hold) {
    (service.clone(), *hold)
}

/// What stands no longer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Holds whose time is over.
    pub(crate) holds: Vec<(ServiceName, Hold)>,
    /// Instances that are gone.
    pub(crate) removals: Vec<InstanceName>,
}

impl Past {
    /// Whether all stands.
    pub(crate) fn is_empty(&self) -> bool {
        self.holds.is_empty() && self.removals.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept_file::KeptFile;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn standing() -> Standing {
        let hold = |ready, until| Hold { ready, since: at(0), until: at(until) };
        Standing {
            holds: [("a".parse().unwrap(), hold(4, 10)), ("b".parse().unwrap(), hold(0, 20))]
                .into(),
            removals: ["bw-a-1-x".parse().unwrap(), "bw-b-2-x".parse().unwrap()].into(),
        }
    }

    #[test]
    fn what_stands_outlives_the_process_and_what_a_later_release_adds_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("standing.json");
        let parse = |text: &[u8]| serde_json::from_slice::<Standing>(text);
        let file = KeptFile::open(&path, parse).unwrap();
        assert!(file.change(|standing| *standing = self::standing()).unwrap());
        assert_eq!(*KeptFile::open(&path, parse).unwrap().held(), standing());
        let text = std::fs::read_to_string(&path).unwrap();
        let later = text.replacen('{', r#"{"pauses":[],"#, 1);
        assert_eq!(parse(later.as_bytes()).unwrap(), standing());
        assert_eq!(parse(b"{}").unwrap(), Standing::default());
    }

    #[test]
    fn what_is_over_or_gone_is_forgotten_and_what_was_set_anew_is_not() {
        let (a, b): (ServiceName, ServiceName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut standing = standing();
        assert_eq!((standing.hold(&a, at(9)).unwrap().ready, standing.hold(&a, at(10))), (4, None));
        assert_eq!(standing.removals(&b).len(), 1);
        let gone = |name: &InstanceName| *name.service() == b;
        assert!(standing.past(|_| false, at(9)).is_empty());
        let past = standing.past(gone, at(10));
        let mut anew = standing.clone();
        anew.holds.insert(a.clone(), Hold { ready: 4, since: at(5), until: at(99) });
        anew.forget(&past);
        assert!(anew.holds.contains_key(&a));
        standing.forget(&past);
        assert_eq!((standing.holds.len(), standing.removals.len()), (1, 1));
        assert!(standing.hold(&b, at(10)).is_some());
    }
}
