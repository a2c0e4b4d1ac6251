//! The pages hold to the tree: the tests that SPECIFICATION.md names are there, and so are the
//! recipes, links, settings and codes that any page names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use model::action::Blocked;
use model::decision::Reason;
use model::policies::PolicyKind;
use model::service::ServiceSpec;
use strum::IntoEnumIterator;

/// The tree of the project.
fn tree() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/bellows lies in the tree").to_owned()
}

fn read(path: &str) -> String {
    let path = tree().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page, with its path from the top of the tree.
fn pages() -> Vec<(String, String)> {
    let mut folders = vec![String::new(), "rootfs/".to_owned()];
    folders.extend(["scenarios/", "traces/"].map(|name| format!("loadgen/{name}")));
    folders.extend(["", "operations/", "decisions/"].map(|name| format!("docs/{name}")));
    let names = |folder: String| {
        let entries = fs::read_dir(tree().join(&folder)).expect(&folder);
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let paths = names.map(move |name| format!("{folder}{}", name.to_string_lossy()));
        paths.filter(|path| path.ends_with(".md")).collect::<Vec<_>>()
    };
    let paths = folders.into_iter().flat_map(names);
    paths.map(|path| (path.clone(), read(&path))).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of the specification's tables: the promise, where it is made, what fails without it.
fn promises(page: &str) -> Vec<[&str; 3]> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let cells = rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        <[&str; 3]>::try_from(cells).unwrap_or_else(|_| panic!("not three cells: {row}"))
    });
    cells.filter(|cells| cells[0] != "promise").collect()
}

fn recipes() -> BTreeSet<String> {
    let justfile = read("justfile");
    let heads = justfile.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    heads.filter_map(|line| line.split([' ', ':']).next()).map(str::to_owned).collect()
}

/// What is wrong with a name of what fails without a promise.
fn fault_of(evidence: &str) -> Option<String> {
    if let Some((path, name)) = evidence.split_once("::") {
        return fault_of_test(path, name);
    }
    let words: Vec<&str> = evidence.split(' ').collect();
    let missing = |path: String| (!tree().join(&path).exists()).then(|| format!("no {path}"));
    match words[..] {
        ["./just", "experiment" | "simulate", scenario, ..] => {
            missing(format!("loadgen/scenarios/{scenario}.toml"))
        }
        ["./just", recipe, ..] => {
            (!recipes().contains(recipe)).then(|| format!("no recipe {recipe}"))
        }
        ["cargo", "bench", "-p", package, "--bench", name] => {
            missing(format!("crates/{package}/benches/{name}.rs"))
        }
        [script] if script.starts_with("scripts/") => missing(script.to_owned()),
        _ => Some("neither a test nor a command".to_owned()),
    }
}

/// A function counts when it is a test, or a step that a test of its file calls, or of the file whose module
/// it is in.
fn fault_of_test(path: &str, name: &str) -> Option<String> {
    let path = format!("crates/{path}");
    let Ok(text) = fs::read_to_string(tree().join(&path)) else {
        return Some(format!("no {path}"));
    };
    let Some(at) = text.find(&format!("fn {name}(")) else {
        return Some(format!("no fn {name} in {path}"));
    };
    let head = text[..at].rsplit('\n').skip(1);
    let attributes = head.take_while(|line| line.trim_start().starts_with(['#', '/']));
    let is_test = attributes
        .map(str::trim)
        .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    let parent = Path::new(&path).parent().map(|folder| folder.with_extension("rs"));
    let parent = parent.and_then(|file| fs::read_to_string(tree().join(file)).ok());
    let is_step = [Some(text), parent]
        .iter()
        .flatten()
        .any(|text| text.contains(&format!("    {name}(")) && text.contains("#[test]"));
    (!is_test && !is_step).then(|| format!("{name} in {path} is no test"))
}

#[test]
fn what_the_specification_names_is_there() {
    let page = read("SPECIFICATION.md");
    let promises = promises(&page);
    assert!(promises.len() > 100, "{} promises", promises.len());
    let faults = promises.iter().flat_map(|[promise, _, evidence]| {
        let faults = quoted(evidence).filter_map(fault_of);
        faults.map(move |fault| format!("{promise}: {fault}"))
    });
    assert_eq!(faults.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_promise_says_where_it_is_made_and_what_fails_without_it_or_that_nothing_does_yet() {
    for [promise, place, evidence] in promises(&read("SPECIFICATION.md")) {
        assert!(place.contains("]("), "{promise}: where is it made?");
        let honest = quoted(evidence).count() > 0 || evidence.starts_with("none yet: ");
        assert!(honest, "{promise}: `{evidence}` names no test, and does not say why");
    }
}

#[test]
fn every_recipe_that_a_page_names_is_in_the_justfile() {
    let recipes = recipes();
    for (path, page) in pages() {
        for after in page.split("./just ").skip(1) {
            let recipe = after.split(|c: char| !c.is_ascii_lowercase() && c != '-').next();
            let recipe = recipe.expect("a first piece");
            assert!(recipes.contains(recipe), "{path}: `./just {recipe}`");
        }
    }
}

/// The recipe runs those that need no running system, the end-to-end test the other one.
#[test]
fn every_bench_is_run_once_with_the_tests() {
    let (justfile, end_to_end) = (read("justfile"), read("crates/bellows/tests/end_to_end.rs"));
    let mut seen = 0;
    for package in fs::read_dir(tree().join("crates")).expect("crates") {
        let benches = package.expect("a crate").path().join("benches");
        for bench in fs::read_dir(benches).into_iter().flatten() {
            let path = bench.expect("a bench").path();
            if path.is_dir() {
                // What several of them share.
                continue;
            }
            let name = path.file_stem().expect("a name").to_string_lossy();
            let is_run = justfile.contains(&format!(" --bench {name} "))
                || end_to_end.contains(&format!("\"--bench\", \"{name}\""));
            assert!(is_run, "nothing runs {} in its short form", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen} benches");
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading() {
    for (path, page) in pages() {
        let folder = Path::new(&path).parent().expect("a folder");
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { PathBuf::from(&path) } else { folder.join(file) };
            let target = tree().join(target);
            assert!(target.exists(), "{path}: {link}");
            let is_there = heading.is_empty() || headings(&target).contains(heading);
            assert!(is_there, "{path}: {link}");
        }
    }
}

/// A page's headings, as links name them.
fn headings(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).expect("a page");
    let titles = text.lines().filter(|line| line.starts_with('#'));
    let slug = |title: &str| {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    titles.map(slug).collect()
}

#[test]
fn every_setting_of_the_host_is_documented_with_its_default() {
    let page = read("docs/operations/settings.md");
    let shipped: toml::Table = read("bellows.toml").parse().expect("TOML");
    for (table, keys) in &shipped {
        for (key, value) in keys.as_table().expect("a table") {
            let name = format!("`{table}.{key}`");
            let row = page.lines().find(|line| line.starts_with("| `") && line.contains(&name));
            let row = row.unwrap_or_else(|| panic!("{name} is not documented"));
            let value = value.to_string();
            let text = value.trim_matches('"');
            let value = if text.is_empty() { value.as_str() } else { text };
            assert!(row.contains(&format!("`{value}`")), "{name} is {value}: {row}");
        }
    }
}

#[test]
fn every_code_of_a_decision_is_documented() {
    let page = read("docs/operations/policies.md");
    for reason in Reason::iter() {
        assert!(page.contains(&format!("`{reason:?}`")), "{reason:?}");
    }
    let page = read("docs/operations/apis.md");
    for blocked in Blocked::iter() {
        assert!(page.contains(&format!("| `{blocked:?}` |")), "{blocked:?}");
    }
}

/// The names without a dot of what Bellows keeps in the state folder, of which a mount can have no other.
fn own_names(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let places = rows.filter_map(|row| row.split(" | ").next()).flat_map(quoted);
    let below = places.filter_map(|place| place.strip_prefix("/var/lib/bellows/"));
    let names = below.filter_map(|place| place.split('/').next());
    names.filter(|name| !name.contains('.')).collect()
}

#[test]
fn no_service_mounts_what_bellows_keeps_for_itself() {
    let (files, shipped) = (read("docs/operations/files.md"), read("services/object-store.toml"));
    let names = own_names(&files);
    assert!(names.len() > 8 && names.contains("images"), "{names:?}");
    for name in names {
        let text = shipped.replacen("\"objects\"", &format!("\"{name}\""), 1);
        let spec = config_file::from_toml::<ServiceSpec>("a.toml", &text);
        // Which is the shared folder of this very service.
        assert_eq!(spec.is_ok(), name == "objects", "{name}");
    }
}

/// A crate may depend on those of the rows above its own, as docs/architecture.md draws it. Programs
/// stand in the last row: none of them depends on another, and nobody on `report`.
#[test]
fn crates_know_those_below_them_alone() {
    let rooms = [
        &["model", "otlp"][..],
        &["application", "config-file", "explain", "policy", "run", "scaler-client"],
        &["command-line", "host", "service", "workload"],
        &["simulation"],
        &[
            "bellows",
            "console",
            "egress",
            "init",
            "loadgen",
            "matmul",
            "object-store",
            "report",
            "scaler",
            "simulator",
            "static-server",
        ],
    ];
    let level = |name: &str| rooms.iter().position(|room| room.contains(&name));
    let folders = fs::read_dir(tree().join("crates")).expect("crates");
    for folder in folders.map(|entry| entry.expect("a crate").file_name()) {
        let name = folder.to_string_lossy();
        let own = level(&name).unwrap_or_else(|| panic!("{name} has no place"));
        let manifest: toml::Table =
            read(&format!("crates/{name}/Cargo.toml")).parse().expect("TOML");
        for known in manifest["dependencies"].as_table().expect("a table").keys() {
            assert!(level(known).is_none_or(|level| level < own), "{name} depends on {known}");
        }
    }
}

#[test]
fn the_readme_counts_the_policies() {
    assert_eq!(PolicyKind::all().count(), 15);
    assert!(read("README.md").contains("the fifteen [policies]"));
}
