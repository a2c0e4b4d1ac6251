//! A supervisor for the tests of units: `supervisor RUN NAME -- COMMAND...`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, name, _, command @ ..] = arguments.as_slice() else {
        eprintln!("usage: supervisor RUN NAME -- COMMAND...");
        std::process::exit(2);
    };
    let Err(error) = host::units::supervise(std::path::Path::new(run), name, command);
    eprintln!("{error}");
    std::process::exit(1);
}
