//! What the loops promised and learnt, in a file for the process that comes after this one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use host::files::replace_file;
use model::names::ServiceName;
use policy::memory::Memory;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

/// The form of the file. What a release adds, others pass over, so it changes only when what is
/// there means something else.
const FORMAT: u32 = 1;

/// The memory of each service's loop.
pub(crate) type Memories = BTreeMap<ServiceName, Memory>;

/// The file, with its form.
#[derive(Serialize, Deserialize)]
struct Content<M> {
    format: u32,
    services: M,
}

/// The file, and what was written to it last.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    path: PathBuf,
    kept: Memories,
    /// What is to be in the file.
    wanted: Memories,
    write: Option<JoinHandle<io::Result<()>>>,
}

impl MemoryFile {
    /// Reads the file at `path`. One that is of another form, or was spoilt, is put aside: the loops
    /// are right without it, only impatient.
    ///
    /// # Errors
    /// The file cannot be read, or not be put aside.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let kept = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memories::new(),
            Err(error) => return Err(error),
            Ok(text) => match parse(&text) {
                Ok(memories) => memories,
                Err(problem) => {
                    let aside = path.with_extension("json.unread");
                    std::fs::rename(path, &aside)?;
                    let aside = aside.display();
                    tracing::error!(%problem, %aside, "cooldowns and waits begin anew");
                    Memories::new()
                }
            },
        };
        Ok(Self { path: path.to_owned(), wanted: kept.clone(), kept, write: None })
    }

    /// What was kept for a service.
    pub(crate) fn of(&self, service: &ServiceName) -> Memory {
        self.kept.get(service).cloned().unwrap_or_default()
    }

    /// Has `memories` written where they differ from what was. The loop does not wait for it: a
    /// flush to the disk takes up to 6 ms. While one is under way, the next waits for a later call.
    pub(crate) async fn keep(&mut self, memories: Memories) {
        self.wanted = memories;
        if self.write.as_ref().is_none_or(JoinHandle::is_finished) {
            self.end_write().await;
            self.begin_write();
        }
    }

    /// Waits until what was given last is written. One that fails is not tried again.
    pub(crate) async fn flush(&mut self) {
        self.end_write().await;
        self.begin_write();
        self.end_write().await;
    }

    fn begin_write(&mut self) {
        if self.wanted == self.kept {
            return;
        }
        let content = Content { format: FORMAT, services: &self.wanted };
        let Ok(text) = serde_json::to_vec_pretty(&content) else { return };
        let path = self.path.clone();
        self.write = Some(tokio::task::spawn_blocking(move || replace_file(&path, text, 0o600)));
        self.kept.clone_from(&self.wanted);
    }

    async fn end_write(&mut self) {
        if let Some(write) = self.write.take()
            && let Ok(Err(error)) = write.await
        {
            tracing::error!(%error, "what was promised is kept in memory only: check the disk");
            self.kept.clear();
        }
    }
}

fn parse(text: &[u8]) -> Result<Memories, String> {
    let told = |error: serde_json::Error| error.to_string();
    let content: Content<serde_json::Value> = serde_json::from_slice(text).map_err(told)?;
    if content.format != FORMAT {
        return Err(format!("its format is {}, this release reads {FORMAT}", content.format));
    }
    serde_json::from_value(content.services).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memories(decided: u32) -> Memories {
        let memory = Memory { decided: Some(decided), ..Memory::default() };
        [("store".parse().unwrap(), memory)].into()
    }

    #[tokio::test]
    async fn what_was_kept_outlives_the_process_and_is_written_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        let mut file = MemoryFile::open(&path).unwrap();
        assert_eq!(file.of(&"store".parse().unwrap()), Memory::default());
        file.keep(memories(3)).await;
        file.flush().await;
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        file.keep(memories(3)).await;
        file.flush().await;
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
        let again = MemoryFile::open(&path).unwrap();
        assert_eq!(again.kept, memories(3));
    }

    #[tokio::test]
    async fn what_came_while_a_write_was_under_way_is_written_by_the_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        let mut file = MemoryFile::open(&path).unwrap();
        for decided in 1..=9 {
            file.keep(memories(decided)).await;
        }
        file.flush().await;
        assert_eq!(MemoryFile::open(&path).unwrap().kept, memories(9));
    }

    #[test]
    fn a_file_of_another_form_or_that_was_spoilt_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        for text in ["", r#"{"format":2,"services":{}}"#, r#"{"format":1,"services":{"A":{}}}"#] {
            std::fs::write(&path, text).unwrap();
            let file = MemoryFile::open(&path).unwrap();
            assert!(file.kept.is_empty() && !path.exists());
            let aside = folder.path().join("memory.json.unread");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
        }
    }
}
