//! The ledger over the lives of instances, of processes and of its file.

use super::*;

const DAY_MS: u64 = 24 * 3_600_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn named(service: &str, slot: u32, birth_ms: u64) -> InstanceName {
    InstanceName::new(&service.parse().unwrap(), slot.try_into().unwrap(), at(birth_ms))
}

/// A sum of fractions, without what is not exact of it.
fn millionths(cost: f64) -> f64 {
    (cost * 1e6).round() / 1e6
}

/// Launches, runtime, charged seconds, cost and seconds without a price of one service.
fn figures(page: &CostPage, service: &str) -> (u64, u64, u64, Option<f64>, u64) {
    let row = page.services.iter().find(|it| it.service.as_str() == service).unwrap();
    (row.launches, row.runtime_ms, row.charged_s, row.cost.map(millionths), row.unpriced_s)
}

fn open(folder: &tempfile::TempDir) -> Ledger {
    Ledger::open(&folder.path().join("ledger.jsonl")).unwrap()
}

fn priced(_: &InstanceName) -> Price {
    Some(Some(36.0))
}

#[test]
fn what_a_process_did_not_see_is_completed_by_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (stays, goes, comes) =
        (named("shop", 1, 1_000), named("shop", 2, 1_000), named("shop", 3, 15_000));
    let mut ledger = open(&folder);
    ledger.look([&stays, &goes].into_iter(), priced, at(2_000));
    ledger.look([&stays, &goes].into_iter(), priced, at(10_000));
    ledger.end();
    drop(ledger);
    // Whoever launched the third one was killed before it was written.
    let mut ledger = open(&folder);
    ledger.look([&stays, &comes].into_iter(), priced, at(21_000));
    let page = ledger.page(at(0), at(21_000), |_| true);
    // 20 s, 9 s up to when it was seen last, and 6 s since its birth.
    assert_eq!(figures(&page, "shop"), (3, 35_000, 35, Some(0.35), 0));
    ledger.writer.flush();
    let read = open(&folder).page(at(0), at(21_000), |_| true);
    assert_eq!(read, page);
}

#[test]
fn a_process_that_is_killed_loses_the_end_of_what_it_saw_at_the_most() {
    let folder = tempfile::tempdir().unwrap();
    let instance = named("shop", 1, 0);
    let mut ledger = open(&folder);
    for ms in [1_000, 300_000, 700_000, 900_000] {
        ledger.look([&instance].into_iter(), priced, at(ms));
    }
    ledger.writer.flush();
    std::mem::forget(ledger);
    let path = folder.path().join("ledger.jsonl");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(r#"{"what":"end","at_ms":8000"#);
    std::fs::write(&path, text).unwrap();
    let mut ledger = open(&folder);
    ledger.look(std::iter::empty(), priced, at(5_000_000));
    let page = ledger.page(at(0), at(5_000_000), |_| true);
    assert_eq!(figures(&page, "shop").2, 700);
}

#[test]
fn a_price_that_changes_holds_from_then_on_and_one_that_is_not_known_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let instance = named("shop", 1, 0);
    let mut ledger = open(&folder);
    let mut look = |price: Price, ms| {
        ledger.look([&instance].into_iter(), |_| price, at(ms));
        ledger.page(at(0), at(ms), |_| true).services[0].cost.map(millionths)
    };
    assert_eq!(look(Some(Some(36.0)), 0), None, "nothing is charged yet");
    assert_eq!(look(None, 10_000), Some(0.1));
    assert_eq!(look(Some(Some(72.0)), 20_000), Some(0.2));
    assert_eq!(look(Some(Some(72.0)), 30_000), Some(0.4));
    assert_eq!(look(Some(None), 40_000), Some(0.6));
}

#[test]
fn a_ledger_that_grows_is_summed_up_and_stays_within_its_bound_and_right() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder);
    let lives = 3 * u64::try_from(LINES_MAX).unwrap();
    // One of 10 s, every half an hour.
    for number in 0..lives {
        let birth = number * 1_800_000;
        let instance = named("shop", 1, birth);
        ledger.look([&instance].into_iter(), priced, at(birth));
        ledger.look(std::iter::empty(), priced, at(birth + 10_000));
        assert!(ledger.lines <= LINES_MAX, "{}", ledger.lines);
    }
    let now = at(lives * 1_800_000);
    let all = ledger.page(at(0), now, |_| true);
    let (launches, runtime_ms, charged_s, cost, _) = figures(&all, "shop");
    assert_eq!((launches, runtime_ms, charged_s), (lives, lives * 10_000, lives * 10));
    let (cost, expected) = (cost.unwrap(), f64::from(u32::try_from(lives).unwrap()) * 0.1);
    assert!((cost - expected).abs() < 1e-6, "{cost} {expected}");
    assert_eq!(all.since, at(0));
    let day = ledger.page(at(now.as_millis() - DAY_MS), now, |_| true);
    assert_eq!(figures(&day, "shop").0, 48, "the last day is there one by one");
    ledger.end();
    let read = open(&folder);
    assert_eq!(read.page(at(0), now, |_| true).services[0].launches, lives);
    let bytes = std::fs::metadata(folder.path().join("ledger.jsonl")).unwrap().len();
    assert!(bytes < 512 * 1024, "{bytes}");
}
