//! Writes the configuration file after commands have changed the process. A change does not wait for
//! the write, and of several changes only the latest is written.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::error::HaproxyError;
use super::file::ConfigFile;
use super::lines::Layout;
use super::template::Template;

/// A write that failed, for want of space say, is tried again this much later.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the file should hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    /// The number of the change.
    pub(super) change: u64,
    /// The generation that runs. It stays: the shape is the same.
    pub(super) generation: u64,
    pub(super) layout: Layout,
}

/// The task that writes, as seen from outside. When this is dropped, the task writes what is left
/// and ends.
#[derive(Debug)]
pub(super) struct DeferredWrite {
    wanted: watch::Sender<Option<Content>>,
    written: watch::Receiver<u64>,
}

impl DeferredWrite {
    /// Starts the task, so it must be called in a runtime.
    pub(super) fn start(template: Arc<Template>, file: Arc<ConfigFile>) -> Self {
        let (wanted, contents) = watch::channel(None);
        let (done, written) = watch::channel(0);
        tokio::spawn(write_all(contents, done, template, file));
        Self { wanted, written }
    }

    /// Has `content` written soon, unless the file holds it or is about to.
    pub(super) fn put(&self, content: Content) {
        self.wanted.send_if_modified(|wanted| {
            let same = wanted.as_ref().is_some_and(|wanted| {
                wanted.generation == content.generation && wanted.layout == content.layout
            });
            if !same {
                *wanted = Some(content);
            }
            !same
        });
    }

    /// Forgets what was put, because the caller is about to write a later change itself.
    pub(super) fn forget(&self) {
        self.wanted.send_if_modified(|wanted| {
            *wanted = None;
            false
        });
    }

    /// Waits until the file holds what was put last.
    pub(super) async fn flush(&self) {
        let change = self.wanted.borrow().as_ref().map_or(0, |content| content.change);
        // An error means that the task has ended, as it does when its runtime shuts down.
        let _ = self.written.clone().wait_for(|written| *written >= change).await;
    }
}

async fn write_all(
    mut contents: watch::Receiver<Option<Content>>,
    done: watch::Sender<u64>,
    template: Arc<Template>,
    file: Arc<ConfigFile>,
) {
    while contents.changed().await.is_ok() {
        let Some(content) = contents.borrow_and_update().clone() else { continue };
        let change = content.change;
        let (template, file) = (Arc::clone(&template), Arc::clone(&file));
        let write = tokio::task::spawn_blocking(move || {
            let rendered = template.render(content.generation, &content.layout)?;
            file.install(content.change, &rendered)
        });
        match write.await {
            Ok(Ok(())) => {
                done.send_replace(change);
            }
            Ok(Err(error)) => {
                report(&error);
                contents.mark_changed();
                tokio::time::sleep(RETRY_AFTER).await;
            }
            // The runtime is shutting down.
            Err(_) => return,
        }
    }
}

fn report(error: &HaproxyError) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, source, "HAProxy would restart with an older membership; trying again");
}

#[cfg(test)]
mod tests {
    use super::super::backends::Backends;
    use super::super::backends::ServerState::{self, Drain, Maint, Ready};
    use super::super::backends::tests::backend;
    use super::super::settings::tests::settings;
    use super::*;

    fn content(change: u64, state: ServerState) -> Content {
        let backends = Backends::new(vec![backend("store", "/", 1, &[state])]).unwrap();
        Content { change, generation: 5, layout: Layout::new(&backends) }
    }

    #[tokio::test]
    async fn the_file_ends_with_the_latest_content_once_it_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("run");
        let settings = settings(&missing);
        let template = Arc::new(Template::load(&settings).unwrap());
        let file = Arc::new(ConfigFile::new(&settings, &template.file));
        let deferred = DeferredWrite::start(Arc::clone(&template), Arc::clone(&file));
        for (change, state) in [(1, Ready), (2, Drain), (3, Maint)] {
            deferred.put(content(change, state));
            tokio::task::yield_now().await;
        }
        let early = tokio::time::timeout(Duration::from_millis(100), deferred.flush()).await;
        assert!(early.is_err());
        std::fs::create_dir(&missing).unwrap();
        deferred.flush().await;
        assert!(file.holds(&template.render(5, &content(3, Maint).layout).unwrap()).unwrap());
    }
}
