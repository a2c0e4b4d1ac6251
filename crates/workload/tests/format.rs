//! The scenario format: what it accepts, and what it says about the rest.

// The crate reads no file; its tests read those that are shipped.
#![allow(clippy::disallowed_methods)]
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use workload::{
    InstanceCapacity, IntervalOptions, Load, OfferedLoad, OpenLoad, Operations, Scenario,
    TimeFactor, Trace,
};

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

[objects]
"#;

const CLOSED: &str = r#"
name = "threads"
service = "object-store"
seed = 3
in_flight = 100
timeout_ms = 1000
delay_factor = 0.5

[[stages]]
threads = 2
requests_per_thread = 500
max_delay_ms = 5000

[[stages]]
threads = 5
requests_per_thread = 300
max_delay_ms = 3000

[objects]
"#;

fn open(scenario: &Scenario, capacity: Option<f64>) -> OpenLoad {
    match scenario.offered(capacity.and_then(InstanceCapacity::new)).expect("a good load") {
        OfferedLoad::Open(open) => open,
        OfferedLoad::Closed(stages) => panic!("{stages:?}"),
    }
}

/// The error of [`GOOD`] with one line replaced, its causes included.
fn refusal(line: &str, by: &str) -> String {
    refusal_of("spike.toml", GOOD, line, by)
}

fn refusal_of(file: &str, good: &str, line: &str, by: &str) -> String {
    assert!(good.contains(line), "{line} is not in the good scenario");
    let parsed = config_file::from_toml::<Scenario>(file, &good.replace(line, by));
    parsed.expect_err("the line makes it a bad one").to_string()
}

#[test]
fn a_spike_is_a_plateau_in_a_base_rate() {
    let scenario = config_file::from_toml::<Scenario>("spike.toml", GOOD).unwrap();
    let curve = open(&scenario, Some(50.0)).curve;
    let rates = [0, 4, 5, 14, 15, 19].map(|s| curve.rate_at(Duration::from_secs(s)));
    assert_eq!(rates, [25.0, 25.0, 250.0, 250.0, 25.0, 25.0]);
    assert_eq!(scenario.limits.max_dropped, None);
    assert!(scenario.limits.back_to_min);
}

#[test]
fn steps_begin_and_end_at_the_rates_named() {
    let phases = "[[phases]]\nkind = \"steps\"\nduration_s = 30\nfrom = 10\nto = 30\nsteps = 3\n";
    let text = format!("name = \"s\"\nservice = \"o\"\nseed = 1\n[objects]\n{phases}");
    let curve = open(&config_file::from_toml::<Scenario>("s.toml", &text).unwrap(), None).curve;
    let rates = [0, 9, 10, 19, 20, 29].map(|s| curve.rate_at(Duration::from_secs(s)));
    assert_eq!(rates, [10.0, 10.0, 20.0, 20.0, 30.0, 30.0]);
}

#[test]
fn rates_in_instances_need_the_capacity_of_one() {
    let scenario = config_file::from_toml::<Scenario>("spike.toml", GOOD).unwrap();
    let error = scenario.offered(None).unwrap_err();
    assert!(error.to_string().contains("nothing says what one instance serves"), "{error}");
    let error = scenario.offered(InstanceCapacity::new(1e6)).unwrap_err();
    insta::assert_snapshot!(error, @"scenario spike comes to 5000000 requests/s: use up to 100000");
}

#[test]
fn shortening_keeps_the_rates_and_the_time_to_settle() {
    let scenario = config_file::from_toml::<Scenario>("spike.toml", GOOD).unwrap();
    let short = scenario.shortened(TimeFactor::new(0.1).unwrap());
    assert_eq!(short.warm_up, Duration::from_millis(200));
    assert_eq!(short.settle, Duration::from_secs(30));
    let curve = open(&short, Some(50.0)).curve;
    assert_eq!(curve.duration(), Duration::from_secs(2));
    assert_eq!([0.1, 1.0].map(|s| curve.rate_at(Duration::from_secs_f64(s))), [25.0, 250.0]);
    assert_eq!([0.0, 1.1, f64::NAN].map(TimeFactor::new), [None; 3]);
}

#[test]
fn a_refusal_names_the_file_the_key_the_value_and_what_is_allowed() {
    insta::assert_snapshot!(
        refusal("peak = 5\n", "peak = 5000\n"),
        @"spike.toml, line 13: phases[0].peak is 5000: use 0 to 1000"
    );
    insta::assert_snapshot!(
        refusal("peak_s = 10", "peak_s = 16"),
        @"spike.toml, line 15: phases[0].peak_s is 16: use 0.001 to 15"
    );
    insta::assert_snapshot!(
        refusal("warm_up_s = 2", "warm_up_s = 20"),
        @"spike.toml, line 6: warm_up_s is 20: use less than all phases last"
    );
    insta::assert_snapshot!(
        refusal("settle_s = 30", "settle_s = 0"),
        @"spike.toml, line 19: limits.back_to_min is true: use true only with a settle_s above 0, the time it may take"
    );
    insta::assert_snapshot!(
        refusal(r#"name = "spike""#, r#"name = "../x""#),
        @r#"spike.toml, line 2: name is "../x": use up to 40 of a-z, 0-9 and `-`, a letter first and no `-` last"#
    );
    insta::assert_snapshot!(
        refusal("duration_s = 20", "duration_s = nan"),
        @"spike.toml, line 11: phases[0].duration_s is NaN: use 0.001 to 86400"
    );
    insta::assert_snapshot!(
        refusal("seed = 3", "seed = 3\nin_flight = 0"),
        @"spike.toml, line 5: in_flight is 0: use 1 to 16384"
    );
    insta::assert_snapshot!(
        refusal("[objects]", "[objects]\nget = 0"),
        @"spike.toml: the sum of objects.get, put and delete is 0: use at least 1"
    );
    insta::assert_snapshot!(
        refusal("[objects]", "[objects]\nsize = { kind = \"fixed\", bytes = 15 }"),
        @"spike.toml, line 22: objects.size.bytes is 15: use 16 to 67108864"
    );
}

#[test]
fn stages_are_a_closed_load_whose_delays_a_factor_shortens() {
    let scenario = config_file::from_toml::<Scenario>("threads.toml", CLOSED).unwrap();
    let OfferedLoad::Closed(stages) = scenario.offered(None).unwrap() else { panic!("closed") };
    assert_eq!((stages.threads(), stages.requests()), (5, 2_500));
    let short = scenario.shortened(TimeFactor::new(0.1).unwrap());
    let Load::Stages(short) = short.load else { panic!("stages") };
    assert!((short.delay_factor - 0.05).abs() < 1e-12);
    let load = OfferedLoad::Closed(short);
    assert_eq!((load.duration(), load.first_rps()), (None, None));
    assert_eq!(load.to_string(), "closed, 5 threads at most");
}

#[test]
fn the_requests_of_a_thread_follow_from_seed_stage_and_thread() {
    let text = format!("{CLOSED}get = 1\nput = 1\n");
    let scenario = config_file::from_toml::<Scenario>("threads.toml", &text).unwrap();
    let Load::Stages(stages) = &scenario.load else { panic!("stages") };
    let all = |scenario: &Scenario, stage| -> Vec<Vec<_>> {
        let threads = stages.thread_requests(&scenario.operations, scenario.seed, stage);
        threads.into_iter().map(Iterator::collect).collect()
    };
    assert_eq!(all(&scenario, 1), all(&scenario, 1));
    assert_ne!(all(&scenario, 0)[0][..300], all(&scenario, 1)[0]);
    let other = Scenario { seed: 4, ..scenario.clone() };
    assert_ne!(all(&scenario, 1), all(&other, 1));
    // Another mix leaves the delays as they are; the simulator, which knows no operations, has the
    // same ones.
    let reads = config_file::from_toml::<Scenario>("threads.toml", CLOSED).unwrap();
    let delays = |scenario| -> Vec<Vec<Duration>> {
        let threads = all(scenario, 1).into_iter();
        threads.map(|thread| thread.into_iter().map(|(delay, _)| delay).collect()).collect()
    };
    assert_eq!(delays(&scenario), delays(&reads));
    let simulated = stages.delays(scenario.seed, 1).into_iter();
    assert_eq!(delays(&scenario), simulated.map(Iterator::collect).collect::<Vec<Vec<_>>>());
}

#[test]
fn stages_are_refused_when_they_never_end_or_ask_for_too_much() {
    let refusal = |line: &str, by: &str| refusal_of("threads.toml", CLOSED, line, by);
    insta::assert_snapshot!(
        refusal("threads = 5", "threads = 101"),
        @"threads.toml, line 15: stages[1].threads is 101: use 1 to 100, which is in_flight"
    );
    insta::assert_snapshot!(
        refusal("threads = 2", "threads = 0"),
        @"threads.toml, line 10: stages[0].threads is 0: use 1 to 100, which is in_flight"
    );
    insta::assert_snapshot!(
        refusal("requests_per_thread = 500", "requests_per_thread = 0"),
        @"threads.toml, line 11: stages[0].requests_per_thread is 0: use 1 to 1000000"
    );
    insta::assert_snapshot!(
        refusal("max_delay_ms = 3000", "max_delay_ms = 3600001"),
        @"threads.toml, line 17: stages[1].max_delay_ms is 3600001: use 0 to 3600000"
    );
    insta::assert_snapshot!(
        refusal("delay_factor = 0.5", "delay_factor = 1.5"),
        @"threads.toml, line 7: delay_factor is 1.5: use 0 to 1"
    );
    insta::assert_snapshot!(
        refusal("requests_per_thread = 500", "requests_per_thread = 100000"),
        @"threads.toml: the most seconds that stages last is 350750: use up to 86400: take a lower requests_per_thread, max_delay_ms, delay_factor or timeout_ms"
    );
    insta::assert_snapshot!(
        refusal("in_flight = 100", "in_flight = 100\nwarm_up_s = 5"),
        @"threads.toml, line 6: warm_up_s is 5: use 0 in a scenario with stages"
    );
    insta::assert_snapshot!(
        refusal("in_flight = 100", "in_flight = 100\nunit = \"instances\""),
        @"threads.toml, line 6: unit is given: use it in a scenario without stages"
    );
    let both = "[[phases]]\nkind = \"constant\"\nduration_s = 1\nrate = 1\n[[stages]]\nthreads = 2";
    insta::assert_snapshot!(
        refusal("[[stages]]\nthreads = 2", both),
        @"threads.toml, line 9: phases is given: use it in a scenario without stages"
    );
    let many = CLOSED
        .replace("in_flight = 100", "in_flight = 16384")
        .replace("timeout_ms = 1000", "timeout_ms = 1");
    insta::assert_snapshot!(
        refusal_of("threads.toml", &many, "threads = 5\nrequests_per_thread = 300", "threads = 16384\nrequests_per_thread = 700"),
        @"threads.toml: the sum of stages.threads x requests_per_thread is 11469800: use up to 10000000"
    );
    let nothing = &CLOSED[..CLOSED.find("[[stages]]").unwrap()];
    insta::assert_snapshot!(
        refusal_of("threads.toml", nothing, "delay_factor = 0.5", ""),
        @"threads.toml: the number of phases is 0: use 1 to 1000 of them, or stages"
    );
    insta::assert_snapshot!(
        refusal_of("threads.toml", nothing, "seed = 3", "seed = 4"),
        @"threads.toml, line 7: delay_factor is given: use it with stages only"
    );
}

/// A scenario of plain requests; a test replaces the last of its lines.
fn plain(lines: &str) -> Result<Scenario, String> {
    let text = GOOD.replace("[objects]", &format!("[[requests]]\npath = \"/\"\n{lines}"));
    config_file::from_toml("spike.toml", &text).map_err(|error| error.to_string())
}

#[test]
fn a_plain_request_is_a_get_that_is_answered_200_unless_it_says_otherwise() {
    let of = |lines| match plain(lines).unwrap().operations {
        Operations::Http(requests) => requests[0].clone(),
        Operations::Objects(objects) => panic!("{objects:?}"),
    };
    let least = of("");
    assert_eq!((least.method.as_str(), least.path.as_str(), least.weight), ("GET", "/", 1));
    assert_eq!(
        (&least.expected_statuses[..], &least.expected_text),
        (&[StatusCode::OK][..], &None)
    );
    let most = of("weight = 3\nmethod = \"PUT\"\nheaders = { X-Ab = \"c\" }\nbody = \"d\"\n\
        expected_statuses = [201, 204]\nexpected_text = \"e\"");
    assert_eq!((most.method.as_str(), most.weight, &most.body[..]), ("PUT", 3, &b"d"[..]));
    assert_eq!(most.headers["x-ab"], "c");
    let expected = [StatusCode::CREATED, StatusCode::NO_CONTENT];
    assert_eq!(
        (&most.expected_statuses[..], most.expected_text.as_deref()),
        (&expected[..], Some("e"))
    );
}

#[test]
fn a_request_that_cannot_be_made_or_answered_is_refused() {
    let texts = [
        "method = \"get\"",
        "weight = 0",
        "headers = { Host = \"x\" }",
        "headers = { a = \"b\\n\" }",
        "expected_statuses = []",
        "expected_statuses = [200, 100]",
        "expected_text = \"\"",
        "method = \"HEAD\"\nexpected_text = \"x\"",
        "[[requests]]\npath = \"items\"",
        "[[requests]]\npath = \"/a#b\"",
        "[objects]",
    ];
    insta::assert_snapshot!(texts.map(|text| plain(text).unwrap_err()).join("\n"), @r#"
    spike.toml, line 23: requests[0].method is get: use one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS
    spike.toml, line 23: requests[0].weight is 0: use 1 to 1000000
    spike.toml, line 23: requests[0].headers.Host is Host: use the name of a header other than host, connection, content-length and transfer-encoding
    spike.toml, line 23: requests[0].headers.a is "b\n": use text without line breaks
    spike.toml, line 23: requests[0].expected_statuses is []: use one or more from 200 to 599
    spike.toml, line 23: requests[0].expected_statuses is 100: use one or more from 200 to 599
    spike.toml, line 23: requests[0].expected_text is "": use some text, and not with HEAD, whose answer has no body
    spike.toml, line 24: requests[0].expected_text is "x": use some text, and not with HEAD, whose answer has no body
    spike.toml, line 24: requests[1].path is items: use a path such as /items?limit=10, other characters than those of a URL as %XX
    spike.toml, line 24: requests[1].path is /a#b: use a path such as /items?limit=10, other characters than those of a URL as %XX
    spike.toml, line 21: requests is given: use none in a scenario with objects
    "#);
    insta::assert_snapshot!(
        refusal("[objects]", ""),
        @"spike.toml: the number of requests is 0: use 1 to 1000 of them, or [objects]"
    );
}

#[test]
fn unknown_keys_and_kinds_are_refused_with_their_place() {
    insta::assert_snapshot!(refusal("seed = 3", "sed = 3"), @r"
    spike.toml: TOML parse error at line 4, column 1
      |
    4 | sed = 3
      | ^^^
    unknown field `sed`, expected one of `name`, `description`, `service`, `seed`, `pacing`, `unit`, `warm_up_s`, `settle_s`, `timeout_ms`, `in_flight`, `phases`, `delay_factor`, `stages`, `objects`, `requests`, `limits`, `each_membership`
    ");
    insta::assert_snapshot!(refusal(r#"kind = "spike""#, r#"kind = "bump""#), @r#"
    spike.toml: TOML parse error at line 10, column 8
       |
    10 | kind = "bump"
       |        ^^^^^^
    unknown variant `bump`, expected one of `constant`, `ramp`, `steps`, `spike`, `sine`
    "#);
    insta::assert_snapshot!(refusal("peak_s = 10", "peak_s = 10\nheight = 2"), @r"
    spike.toml: TOML parse error at line 9, column 1
      |
    9 | [[phases]]
      | ^^^^^^^^^^
    unknown field `height`, expected one of `duration_s`, `base`, `peak`, `peak_start_s`, `peak_s`
    ");
}

#[test]
fn every_shipped_scenario_is_good_and_bears_its_files_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen/scenarios");
    let (mut seen, mut ramp) = (Vec::new(), None);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let scenario = config_file::from_toml::<Scenario>(path.display(), &text).unwrap();
        assert_eq!(scenario.name, stem);
        assert_eq!(scenario.each_membership, stem == "reload-vs-runtime");
        assert!(!scenario.description.is_empty(), "{stem} has no description");
        let offered = scenario.offered(InstanceCapacity::new(50.0)).unwrap();
        let expected = offered.requests();
        let (many, spread) = match offered {
            OfferedLoad::Open(open) => {
                let arrivals = workload::arrivals(&scenario.operations, scenario.seed, open);
                (arrivals.count(), 6.0 * expected.sqrt())
            }
            OfferedLoad::Closed(stages) => {
                let threads = (0..stages.stages.len())
                    .flat_map(|i| stages.thread_requests(&scenario.operations, scenario.seed, i));
                (threads.map(Iterator::count).sum(), 0.5)
            }
        };
        let many = f64::from(u32::try_from(many).unwrap());
        assert!((many - expected).abs() < spread, "{stem}: {many} of {expected}");
        if stem == "ramp" {
            ramp = Some(scenario);
        }
        seen.push(stem);
    }
    seen.sort();
    let shipped = [
        "any-service",
        "burst-from-zero",
        "ramp",
        "reload-vs-runtime",
        "seven-stages",
        "sine",
        "soak",
        "spike",
        "staircase",
        "steps",
        "two-a-second",
    ];
    assert_eq!(seen, shipped);
    // A trace asks for what the scenarios ask for.
    let trace = Trace::parse("t.csv", "s,requests\n0,1\n1,1\n", IntervalOptions::default());
    let (ramp, trace) = (ramp.unwrap(), trace.unwrap());
    let replayed = Scenario::of_trace(Path::new("t.csv"), &ramp.service, trace, None);
    let asked = |s: &Scenario| (s.operations.clone(), s.timeout, s.in_flight);
    assert_eq!(asked(&replayed), asked(&ramp));
}

#[test]
fn every_shipped_trace_is_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../loadgen/traces");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let text = std::fs::read_to_string(&path).unwrap();
            let options = IntervalOptions::default();
            let trace = Trace::parse(&path.display().to_string(), &text, options).unwrap();
            let peak = trace.with_peak(500.0).peak_rps();
            assert!((peak - 500.0).abs() < 1e-6, "{}: {peak}", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}
