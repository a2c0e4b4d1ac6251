//! Who may reach what: as the scaler's file says now, or as was said once and for all. Where the file cannot be read,
//! nobody may reach anything.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::egress::{ReadSources, SourcesFile};
use model::egress::{Source, Sources, Target};
use model::names::InstanceName;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often the file is looked at for the sake of connections that are open: a system call each.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The file, if there is one, and what it said last.
#[derive(Debug)]
pub(crate) struct Rights {
    file: Option<SourcesFile>,
    /// Nobody else reads the file meanwhile, so that what was read later is not replaced by what was
    /// read before.
    reading: Mutex<()>,
    last: watch::Sender<Snapshot>,
}

/// What the file said at one moment; nothing where it could not be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot(Option<Arc<Known>>);

/// Who may reach what, and where that is from.
#[derive(Debug)]
enum Known {
    Read(ReadSources),
    Given(Sources),
}

impl Known {
    fn sources(&self) -> &Sources {
        match self {
            Self::Read(read) => &read.sources,
            Self::Given(sources) => sources,
        }
    }
}

impl Snapshot {
    /// The instance with this address, if it may reach anything.
    pub(crate) fn at(&self, client: Ipv4Addr) -> Option<Source<'_>> {
        self.0.as_ref()?.sources().at(client)
    }

    /// Whether the instance with this address is this one, and may ask for the target.
    fn allows(&self, client: Ipv4Addr, instance: &InstanceName, target: &Target) -> bool {
        self.at(client)
            .is_some_and(|source| source.instance == instance && source.egress.allows(target))
    }
}

impl Rights {
    /// What this file says.
    pub(crate) fn new(file: SourcesFile) -> Self {
        Self { file: Some(file), reading: Mutex::default(), last: watch::Sender::default() }
    }

    /// These, for good.
    pub(crate) fn given(sources: Sources) -> Self {
        let known = Snapshot(Some(Arc::new(Known::Given(sources))));
        Self { file: None, reading: Mutex::default(), last: watch::Sender::new(known) }
    }

    /// What the file says now. It is read again when it was replaced.
    pub(crate) fn now(&self) -> Snapshot {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last.borrow().clone();
        let Some(file) = &self.file else { return last };
        let is_still =
            |known: &Arc<Known>| matches!(&**known, Known::Read(read) if file.is_still(read));
        if last.0.as_ref().is_some_and(is_still) {
            return last;
        }
        let read = file.read();
        if let (Err(error), Some(_)) = (&read, &last.0) {
            tracing::error!(%error, "who may reach what cannot be read, so nobody may reach anything");
        }
        let now = Snapshot(read.ok().map(|read| Arc::new(Known::Read(read))));
        if now.0.is_some() || last.0.is_some() {
            self.last.send_replace(now.clone());
        }
        now
    }

    /// Looks at the file now and then, for ever.
    pub(crate) async fn follow(&self) {
        let mut timer = interval(LOOK_INTERVAL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            self.now();
        }
    }

    /// Waits until the instance with this address is not this one any more, or may not ask for the target.
    pub(crate) async fn until_revoked(
        &self,
        client: Ipv4Addr,
        instance: &InstanceName,
        target: &Target,
    ) {
        let mut last = self.last.subscribe();
        // The sender lives as long as this does.
        let _ = last.wait_for(|now| !now.allows(client, instance, target)).await;
    }
}

#[cfg(test)]
mod tests {
    use model::egress::Egress;

    use super::*;

    const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 117, 0, 2);

    fn sources(instance: &str, entry: &str) -> Sources {
        let mut sources = Sources::default();
        let egress = Egress::new(vec![entry.parse().unwrap()]);
        sources.admit(CLIENT, &instance.parse().unwrap(), &egress);
        sources
    }

    #[tokio::test]
    async fn nobody_may_reach_anything_while_there_is_no_file_or_a_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("egress.json");
        let file = SourcesFile::new(&path);
        let rights = Rights::new(file.clone());
        assert!(rights.now().at(CLIENT).is_none());
        file.write(&sources("bw-web-1-x", "any")).unwrap();
        assert!(rights.now().at(CLIENT).is_some());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "{\"services\":{}").unwrap();
        assert!(rights.now().at(CLIENT).is_none());
        file.write(&sources("bw-web-1-x", "any")).unwrap();
        assert!(rights.now().at(CLIENT).is_some());
    }

    #[tokio::test]
    async fn what_is_open_ends_with_its_right_and_with_its_instance() {
        let folder = tempfile::tempdir().unwrap();
        let file = SourcesFile::new(&folder.path().join("egress.json"));
        let first = sources("bw-web-1-x", "example.org:443");
        let (instance, target) =
            ("bw-web-1-x".parse().unwrap(), "example.org:443".parse().unwrap());
        for next in [
            Sources::default(),
            sources("bw-web-1-x", "example.org:80"),
            sources("bw-web-1-y", "example.org:443"),
            sources("bw-other-1-x", "example.org:443"),
        ] {
            file.write(&first).unwrap();
            let rights = Rights::new(file.clone());
            rights.now();
            let revoked = rights.until_revoked(CLIENT, &instance, &target);
            tokio::pin!(revoked);
            let soon = tokio::time::timeout(Duration::from_millis(1), revoked.as_mut()).await;
            assert!(soon.is_err(), "it has its right");
            file.write(&next).unwrap();
            rights.now();
            revoked.await;
        }
    }
}
