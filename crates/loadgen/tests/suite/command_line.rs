//! The program as a person or a script calls it: what it says, and its exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Conduct, Store};

const SCENARIO: &str = "name = \"short\"\nservice = \"object-store\"\nseed = 1\n\
    [[phases]]\nkind = \"constant\"\nduration_s = 5\nrate = 100\n[objects]\ncount = 3\n\
    [limits]\nmax_failed = 0\n";

fn loadgen(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_loadgen");
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_exit_code_says_whether_the_limits_held() {
    for (conduct, code) in [(Conduct::Good, 0), (Conduct::Status(503), 1)] {
        let answer = move |asked: &crate::support::Asked| match asked.method.as_str() {
            "GET" => conduct,
            _ => Conduct::Good,
        };
        let (store, folder) = (Store::start(answer), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("short.toml"), SCENARIO).unwrap();
        let url = store.url();
        let arguments = ["run", "short.toml", "--target", &url, "--time-factor", "0.1"];
        let output = loadgen(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let summary = folder.path().join("results/latest/summary.json");
        let summary = std::fs::read_to_string(summary).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["limits"]["max_failed"]["held"], code == 0);
        assert_eq!(summary["duration_s"], 0.5);
    }
}

#[test]
fn where_nobody_reads_what_it_tells_a_run_ends_as_it_would() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("short.toml"), SCENARIO).unwrap();
    let unread = || Stdio::from(std::io::pipe().unwrap().1);
    let status = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["run", "short.toml", "--target", &store.url(), "--time-factor", "0.1"])
        .current_dir(folder.path())
        .stdout(unread())
        .stderr(unread())
        .status();
    assert_eq!(status.unwrap().code(), Some(0));
    assert!(folder.path().join("results/latest/summary.json").exists());
}

#[test]
fn bad_input_is_exit_code_2_and_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let bad = SCENARIO.replace("rate = 100", "rate = -1");
    let needs_scaler = SCENARIO.replace("[limits]", "[limits]\nback_to_min = true");
    let needs_scaler = needs_scaler.replace("seed = 1", "seed = 1\nsettle_s = 1");
    let crowd = "name = \"crowd\"\nservice = \"object-store\"\nseed = 1\n[[stages]]\n\
        threads = 5000\nrequests_per_thread = 1\nmax_delay_ms = 1\n";
    let files = [("short", SCENARIO), ("bad", &bad), ("needs", &needs_scaler), ("crowd", crowd)];
    for (name, text) in files {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    let target = "http://127.0.0.1:1";
    let wrong_policy = "kind = \"hpa\"\nin_percent = 101";
    std::fs::write(folder.path().join("wrong.toml"), wrong_policy).unwrap();
    std::fs::write(folder.path().join("t.csv"), "s,requests\n0,1\n1,2\n3,4\n").unwrap();
    std::fs::write(folder.path().join("pace.csv"), "time,rate\n0,1\n1,2\n").unwrap();
    let experiment = ["experiment", "short", "--scenarios", "."];
    let with = |word: &'static str| [&experiment[..], &[word]].concat();
    let cases: [(&[&str], &str); 21] = [
        (&["run", "bad.toml", "--target", target], "bad.toml, line 7: phases[0].rate is -1"),
        (&["run", "crowd.toml", "--target", target], "stages[0].threads is 5000: use 1 to 4096"),
        (&["run", "none.toml", "--target", target], "none.toml cannot be read"),
        (&["run", "short.toml", "--target", "ftp://x"], "use http://HOST:PORT"),
        (&["run", "short.toml", "--target", target, "--time-factor", "2"], "above 0 to 1"),
        (&["run", "needs.toml", "--target", target], "--api http://HOST:PORT"),
        (&["experiment", "rmap", "--scenarios", "."], "use bad, crowd, needs, short, wrong, or"),
        (&with("polcy=hpa"), "`polcy=hpa`: use trace, peak, gaps, interval, service, policy, n,"),
        (&with("policy=magic"), "there is no policy `magic`: use default, target_tracking,"),
        (&with("policy=./wrong.toml"), "wrong.toml, line 2: in_percent is 101: use"),
        (&with("peak=2"), "'[NAME]' cannot be used with '--peak <INSTANCES>'"),
        (&with("gaps=zero"), "'[NAME]' cannot be used with '--gaps <WORD>'"),
        (&with("interval=1h"), "'[NAME]' cannot be used with '--interval <LENGTH>'"),
        (&["experiment", "trace=t.csv", "gaps=fill"], "use zero (no request) or hold (as many as"),
        (&["experiment", "trace=t.csv", "interval=1"], "use a length above 0 up to 366d, such as"),
        (&["experiment", "trace=t.csv", "--services", "."], "fill such holes with gaps=zero or"),
        (
            &["experiment", "trace=pace.csv", "gaps=hold", "--services", "."],
            "pace.csv: this is a pace file, in which a rate holds until the next line: use gaps=",
        ),
        (&["experiment", "trace=none.csv"], "none.csv cannot be read"),
        (&with("n=0"), "invalid value '0' for '--n <RUNS>': use 1 to 100"),
        (&with("n=101"), "invalid value '101' for '--n <RUNS>': use 1 to 100"),
        (&with("membership=none"), "possible values: runtime, reload, both"),
    ];
    for (arguments, message) in cases {
        let output = loadgen(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(said(&output).contains(message), "{arguments:?}: {}", said(&output));
        assert!(!folder.path().join("results").exists());
    }
}
