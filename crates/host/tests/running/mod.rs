//! An instance whose program writes to its outputs and listens nowhere.

use std::io::Read as _;
use std::time::{Duration, Instant};

use host::lxc::{Containers as _, Launch, LxcContainers, OutputPipes};
use model::names::InstanceName;
use model::service::Replacement;
use tokio::sync::mpsc;

use crate::world::World;

/// The instance, and the host's ends of its outputs.
pub(crate) struct Running {
    pub(crate) world: World,
    pub(crate) name: InstanceName,
    pub(crate) pipes: OutputPipes,
}

impl Running {
    /// Launches an instance of this world in this slot, and waits for nothing.
    pub(crate) async fn launch(world: World, slot: u32) -> Self {
        Self::launched(world, slot, Replacement::Surge.into()).await.0
    }

    /// The same, in this way; and who launched it.
    pub(crate) async fn launched(world: World, slot: u32, launch: Launch) -> (Self, LxcContainers) {
        let (sender, mut launched) = mpsc::unbounded_channel();
        let containers = LxcContainers::new(&world.settings).unwrap().with_reader(sender).unwrap();
        let name = world.name(slot);
        containers.clone_ephemeral(&world.template, &name, launch).await.unwrap();
        let (launched, pipes) = launched.recv().await.unwrap();
        assert_eq!(launched, name);
        (Self { world, name, pipes }, containers)
    }

    /// Takes what it writes to its standard output until that ends so.
    pub(crate) async fn wait_for(&mut self, stdout: &mut String, end: &str) {
        let started = Instant::now();
        while !stdout.ends_with(end) {
            assert!(started.elapsed() < Duration::from_secs(10), "{stdout:?}");
            read(&mut self.pipes.stdout, stdout);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// All that it writes to both outputs, to its end.
    pub(crate) async fn written(&mut self) -> (String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let started = Instant::now();
        loop {
            let ended =
                [(&mut self.pipes.stdout, &mut stdout), (&mut self.pipes.stderr, &mut stderr)]
                    .map(|(pipe, text)| read(pipe, text));
            if ended == [true, true] && self.pipes.is_over() {
                return (stdout, stderr);
            }
            assert!(started.elapsed() < Duration::from_secs(10), "{stdout:?} {stderr:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Takes what there is; returns whether all has come.
pub(crate) fn read(pipe: &mut std::fs::File, text: &mut String) -> bool {
    let mut bytes = [0; 65_536];
    loop {
        match pipe.read(&mut bytes) {
            Ok(0) => return true,
            Ok(count) => text.push_str(std::str::from_utf8(&bytes[..count]).unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(error) => panic!("{error}"),
        }
    }
}
