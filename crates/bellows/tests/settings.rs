//! Whose settings a command takes: the current folder may be anybody's.

use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Asks for the bounds of a service from within a folder.
fn ask(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellows"));
    command.args(arguments).args(["bounds", "shop"]).current_dir(folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// Whether somebody asks here while the command runs, which is ended then.
fn is_asked(socket: &UnixListener, mut command: Child) -> bool {
    let started = Instant::now();
    let asked = loop {
        match socket.accept() {
            Ok(_) => break true,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        let ended = command.try_wait().expect("it can be asked").is_some();
        if ended || started.elapsed() > Duration::from_secs(10) {
            break false;
        }
        sleep(Duration::from_millis(2));
    };
    let _ = command.kill();
    command.wait().expect("it ends");
    // It may have asked in the moment before it ended.
    asked || socket.accept().is_ok()
}

#[test]
fn settings_in_the_current_folder_are_of_no_account_unless_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (run, state) = (folder.path().join("run"), folder.path().join("state"));
    fs::create_dir(&run).expect("made");
    let socket = UnixListener::bind(run.join("operator.sock")).expect("a socket");
    socket.set_nonblocking(true).expect("set");
    let text = format!("[paths]\nrun = {run:?}\nstate = {state:?}\n");
    let file = folder.path().join("bellows.toml");
    fs::write(&file, text).expect("written");
    assert!(!is_asked(&socket, ask(folder.path(), &[])), "the socket of whoever made the folder");
    assert!(is_asked(&socket, ask(folder.path(), &["--tree", "."])));
    assert!(is_asked(&socket, ask(Path::new("/"), &["--settings", &file.display().to_string()])));
}
