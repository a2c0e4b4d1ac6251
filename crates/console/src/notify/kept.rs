//! What outlives the console: episodes that go on, so that nobody is told of them again, and messages that were not
//! delivered yet. One small file beside the history, replaced whole when something changes, some times a day.
//!
//! Not in the history: that begins anew when it is spoilt or of a later release, and what goes on would be told twice.

use std::fs;
use std::io;
use std::path::Path;

use host::files::replace_file;
use serde::{Deserialize, Serialize};

use super::episodes::Episode;
use super::message::Message;

/// What the file looks like.
const FORMAT: u32 = 1;

/// For the console alone.
const MODE: u32 = 0o600;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    format: u32,
    /// Episodes that go on.
    pub(super) episodes: Vec<Episode>,
    /// Messages that wait, in their order.
    pub(super) waiting: Vec<Waiting>,
}

/// A message that waits for a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    /// The digest of the receiver's address.
    pub(super) receiver: String,
    /// What it is to be told.
    pub(super) message: Message,
}

impl Kept {
    pub(super) fn new(episodes: Vec<Episode>, waiting: Vec<Waiting>) -> Self {
        Self { format: FORMAT, episodes, waiting }
    }

    /// What an earlier run left. A file that cannot be used is left out, and that is logged: what goes on is told again.
    pub(super) fn load(path: &Path) -> Self {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(%error, file = %path.display(), "episodes cannot be read");
                }
                return Self::new(vec![], vec![]);
            }
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(kept) if kept.format == FORMAT => return kept,
            Ok(kept) => tracing::error!(format = kept.format, "episodes are of another release"),
            Err(error) => tracing::error!(%error, file = %path.display(), "episodes are spoilt"),
        }
        Self::new(vec![], vec![])
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// The folder is missing, not writable or full.
    pub(super) fn store(&self, path: &Path) -> io::Result<()> {
        replace_file(path, serde_json::to_vec(self)?, MODE)
    }
}

#[cfg(test)]
mod tests {
    use host::settings::EpisodeKind;
    use model::time::Timestamp;

    use super::super::message::Change;
    use super::super::sign::Evidence;
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_spoilt_or_of_another_release_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.json");
        let nothing = Kept::new(vec![], vec![]);
        assert_eq!(Kept::load(&path), nothing);
        let evidence = Evidence::FullDisk { free_mib: 1, size_mib: 9 };
        let (kind, since) = (EpisodeKind::FullDisk, Timestamp::from_millis(7));
        let message = Message {
            kind,
            state: Change::Began,
            service: None,
            at: since,
            episode: "full_disk-host-7".to_owned(),
            text: "full".to_owned(),
        };
        let waiting = vec![Waiting { receiver: "0badcafe".to_owned(), message }];
        let kept = Kept::new(vec![Episode { kind, service: None, since, evidence }], waiting);
        kept.store(&path).unwrap();
        assert_eq!(Kept::load(&path), kept);
        let text = fs::read_to_string(&path).unwrap();
        for bad in ["{", &text.replace("\"format\":1", "\"format\":2"), &text[..text.len() / 2]] {
            fs::write(&path, bad).unwrap();
            assert_eq!(Kept::load(&path), nothing);
        }
    }
}
