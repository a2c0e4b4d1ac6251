use model::decision::{Decision, Reason};
use model::status::TickPage;
use model::tick::Observation;

use super::*;
use crate::fake_scaler::FakeScaler;

fn quiet() -> Tick {
    Tick {
        sequence: 7,
        at: Timestamp::default(),
        service: "shop".parse().unwrap(),
        observation: Observation::default(),
        rollout: None,
        decision: Decision::Hold { reasons: vec![Reason::NoData] },
        trail: None,
        room: None,
        plan: vec![],
        blocked: vec![],
        done: vec![],
        ended: vec![],
        given_up: vec![],
    }
}

/// What a scaler answers that keeps turns of the shop of these moments, in milliseconds.
fn keeping(kept: &'static [u64]) -> FakeScaler {
    FakeScaler::new(move |path| {
        let query = path.strip_prefix("/v1/ticks?service=shop")?;
        let to = query.strip_prefix("&to_ms=").and_then(|rest| rest.strip_suffix("&newest=1"));
        let found = match to {
            Some(to) => kept.iter().rfind(|at| **at <= to.parse().unwrap()),
            None => kept.first().filter(|_| query == "&limit=1"),
        };
        let tick = |at: &u64| Tick { at: Timestamp::from_millis(*at), ..quiet() };
        let page = TickPage { ticks: found.map(tick).into_iter().collect(), next: 9 };
        Some(serde_json::to_string(&page).unwrap())
    })
}

#[tokio::test]
async fn the_last_turn_up_to_a_moment_is_asked_for_alone_and_where_none_is_kept_the_oldest_is_told()
{
    let scaler = keeping(&[1_795_000_001_000, 1_795_000_005_000]);
    let shop = quiet().service;
    let at = async |millis| {
        let tick = kept(&scaler.client(), &shop, Timestamp::from_millis(millis)).await;
        tick.map(|tick| tick.at.as_millis()).map_err(|error| error.to_string())
    };
    assert_eq!(at(1_795_000_004_999).await, Ok(1_795_000_001_000));
    assert_eq!(scaler.asked(), ["/v1/ticks?service=shop&to_ms=1795000004999&newest=1"]);
    assert_eq!(at(1_795_000_005_000).await, Ok(1_795_000_005_000));
    let told = at(1_795_000_000_000).await.unwrap_err();
    insta::assert_snapshot!(told, @"no turn of shop is kept up to 2026-11-18T11:06:40Z: the oldest is of 2026-11-18T11:06:41Z");
    let empty = kept(&keeping(&[]).client(), &shop, Timestamp::from_millis(1)).await;
    assert!(empty.unwrap_err().to_string().ends_with(", nor any after it"));
}
