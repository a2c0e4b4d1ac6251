//! The comparison of policies: what it runs, what it saves, and that the default wins it.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use command_line::policies::DEFAULT;
use model::policies::PolicyKind;
use model::service::ServiceSpec;
use run::PolicyTable;
use run::policy_comparison::PolicyRow;
use simulator::compare::compare;
use simulator::input::{Choices, Folders, Source};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folders() -> Folders {
    Folders {
        scenarios: root().join("loadgen/scenarios"),
        traces: root().join("loadgen/traces"),
        policies: root().join("loadgen/policies"),
        services: root().join("services"),
        results: PathBuf::from("there are none"),
    }
}

/// A named policy, by its file.
fn file(policy: &str) -> String {
    Path::new(policy).file_stem().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn every_policy_suits_the_shipped_service_and_has_a_name_of_its_own() {
    let words = folders().policies().unwrap();
    let named: Vec<String> =
        words.iter().filter(|word| word.ends_with(".toml")).map(|word| file(word)).collect();
    assert!(named.len() >= 12, "{named:?}");
    assert_eq!(words.len(), 1 + PolicyKind::all().count() + named.len());
    for name in &named {
        assert!(name.parse::<PolicyKind>().is_err() && name != DEFAULT, "{name} is taken");
    }
    let page = std::fs::read_to_string(root().join("docs/operations/policies.md")).unwrap();
    let undocumented = |name: &&String| !page.contains(&format!("`{name}`"));
    assert_eq!(named.iter().find(undocumented), None);
    for word in words.into_iter().chain(named) {
        let choices = Choices { policy: Some(word), ..Choices::default() };
        folders().setup(&Source::Scenario("spike".to_owned()), &choices).unwrap();
    }
}

#[test]
fn a_new_service_has_the_policy_that_is_compared_as_the_default() {
    let text = std::fs::read_to_string(root().join("services/object-store.toml")).unwrap();
    let store = config_file::from_toml::<ServiceSpec>("service.toml", &text).unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    for key in ["policy", "scale_in", "scale_out"] {
        table.remove(key);
    }
    let new: ServiceSpec = config_file::from_toml("service.toml", &table.to_string()).unwrap();
    assert_eq!(new.policy, store.policy);
    assert_eq!((new.scale_in, new.scale_out), (store.scale_in, store.scale_out));
}

/// What the default is to have fewer requests outside the objective than.
const RIVALS: [&str; 7] = ["hpa", "concurrency", "react", "adapt", "hist", "reg", "conpaas"];

/// A load of each nature: at once, in steps, fast both ways, and of threads that wait for answers.
const LOADS: [&str; 4] = ["spike", "staircase", "reload-vs-runtime", "seven-stages"];

#[test]
fn the_default_wins_at_no_more_instance_seconds_than_concurrency() {
    let setup = |load: &str, policy: &str| {
        let choices = Choices { policy: Some(policy.to_owned()), ..Choices::default() };
        folders().setup(&Source::Scenario(load.to_owned()), &choices).unwrap()
    };
    let policies = || [DEFAULT].into_iter().chain(RIVALS);
    let setups: Vec<_> =
        LOADS.iter().flat_map(|load| policies().map(|policy| setup(load, policy))).collect();
    let rows = compare(&setups, 1, |_| {}).unwrap();
    let outside = |row: &PolicyRow| row.outside_objective_percent.unwrap();
    for rows in rows.chunks(1 + RIVALS.len()) {
        let (default, rivals) = rows.split_first().unwrap();
        assert!(outside(default) <= 0.01 && default.failed == 0, "{default:?}");
        for rival in rivals {
            assert!(outside(default) <= outside(rival), "{default:?}\n{rival:?}");
        }
        let concurrency = rivals.iter().find(|row| row.policy == "concurrency").unwrap();
        assert!(default.instance_seconds <= concurrency.instance_seconds, "{default:?}");
    }
    let policies = PolicyTable::of(rows).unwrap();
    assert_eq!(policies.standings()[0].policy, DEFAULT);
    let second = &policies.standings()[1];
    assert!(second.outside_percent.unwrap() > 1.0, "{second:?}");
}

/// The folders of a comparison: of scenarios and of traces, without any so far, and of results.
fn empty_folders(folder: &Path) -> [PathBuf; 3] {
    let folders = ["scenarios", "traces", "results"].map(|name| folder.join(name));
    folders.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    folders
}

fn comparison(words: &[&str], [scenarios, traces, results]: &[PathBuf; 3]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulator"))
        .current_dir(root())
        .arg("compare")
        .args(words)
        .args([Path::new("--results"), results, Path::new("--traces"), traces])
        .args([Path::new("--scenarios"), scenarios])
        .output()
        .unwrap()
}

#[test]
fn a_comparison_fills_the_gaps_of_its_traces_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let folders = empty_folders(folder.path());
    let [_, traces, results] = &folders;
    std::fs::write(traces.join("gap.csv"), "s,requests\n0,2\n1,3\n3,2\n").unwrap();
    let refused = comparison(&[], &folders);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("gap.csv, line 4: ") && said.contains("gaps=zero or gaps=hold"),
        "{said}"
    );
    let output = comparison(&["gaps=hold"], &folders);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let markdown = std::fs::read_to_string(results.join("comparison.md")).unwrap();
    assert!(markdown.contains("| gap "), "{markdown}");
}

#[test]
fn the_comparison_prints_its_ranking_and_saves_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let own_folders = empty_folders(folder.path());
    let [scenarios, _, results] = &own_folders;
    let load = "two-a-second.toml";
    std::fs::copy(root().join("loadgen/scenarios").join(load), scenarios.join(load)).unwrap();
    let output = comparison(&["seeds=2"], &own_folders);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let policies = folders().policies().unwrap().len();
    assert!(said.starts_with("| policy "), "{said}");
    assert!(said.contains("Loads: 1, "), "{said}");
    let mut rows = said.lines().filter(|line| line.starts_with('|'));
    assert!(rows.all(|line| line.len() <= 125), "{said}");
    let saved = PolicyTable::read(&results.join("comparison.csv")).unwrap();
    let rows = saved.rows();
    assert_eq!(rows.len(), policies);
    assert!(rows.iter().all(|row| row.due > 300 && row.over_accuracy_percent.is_some()));
    let markdown = std::fs::read_to_string(results.join("comparison.md")).unwrap();
    assert!(markdown.contains("| two-a-second | office-hours"), "{markdown}");
}
