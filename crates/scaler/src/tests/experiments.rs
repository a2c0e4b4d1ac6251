//! Experiments that are asked for by the API.

use std::fs;
use std::path::Path;

use axum::http::StatusCode;
use host::jobs::{Jobs, Work};
use host::releases::{POLICIES, SCENARIOS};
use model::access::Right;
use model::job::{JobKind, JobStatus};
use serde_json::json;

use super::doors::{operators, token};
use super::jobs::{JSON, ask, code, kept, send, with_shop};
use super::*;

const EXPERIMENTS: &str = "/v1/experiments";

/// Puts a release in force that has these scenarios, each with its service, and the policy `quick`.
fn release(rig: &Rig, scenarios: &[(&str, &str)]) {
    let releases = rig.state.path().join("releases");
    for folder in [SCENARIOS, POLICIES] {
        fs::create_dir_all(releases.join("one").join(folder)).unwrap();
    }
    for (name, service) in scenarios {
        let file = releases.join("one").join(SCENARIOS).join(format!("{name}.toml"));
        fs::write(file, format!("name = \"{name}\"\nservice = \"{service}\"\n")).unwrap();
    }
    let policy = releases.join("one").join(POLICIES).join("quick.toml");
    fs::write(policy, "kind = \"hpa\"\n").unwrap();
    std::os::unix::fs::symlink("one", releases.join("current")).unwrap();
}

#[tokio::test]
async fn an_experiment_is_a_job_of_the_scenarios_service_one_at_a_time_beside_its_deploys() {
    let rig = with_shop(Path::new("/srv/shop"));
    release(&rig, &[("ramp", "object-store"), ("visits", "shop")]);
    let body = r#"{"scenario":"ramp","policy":"quick","runs":2,"seed":7}"#;
    let (status, location, text) = ask(&rig, "POST", EXPERIMENTS, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    let job: JobStatus = serde_json::from_str(&text).unwrap();
    let told = (job.kind, job.service.as_ref().unwrap().as_str());
    assert_eq!(told, (JobKind::Experiment, "object-store"));
    assert_eq!(location, format!("/v1/jobs/{}", job.id));
    let Work::Experiment { asked, of_host: true } = kept(&rig)[0].job.work.clone() else {
        panic!("an operator's experiment")
    };
    assert_eq!((asked.runs, asked.seed, asked.policy.as_deref()), (2, Some(7), Some("quick")));
    for (path, body) in [
        (EXPERIMENTS, r#"{"scenario":"visits"}"#),
        ("/v1/stop", r#"{"confirm":"stop everything"}"#),
    ] {
        let (status, _, text) = ask(&rig, "POST", path, body).await;
        assert_eq!((status, code(&text)), (StatusCode::CONFLICT, "under_way".to_owned()), "{path}");
        assert!(text.contains(&job.id.to_string()), "{text}");
    }
    for service in ["object-store", "shop"] {
        let path = format!("/v1/services/{service}/rollback");
        let (status, _, text) = ask(&rig, "POST", &path, "{}").await;
        assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    }
    // Of the service a deploy goes on, and that is what is told; the experiment is in nobody's way.
    let (status, _, text) = ask(&rig, "POST", "/v1/services/object-store/rollback", "{}").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(text.contains("(rollback)"), "{text}");
}

#[tokio::test]
async fn an_experiment_is_ended_in_order_by_whoever_may_operate_its_service_and_nothing_else_is() {
    let rig = with_shop(Path::new("/srv/shop"));
    release(&rig, &[("visits", "shop")]);
    let (_, experiment, _) = ask(&rig, "POST", EXPERIMENTS, r#"{"scenario":"visits"}"#).await;
    let files = Jobs::new(rig.state.path()).of(kept(&rig)[0].job.id);
    let (_, deploy, _) = ask(&rig, "POST", "/v1/services/shop/rollback", "{}").await;
    let interrupt = |location: &str| format!("{location}/interrupt");
    let (status, _, text) = ask(&rig, "POST", &interrupt(&deploy), "").await;
    assert_eq!((status, code(&text)), (StatusCode::CONFLICT, "not_interruptible".to_owned()));
    assert!(!files.is_interrupted());
    let (status, location, _) = ask(&rig, "POST", &interrupt(&experiment), "").await;
    assert_eq!((status, location), (StatusCode::ACCEPTED, experiment));
    assert!(files.is_interrupted());
    let (status, _, text) = ask(&rig, "POST", "/v1/jobs/00000000000000aa/interrupt", "").await;
    assert_eq!((status, code(&text)), (StatusCode::NOT_FOUND, "no_such_job".to_owned()));
}

#[tokio::test]
async fn a_token_tries_the_services_that_it_operates_and_no_other() {
    let rig = with_shop(Path::new("/srv/shop"));
    release(&rig, &[("ramp", "object-store"), ("visits", "shop")]);
    let grant = |right| json!({"rights": [right], "services": ["shop"]}).to_string();
    let operates = token(&rig, "operates", &grant(Right::Operate)).await;
    let reads = token(&rig, "reads", &grant(Right::Read)).await;
    let routes = operators(&rig);
    let asked = async |secret: &str, path: &str, scenario: &str| {
        let bearer = format!("Bearer {secret}");
        let body = json!({ "scenario": scenario }).to_string();
        send(&routes, ("POST", path), &[JSON, ("authorization", &bearer)], body).await
    };
    for (secret, scenario) in [(&reads, "visits"), (&reads, "ramp"), (&operates, "ramp")] {
        let (status, _, text) = asked(secret, EXPERIMENTS, scenario).await;
        let refused = (StatusCode::FORBIDDEN, "too_few_rights".to_owned());
        assert_eq!((status, code(&text)), refused, "{scenario}");
    }
    let (status, location, text) = asked(&operates, EXPERIMENTS, "visits").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    assert!(matches!(kept(&rig)[0].job.work, Work::Experiment { of_host: false, .. }));
    let path = format!("{location}/interrupt");
    let (status, _, text) = asked(&reads, &path, "").await;
    assert_eq!((status, code(&text)), (StatusCode::FORBIDDEN, "too_few_rights".to_owned()));
    assert_eq!(asked(&operates, &path, "").await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_cannot_be_tried_is_told_by_its_field_and_nothing_is_begun() {
    let rig = with_shop(Path::new("/srv/shop"));
    release(&rig, &[("ramp", "object-store"), ("of-nobody", "nobody")]);
    for (body, status, told) in [
        (r#"{"scenario":"rmap"}"#, 422, "scenario: there is no scenario rmap"),
        (r#"{"scenario":"../ramp"}"#, 422, "../ramp"),
        (r#"{"scenario":"ramp","policy":"magic"}"#, 422, "policy: there is no policy magic"),
        (r#"{"scenario":"ramp","runs":11}"#, 422, "runs is 11: use 1 to 10"),
        (r#"{"scenario":"ramp","time_factor":0}"#, 422, "time_factor is 0"),
        (r#"{"scenario":"ramp","target":"x"}"#, 422, "target"),
        (r#"{"scenario":"of-nobody"}"#, 404, "no service"),
        ("{", 400, "JSON"),
    ] {
        let (got, _, text) = ask(&rig, "POST", EXPERIMENTS, body).await;
        assert_eq!(got.as_u16(), status, "{body}: {text}");
        assert!(text.contains(told), "{body}: {text}");
    }
    assert!(kept(&rig).is_empty());
    for policy in ["default", "hpa", "quick"] {
        let body = json!({"scenario": "ramp", "policy": policy}).to_string();
        let (status, _, text) = ask(&rig, "POST", EXPERIMENTS, &body).await;
        let known = [StatusCode::ACCEPTED, StatusCode::CONFLICT].contains(&status);
        assert!(known, "{policy}: {text}");
    }
}
