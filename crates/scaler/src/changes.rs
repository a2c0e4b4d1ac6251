//! The record of changes: who changed what, and how it was before and after.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;

use model::access::{Change, Changed, Deploy, Who};
use model::names::{SecretName, ServiceName};
use model::secrets::SecretGeneration;
use model::time::Timestamp;
use model::version::Version;

use crate::clock::now;
use crate::json_lines::{JsonLines, push_bounded};

/// Changes in memory, some 300 bytes each.
const CHANGES_IN_MEMORY: usize = 1_000;

/// Size at which the file is put aside: some 10,000 changes. Two of them are kept.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The changes that were made, in their order.
#[derive(Debug)]
pub(crate) struct Changes {
    newest: VecDeque<Change>,
    /// The version that each service was last deployed as.
    deployed: BTreeMap<ServiceName, Version>,
    /// Which value each secret was last set to.
    secrets: BTreeMap<(ServiceName, SecretName), SecretGeneration>,
    /// The last deploy of which it is noted what differed, as far as that is noted: a process that ends between two
    /// lines leaves some of it.
    last_deploy: Option<(Timestamp, Vec<Changed>)>,
    next_sequence: u64,
    file: JsonLines,
}

impl Changes {
    /// Opens the record at `path`.
    ///
    /// # Errors
    /// The file cannot be read or made.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // All of them: what was deployed may be long ago. Two full files take some 40 ms.
        let (file, all) = JsonLines::open::<Change>(path, FILE_MAX_BYTES, usize::MAX)?;
        let mut changes = Self {
            newest: VecDeque::new(),
            deployed: BTreeMap::new(),
            secrets: BTreeMap::new(),
            last_deploy: None,
            next_sequence: 1,
            file,
        };
        all.into_iter().for_each(|change| changes.remember(change));
        Ok(changes)
    }

    /// Keeps a change that was made. One that the disk has no room for is kept in memory, and in the
    /// log.
    pub(crate) fn note(&mut self, who: Who, changed: Changed) {
        self.note_at(now(), who, changed);
    }

    /// Keeps what these deploys changed, but for what was kept before. They are noted in their order, each later
    /// than the one before: so all before the last one are whole.
    pub(crate) fn note_deploys(&mut self, deploys: &[Deploy]) {
        for Deploy { at, who, changed } in deploys {
            for changed in changed {
                if !self.is_noted(*at, changed) {
                    self.note_at(*at, who.clone(), changed.clone());
                }
            }
        }
    }

    /// Whether it is kept what a deploy of that time changed.
    fn is_noted(&self, at: Timestamp, changed: &Changed) -> bool {
        self.last_deploy.as_ref().is_some_and(|(last, noted)| match at.cmp(last) {
            Ordering::Less => true,
            Ordering::Equal => noted.contains(changed),
            Ordering::Greater => false,
        })
    }

    fn remember_deploy(&mut self, at: Timestamp, changed: &Changed) {
        match &mut self.last_deploy {
            Some((last, noted)) if *last == at => noted.push(changed.clone()),
            Some((last, _)) if *last > at => {}
            last => *last = Some((at, vec![changed.clone()])),
        }
    }

    fn note_at(&mut self, at: Timestamp, who: Who, changed: Changed) {
        let change = Change { sequence: self.next_sequence, at, who, changed };
        tracing::info!(who = ?change.who, changed = ?change.changed, "a change");
        if let Err(error) = self.file.add(&change) {
            tracing::error!(%error, "a change is kept in memory only: check the state directory's disk");
        }
        self.remember(change);
    }

    fn remember(&mut self, change: Change) {
        match &change.changed {
            Changed::Deployment { service, after: Some(version), .. } => {
                self.deployed.insert(service.clone(), *version);
            }
            Changed::Deployment { service, after: None, .. } => {
                self.deployed.remove(service);
            }
            Changed::ServiceFile { .. } | Changed::Settings { .. } => {
                self.remember_deploy(change.at, &change.changed);
            }
            Changed::Secret { service, name, after: Some(after), .. } => {
                self.secrets.insert((service.clone(), name.clone()), *after);
            }
            Changed::Secret { service, name, after: None, .. } => {
                self.secrets.remove(&(service.clone(), name.clone()));
            }
            _ => {}
        }
        self.next_sequence = change.sequence + 1;
        push_bounded(&mut self.newest, change, CHANGES_IN_MEMORY);
    }

    /// The version that each service was last deployed as, as far as it is known.
    pub(crate) fn last_deployed(&self) -> BTreeMap<ServiceName, Version> {
        self.deployed.clone()
    }

    /// Which value each secret was last set to, as far as it is known.
    pub(crate) fn last_secrets(&self) -> BTreeMap<(ServiceName, SecretName), SecretGeneration> {
        self.secrets.clone()
    }

    /// The last change that `is_it`, as far as it is in memory.
    pub(crate) fn last(&self, is_it: impl Fn(&Changed) -> bool) -> Option<&Change> {
        self.newest.iter().rev().find(|change| is_it(&change.changed))
    }

    /// At most `limit` changes with a sequence number above `since`, oldest first.
    pub(crate) fn since(&self, since: u64, limit: usize) -> Vec<Change> {
        let first = self.newest.partition_point(|change| change.sequence <= since);
        self.newest.range(first..).take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use model::access::KeyChange;
    use model::status::Membership;

    use super::*;

    #[test]
    fn changes_outlive_the_process_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changes.jsonl");
        let ways = [Membership::Runtime, Membership::Reload];
        for [before, after] in [ways, [ways[1], ways[0]]] {
            let mut changes = Changes::open(&path).unwrap();
            changes.note(Who::Up, Changed::Membership { before, after });
        }
        let kept = Changes::open(&path).unwrap().since(0, 9);
        assert_eq!(kept.iter().map(|change| change.sequence).collect::<Vec<_>>(), [1, 2]);
        let back = Changed::Membership { before: Membership::Reload, after: Membership::Runtime };
        assert_eq!(kept[1].changed, back);
    }

    #[test]
    fn what_was_deployed_is_known_after_a_thousand_other_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changes.jsonl");
        let mut changes = Changes::open(&path).unwrap();
        let store: ServiceName = "store".parse().unwrap();
        let version = Version::new(7);
        let service = store.clone();
        changes.note(Who::Up, Changed::Deployment { service, before: None, after: Some(version) });
        for _ in 0..CHANGES_IN_MEMORY {
            let before = Membership::Runtime;
            changes.note(Who::Up, Changed::Membership { before, after: before });
        }
        for changes in [changes, Changes::open(&path).unwrap()] {
            assert_eq!(changes.last_deployed(), [(store.clone(), version)].into());
            assert_eq!(changes.since(0, usize::MAX)[0].sequence, 2);
        }
    }

    /// A deploy that changes two files is two lines: who died behind the first lost the second.
    #[test]
    fn wherever_the_process_dies_each_change_of_a_deploy_is_kept_once() {
        let of = |service: &str, key: &str| Changed::ServiceFile {
            service: service.parse().unwrap(),
            keys: vec![KeyChange { key: key.to_owned(), before: None, after: None }],
        };
        let deploy = |at, changed| Deploy { at: Timestamp::from_millis(at), who: Who::Up, changed };
        let deploys = [
            deploy(5, vec![of("a", "route"), of("b", "route"), of("c", "egress")]),
            deploy(6, vec![]),
            deploy(7, vec![of("a", "route"), of("b", "bounds.min")]),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changes.jsonl");
        Changes::open(&path).unwrap().note_deploys(&deploys);
        let whole = std::fs::read(&path).unwrap();
        let kept = Changes::open(&path).unwrap().since(0, 99);
        assert_eq!(kept.len(), 5);
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            // Whoever comes after notes the first deploy alone, and the one after that all of them.
            Changes::open(&path).unwrap().note_deploys(&deploys[..1]);
            Changes::open(&path).unwrap().note_deploys(&deploys);
            assert_eq!(Changes::open(&path).unwrap().since(0, 99), kept, "{length}");
        }
    }
}
