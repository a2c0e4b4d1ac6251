//! A small run for tests: ten seconds of load, 40 requests a second and 90 from second 4 on, on one
//! instance and, from 4.5 s on, two.

use std::collections::BTreeMap;

use model::tick::Tick;

use crate::calibration::{Calibration, HostFigures, LimitedBy, Point, Times};
use crate::capacity::CapacityCurve;
use crate::cost::PriceTable;
use crate::figures::{self, Assumptions};
use crate::page::{Comparison, Page};
use crate::run::Run;
use crate::series::SecondRow;
use crate::summary::{Latency, Percentiles, Requests, Summary};

/// The start of the load.
const START_MS: u64 = 1_700_000_000_000;

pub(crate) fn run() -> Run {
    let json = format!(
        r#"{{"scenario":"small","run":"small-1","started_at_ms":{START_MS},"seed":7,"time_factor":1.0,
        "duration_s":10.0,"warm_up_s":0.0,"settle_s":2.0,"interrupted":false,
        "requests":{{"due":700,"ok":699,"failed":1,"dropped":0,"rejected":0}},
        "warm_up":{{"due":0,"ok":0,"failed":0,"dropped":0,"rejected":0}},
        "latency_ms":{{"p50":5.0,"p95":20.0,"p99":90.0,"max":240.0}},
        "instances":{{"min":1,"max":2,"seconds":19.6}},
        "scaling":{{"out":1,"in":0,"failed_actions":0,"plan_to_serving_ms":{{"p50":60.0,"p99":60.0}},
        "never_served":0}},
        "generator":{{"lateness_ms":{{"p50":0.1,"p99":0.4}},"cpu_percent":2.0,"connections":8,
        "resent":0,"bottleneck":false}},
        "failures":{{"timeout":1}},
        "limits":{{"max_failed":{{"allowed":0,"measured":1,"held":false}},"max_dropped":null,
        "back_to_min":null}}}}"#
    );
    let summary: Summary = serde_json::from_str(&json).unwrap();
    assert_eq!(
        summary.requests,
        Requests { due: 700, ok: 699, failed: 1, dropped: 0, rejected: 0 }
    );
    let row = |second: u32| {
        let due = if second >= 10 { 0 } else { 40 + 50 * u64::from(second >= 4) };
        let latency = Latency { p50: Some(5.0), p95: Some(20.0), p99: Some(90.0), max: None };
        SecondRow {
            second,
            due,
            ok: due,
            served: due,
            p50_ms: latency.p50.filter(|_| due > 0),
            p95_ms: latency.p95.filter(|_| due > 0),
            p99_ms: latency.p99.filter(|_| due > 0),
            ready: Some(1 + u32::from(second >= 4)),
            starting: Some(0),
            draining: Some(0),
            failed_instances: Some(0),
            decided: Some(1 + u32::from(second >= 4)),
            ..SecondRow::default()
        }
    };
    Run { summary, rows: (0..12).map(row).collect(), ticks: vec![planned(), done()] }
}

/// 50 requests a second for an instance, and half a unit of money for an hour.
pub(crate) fn assumptions() -> Assumptions {
    let prices = "currency = \"EUR\"\n[[types]]\nname = \"test\"\nbilling = \"started_hour\"\n\
                  price_per_hour = 0.5\n";
    Assumptions {
        capacity: Some(CapacityCurve::linear(50.0).unwrap()),
        prices: Some(PriceTable::parse(prices).unwrap()),
        ..Assumptions::default()
    }
}

/// The page of the run.
pub(crate) fn page() -> Page {
    Page {
        run: run(),
        assumptions: assumptions(),
        comparison: None,
        repetitions: Vec::new(),
        notes: Vec::new(),
    }
}

/// The same beside another run, and with four repetitions.
pub(crate) fn compared_page() -> Page {
    let mut other = run();
    other.summary.run = "the other".to_owned();
    let figures = figures::measure(&other, &assumptions());
    let comparison = Some(Comparison::of(&run(), other, &assumptions()));
    Page { comparison, repetitions: vec![figures; 4], ..page() }
}

fn planned() -> Tick {
    tick(
        41,
        START_MS + 4_400,
        (1, 0),
        r#"{"action":"clone","instance":"bw-store-2-x","slot":2}"#,
        "",
    )
}

fn done() -> Tick {
    let done = format!(
        r#"{{"action":"clone","instance":"bw-store-2-x","slot":2,"planned_at_ms":{},
        "finished_at_ms":{},"error":null}}"#,
        START_MS + 4_400,
        START_MS + 4_500
    );
    tick(42, START_MS + 4_500, (2, 0), "", &done)
}

fn tick(sequence: u64, at_ms: u64, (ready, starting): (u32, u32), plan: &str, done: &str) -> Tick {
    let json = format!(
        r#"{{"sequence":{sequence},"at_ms":{at_ms},"service":"store","observation":{{
        "offered_rps":88.5,"served_rps":50.0,"rejected_rps":0.0,"queued":3,"in_flight":8,
        "cpu_cores":0.2,"phases":{{"starting":{starting},"ready":{ready},"draining":0,
        "failed":0}}}},"decision":{{"kind":"target","ready":2,"reasons":["Burst","Patience"]}},
        "plan":[{plan}],"blocked":[],"done":[{done}]}}"#
    );
    serde_json::from_str(&json).unwrap()
}

pub(crate) fn point(instances: u32, met_rps: f64, limited_by: LimitedBy) -> Point {
    Point { instances, met_rps: Some(met_rps), missed_rps: Some(met_rps * 1.02), limited_by }
}

/// A calibration of the object store with these capacities.
pub(crate) fn calibration_of(points: Vec<Point>) -> Calibration {
    let times = |p50, p99| Times { count: 35, ms: Percentiles { p50, p99 } };
    let host = HostFigures {
        clone: times(Some(41.0), Some(97.0)),
        drain: times(Some(0.0), Some(4.0)),
        service: times(Some(0.61), Some(3.25)),
        cpu_ms_per_request: Some(0.21),
        ..HostFigures::default()
    };
    Calibration {
        service: "object-store".to_owned(),
        started_at_ms: START_MS,
        finished_at_ms: START_MS + 500_000,
        complete: true,
        instances: 3,
        conditions: BTreeMap::from([("requests".to_owned(), "as in ramp".to_owned())]),
        points,
        host,
        trials: Vec::new(),
    }
}
