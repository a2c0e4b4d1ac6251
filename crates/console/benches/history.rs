//! A full history: how large it is, and how long its questions take.
//!
//! `cargo bench -p console` fills one as 20 services with 10 instances each would within 24 h, and judges the figures.
//! In a test it fills a small one and judges nothing.

#![allow(clippy::unwrap_used, reason = "in a bench, to panic is to fail")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use console::events::{Event, Happened};
use console::history::{self, Batch, Place, Recorder, Step, Wanted};
use console::samples;
use console::series::figure::Figure;
use console::series::point::{InstancePoint, Row, ServicePoint};
use model::instance::Phase;
use model::names::{InstanceName, ServiceName};
use model::tick::Tick;
use model::time::Timestamp;

const MIB: f64 = 1024.0 * 1024.0;
const SIZE_BYTES: u64 = 200 * 1024 * 1024;

/// How much is filled in.
struct Extent {
    services: u32,
    instances: u32,
    /// Minutes of each second and each turn.
    detail_min: u64,
    minutes: u64,
    /// Turns that changed something, of each service within the whole time.
    changed: u64,
}

const FULL: Extent =
    Extent { services: 20, instances: 200, detail_min: 30, minutes: 1440, changed: 1_440 };
const SMALL: Extent = Extent { services: 2, instances: 4, detail_min: 2, minutes: 4, changed: 4 };

fn main() {
    let is_full = std::env::args().any(|argument| argument == "--bench");
    let extent = if is_full { FULL } else { SMALL };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(&file, &extent, is_full));
}

async fn run(file: &Path, extent: &Extent, is_full: bool) {
    let place = Place { file: file.to_owned(), size_bytes: SIZE_BYTES };
    let (recorder, history) = history::open(place);
    let now = now_s();
    let began = Instant::now();
    recorder.flush().await;
    fill(&recorder, file, extent, now).await;
    println!("filled in {:.1?}", began.elapsed());
    let problem = history.status().problem;
    assert_eq!(problem, None);

    let service: ServiceName = "service-0".parse().unwrap();
    let began = Instant::now();
    let span = (now - extent.minutes * 60, now + 60);
    let series = history.service_series(service.clone(), Step::Minute, span, 2_000).await.unwrap();
    let day = began.elapsed();
    println!("{} minutes of a service: {day:.1?}", series.len());
    let began = Instant::now();
    let instance = instance(&service, 0, now);
    let series = history.instance_series(instance, Step::Minute, span, 2_000).await.unwrap();
    println!("{} minutes of an instance: {:.1?}", series.len(), began.elapsed());
    let began = Instant::now();
    let series = history.service_series(service.clone(), Step::Second, span, 2_000).await.unwrap();
    println!("{} seconds of a service: {:.1?}", series.len(), began.elapsed());
    let began = Instant::now();
    let wanted = Wanted { limit: 1_000, ..Wanted::default() };
    let (ticks, _) = history.changed(wanted, Some("AtMax".to_owned())).await.unwrap();
    println!("{} turns of one reason that none has: {:.1?}", ticks.len(), began.elapsed());
    let at = |second: u64| Timestamp::from_millis(second * 1000);
    let began = Instant::now();
    let turns = history.turns(service, (at(now - 60), at(now)), 10_000).await.unwrap();
    println!("{} turns: {:.1?}", turns.len(), began.elapsed());
    drop((recorder, history));

    let whole = megabytes(file);
    println!("{whole:.1} MiB on the disk");
    sizes(file);
    let began = Instant::now();
    let (recorder, _history) =
        history::open(Place { file: file.to_owned(), size_bytes: SIZE_BYTES });
    recorder.flush().await;
    println!("opened and checked in {:.1?}", began.elapsed());
    if is_full {
        compare(file.parent().unwrap(), now);
        assert!(day < Duration::from_millis(100), "{day:?}");
        assert!(whole < 200.0, "{whole}");
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60 * 60
}

fn megabytes(file: &Path) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
    let bytes = fs::metadata(file).unwrap().len() as f64;
    bytes / MIB
}

async fn fill(recorder: &Recorder, file: &Path, extent: &Extent, now: u64) {
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
fn batch(extent: &Extent, second: u64, detail: bool) -> Batch {
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

fn instance(service: &ServiceName, slot: u32, second: u64) -> InstanceName {
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

/// What each class has.
fn sizes(file: &Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    let sql = "SELECT name, pgsize, ncell FROM dbstat WHERE aggregate = TRUE ORDER BY pgsize DESC";
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (name, bytes, cells): (String, f64, i64) =
            (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
        println!("  {name}: {:.1} MiB, {cells} cells", bytes / MIB);
    }
}

/// The same minutes of instances with one row for each value, to compare.
fn compare(folder: &Path, now: u64) {
    let file = folder.join("values.sqlite");
    let mut connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE value (service TEXT, instance TEXT, measure INTEGER, at INTEGER, mean REAL, max REAL, \
             PRIMARY KEY (service, instance, measure, at)) WITHOUT ROWID",
        )
        .unwrap();
    // A tenth of a day.
    for minute in 0..144 {
        let transaction = connection.transaction().unwrap();
        let batch = batch(&FULL, now - minute * 60, false);
        for row in &batch.rows {
            let insert = |instance: &str, index: i64, figure: Figure| {
                let sql = "INSERT INTO value VALUES (?, ?, ?, ?, ?, ?)";
                let at = i64::try_from(row.second).unwrap();
                let values =
                    (row.service.as_str(), instance, index, at, figure.mean(), figure.max());
                transaction.prepare_cached(sql).unwrap().execute(values).unwrap();
            };
            for (figure, index) in row.point.figures.iter().zip(0..) {
                insert("", index, *figure);
            }
            for point in &row.instances {
                let figures = [point.cpu_cores, point.in_flight, point.requests_rps];
                figures
                    .iter()
                    .zip(0..)
                    .for_each(|(it, index)| insert(point.name.as_str(), index, *it));
            }
        }
        transaction.commit().unwrap();
    }
    let whole = 10.0 * megabytes(&file);
    println!("with one row for each value, minutes alone would be {whole:.0} MiB");
}
