//! `bellows policy preview`: what a policy would have run under the load that was, beside what ran.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use command_line::terminal;
use explain::words::{figure, hours, span};
use host::settings::Settings;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::preview::{Preview, PreviewPoint, PreviewRan};
use scaler_client::Lately;
use serde::Serialize;

use super::{deployed, find};
use crate::cli::PreviewArgs;
use crate::clock;
use crate::code::Code;
use crate::console;
use crate::error::BadInput;
use crate::json::{self, FORMAT};
use crate::scaler;
use crate::text::columns;

const HOUR_S: f64 = 3_600.0;

/// The load that `--for` names: that of whole minutes or of whole hours.
pub(crate) fn lately(text: &str) -> Result<Lately, String> {
    let seconds = clock::span(text).map_or(0, |span| span.as_secs());
    match (seconds / 60, seconds % 60, seconds / 3_600, seconds % 3_600) {
        (minutes @ 1..=30, 0, _, _) => Ok(Lately::Minutes(minutes)),
        (_, _, hours @ 1..=24, 0) => Ok(Lately::Hours(hours)),
        _ => Err("use 1m to 30m, or 1h to 24h, in whole minutes or hours".to_owned()),
    }
}

/// Asks the console, which has the history. It sets nothing.
pub(super) async fn run(
    tree: &Path,
    settings: &Settings,
    asked: PreviewArgs,
) -> anyhow::Result<()> {
    let PreviewArgs { service, policy: word, of, json } = asked;
    let policy = policy(tree, settings, &service, &word).await?;
    let console = console::client(settings)?;
    scaler::known(&console, &service).await.map_err(console::told)?;
    let preview = console.preview(&service, &policy, of).await;
    let preview = preview.map_err(|error| console::told(error.into()))?;
    if json {
        return json::print(&Told { format: FORMAT, service: &service, preview: &preview });
    }
    terminal::tell(text(&preview, &service, &word))?;
    Ok(())
}

/// The policy that a word stands for. What the service's file says is for root to read.
async fn policy(
    tree: &Path,
    settings: &Settings,
    service: &ServiceName,
    word: &str,
) -> anyhow::Result<PolicySpec> {
    if let Some(policy) = find(tree, word)?.spec {
        return Ok(policy);
    }
    let spec = deployed(settings, service).await?;
    let unread = || {
        let told = anyhow!("what the file of {service} says is for root to read: run it with sudo");
        BadInput::new(told).coded(Code::NotRoot)
    };
    Ok(spec.ok_or_else(unread)?.policy)
}

/// A preview, as programs are told of it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    format: u32,
    service: &'a ServiceName,
    /// As the API tells it.
    preview: &'a Preview,
}

/// A preview for people: each figure beside that of what ran, and what it goes by.
fn text(preview: &Preview, service: &ServiceName, word: &str) -> String {
    let Preview { points, totals, assumed, step_s, .. } = preview;
    let seconds = step_s.saturating_mul(u64::try_from(points.len()).unwrap_or(u64::MAX));
    let known = Duration::from_secs_f64(totals.known_s.max(0.0));
    let known = match hours(known) {
        known if known == hours(Duration::from_secs(seconds)) => String::new(),
        known => format!(", of which {known} are known"),
    };
    format!(
        "With the load of the last {}{known}:\n{}\
         It goes by the bounds in force, {} to {}, launches of {} and {} for a request.\n\
         Failures, rollouts, held numbers and other services are not in it.\n\
         It set nothing: `bellows policy set {service} {word}` does.\n",
        hours(Duration::from_secs(seconds)),
        columns(["", "THIS POLICY", "WHAT RAN"], rows(preview).into_iter()),
        assumed.bounds.min(),
        assumed.bounds.max(),
        millis(assumed.launch_ms),
        millis(assumed.request_ms),
    )
}

/// What is told of both. What is not known of what ran is `-`.
fn rows(preview: &Preview) -> [[String; 3]; 6] {
    let Preview { points, totals, ran, .. } = preview;
    let ready = numbers(points, |point| Some(point.ready));
    let ran_ready = numbers(points, |point| point.ran_ready);
    let known = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    let instance_hours = |seconds: f64| figure(seconds / HOUR_S);
    let count = |count: Option<u64>| known(count.map(|count| count.to_string()));
    let outside_percent = totals.outside_objective_percent;
    [
        ["ready instances".to_owned(), known(range(&ready)), known(range(&ran_ready))],
        ["changes of that".to_owned(), known(changes(&ready)), known(changes(&ran_ready))],
        [
            "instance-hours".to_owned(),
            instance_hours(totals.instance_seconds),
            known(ran.instance_seconds.map(instance_hours)),
        ],
        ["requests".to_owned(), totals.requests.to_string(), count(ran.answers)],
        ["failed".to_owned(), totals.failed.to_string(), count(ran.failed)],
        [
            "outside the objective".to_owned(),
            known(outside_percent.map(|percent| format!("{}%", figure(percent)))),
            known(outside(ran)),
        ],
    ]
}

/// The whole number of instances in each step of which it is known.
fn numbers(points: &[PreviewPoint], of: impl Fn(&PreviewPoint) -> Option<f64>) -> Vec<f64> {
    points.iter().filter_map(of).map(f64::round).collect()
}

/// From the fewest to the most.
fn range(numbers: &[f64]) -> Option<String> {
    let least = numbers.iter().copied().reduce(f64::min)?;
    let most = numbers.iter().copied().reduce(f64::max)?;
    let is_one = least.total_cmp(&most).is_eq();
    Some(if is_one { format!("{least}") } else { format!("{least} to {most}") })
}

/// How often there was another number than in the step before.
fn changes(numbers: &[f64]) -> Option<String> {
    let differ = |pair: &&[f64]| pair[0].total_cmp(&pair[1]).is_ne();
    (!numbers.is_empty()).then(|| numbers.windows(2).filter(differ).count().to_string())
}

/// What of the answers failed or came late. A failure that came late is counted as both, so that the share lies between two
/// where there are both.
fn outside(ran: &PreviewRan) -> Option<String> {
    let (all, failed, late) = (ran.answers?, ran.failed?, ran.late?);
    let percent = |count: u64| {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let share = count as f64 / all.max(1) as f64;
        format!("{}%", figure(100.0 * share))
    };
    let (least, most) = (percent(failed.max(late)), percent(failed.saturating_add(late).min(all)));
    Some(if least == most { least } else { format!("{least} to {most}") })
}

fn millis(millis: f64) -> String {
    span(Duration::from_secs_f64(millis.max(0.0) / 1e3))
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::Request;
    use axum::http::StatusCode;
    use model::bounds::Bounds;
    use model::policies::PolicyKind;
    use model::preview::{PreviewAssumed, PreviewTotals};
    use model::time::Timestamp;

    use super::*;
    use crate::error::code_of;

    const SHOP: &str = r#"{"name":"shop","route":"/","bounds":{"min":1,"max":4},"policy":"hpa",
        "policy_spec":{"kind":"hpa"},"objective_ms":250,
        "wanted":{"version":"00000001","deployed_at_ms":1},"rollout":null,
        "set":{"bounds":null,"policy":null},
        "phases":{"starting":0,"ready":0,"draining":0,"failed":0},"instances":[],"tick":null}"#;
    const NONE: &str = r#"{"error":{"code":"no_such_service","message":"There is none."}}"#;

    fn point(second: u64, ready: f64, ran_ready: Option<f64>) -> PreviewPoint {
        PreviewPoint {
            at: Timestamp::from_millis(second * 1000),
            offered_rps: Some(150.0),
            served_rps: Some(150.0),
            failed_rps: Some(0.0),
            latency_ms: Some(12.0),
            ready,
            ran_ready,
            instances: ready,
            target: Some(4),
        }
    }

    fn preview() -> Preview {
        let ready = |second: u64| match second {
            0..300 => (2.0, Some(2.0)),
            300..310 => (2.4, None),
            310..400 => (5.0, Some(3.6)),
            _ => (1.0, Some(4.0)),
        };
        let point = |second| {
            let (ready, ran_ready) = ready(second);
            point(second, ready, ran_ready)
        };
        Preview {
            policy: PolicyKind::Hpa.into(),
            step_s: 1,
            points: (0..600).map(point).collect(),
            decisions: Vec::new(),
            decisions_left_out: 0,
            totals: PreviewTotals {
                known_s: 590.0,
                instance_seconds: 1_900.0,
                requests: 90_000,
                failed: 0,
                outside_objective_percent: Some(1.234),
            },
            ran: PreviewRan {
                instance_seconds: Some(1_700.0),
                answers: Some(89_900),
                failed: Some(899),
                late: Some(1_798),
            },
            assumed: PreviewAssumed {
                bounds: Bounds::new(1, 10).unwrap(),
                ready: 2,
                launch_ms: 62.4,
                request_ms: 12.0,
                cpu_ms: 5.0,
                instance_rps: None,
            },
        }
    }

    fn told(preview: &Preview) -> String {
        text(preview, &"shop".parse().unwrap(), "hpa")
    }

    #[test]
    fn what_a_policy_would_have_run_is_told_beside_what_ran() {
        insta::assert_snapshot!(told(&preview()), @r"
        With the load of the last 10 min, of which 9.83 min are known:
                               THIS POLICY  WHAT RAN
        ready instances        1 to 5       2 to 4
        changes of that        2            1
        instance-hours         0.528        0.472
        requests               90000        89900
        failed                 0            899
        outside the objective  1.23%        2% to 3%
        It goes by the bounds in force, 1 to 10, launches of 62 ms and 12 ms for a request.
        Failures, rollouts, held numbers and other services are not in it.
        It set nothing: `bellows policy set shop hpa` does.
        ");
    }

    #[tokio::test]
    async fn the_console_is_asked_with_the_policy_and_a_service_that_is_not_there_is_bad_input() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = Settings::default();
        settings.listen.api = listener.local_addr().unwrap().to_string().parse().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = Arc::clone(&asked);
        let answer = serde_json::to_string(&preview()).unwrap();
        let routes = Router::new().fallback(async move |request: Request| {
            let line = format!("{} {}", request.method(), request.uri());
            let body = axum::body::to_bytes(request.into_body(), 10_000).await.unwrap();
            notes.lock().unwrap().push(format!("{line} {}", String::from_utf8_lossy(&body)));
            match line.as_str() {
                "GET /v1/services" => (StatusCode::OK, r#"{"services":[]}"#.to_owned()),
                "GET /v1/services/shop" => (StatusCode::OK, SHOP.to_owned()),
                line if line.starts_with("POST") => (StatusCode::OK, answer.clone()),
                _ => (StatusCode::NOT_FOUND, NONE.to_owned()),
            }
        });
        tokio::spawn(axum::serve(listener, routes).into_future());
        let ask = async |service: &str| {
            let (service, policy) = (service.parse().unwrap(), "schedule".to_owned());
            let of = Lately::Hours(2);
            run(Path::new("."), &settings, PreviewArgs { service, policy, of, json: true }).await
        };
        ask("shop").await.unwrap();
        let posted = asked.lock().unwrap().last().cloned().unwrap();
        assert!(posted.starts_with("POST /v1/services/shop/preview?hours=2 {"), "{posted}");
        assert!(posted.contains(r#""kind":"schedule""#), "{posted}");
        assert_eq!(code_of(&ask("blog").await.unwrap_err()), Code::NoSuchService);
    }

    #[test]
    fn what_is_not_known_of_what_ran_is_told_as_that() {
        let points = (0..60).map(|second| point(second, 3.0, None)).collect();
        let totals = PreviewTotals { known_s: 60.0, ..preview().totals };
        let preview = Preview { points, totals, ran: PreviewRan::default(), ..preview() };
        let told = told(&preview);
        assert!(told.starts_with("With the load of the last 60 s:\n"), "{told}");
        assert!(told.contains("ready instances        3            -\n"), "{told}");
        assert_eq!(told.lines().filter(|line| line.ends_with("  -")).count(), 6, "{told}");
    }

    #[test]
    fn a_failure_that_came_late_makes_the_share_lie_between_two() {
        let ran = |failed, late| PreviewRan {
            answers: Some(1_000),
            failed: Some(failed),
            late: Some(late),
            instance_seconds: None,
        };
        let share = |failed, late| outside(&ran(failed, late)).unwrap();
        assert_eq!([share(0, 0), share(0, 12), share(12, 0)], ["0%", "1.2%", "1.2%"]);
        assert_eq!([share(10, 20), share(900, 800)], ["2% to 3%", "90% to 100%"]);
    }

    #[test]
    fn the_load_is_that_of_whole_minutes_or_hours() {
        for (text, expected) in [
            ("1m", Lately::Minutes(1)),
            ("600s", Lately::Minutes(10)),
            ("30m", Lately::Minutes(30)),
            ("1h", Lately::Hours(1)),
            ("60m", Lately::Hours(1)),
            ("1d", Lately::Hours(24)),
        ] {
            assert_eq!(lately(text), Ok(expected), "{text}");
        }
        for text in ["", "10", "0m", "59s", "90s", "31m", "1h 30m", "25h", "-10m", "soon"] {
            assert!(lately(text).unwrap_err().starts_with("use 1m to 30m"), "{text}");
        }
    }
}
