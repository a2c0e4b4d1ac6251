//! What instances write, kept within bounds for those who may read it.

mod lines;
mod log;
mod reader;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use host::lxc::OutputPipes;
use host::settings::output_folder;
use model::names::{InstanceName, ServiceName};
use model::output::OutputLine;
use model::time::Timestamp;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use self::log::{ENDING, Log};
use self::reader::{Look, PAUSE, Reader};
use crate::clock::now;
use crate::lock::lock;

/// Of so many instances of a service that ended the output is kept.
const ENDED_KEPT: usize = 20;

/// How many lines stand beside a failure, and how long each may be, in characters.
const LAST_LINES: usize = 5;
const LAST_LINE_CHARACTERS: usize = 400;

/// The output of all instances.
#[derive(Debug)]
pub(crate) struct Outputs {
    folder: PathBuf,
    readers: Mutex<BTreeMap<InstanceName, Arc<Mutex<Reader>>>>,
}

impl Outputs {
    /// The output that is kept in this state directory.
    pub(crate) fn new(state: &Path) -> Self {
        Self { folder: output_folder(state), readers: Mutex::default() }
    }

    /// Reads what instances write, each from when its pipes come, for ever.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut launched: mpsc::UnboundedReceiver<(InstanceName, OutputPipes)>,
    ) {
        while let Some((instance, pipes)) = launched.recv().await {
            if let Err(error) = self.begin(&instance, pipes) {
                tracing::warn!(%instance, %error, "what it writes is not kept");
            }
        }
        // The containers' side is there for as long as this process.
        std::future::pending().await
    }

    fn begin(self: &Arc<Self>, instance: &InstanceName, pipes: OutputPipes) -> io::Result<()> {
        let folder = self.folder_of(instance.service());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let reader = Arc::new(Mutex::new(Reader::new(pipes, Log::open(&folder, instance)?)));
        lock(&self.readers).insert(instance.clone(), Arc::clone(&reader));
        let (outputs, instance) = (Arc::clone(self), instance.clone());
        tokio::spawn(async move {
            if let Err(error) = follow(&reader).await {
                tracing::warn!(%instance, %error, "what it writes is not kept any more");
            }
            lock(&reader).remove_pipes();
            lock(&outputs.readers).remove(&instance);
            outputs.prune(instance.service());
        });
        Ok(())
    }

    /// The last lines of an instance that failed, to stand beside that.
    pub(crate) fn last_lines(&self, instance: &InstanceName) -> Vec<String> {
        let reader = lock(&self.readers).get(instance).cloned();
        if let Some(reader) = reader {
            // What it wrote just now, whose turn to be read has not come. What cannot be kept is told where
            // it is followed.
            let _ = lock(&reader).look(now(), Instant::now());
        }
        let lines = log::newest(&self.folder_of(instance.service()), instance, LAST_LINES);
        let cut = |line: OutputLine| line.text.chars().take(LAST_LINE_CHARACTERS).collect();
        lines.into_iter().map(cut).collect()
    }

    /// The newest lines since then of a service, or of one of its instances, oldest first.
    pub(crate) fn newest(
        &self,
        service: &ServiceName,
        instance: Option<&InstanceName>,
        since: Timestamp,
        count: usize,
    ) -> Vec<OutputLine> {
        let folder = self.folder_of(service);
        let all = kept(&folder).into_iter().map(|(name, _)| name);
        let wanted = all.filter(|name| instance.is_none_or(|instance| instance == name));
        let lines = wanted.flat_map(|name| log::newest(&folder, &name, count));
        let mut lines: Vec<_> = lines.filter(|line| line.at >= since).collect();
        lines.sort_by_key(|line| line.at);
        lines.split_off(lines.len().saturating_sub(count))
    }

    /// Forgets the instances of a service that ended before the newest of those that did.
    fn prune(&self, service: &ServiceName) {
        let folder = self.folder_of(service);
        let mut ended = kept(&folder);
        let running = lock(&self.readers);
        ended.retain(|(name, _)| !running.contains_key(name));
        ended.sort_by_key(|(_, written)| *written);
        for (name, _) in ended.iter().rev().skip(ENDED_KEPT) {
            log::remove(&folder, name);
        }
    }

    fn folder_of(&self, service: &ServiceName) -> PathBuf {
        self.folder.join(service.as_str())
    }
}

/// The instances whose output is kept in a folder, and when each last wrote.
fn kept(folder: &Path) -> Vec<(InstanceName, SystemTime)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let instance = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let written = entry.metadata().ok()?.modified().ok()?;
        Some((name.strip_suffix(ENDING)?.parse().ok()?, written))
    };
    entries.filter_map(instance).collect()
}

/// Reads until every process of the instance has ended.
///
/// The kernel wakes who waits for a pipe at each write to it, also at one for which there was no room: some
/// 4,000 a second of a program that writes without end, which took 15% of a core. So nobody waits during a
/// pause.
async fn follow(reader: &Mutex<Reader>) -> io::Result<()> {
    loop {
        match read_at_once(reader).await? {
            Look::Ended => return Ok(()),
            Look::Empty | Look::TooMuch | Look::Closed => sleep(PAUSE).await,
        }
    }
}

/// Reads whatever comes as it comes, until that is not to be.
///
/// An output that was closed once is ready for ever to the runtime, also after the instance's first process
/// has opened it: a loop on that would leave no other task a turn. So whoever waits next waits anew.
async fn read_at_once(reader: &Mutex<Reader>) -> io::Result<Look> {
    let [stdout, stderr] = lock(reader).clones()?.map(pipe::Receiver::from_file);
    let pipes = [stdout?, stderr?];
    loop {
        let ended = lock(reader).ended();
        let (number, ready) = tokio::select! {
            ready = pipes[0].ready(Interest::READABLE), if !ended[0] => (0, ready?),
            ready = pipes[1].ready(Interest::READABLE), if !ended[1] => (1, ready?),
            else => return Ok(Look::Ended),
        };
        match lock(reader).look(now(), Instant::now())? {
            Look::Empty if ready.is_read_closed() => return Ok(Look::Closed),
            Look::Empty => {}
            look => return Ok(look),
        }
        // By this the runtime learns that there is no more, and else it is what has come since.
        let mut bytes = [0; 1024];
        if let Ok(count @ 1..) = pipes[number].try_read(&mut bytes) {
            lock(reader).take(number, &bytes[..count], now())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn write(outputs: &Outputs, instance: &str, text: &str) {
        let instance: InstanceName = instance.parse().unwrap();
        let folder = outputs.folder_of(instance.service());
        fs::create_dir_all(&folder).unwrap();
        let mut file = fs::File::create(folder.join(format!("{instance}{ENDING}"))).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Launches close what they held before an instance's first process has opened it, and that may be
    /// before anybody looks.
    #[test]
    fn an_output_that_was_closed_for_a_moment_leaves_other_tasks_their_turns() {
        let (told, looked) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            told.send(runtime.unwrap().block_on(look_after_a_close())).unwrap();
        });
        let looked = looked.recv_timeout(std::time::Duration::from_secs(10));
        assert_eq!(looked.expect("it waits, and does not go round"), Look::Closed);
    }

    async fn look_after_a_close() -> Look {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str, write: bool| {
            let mut options = fs::File::options();
            options.read(true).write(write).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
            options.open(folder.path().join(name)).unwrap()
        };
        for name in ["out", "err"] {
            nix::unistd::mkfifo(&folder.path().join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let here = folder.path().to_owned();
        let pipes = OutputPipes::new(open("out", false), open("err", false), here.clone(), here);
        let log = Log::open(folder.path(), &"bw-store-1-a".parse().unwrap()).unwrap();
        let reader = Mutex::new(Reader::new(pipes, log));
        let held = ["out", "err"].map(|name| open(name, true));
        let mut read = std::pin::pin!(read_at_once(&reader));
        tokio::select! {
            biased;
            look = &mut read => panic!("nothing has come: {look:?}"),
            () = std::future::ready(()) => {}
        }
        drop(held);
        // The runtime learns of it, and nobody looks.
        sleep(std::time::Duration::from_millis(20)).await;
        let _opened = ["out", "err"].map(|name| open(name, true));
        read.await.unwrap()
    }

    #[test]
    fn lines_of_all_instances_of_a_service_are_in_the_order_of_their_time() {
        let state = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(state.path());
        write(&outputs, "bw-store-1-a", "1 o one\n4 e four\n");
        write(&outputs, "bw-store-2-b", "2 o two\n3 o three\n");
        write(&outputs, "bw-other-3-c", "1 o another's\n");
        let service = "store".parse().unwrap();
        let texts = |instance: Option<&InstanceName>, count| {
            let lines = outputs.newest(&service, instance, Timestamp::default(), count);
            lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(None, 10), ["one", "two", "three", "four"]);
        assert_eq!(texts(None, 2), ["three", "four"]);
        assert_eq!(texts(Some(&"bw-store-2-b".parse().unwrap()), 10), ["two", "three"]);
        assert!(
            outputs.newest(&"none".parse().unwrap(), None, Timestamp::default(), 10).is_empty()
        );
    }

    #[test]
    fn of_those_that_ended_the_newest_are_kept() {
        let state = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(state.path());
        for number in 1..=ENDED_KEPT + 5 {
            write(&outputs, &format!("bw-store-{number}-a"), "1 o x\n");
            let file = outputs.folder.join(format!("store/bw-store-{number}-a{ENDING}"));
            let written = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            fs::File::open(file).unwrap().set_modified(written).unwrap();
        }
        outputs.prune(&"store".parse().unwrap());
        let left = kept(&outputs.folder.join("store"));
        assert_eq!(left.len(), ENDED_KEPT);
        assert!(left.iter().all(|(name, _)| name.slot().get() > 5));
    }
}
