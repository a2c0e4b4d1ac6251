//! Experiments as they are told: by the API, and on pages without scripts.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::history::now;
use crate::scaler::{Console, FakeScaler, command, command_at, folder};
use crate::tried::{Tried, knows};

async fn text(console: &Console, path: &str) -> (u16, String) {
    let answer = console.ask(path, &[]).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A console that knows of a shop, and of the experiments in the folder.
async fn started(scaler: &FakeScaler, folder: &std::path::Path) -> Console {
    let mut command = command(&scaler.socket, folder);
    knows(&mut command, folder);
    let console = Console::started(&mut command);
    scaler.is_read().await;
    scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    scaler.service("object-store", now().as_millis(), &["bw-object-store-1-a"]);
    scaler.tick(&console::samples::tick("object-store", now().as_millis()));
    console.until("/v1/services", |it| it["services"][0]["tick"].is_object()).await;
    console
}

fn has(html: &str, parts: &[&str]) {
    for part in parts {
        assert!(html.contains(part), "{part} is not in\n{html}");
    }
}

#[tokio::test]
async fn what_can_be_asked_for_is_told_with_its_length_and_whether_its_service_is_there() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    let (status, told) = console.get("/v1/scenarios").await;
    assert_eq!(status, 200);
    let named = |name: &str| -> Value {
        let all = told["scenarios"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).cloned().unwrap()
    };
    let ramp = named("ramp");
    assert_eq!(
        (&ramp["load_s"], &ramp["service"], &ramp["deployed"]),
        (&json!(180.0), &json!("object-store"), &json!(true))
    );
    assert_eq!(named("seven-stages")["load_s"], Value::Null);
    let policies = told["policies"].as_array().unwrap();
    for word in ["default", "hpa", "hpa-quick"] {
        assert!(policies.contains(&json!(word)), "{policies:?}");
    }
    let (_, html) = text(&console, "/experiments").await;
    has(
        &html,
        &[
            "<option value=\"ramp\"",
            "3 min",
            "as long as the answers take",
            "<option value=\"hpa-quick\">",
        ],
    );
    has(
        &html,
        &[
            "/services/object-store/policy#preview",
            "Nothing yet.",
            "<form id=\"experiment-form\" data-needs-scripts hidden",
        ],
    );
}

#[tokio::test]
async fn an_experiment_is_told_with_its_figures_its_limits_and_the_files_that_it_left() {
    let folder = folder();
    let tried = Tried::begun(folder.path(), 1, "object-store")
        .left("spike-1", |_| {})
        .wrote("latest/report.html", "<!DOCTYPE html>")
        .ended(true, "all limits held");
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    let (_, list) = console.get("/v1/experiments").await;
    let listed = &list["experiments"][0];
    assert_eq!(
        (&listed["experiment"]["id"], &listed["state"]),
        (&json!(tried.id), &json!("ended"))
    );
    let p99 = listed["figures"]["latency_ms.p99"].as_f64().unwrap();
    let path = format!("/v1/experiments/{}", tried.id);
    let (status, one) = console.get(&path).await;
    assert_eq!((status, &one["has_report"]), (200, &json!(true)));
    let run = &one["runs"][0];
    assert_eq!((&run["name"], &run["problem"]), (&json!("run"), &Value::Null));
    let result = &run["result"];
    assert_eq!(result["figures"]["latency_ms.p99"].as_f64(), Some(p99));
    assert!(result["seed"].is_u64() && result["conditions"].is_object(), "{result}");
    assert_eq!(result["held"], json!(result["broken"].as_array().unwrap().is_empty()));

    let (status, html) = text(&console, "/experiments").await;
    assert_eq!(status, 200);
    has(
        &html,
        &[
            &format!("/experiments/{}", tried.id),
            "all limits held",
            ">well<",
            "at 0.5 of its length",
        ],
    );
    let (status, html) = text(&console, &format!("/experiments/{}", tried.id)).await;
    assert_eq!(status, 200);
    has(
        &html,
        &[
            "What the clients got",
            "How supply followed demand",
            "One request in 20 took longer.",
            "runs/run/chart.svg",
        ],
    );
    has(
        &html,
        &["with the policy hpa", "with the seed 7", "it took 2 min", "/report\"", "Conditions"],
    );
    assert!(!html.contains("End it"), "{html}");
}

#[tokio::test]
async fn the_files_of_an_experiment_are_served_as_pages_of_nobody() {
    let folder = folder();
    let tried = Tried::begun(folder.path(), 1, "object-store")
        .left("spike-1", |_| {})
        .wrote("latest/report.html", "<!DOCTYPE html><script>parent.location = '/'</script>")
        .ended(true, "all limits held");
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    let path = format!("/v1/experiments/{}", tried.id);
    for (file, kind, begins) in [
        ("summary.json", "application/json", "{"),
        ("series.csv", "text/csv; charset=utf-8", "second,"),
        ("ticks.jsonl", "application/x-ndjson", "{"),
        ("chart.svg", "image/svg+xml", "<svg"),
    ] {
        let answer = console.ask(&format!("{path}/runs/run/{file}"), &[]).await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            (answer.status().as_u16(), header("content-type").as_str()),
            (200, kind),
            "{file}"
        );
        assert_eq!(header("x-content-type-options"), "nosniff");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("sandbox; default-src 'none'"), "{policy}");
        assert!(!policy.contains("script"), "{policy}");
        assert!(answer.text().await.unwrap().starts_with(begins), "{file}");
    }
    let report = console.ask(&format!("{path}/report"), &[]).await;
    let policy = report.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox allow-scripts; default-src 'none'"), "{policy}");
    assert!(!policy.contains("same-origin") && !policy.contains("connect-src"), "{policy}");
}

#[tokio::test]
async fn several_runs_are_told_by_medians_with_intervals_and_ways_of_membership_beside_each_other()
{
    let folder = folder();
    let p99 = |ms: f64| move |summary: &mut run::Summary| summary.latency_ms.p99 = Some(ms);
    let several = Tried::begun(folder.path(), 1, "object-store")
        .left("spike-1/1", p99(100.0))
        .left("spike-1/2", p99(300.0))
        .left("spike-1/3", |summary| summary.interrupted = true)
        .ended(true, "all limits held");
    let ways = Tried::begun(folder.path(), 2, "object-store")
        .left("spike-1/runtime", p99(100.0))
        .left("spike-1/reload", p99(400.0))
        .ended(false, "one limit did not hold");
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    let names = async |id: &str| {
        let (_, one) = console.get(&format!("/v1/experiments/{id}")).await;
        let names = one["runs"].as_array().unwrap().iter().map(|run| run["name"].clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&several.id).await, ["1", "2", "3"]);
    assert_eq!(names(&ways.id).await, ["runtime", "reload"]);
    let (_, list) = console.get("/v1/experiments").await;
    // The newest first; of three runs the two that were not interrupted.
    assert_eq!(list["experiments"][1]["figures"]["latency_ms.p99"], json!(200.0));
    let (_, html) = text(&console, &format!("/experiments/{}", several.id)).await;
    has(
        &html,
        &["Median of 2 runs", "200\u{a0}ms<small>100 to 300, 50%", "Run 3", "It was interrupted"],
    );
    let (_, html) = text(&console, &format!("/experiments/{}", ways.id)).await;
    has(
        &html,
        &[
            "runtime: value",
            "reload: value",
            "400\u{a0}ms",
            "runs/reload/chart.svg",
            "one limit did not hold",
        ],
    );
}

#[tokio::test]
async fn two_are_compared_by_difference_and_in_words_and_are_chosen_without_a_script() {
    let folder = folder();
    let p99 = |ms: f64| move |summary: &mut run::Summary| summary.latency_ms.p99 = Some(ms);
    let old = Tried::begun(folder.path(), 1, "object-store")
        .left("spike-1", p99(200.0))
        .ended(true, "well");
    let new = Tried::begun(folder.path(), 2, "object-store")
        .left("spike-1", p99(100.0))
        .ended(true, "well");
    let other_load = Tried::begun(folder.path(), 3, "object-store")
        .left("spike-1", |summary| summary.seed += 1)
        .ended(true, "well");
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    let chosen = format!("/experiments/compare?of={}&with={}", new.id, old.id);
    // It is led on to the page that compares them.
    let (status, html) = text(&console, &chosen).await;
    assert_eq!(status, 200);
    has(&html, &["100\u{a0}ms", "200\u{a0}ms", "\u{2212}100 (\u{2212}50%)", ">better<"]);
    has(&html, &["This one is better in: Latency, 99th percentile", "what differs may be chance"]);
    assert_eq!(html.matches("class=\"run-chart\"").count(), 2, "{html}");
    assert!(!html.contains("different loads"), "{html}");
    let (_, html) =
        text(&console, &format!("/experiments/{}?with={}", other_load.id, old.id)).await;
    has(&html, &["They had different loads"]);
    let (status, html) = text(&console, &format!("/experiments/{}?with={:016x}", new.id, 9)).await;
    assert_eq!(status, 200);
    has(&html, &["is not there"]);
    let (_, html) = text(&console, "/experiments").await;
    has(
        &html,
        &["<form action=\"/experiments/compare\">", &format!("<option id=\"with-{}\"", new.id)],
    );
    for query in ["with=x", "nothing=1"] {
        assert_eq!(
            text(&console, &format!("/experiments/{}?{query}", new.id)).await.0,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn one_that_goes_on_says_how_far_it_has_come_and_can_be_ended_and_one_that_was_cut_off_is_told_so()
 {
    let folder = folder();
    let going = Tried::begun(folder.path(), 2, "object-store").left("spike-1", |_| {});
    let cut = Tried::begun(folder.path(), 1, "object-store").left("spike-1", |_| {});
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    scaler.answers("GET /v1/jobs", json!({ "jobs": [going.job()] }));
    let states = |list: &Value| {
        let all = list["experiments"].as_array().unwrap();
        all.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    console.until("/v1/experiments", |list| states(list) == ["under_way", "cut_off"]).await;
    // What is not whole yet is not told as if it were.
    let (_, one) = console.get(&format!("/v1/experiments/{}", going.id)).await;
    assert_eq!(one["runs"], json!([]));
    let interrupt = format!("data-path=\"/v1/jobs/{}/interrupt\"", going.id);
    let (_, html) = text(&console, "/experiments").await;
    has(&html, &["Load is offered, and measured", &interrupt, "cut off"]);
    assert!(!html.contains("experiment-form"), "{html}");
    let (_, html) = text(&console, &format!("/experiments/{}", going.id)).await;
    has(
        &html,
        &[
            "It has gone on for",
            &interrupt,
            "id=\"chart\" data-service=\"object-store\"",
            "Load is offered",
        ],
    );
    assert!(!html.contains("chart.svg"), "{html}");
    let (_, html) = text(&console, &format!("/experiments/{}", cut.id)).await;
    has(&html, &[">cut off<", "nobody wrote down how it ended", "chart.svg"]);
    assert!(!html.contains("End it"), "{html}");
}

#[tokio::test]
async fn while_the_scaler_does_not_tell_what_goes_on_nothing_is_said_to_be_over() {
    let folder = folder();
    let open = Tried::begun(folder.path(), 1, "object-store").left("spike-1", |_| {});
    let over =
        Tried::begun(folder.path(), 2, "object-store").left("spike-1", |_| {}).ended(true, "well");
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    scaler.refuses("GET /v1/jobs", StatusCode::SERVICE_UNAVAILABLE, "It is too much.");
    console.until("/v1/experiments", |it| it["experiments"][1]["state"] == "unknown").await;
    let (_, one) = console.get(&format!("/v1/experiments/{}", open.id)).await;
    assert_eq!((&one["state"], &one["runs"]), (&json!("unknown"), &json!([])));
    let (_, one) = console.get(&format!("/v1/experiments/{}", over.id)).await;
    assert!(one["runs"][0]["result"].is_object(), "{one}");
    let (_, html) = text(&console, &format!("/experiments/{}", open.id)).await;
    has(&html, &["whether it goes on is not known"]);
    let (_, html) = text(&console, "/experiments").await;
    has(&html, &["Whether one goes on is not known. It is too much."]);
}

#[tokio::test]
async fn to_start_and_to_end_one_is_passed_on_with_the_token_of_whoever_asks() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("operator", &["operate"], None);
    let console = started(&scaler, folder.path()).await;
    let operator = ("authorization", "Bearer operator");
    let body = r#"{"scenario":"ramp","policy":"hpa"}"#;
    let kind = ("content-type", "application/json");
    let end = "/v1/jobs/00000000000000ab/interrupt";
    for path in ["/v1/experiments", end] {
        assert_eq!(
            console.code("POST", path, &[]).await,
            (401, "unauthorized".to_owned()),
            "{path}"
        );
    }
    scaler.asked();
    for (path, body) in [("/v1/experiments", body), (end, "")] {
        let answer = console.send("POST", path, &[operator, kind], body).await;
        assert_eq!(answer.status().as_u16(), 202);
        assert_eq!(answer.headers()["location"], "/v1/jobs/1");
        let asked =
            scaler.asked().into_iter().find(|it| it.line == format!("POST {path}")).unwrap();
        assert_eq!(
            (&asked.body[..], &asked.headers["authorization"]),
            (body.as_bytes(), &"Bearer operator".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_token_of_one_service_sees_no_experiment_of_another_and_beyond_the_host_nobody_reads_without_one()
 {
    let folder = folder();
    let own =
        Tried::begun(folder.path(), 1, "object-store").left("spike-1", |_| {}).ended(true, "well");
    let other =
        Tried::begun(folder.path(), 2, "market").left("spike-1", |_| {}).ended(true, "hush");
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("own", &["read"], Some(&["object-store"]));
    scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    let mut command = command_at("0.0.0.0:0", &scaler.socket, folder.path());
    knows(&mut command, folder.path());
    let console = Console::started(&mut command);
    scaler.is_read().await;
    let beyond = ("host", "192.0.2.7:8090");
    let named = [beyond, ("authorization", "Bearer own")];
    let list: Value = console.ask("/v1/experiments", &named).await.json().await.unwrap();
    let ids: Vec<_> =
        list["experiments"].as_array().unwrap().iter().map(|it| &it["experiment"]["id"]).collect();
    assert_eq!(ids, [&json!(own.id)]);
    for path in ["", "/report", "/runs/run/chart.svg"] {
        let path = format!("/v1/experiments/{}{path}", other.id);
        assert_eq!(
            console.code("GET", &path, &named).await,
            (404, "no_such_experiment".to_owned())
        );
        assert_eq!(console.code("GET", &path, &[beyond]).await.0, 401, "{path}");
    }
    let page = async |path: &str, headers: &[(&str, &str)]| {
        console.ask(path, headers).await.text().await.unwrap()
    };
    let html = page("/experiments", &named).await;
    assert!(html.contains(&own.id) && !html.contains(&other.id), "{html}");
    let of_other = format!("/experiments/{}", other.id);
    let html = page(&of_other, &named).await;
    assert!(html.contains("There is no experiment") && !html.contains("hush"), "{html}");
    let html = page(&format!("/experiments/{}?with={}", own.id, other.id), &named).await;
    assert!(html.contains("is not there") && !html.contains("hush"), "{html}");
    for path in ["/experiments", of_other.as_str()] {
        let html = page(path, &[beyond]).await;
        assert!(html.contains("You are not logged in") && !html.contains("hush"), "{html}");
    }
}

#[tokio::test]
async fn what_is_no_experiment_no_run_and_no_file_is_told_so_and_without_a_folder_there_are_none() {
    let folder = folder();
    let tried = Tried::begun(folder.path(), 1, "object-store").ended(false, "it broke down");
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    let own = format!("/v1/experiments/{}", tried.id);
    for (path, code) in [
        ("/v1/experiments/x".to_owned(), "no_such_experiment"),
        ("/v1/experiments/0000000000000009".to_owned(), "no_such_experiment"),
        ("/v1/experiments/..%2f..%2fetc/report".to_owned(), "no_such_experiment"),
        (format!("{own}/runs/..%2f../summary.json"), "no_such_run"),
        (format!("{own}/runs/reload%2F2/chart.svg"), "no_such_run"),
        (format!("{own}/runs/2/chart.svg"), "no_such_file"),
        (format!("{own}/report"), "no_such_file"),
        (format!("{own}/runs/run/passwd"), "no_such_path"),
    ] {
        assert_eq!(console.code("GET", &path, &[]).await, (404, code.to_owned()), "{path}");
    }
    assert_eq!(console.code("GET", &format!("{own}?x=1"), &[]).await.0, 400);
    let (status, html) = text(&console, "/experiments/%3Cb%3E").await;
    assert_eq!(status, 404);
    has(&html, &["There is no experiment <code>&lt;b&gt;</code>"]);
    assert_eq!(text(&console, "/experiments/0000000000000009").await.0, 404);
    let (_, html) = text(&console, &format!("/experiments/{}", tried.id)).await;
    has(&html, &["it broke down", "Nothing was measured."]);
    drop(console);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    assert_eq!(console.get("/v1/experiments").await, (200, json!({ "experiments": [] })));
    assert_eq!(console.get(&own).await.0, 404);
    let (_, html) = text(&console, "/experiments").await;
    has(&html, &["There is no scenario to start one with."]);
}
