//! The scenario format: what it accepts, and what it says about the rest.

// The crate reads no file; its tests read those that are shipped.
#![allow(clippy::disallowed_methods)]
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use workload::{Arrivals, InstanceCapacity, RateUnit, Scenario, ScenarioError, TimeFactor, Trace};

const GOOD: &str = r#"
name = "spike"
service = "object-store"
seed = 3
unit = "instances"
warm_up_s = 2
settle_s = 30

[[phases]]
kind = "spike"
duration_s = 20
base = 0.5
peak = 5
peak_start_s = 5
peak_s = 10

[limits]
max_failed = 0
back_to_min = true
"#;

/// The error of [`GOOD`] with one line replaced, its causes included.
fn refusal(line: &str, by: &str) -> String {
    assert!(GOOD.contains(line), "{line} is not in the good scenario");
    let parsed = Scenario::parse("spike.toml", &GOOD.replace(line, by));
    let error = parsed.expect_err("the line makes it a bad one");
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text = format!("{text}: {e}");
        cause = e.source();
    }
    text.trim_end().to_owned()
}

#[test]
fn a_spike_is_a_plateau_in_a_base_rate() {
    let scenario = Scenario::parse("spike.toml", GOOD).unwrap();
    let curve = scenario.curve(InstanceCapacity::new(50.0)).unwrap();
    let rates = [0, 4, 5, 14, 15, 19].map(|s| curve.rate_at(Duration::from_secs(s)));
    assert_eq!(rates, [25.0, 25.0, 250.0, 250.0, 25.0, 25.0]);
    assert_eq!(scenario.limits.max_dropped, None);
    assert!(scenario.limits.back_to_min);
}

#[test]
fn steps_begin_and_end_at_the_rates_named() {
    let phases = "[[phases]]\nkind = \"steps\"\nduration_s = 30\nfrom = 10\nto = 30\nsteps = 3\n";
    let text = format!("name = \"s\"\nservice = \"o\"\nseed = 1\n{phases}");
    let curve = Scenario::parse("s.toml", &text).unwrap().curve(None).unwrap();
    let rates = [0, 9, 10, 19, 20, 29].map(|s| curve.rate_at(Duration::from_secs(s)));
    assert_eq!(rates, [10.0, 10.0, 20.0, 20.0, 30.0, 30.0]);
}

#[test]
fn rates_in_instances_need_the_capacity_of_one() {
    let scenario = Scenario::parse("spike.toml", GOOD).unwrap();
    assert_eq!(scenario.unit, RateUnit::Instances);
    let error = scenario.curve(None).unwrap_err();
    assert!(matches!(error, ScenarioError::CapacityUnknown { .. }));
    let error = scenario.curve(InstanceCapacity::new(1e6)).unwrap_err();
    insta::assert_snapshot!(error, @"scenario spike comes to 5000000 requests/s: allowed is up to 100000");
}

#[test]
fn shortening_keeps_the_rates_and_the_time_to_settle() {
    let scenario = Scenario::parse("spike.toml", GOOD).unwrap();
    let short = scenario.shortened(TimeFactor::new(0.1).unwrap());
    assert_eq!(short.duration(), Duration::from_secs(2));
    assert_eq!(short.warm_up, Duration::from_millis(200));
    assert_eq!(short.settle, Duration::from_secs(30));
    let curve = short.curve(InstanceCapacity::new(50.0)).unwrap();
    assert_eq!([0.1, 1.0].map(|s| curve.rate_at(Duration::from_secs_f64(s))), [25.0, 250.0]);
    assert_eq!([0.0, 1.1, f64::NAN].map(TimeFactor::new), [None; 3]);
}

#[test]
fn a_refusal_names_the_file_the_key_the_value_and_what_is_allowed() {
    insta::assert_snapshot!(
        refusal("peak = 5\n", "peak = 5000\n"),
        @"spike.toml: phases[0].peak = 5000: allowed is 0 to 1000"
    );
    insta::assert_snapshot!(
        refusal("peak_s = 10", "peak_s = 16"),
        @"spike.toml: phases[0].peak_s = 16: allowed is 0.001 to 15"
    );
    insta::assert_snapshot!(
        refusal("warm_up_s = 2", "warm_up_s = 20"),
        @"spike.toml: warm_up_s = 20: allowed is less than all phases last"
    );
    insta::assert_snapshot!(
        refusal("settle_s = 30", "settle_s = 0"),
        @"spike.toml: limits.back_to_min = true: allowed is true only with a settle_s above 0, the time it may take"
    );
    insta::assert_snapshot!(
        refusal(r#"name = "spike""#, r#"name = "../x""#),
        @r#"spike.toml: name = "../x": allowed is up to 40 of a-z, 0-9 and `-`, a letter first and no `-` last"#
    );
    insta::assert_snapshot!(
        refusal("duration_s = 20", "duration_s = nan"),
        @"spike.toml: phases[0].duration_s = NaN: allowed is 0.001 to 86400"
    );
    insta::assert_snapshot!(
        refusal("seed = 3", "seed = 3\nin_flight = 0"),
        @"spike.toml: in_flight = 0: allowed is 1 to 16384"
    );
    insta::assert_snapshot!(
        refusal("[limits]", "[mix]\nget = 0\n[limits]"),
        @"spike.toml: the sum of mix = 0: allowed is at least 1"
    );
    insta::assert_snapshot!(
        refusal("[limits]", "[size]\nkind = \"fixed\"\nbytes = 15\n[limits]"),
        @"spike.toml: size.bytes = 15: allowed is 16 to 67108864"
    );
}

#[test]
fn unknown_keys_and_kinds_are_refused_with_their_place() {
    insta::assert_snapshot!(refusal("seed = 3", "sed = 3"), @r"
    spike.toml is not a scenario: TOML parse error at line 4, column 1
      |
    4 | sed = 3
      | ^^^
    unknown field `sed`, expected one of `name`, `description`, `service`, `seed`, `pacing`, `unit`, `warm_up_s`, `settle_s`, `timeout_ms`, `in_flight`, `phases`, `mix`, `keys`, `size`, `limits`
    ");
    insta::assert_snapshot!(refusal(r#"kind = "spike""#, r#"kind = "bump""#), @r#"
    spike.toml is not a scenario: TOML parse error at line 10, column 8
       |
    10 | kind = "bump"
       |        ^^^^^^
    unknown variant `bump`, expected one of `constant`, `ramp`, `steps`, `spike`, `sine`
    "#);
    insta::assert_snapshot!(refusal("peak_s = 10", "peak_s = 10\nheight = 2"), @r"
    spike.toml is not a scenario: TOML parse error at line 9, column 1
      |
    9 | [[phases]]
      | ^^^^^^^^^^
    unknown field `height`, expected one of `duration_s`, `base`, `peak`, `peak_start_s`, `peak_s`
    ");
}

#[test]
fn every_shipped_scenario_is_good_and_bears_its_files_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen/scenarios");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let scenario = Scenario::parse(&path.display().to_string(), &text).unwrap();
        assert_eq!(scenario.name, stem);
        assert!(!scenario.description.is_empty(), "{stem} has no description");
        let curve = scenario.curve(InstanceCapacity::new(50.0)).unwrap();
        let expected = curve.total();
        let many = f64::from(u32::try_from(Arrivals::new(&scenario, curve).count()).unwrap());
        assert!((many - expected).abs() < 6.0 * expected.sqrt(), "{stem}: {many} of {expected}");
        seen.push(stem);
    }
    seen.sort();
    let shipped = [
        "burst-from-zero",
        "ramp",
        "reload-vs-runtime",
        "sine",
        "soak",
        "spike",
        "staircase",
        "steps",
        "two-a-second",
    ];
    assert_eq!(seen, shipped);
}

#[test]
fn every_shipped_trace_is_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen/traces");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let text = std::fs::read_to_string(&path).unwrap();
            let trace = Trace::parse(&path.display().to_string(), &text).unwrap();
            let peak = trace.scaled_to(500.0).unwrap().peak_rps();
            assert!((peak - 500.0).abs() < 1e-6, "{}: {peak}", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}
