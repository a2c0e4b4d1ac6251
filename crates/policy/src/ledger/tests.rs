//! The ledger of starts and ends as they are told.

use proptest::prelude::*;

use super::*;

const DAY_MS: u64 = 24 * 3_600_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn named(service: &str, slot: u32, birth_ms: u64) -> InstanceName {
    InstanceName::new(&service.parse().unwrap(), slot.try_into().unwrap(), at(birth_ms))
}

fn start(instance: &InstanceName, price_per_hour: Option<f64>) -> Entry {
    Entry::Start { at: instance.birth(), instance: instance.clone(), price_per_hour }
}

fn end(instance: &InstanceName, ms: u64) -> Entry {
    Entry::End { at: at(ms), instance: instance.clone() }
}

fn book(entries: impl IntoIterator<Item = Entry>) -> Book {
    let mut book = Book::default();
    entries.into_iter().for_each(|entry| book.take(entry));
    book
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

#[test]
fn each_instance_is_charged_by_the_second_begun_at_the_price_that_held() {
    let (first, second) = (named("shop", 1, 0), named("shop", 2, 10_000));
    let dearer =
        Entry::Start { at: at(20_000), instance: second.clone(), price_per_hour: Some(72.0) };
    let free = named("tool", 3, 0);
    let book = book([
        start(&first, Some(36.0)),
        start(&free, None),
        start(&second, Some(36.0)),
        end(&first, 1_500),
        dearer,
    ]);
    let page = book.page(at(0), at(30_000), |_| true);
    // 2 s and 10 s at a hundredth a second, and 10 s at two.
    assert_eq!(figures(&page, "shop"), (2, 21_500, 22, Some(0.32), 0));
    assert_eq!(figures(&page, "tool"), (1, 30_000, 30, None, 30));
    assert_eq!(page.services[0].instances, 1);
    let later = book.page(at(25_000), at(30_000), |service| service.as_str() == "shop");
    assert_eq!(later.services.len(), 1);
    assert_eq!(figures(&later, "shop"), (0, 5_000, 5, Some(0.1), 0));
    assert_eq!(later.since, at(25_000));
}

#[test]
fn a_line_is_as_it_was_in_the_release_that_wrote_the_first_ones() {
    let (priced, free) = (named("shop", 1, 1_000), named("tool", 2, 2_000));
    let mut book = book([start(&priced, Some(36.0)), start(&free, None), end(&free, 3_500)]);
    book.saw(at(10_000));
    book.shrink(0, at(10_000));
    let line = |entry: &Entry| serde_json::to_string(entry).unwrap() + "\n";
    let lines: String =
        [vec![end(&free, 3_500)], book.entries()].concat().iter().map(line).collect();
    insta::assert_snapshot!(lines, @r#"
    {"what":"end","at_ms":3500,"instance":"bw-tool-2-1jk"}
    {"what":"sum","service":"tool","from_ms":2000,"to_ms":10000,"totals":{"launches":1,"runtime_ms":1500,"charged_s":2,"unpriced_s":2,"cost":0.0}}
    {"what":"start","at_ms":1000,"instance":"bw-shop-1-rs","price_per_hour":36.0}
    {"what":"seen","at_ms":10000}
    "#);
    let read = lines.lines().skip(1).map(|line| serde_json::from_str(line).unwrap());
    assert_eq!(self::book(read), book);
}

#[test]
fn what_is_new_is_what_is_gone_what_came_and_what_costs_something_else() {
    let (stays, goes, comes) =
        (named("shop", 1, 1_000), named("shop", 2, 1_000), named("shop", 3, 15_000));
    let book = book([start(&stays, Some(36.0)), start(&goes, Some(36.0))]);
    let news =
        |price: Price| book.news([&comes, &stays].into_iter(), |_| price, (at(9_000), at(20_000)));
    let dearer = Entry::Start { at: at(20_000), instance: stays.clone(), price_per_hour: None };
    assert_eq!(news(Some(Some(36.0))), [end(&goes, 9_000), start(&comes, Some(36.0))]);
    assert_eq!(news(None), [end(&goes, 9_000), start(&comes, None)]);
    assert_eq!(news(Some(None)), [end(&goes, 9_000), dearer, start(&comes, None)]);
}

proptest! {
    /// However much is summed up and read again, all together is what it was.
    #[test]
    fn summing_up_loses_nothing(
        lives in prop::collection::vec((0..400 * DAY_MS, 0..3 * DAY_MS, 0..3_usize), 1..60),
        most in 0..40_usize,
    ) {
        let now = at(404 * DAY_MS);
        let services = ["a", "b", "c"];
        let entries = lives.iter().zip(1..).flat_map(|((birth, length, service), slot)| {
            let instance = named(services[*service], slot, *birth);
            [start(&instance, Some(1.0)), end(&instance, birth + length)]
        });
        let whole = book(entries);
        let mut shrunk = whole.clone();
        shrunk.shrink(most, now);
        let read = book(shrunk.entries());
        let (before, after) = (whole.page(at(0), now, |_| true), read.page(at(0), now, |_| true));
        prop_assert_eq!(after.since, before.since);
        for (before, after) in before.services.iter().zip(&after.services) {
            prop_assert_eq!(&before.service, &after.service);
            prop_assert_eq!(before.launches, after.launches);
            prop_assert_eq!((before.runtime_ms, before.charged_s), (after.runtime_ms, after.charged_s));
            let both = before.cost.unwrap_or_default() - after.cost.unwrap_or_default();
            prop_assert!(both.abs() < 1e-6);
        }
        prop_assert_eq!(before.services.len(), after.services.len());
    }
}
