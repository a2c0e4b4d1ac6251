//! The ledger as the loop keeps it.

use axum::http::StatusCode;
use model::cost::ServiceCost;

use super::api::ask;
use super::*;

/// The object store's file with a price.
fn priced() -> String {
    store_file().replace("[instance]", "[instance]\nprice_per_hour = 0.36")
}

/// What it came to up to a second after the last turn.
fn row(rig: &Rig) -> ServiceCost {
    let at = rig.now.after(Duration::from_secs(1));
    let page = rig.shared.cost((Timestamp::default(), at), |_| true);
    let [row] = &page.services[..] else { panic!("{page:?}") };
    row.clone()
}

#[tokio::test(start_paused = true)]
async fn instances_are_charged_from_their_birth_over_restarts_and_once() {
    let mut rig = Rig::with_files(&[(&priced(), 1)]);
    rig.ticks(6, 1).await;
    let first = row(&rig);
    assert_eq!((first.instances, first.launches, first.unpriced_s), (1, 1, 0));
    rig.restart().await;
    rig.ticks(100, 1).await;
    let later = row(&rig);
    assert_eq!((later.instances, later.launches), (1, 1));
    // A tenth of a second a tick.
    assert_eq!(later.runtime_ms, first.runtime_ms + 10_000);
    let hours = f64::from(u32::try_from(later.charged_s).unwrap()) / 3_600.0;
    assert!((later.cost.unwrap() - hours * 0.36).abs() < 1e-9, "{later:?}");
    rig.actor.containers().die(&rig.status().instances[0].name);
    rig.ticks(40, 1).await;
    let replaced = row(&rig);
    assert_eq!((replaced.instances, replaced.launches), (1, 2), "what died is not there any more");
}

#[tokio::test(start_paused = true)]
async fn what_ran_is_told_as_csv_too_and_what_is_no_question_is_refused() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let (_, csv) = ask(&rig, "GET", "/v1/cost?format=csv", "").await;
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "service,instances,launches,runtime_s,charged_s,unpriced_s,cost,since_ms,at_ms"
    );
    assert!(lines[1].starts_with("object-store,1,1,"), "{csv}");
    assert_eq!(lines[1].split(',').nth(6), Some(""), "it has no price");
    for query in ["since=x", "format=xml", "since=1&since=2", "until=3"] {
        let (status, text) = ask(&rig, "GET", &format!("/v1/cost?{query}"), "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {text}");
    }
}
