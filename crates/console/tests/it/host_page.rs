//! The page of the machine as it is served.

use model::action::{ActionKind, Done, LaunchStep, StepTime};
use model::names::InstanceName;
use model::tick::Tick;
use serde_json::json;

use crate::history::now;
use crate::machine;
use crate::scaler::{Console, FakeScaler, folder};

async fn html(console: &Console, path: &str) -> String {
    console.ask(path, &[]).await.text().await.unwrap()
}

fn launched(instance: &str, clone_ms: u64) -> Done {
    let instance: InstanceName = instance.parse().unwrap();
    let at = now();
    Done {
        kind: ActionKind::Clone,
        slot: instance.slot(),
        instance,
        version: None,
        planned_at: at.before(std::time::Duration::from_millis(clone_ms + 10)),
        finished_at: at,
        error: None,
        last_lines: vec![],
        release: None,
        steps: vec![StepTime { step: LaunchStep::Clone, took_ms: clone_ms }],
    }
}

#[tokio::test]
async fn the_machine_its_findings_and_the_times_of_launches_are_told_without_a_script() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    machine::told(&scaler);
    scaler.service("shop", now().as_millis(), &[]);
    for (sequence, instance, ms) in [(1, "bw-shop-1-a", 40), (2, "bw-shop-2-b", 900)] {
        let done = vec![launched(instance, ms)];
        scaler.tick(&Tick { sequence, done, ..console::samples::tick("shop", now().as_millis()) });
    }
    console.until("/v1/events?kind=started", |it| it["events"][1].is_object()).await;
    let html = html(&console, "/host").await;
    for part in [
        "<strong>box</strong>",
        "0.52 / 0.25 / 0.125",
        "5000 MiB of 7900 MiB",
        "812 MiB of 80 GiB",
        "2 of 1021",
        "2.6.12-1+deb12u4",
        "put back 2 times",
        "1 of 4 checks failed",
        "make room, or set paths.state",
        "&lt;img src=x",
        "Clone and start",
        "40 ms",
        "900 ms",
        "bw-shop-2-b",
        "data-label=\"Runtime\">253 h<",
        "data-label=\"Cost\">12.7<",
    ] {
        assert!(html.contains(part), "{part} is not in\n{html}");
    }
    assert!(html.find("812 MiB free").unwrap() < html.find("running as root").unwrap());
}

#[tokio::test]
async fn what_is_not_known_of_the_machine_is_said_and_nothing_made_up() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let told = json!({
        "at_ms": 1, "name": null, "release": "0.1.0", "since_ms": 1, "processors": null, "memory": null,
        "disk": null, "room": null, "haproxy": null,
        "network": { "put_back": 0, "last": null, "trouble": "no nft" },
    });
    scaler.answers("GET /v1/host", told);
    scaler.answers("GET /v1/host/doctor", json!({ "at_ms": null, "checks": [], "problem": null }));
    let html = html(&console, "/host").await;
    for part in
        ["It does not answer", "no nft", "has not taken a turn", "look again in a few seconds"]
    {
        assert!(html.contains(part), "{part} is not in\n{html}");
    }
    // Without a name the word of the API is typed.
    assert!(html.contains("data-type=\"stop everything\""), "{html}");
}

#[tokio::test]
async fn an_action_is_a_button_that_asks_for_the_services_name() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.service("shop", now().as_millis(), &[]);
    let action = json!({ "title": "Delete <all>", "method": "DELETE", "path": "/" });
    let actions = json!({ "actions": { "delete-all": action } });
    scaler.answers("GET /v1/services/shop/actions", actions);
    console.until("/v1/services", |it| it["services"][0].is_object()).await;
    let html = html(&console, "/services/shop").await;
    let button = r#"data-path="/v1/services/shop/actions/delete-all" data-body="{&quot;confirm&quot;:&quot;shop&quot;}""#;
    assert!(html.contains(button), "{html}");
    assert!(html.contains(r#"data-type="shop">Delete &lt;all&gt;</button>"#), "{html}");
}
