//! The program as a user calls it: its words, its last line, its exit codes.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use run::Run;
use run::capacity::CapacityCurve;
use run::figures::{self, Assumptions};

fn simulator(results: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulator"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .arg("run")
        .args(words)
        .arg("--results")
        .arg(results)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_last_line_is_the_summary_of_the_folder_and_the_figures_of_its_report() {
    let results = tempfile::tempdir().unwrap();
    let output = simulator(results.path(), &["steps", "time-factor=0.2", "json=true"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut line: serde_json::Value =
        serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
    let [elasticity, cost] =
        ["elasticity", "cost"].map(|key| line.as_object_mut().unwrap().remove(key).unwrap());
    let folder = results.path().join("simulated-steps-default");
    let file = std::fs::read_to_string(folder.join("summary.json")).unwrap();
    assert_eq!(line, serde_json::from_str::<serde_json::Value>(&file).unwrap());
    assert!(line["instances"]["seconds"].as_f64().unwrap() > 30.0);
    assert!(line["outside_objective_percent"].is_number());
    for name in ["ticks.jsonl", "series.csv", "chart.svg"] {
        assert!(std::fs::metadata(folder.join(name)).unwrap().len() > 500, "{name}");
    }
    let capacity = Some(CapacityCurve::linear(50.0));
    let assumptions = Assumptions { capacity, ..Assumptions::default() };
    let figures = figures::measure(&Run::read(&folder).unwrap(), &assumptions);
    let mut compared = 0;
    for (key, value) in figures::by_key(&figures) {
        let own = match key.split_once('.') {
            Some(("elasticity", key)) => &elasticity[key],
            Some(("cost", key)) => &cost[key],
            _ => continue,
        };
        let (own, value) = (own.as_f64().unwrap(), value.unwrap());
        assert!((own - value).abs() <= 1e-6 * value.abs().max(1.0), "{key}: {own}, not {value}");
        compared += 1;
    }
    assert_eq!(compared, 9);
}

#[test]
fn where_nobody_reads_what_it_tells_its_folder_is_written_all_the_same() {
    let results = tempfile::tempdir().unwrap();
    let unread = || Stdio::from(std::io::pipe().unwrap().1);
    let status = Command::new(env!("CARGO_BIN_EXE_simulator"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args(["run", "steps", "time-factor=0.2", "json=true", "--results"])
        .arg(results.path())
        .stdout(unread())
        .stderr(unread())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(results.path().join("simulated-steps-default/summary.json").exists());
    let bad = Command::new(env!("CARGO_BIN_EXE_simulator"))
        .args(["run", "no-such-scenario"])
        .stderr(unread())
        .status();
    assert_eq!(bad.unwrap().code(), Some(2));
}

#[test]
fn bad_input_is_exit_code_2_with_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("gap.csv");
    std::fs::write(&trace, "second,requests\n0,1\n1,2\n5,2\n").unwrap();
    let gap = format!("trace={}", trace.display());
    let cases = [
        (vec![gap.as_str()], "gap.csv, line 4: the time is 4s after that of the line before"),
        (vec!["rmap"], "there is no scenario `rmap`: use any-service, burst-from-zero,"),
        (vec!["trace=/dev/zero"], "/dev/zero is too large: use a file of up to 134217728 bytes"),
        (vec!["ramp", "policy=magic"], "there is no policy `magic`: use default,"),
        (vec!["ramp", "polcy=x"], "`polcy=x`: use trace, policy,"),
        (vec!["ramp", "peak=2"], "peak is given: use it with a trace"),
        (vec!["ramp", "gaps=zero"], "gaps is given: use it with a trace"),
        (vec!["ramp", "interval=1h"], "interval is given: use it with a trace"),
        (vec![&gap, "gaps=none"], "use zero (no request) or hold (as many as before)"),
        (vec![&gap, "interval=1"], "use a length above 0 up to 366d, such as 10s, 1m, 1h or 1d"),
        (vec!["seven-stages", "detail=fluid"], "detail is fluid: use requests: the threads"),
        (vec!["ramp", "tick-ms=1"], "tick-ms is 1: use 20 to 60000"),
    ];
    for (words, message) in cases {
        let output = simulator(folder.path(), &words);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(message), "{words:?}: {said}");
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn filled_gaps_are_counted_in_the_last_lines_and_in_the_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("gap.csv");
    std::fs::write(&trace, "minute,requests\n0,600\n1,1200\n5,1200\n").unwrap();
    let trace = format!("trace={}", trace.display());
    let output = simulator(folder.path(), &[&trace, "gaps=zero", "interval=1m", "peak=2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = "6 intervals of 1m, 3 of them filled with 0, scaled to a peak of 2 instances' worth";
    assert!(text(&output.stdout).contains(&format!("\ntrace      {told}\n")));
    let run = Run::read(&folder.path().join("simulated-gap-default")).unwrap();
    assert_eq!(run.summary.conditions["trace"], told);
    assert!((run.summary.duration_s - 360.0).abs() < 1e-9);
}
