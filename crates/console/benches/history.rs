//! A full history: how large it is, and how long its questions take.
//!
//! `cargo bench -p console` fills one as 20 services with 10 instances each would within 24 h, and judges the figures.
//! In a test it fills a small one and judges nothing.

#![allow(clippy::unwrap_used, reason = "in a bench, to panic is to fail")]

#[allow(dead_code, reason = "other benches use more of it")]
mod large;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use console::history::{self, Place, Step, Wanted};
use console::series::figure::Figure;
use model::names::ServiceName;
use model::time::Timestamp;

use large::{Extent, FULL, SMALL, batch, fill, now_s};

const MIB: f64 = 1024.0 * 1024.0;
const SIZE_BYTES: u64 = 200 * 1024 * 1024;

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
    let instance = large::instance(&service, 0, now);
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

fn megabytes(file: &Path) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
    let bytes = fs::metadata(file).unwrap().len() as f64;
    bytes / MIB
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
