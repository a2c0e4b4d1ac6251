//! A host of 20 services and 200 instances: a day of it in a history, and what its scaler tells.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use console::events::{Event, Happened};
use console::history::{Batch, Recorder};
use console::samples;
use console::series::figure::Figure;
use console::series::point::{InstancePoint, Row, ServicePoint};
use model::feed::{FeedLine, InstanceFigures};
use model::instance::Phase;
use model::names::{InstanceName, ServiceName};
use model::tick::Tick;
use model::time::Timestamp;

const SERVICES: u64 = 20;
const INSTANCES: u64 = 10;

/// How much is filled in.
pub(crate) struct Extent {
    pub(crate) services: u32,
    pub(crate) instances: u32,
    /// Minutes of each second and each turn.
    pub(crate) detail_min: u64,
    pub(crate) minutes: u64,
    /// Turns that changed something, of each service within the whole time.
    pub(crate) changed: u64,
}

pub(crate) const FULL: Extent =
    Extent { services: 20, instances: 200, detail_min: 30, minutes: 1440, changed: 1_440 };
pub(crate) const SMALL: Extent =
    Extent { services: 2, instances: 4, detail_min: 2, minutes: 4, changed: 4 };

/// The second at which the minute of now began.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60 * 60
}

/// Fills a history up to this second, as the console would have within that time.
pub(crate) async fn fill(recorder: &Recorder, file: &Path, extent: &Extent, now: u64) {
    let side = rusqlite::Connection::open(file).unwrap();
    side.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut batches = 0;
    for minute in (1..=extent.minutes).rev() {
        let second = now - minute * 60;
        let detail = if minute <= extent.detail_min { 60 } else { 1 };
        for offset in 0..detail {
            recorder.record(batch(extent, second + offset, detail == 60));
            batches += 1;
            if batches % 4 == 0 {
                recorder.flush().await;
            }
            if detail == 1 {
                recorder.flush().await;
                side.execute_batch(
                    "INSERT OR IGNORE INTO minutes SELECT * FROM seconds; DELETE FROM seconds",
                )
                .unwrap();
            }
        }
    }
    recorder.flush().await;
}

/// One second; or one minute, which has as many figures and is made a minute by [`fill`].
pub(crate) fn batch(extent: &Extent, second: u64, detail: bool) -> Batch {
    let mut batch = Batch::default();
    for number in 0..extent.services {
        let service: ServiceName = format!("service-{number}").parse().unwrap();
        let instances = (0..extent.instances / extent.services).map(|slot| InstancePoint {
            name: instance(&service, number * 10 + slot, second),
            phase: Phase::Ready,
            cpu_cores: noise(second, slot, detail),
            in_flight: noise(second, slot + 1, detail),
            requests_rps: noise(second, slot + 2, detail),
        });
        let mut point = ServicePoint { turns: 10, ..ServicePoint::default() };
        for (figure, index) in point.figures.iter_mut().zip(0..) {
            *figure = noise(second, index, false);
        }
        let (service, instances) = (service.clone(), instances.collect());
        batch.rows.push(Row { service: service.clone(), second, point, instances });
        let every = 60 * extent.minutes / extent.changed;
        let is_changed = (second / 60 + u64::from(number)).is_multiple_of((every / 60).max(1));
        if detail {
            batch.turns.extend((0..10).map(|tenth| Arc::new(turn(&service, second, tenth, 0))));
        }
        if is_changed && second.is_multiple_of(60) {
            batch.recalled.push(turn(&service, second, 0, second * 100 + u64::from(number)));
            let instance = instance(&service, number * 10, second);
            let happened = Happened::Started { instance, took_ms: 80, steps: Vec::new() };
            let at = Timestamp::from_millis(second * 1000);
            batch.events.push(Event { at, service: Some(service), happened });
        }
    }
    batch
}

pub(crate) fn instance(service: &ServiceName, slot: u32, second: u64) -> InstanceName {
    // Each lives for a day.
    let birth = Timestamp::from_millis(second / 86_400 * 86_400_000 + 777);
    InstanceName::new(service, (slot + 1).try_into().unwrap(), birth)
}

fn noise(second: u64, index: u32, same: bool) -> Figure {
    let mixed = (second + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(index * 7);
    let mean = f64::from(u32::try_from(mixed >> 40).unwrap()) / 1000.0;
    Figure::from_parts(if same { 1 } else { 10 }, mean, if same { mean } else { mean * 1.5 })
}

fn turn(service: &ServiceName, second: u64, tenth: u64, sequence: u64) -> Tick {
    let mut tick = samples::tick(service.as_str(), second * 1000 + tenth * 100);
    tick.sequence = sequence;
    let figure = |index: u32| {
        let mean = noise(second * 10 + tenth, index, true).mean().unwrap();
        // As the scaler says it: all digits of a quotient.
        Some(mean / 3.0)
    };
    let seen = &mut tick.observation;
    (seen.offered_rps, seen.served_rps, seen.rejected_rps) = (figure(0), figure(1), Some(0.0));
    (seen.queued, seen.in_flight, seen.cpu_cores) = (Some(0), Some(7), figure(2));
    seen.host_cpu = Some(model::tick::HostCpu { cores: 2, busy: figure(3).unwrap() });
    let version = model::version::Version::new(0x0bad_cafe);
    tick.rollout = Some(model::version::Rollout::Serving { version });
    tick
}

/// One turn of all services; once a second with all instances.
pub(crate) fn lines(turn: u64) -> Vec<FeedLine> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = u64::try_from(since_1970.as_millis()).unwrap();
    let mut lines = Vec::new();
    for number in 0..SERVICES {
        let service = format!("service-{number}");
        let mut tick = samples::tick(&service, at);
        // One in a hundred changes something.
        tick.sequence =
            if (turn + number).is_multiple_of(100) { turn * SERVICES + number + 1 } else { 0 };
        tick.observation.offered_rps = Some(f64::from(u32::try_from(turn).unwrap()) / 3.0);
        (tick.observation.queued, tick.observation.in_flight) = (Some(0), Some(7));
        lines.push(FeedLine::Tick(Box::new(tick)));
        if turn.is_multiple_of(10) {
            let names: Vec<_> = (1..=INSTANCES)
                .map(|slot| format!("bw-{service}-{}-a", number * INSTANCES + slot))
                .collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let mut feed = samples::service_feed(&service, at, &names);
            for figures in &mut feed.instances {
                let name = figures.name.clone();
                let (cpu_time_us, requests) = (Some(turn * 1_000), Some(turn * 30));
                let (memory_bytes, in_flight) = (Some(turn << 20), Some(3));
                *figures = InstanceFigures { name, cpu_time_us, memory_bytes, in_flight, requests };
            }
            lines.push(FeedLine::Service(Box::new(feed)));
        }
    }
    lines
}
