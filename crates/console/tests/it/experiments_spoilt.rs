//! Results that no load generator writes: it has no rights, so whoever took it over can write anything there.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use crate::scaler::{Console, FakeScaler, command, folder};
use crate::tried::{Tried, knows};

async fn started(scaler: &FakeScaler, folder: &Path) -> Console {
    let mut command = command(&scaler.socket, folder);
    knows(&mut command, folder);
    let console = Console::started(&mut command);
    scaler.is_read().await;
    scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    console.until("/v1/experiments", |it| it["experiments"][0]["state"] == "ended").await;
    console
}

/// What is said of the only run of an experiment, whose page is whole all the same.
async fn problem(console: &Console, tried: &Tried) -> Value {
    let (status, one) = console.get(&format!("/v1/experiments/{}", tried.id)).await;
    assert_eq!(status, 200, "{one}");
    let page = console.ask(&format!("/experiments/{}", tried.id), &[]).await;
    assert_eq!(page.status().as_u16(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains("<footer>") && !html.contains("root:x:0"), "{html}");
    one["runs"][0]["problem"].clone()
}

#[tokio::test]
async fn a_link_that_leads_out_of_the_results_is_followed_nowhere() {
    let folder = folder();
    let outside = folder.path().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("summary.json"), "root:x:0").unwrap();
    let away = Tried::begun(folder.path(), 1, "shop").ended(true, "well");
    let away = away.leads_to(outside.to_str().unwrap());
    let up =
        Tried::begun(folder.path(), 2, "shop").ended(true, "well").leads_to("../../../outside");
    let file = Tried::begun(folder.path(), 3, "shop").left("spike-1", |_| {}).ended(true, "well");
    for name in ["chart.svg", "report.html"] {
        let path = file.results().join("spike-1").join(name);
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    }
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    for tried in [&away, &up] {
        let told = problem(&console, tried).await;
        assert!(told.as_str().unwrap().contains("its name leads elsewhere"), "{told}");
    }
    assert_eq!(problem(&console, &file).await, Value::Null);
    for path in ["runs/run/chart.svg", "report"] {
        let path = format!("/v1/experiments/{}/{path}", file.id);
        let code = console.code("GET", &path, &[]).await;
        assert_eq!(code, (404, "spoilt_file".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn files_that_are_cut_huge_or_none_are_named_and_nobody_waits_for_them() {
    let folder = folder();
    let begun = |number| {
        Tried::begun(folder.path(), number, "shop").left("spike-1", |_| {}).ended(true, "well")
    };
    let cut = begun(1).wrote("latest/summary.json", r#"{"scenario":"#);
    let huge = begun(2);
    let file = fs::File::create(huge.results().join("latest/summary.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    let pipe = begun(3);
    let path = pipe.results().join("spike-1/summary.json");
    fs::remove_file(&path).unwrap();
    mkfifo(&path, Mode::from_bits_truncate(0o644)).unwrap();
    let turns =
        begun(4).wrote("latest/ticks.jsonl", "{\n").wrote("latest/series.csv", "second\n5\n");
    let deep = begun(5).wrote("latest/summary.json", &format!("{{\"more\":{}", "[".repeat(60_000)));
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    let asked = Instant::now();
    for (tried, part) in [
        (&cut, "summary.json is not what a run writes: EOF"),
        (&huge, "summary.json has 1099511627776 bytes, and 65536 at most are read"),
        (&pipe, "its name leads elsewhere"),
        (&turns, "ticks.jsonl is not what a run writes: line 1"),
        (&turns, "series.csv is not what a run writes"),
        (&deep, "summary.json is not what a run writes: EOF"),
    ] {
        let told = problem(&console, tried).await;
        assert!(told.as_str().unwrap().contains(part), "{part}: {told}");
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    // Of what could be read figures are known.
    let (_, one) = console.get(&format!("/v1/experiments/{}", turns.id)).await;
    assert!(one["runs"][0]["result"]["figures"]["latency_ms.p99"].is_number(), "{one}");
    let (_, list) = console.get("/v1/experiments").await;
    assert_eq!(list["experiments"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn figures_that_cannot_be_are_not_computed_with_and_texts_are_no_markup() {
    let folder = folder();
    let begun = |number| Tried::begun(folder.path(), number, "shop");
    let endless =
        begun(1).left("spike-1", |summary| summary.duration_s = 1e300).ended(true, "well");
    let many = begun(2).left("spike-1", |_| {}).ended(true, "well");
    let ticks = fs::read_to_string(many.results().join("latest/ticks.jsonl")).unwrap();
    let many =
        many.wrote("latest/ticks.jsonl", &ticks.replace("\"ready\":1", "\"ready\":4294967295"));
    let uncountable =
        begun(3).left("spike-1", |summary| summary.requests.failed = u64::MAX).ended(true, "well");
    let marked = begun(4)
        .left("spike-1", |summary| {
            let text = "<img src=x onerror=alert(1)>\u{1b}[31m".to_owned();
            summary.conditions.insert(text.clone(), text);
        })
        .ended(false, "<script>alert(1)</script>");
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, folder.path()).await;
    for (tried, part) in [
        (&endless, "duration_s is no time that a run takes"),
        (&many, "there are more instances than a host has"),
        (&uncountable, "requests has more than a load can come to"),
    ] {
        let told = problem(&console, tried).await;
        assert!(told.as_str().unwrap().contains(part), "{part}: {told}");
    }
    let html = console.ask(&format!("/experiments/{}", marked.id), &[]).await.text().await.unwrap();
    assert!(html.contains("&lt;img src=x") && html.contains("&lt;script&gt;"), "{html}");
    assert!(
        !html.contains("<img src=x") && !html.contains("<script>") && !html.contains('\u{1b}'),
        "{html}"
    );
}
