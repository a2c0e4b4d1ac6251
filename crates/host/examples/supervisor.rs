//! A supervisor for the tests of units:
//! `supervisor RUN [--user=USER] [--limits=LIMITS] [--socket=VARIABLE=ADDRESS] NAME -- COMMAND...`.

use host::units::ListenSocket;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (run, rest) = arguments.split_first().expect("RUN");
    let user = rest.first().and_then(|word| word.strip_prefix("--user="));
    let rest = &rest[usize::from(user.is_some())..];
    let limits = rest.first().and_then(|word| word.strip_prefix("--limits="));
    let rest = &rest[usize::from(limits.is_some())..];
    let limits = limits.map(|limits| limits.parse().expect("LIMITS"));
    let is_socket = |word: &&String| word.starts_with("--socket=");
    let sockets: Vec<ListenSocket> = rest
        .iter()
        .take_while(is_socket)
        .map(|word| word.trim_start_matches("--socket=").parse().expect("VARIABLE=ADDRESS"))
        .collect();
    let [name, _, command @ ..] = &rest[sockets.len()..] else { panic!("NAME -- COMMAND...") };
    let Err(error) =
        host::units::supervise(std::path::Path::new(run), name, user, limits, &sockets, command);
    eprintln!("{error}");
    std::process::exit(1);
}
