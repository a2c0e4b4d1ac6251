//! Work for the host that is asked for by the API.

use std::fs;
use std::path::Path;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use host::deploys::Deploys;
use host::jobs::{Job, JobFiles, JobState, Jobs, KeptJob, StartJobs, Work};
use host::units::UnitError;
use http_body_util::BodyExt as _;
use model::access::Changed;
use model::job::{JobId, JobList, JobStatus, Outcome};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::doors::{operators, token};
use super::*;
use crate::doors::identify::{self, Unnamed};
use crate::jobs::{ARCHIVE_MAX_BYTES, Refused, store_in};

const DEPLOYS: &str = "/v1/services/shop/deploys";
const SHOP: &str = "/v1/services/shop";

/// An answer: its status, where it says that a job is, and its body.
pub(super) type Answered = (StatusCode, String, String);

pub(super) async fn send(
    routes: &Router,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answered {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = routes.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let location = answer.headers().get(header::LOCATION);
    let location = location.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, location, String::from_utf8(body.to_vec()).unwrap())
}

pub(super) const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-type", "application/gzip");

/// A request of an operator.
pub(super) async fn ask(rig: &Rig, method: &str, path: &str, body: &str) -> Answered {
    send(&operators(rig), (method, path), &[JSON], body.to_owned()).await
}

pub(super) fn code(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap();
    answer["error"]["code"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn kept(rig: &Rig) -> Vec<KeptJob> {
    Jobs::new(rig.state.path()).list(crate::clock::now()).unwrap()
}

/// What is below the folder of jobs.
fn left(rig: &Rig) -> usize {
    fs::read_dir(rig.state.path().join("jobs")).map_or(0, Iterator::count)
}

/// Notes that a job ended, as its process would.
fn end(rig: &Rig, job: &Job) {
    let outcome = Some(Outcome { is_well: true, verdict: "it serves".to_owned() });
    let ended = Job { outcome, ended_at: Some(crate::clock::now()), ..job.clone() };
    Jobs::new(rig.state.path()).of(job.id).write(&ended).unwrap();
}

/// A host with the store, on which the shop is deployed from this folder.
pub(super) fn with_shop(folder: &Path) -> Rig {
    let state = tempfile::tempdir().unwrap();
    let now = crate::clock::now();
    deploy(&state, &[(&store_file(), 1)], now);
    let file = store_file()
        .replacen("name = \"object-store\"", "name = \"shop\"", 1)
        .replace("path_prefix = \"/\"", "path_prefix = \"/shop\"")
        .replace("[application]", "[instance.environment]\nKEY = \"hush\"\n\n[application]");
    let deployments = Deployments::new(state.path());
    let name: ServiceName = "shop".parse().unwrap();
    let version = Version::new(7);
    let new = NewService { name: &name, file: &file, version, serving: None, again: false };
    let next = deployments.load().unwrap().with_folder(&new, folder, 3, now);
    deployments.deploy(&next).unwrap();
    Rig::on(state, FakeContainers::default())
}

#[tokio::test]
async fn an_archive_becomes_a_job_that_is_told_of_until_it_has_ended() {
    let rig = Rig::new();
    // More than any other body may have.
    let archive = vec![7; 200_000];
    let (status, location, text) =
        send(&operators(&rig), ("POST", DEPLOYS), &[GZIP], archive.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    let job: JobStatus = serde_json::from_str(&text).unwrap();
    assert_eq!(location, format!("/v1/jobs/{}", job.id));
    assert_eq!(
        (job.service, &job.who, &job.outcome),
        (Some("shop".parse().unwrap()), &Some(root()), &None)
    );
    let [kept_job] = &kept(&rig)[..] else { panic!("one job") };
    assert_eq!(kept_job.job.work, Work::Archive { is_gzip: true, replaces: false });
    let files = Jobs::new(rig.state.path()).of(job.id);
    assert_eq!(fs::read(files.archive()).unwrap(), archive);
    let (_, _, text) = ask(&rig, "GET", &location, "").await;
    assert_eq!(serde_json::from_str::<JobStatus>(&text).unwrap().outcome, None);
    fs::write(files.log(), "one\ntwo\n").unwrap();
    let log = format!("{location}/log?after=4");
    assert_eq!(
        ask(&rig, "GET", &log, "").await,
        (StatusCode::OK, String::new(), "two\n".to_owned())
    );
    end(&rig, &kept_job.job);
    let (_, _, text) = ask(&rig, "GET", "/v1/jobs?service=shop", "").await;
    let JobList { jobs } = serde_json::from_str(&text).unwrap();
    assert_eq!(jobs[0].outcome.as_ref().unwrap().verdict, "it serves");
    let (_, _, text) = ask(&rig, "GET", "/v1/jobs?service=object-store", "").await;
    assert_eq!(text, r#"{"jobs":[]}"#);
    let noted = rig.shared.changes(0, 99).pop().unwrap();
    let Changed::Job { service: Some(service), id, .. } = noted.changed else {
        panic!("{noted:?}")
    };
    assert_eq!((service.as_str(), id, noted.who), ("shop", job.id, root()));
}

#[tokio::test]
async fn of_a_service_one_job_goes_on_at_a_time_and_the_other_is_told_which() {
    let rig = with_shop(Path::new("/srv/shop"));
    let rollback = r#"{"version":null,"revision":false}"#;
    let (status, first, text) = ask(&rig, "POST", "/v1/services/shop/rollback", rollback).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    for (method, path, body) in [
        ("POST", "/v1/services/shop/rollback", rollback),
        ("DELETE", SHOP, ""),
        ("POST", "/v1/stop", r#"{"confirm":"stop everything"}"#),
    ] {
        let (status, _, text) = ask(&rig, method, path, body).await;
        assert_eq!((status, code(&text)), (StatusCode::CONFLICT, "under_way".to_owned()), "{path}");
        assert!(text.contains(&format!("GET {first} tells")), "{text}");
    }
    let (status, _, text) =
        send(&operators(&rig), ("POST", "/v1/services/shop/deploys?replace=true"), &[GZIP], "x")
            .await;
    assert_eq!((status, code(&text)), (StatusCode::CONFLICT, "under_way".to_owned()), "{text}");
    assert_eq!(kept(&rig).len(), 1);
    let kind = ("content-type", "Application/X-Tar; charset=binary");
    let (status, ..) =
        send(&operators(&rig), ("POST", "/v1/services/new/deploys"), &[kind], "x").await;
    assert_eq!(status, StatusCode::ACCEPTED, "of a new service as well");
    let (status, ..) = ask(&rig, "POST", "/v1/services/object-store/rollback", "{}").await;
    assert_eq!(status, StatusCode::ACCEPTED, "of another service one may begin");
}

#[tokio::test]
async fn two_who_ask_at_once_get_one_job() {
    let rig = with_shop(Path::new("/srv/shop"));
    let routes = operators(&rig);
    let asked = || send(&routes, ("DELETE", SHOP), &[JSON], "");
    let (first, second) = tokio::join!(asked(), asked());
    let mut statuses = [first.0.as_u16(), second.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
    assert_eq!(kept(&rig).len(), 1);
}

/// What begins nothing, since it cannot.
#[derive(Debug)]
struct Unable;

impl StartJobs for Unable {
    fn start<'a>(
        &'a self,
        _: JobId,
        _: &'a JobFiles,
    ) -> Pin<Box<dyn Future<Output = Result<(), UnitError>> + Send + 'a>> {
        let source = std::io::Error::other("no such program");
        Box::pin(std::future::ready(Err(UnitError::Job { program: "bellows".to_owned(), source })))
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_begun_leaves_nothing_and_keeps_no_other_from_beginning() {
    let rig = Rig::new();
    let desk = |starter| Arc::new(JobDesk::new(rig.state.path(), Sizes::default(), starter));
    let shop: Option<ServiceName> = Some("shop".parse().unwrap());
    let asked = |desk: &JobDesk| {
        let work = Work::Destroy { data: false };
        Job::new(desk.draw(), shop.clone(), work, root(), crate::clock::now())
    };
    let unable = desk(Arc::new(Unable));
    let refused = unable.ask(asked(&unable)).await.unwrap_err();
    assert!(matches!(refused, Refused::NotStarted(_)), "{refused:?}");
    nothing_is_left(&rig).await;
    let started = Arc::new(FakeJobs::default());
    let able = desk(Arc::clone(&started) as Arc<dyn StartJobs>);
    let kept = able.ask(asked(&able)).await.unwrap();
    assert_eq!(started.started(), [kept.job.id]);
}

#[tokio::test]
async fn somebody_on_the_host_who_is_at_a_service_keeps_jobs_of_it_from_beginning() {
    let rig = with_shop(Path::new("/srv/shop"));
    let deploys = Deploys::new(rig.state.path());
    let _beginning = deploys.of(&"shop".parse().unwrap()).begin().unwrap();
    let (status, _, text) = ask(&rig, "DELETE", SHOP, "").await;
    assert_eq!((status, code(&text)), (StatusCode::CONFLICT, "under_way".to_owned()));
    assert!(kept(&rig).is_empty());
}

#[tokio::test]
async fn bad_requests_for_jobs_are_refused_with_what_to_do_and_leave_nothing() {
    let rig = with_shop(Path::new("/srv/shop"));
    let confirm = r#"{"confirm":"stop everything"}"#;
    for (method, path, body, status, told) in [
        ("POST", "/v1/services/Shop/rollback", "{}", 404, "no_such_service"),
        ("POST", "/v1/services/nothing/rollback", "{}", 404, "no_such_service"),
        ("POST", "/v1/services/shop/rollback", r#"{"version":"1"}"#, 422, "is not a version"),
        ("POST", "/v1/services/shop/rollback", r#"{"version":"0000000a"}"#, 422, "not_kept"),
        ("POST", "/v1/services/shop/rollback", r#"{"revision":1}"#, 422, "bad_body"),
        ("POST", "/v1/services/shop/rollback", r#"{"to":"00000007"}"#, 422, "unknown field `to`"),
        ("POST", "/v1/services/shop/rollback", "[]", 422, "expected keys with their values"),
        ("POST", "/v1/services/shop/rollback", "{", 400, "bad_body"),
        ("DELETE", "/v1/services/nothing", "", 404, "no_such_service"),
        ("DELETE", "/v1/services/a%0Ab", "", 422, "bad_name"),
        ("DELETE", "/v1/services/shop?data=yes", "", 400, "data is true or false"),
        ("DELETE", "/v1/services/shop?dta=true", "", 400, "bad_query"),
        (
            "DELETE",
            "/v1/services/object-store",
            "",
            409,
            "services/object-store.toml describes object-store: remove that",
        ),
        ("POST", "/v1/stop", "{}", 422, "missing field `confirm`"),
        ("POST", "/v1/stop", r#"{"confirm":"yes"}"#, 422, "not_confirmed"),
        ("GET", "/v1/stop", confirm, 405, "method_not_allowed"),
        ("GET", "/v1/jobs?service=A", "", 400, "bad_query"),
        ("GET", "/v1/jobs/0000000000000001", "", 404, "no_such_job"),
        ("GET", "/v1/jobs/..%2F..%2Fsecrets", "", 404, "no_such_job"),
        ("GET", "/v1/jobs/0000000000000001/log", "", 404, "no_such_job"),
    ] {
        let (answered, _, text) = ask(&rig, method, path, body).await;
        assert_eq!(answered.as_u16(), status, "{method} {path}: {text}");
        assert!(text.contains(told), "{method} {path}: {text}");
    }
    let routes = operators(&rig);
    let large = (ARCHIVE_MAX_BYTES + 1).to_string();
    for (path, headers, status, told) in [
        (DEPLOYS, vec![JSON], 415, "no_archive"),
        (DEPLOYS, vec![], 415, "no_archive"),
        (
            DEPLOYS,
            vec![GZIP],
            409,
            "shop is deployed from /srv/shop: use another name, or ?replace=true",
        ),
        ("/v1/services/object-store/deploys", vec![GZIP], 409, "of_a_file"),
        ("/v1/services/object-store/deploys?replace=true", vec![GZIP], 409, "of_a_file"),
        ("/v1/services/Shop/deploys", vec![GZIP], 422, "bad_name"),
        ("/v1/services/new/deploys?replace=1", vec![GZIP], 400, "replace is true or false"),
        ("/v1/services/new/deploys", vec![GZIP, ("content-length", &large)], 413, "too_large"),
    ] {
        let (answered, _, text) = send(&routes, ("POST", path), &headers, "x").await;
        assert_eq!(answered.as_u16(), status, "{path}: {text}");
        assert!(text.contains(told), "{path}: {text}");
    }
    assert_eq!((kept(&rig).len(), left(&rig)), (0, 0));
}

/// Waits until the folder of jobs is empty: what was refused is removed by another thread.
async fn nothing_is_left(rig: &Rig) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while left(rig) > 0 {
        assert!(std::time::Instant::now() < deadline, "something of a refused archive stays");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_archive_that_is_too_large_or_does_not_come_whole_leaves_nothing() {
    let rig = Rig::new();
    let routes = operators(&rig);
    let part = vec![0_u8; 1 << 20];
    let sent = part.clone();
    let parts = (0..=64).map(move |_| Ok::<_, std::io::Error>(sent.clone()));
    let large = Body::from_stream(futures_util::stream::iter(parts));
    let (status, _, text) = send(&routes, ("POST", DEPLOYS), &[GZIP], large).await;
    assert_eq!((status, code(&text)), (StatusCode::PAYLOAD_TOO_LARGE, "too_large".to_owned()));
    nothing_is_left(&rig).await;
    let cut = [Ok(part), Err(std::io::Error::other("gone"))];
    let cut = Body::from_stream(futures_util::stream::iter(cut));
    let (status, _, text) = send(&routes, ("POST", DEPLOYS), &[GZIP], cut).await;
    assert_eq!((status, code(&text)), (StatusCode::REQUEST_TIMEOUT, "archive_cut".to_owned()));
    nothing_is_left(&rig).await;
    assert!(kept(&rig).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_archive_of_which_nothing_more_comes_is_given_up() {
    let file = fs::File::options().write(true).open("/dev/null").unwrap();
    let never =
        Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    assert!(matches!(store_in(never, file).await, Err(Refused::Cut)));
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_comes_a_byte_at_a_time_is_given_up_after_ten_minutes() {
    let file = fs::File::options().write(true).open("/dev/null").unwrap();
    let trickle = futures_util::stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Some((Ok::<_, std::io::Error>("x"), ()))
    });
    let begun = tokio::time::Instant::now();
    let answer = store_in(Body::from_stream(trickle), file).await;
    assert!(matches!(answer, Err(Refused::Cut)));
    assert_eq!(begun.elapsed().as_secs(), 600);
}

#[tokio::test]
async fn a_disk_that_is_full_is_told() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert!(matches!(store_in(Body::from("x"), full).await, Err(Refused::DiskFull)));
}

#[tokio::test]
async fn jobs_are_for_who_may_deploy_and_stopping_for_who_may_do_all() {
    let rig = with_shop(Path::new("/srv/shop"));
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let of_shop = token(&rig, "shop", r#"{"rights":["deploy"],"services":["shop"]}"#).await;
    let operates = token(&rig, "operates", r#"{"rights":["operate"]}"#).await;
    let deploys = token(&rig, "deploys", r#"{"rights":["deploy"]}"#).await;
    let stop = (("POST", "/v1/stop"), r#"{"confirm":"stop everything"}"#);
    let rollback = (("POST", "/v1/services/shop/rollback"), "{}");
    let other = (("POST", "/v1/services/object-store/rollback"), "{}");
    let put = (("PUT", "/v1/services/new"), "{}");
    let asked = async |(request, body): ((&str, &str), &str), secret: Option<&str>| {
        let bearer = secret.map(|secret| format!("Bearer {secret}"));
        let authorization = bearer.as_deref().map(|bearer| ("authorization", bearer));
        let headers: Vec<_> = [JSON].into_iter().chain(authorization).collect();
        send(&console, request, &headers, body.to_owned()).await.0.as_u16()
    };
    for request in [stop, rollback, other, put] {
        assert_eq!(asked(request, None).await, 401, "{request:?}");
        assert_eq!(asked(request, Some(&operates)).await, 403, "{request:?}");
    }
    assert_eq!(asked(other, Some(&of_shop)).await, 403);
    assert_eq!(asked(put, Some(&of_shop)).await, 403);
    assert_eq!(asked(stop, Some(&deploys)).await, 403);
    assert_eq!(asked(rollback, Some(&of_shop)).await, 202);
    assert_eq!(asked(other, Some(&deploys)).await, 202);
    let id = kept(&rig)
        .iter()
        .find(|it| it.job.service.as_ref().is_some_and(|it| it.as_str() == "shop"))
        .unwrap()
        .job
        .id;
    let job = format!("/v1/jobs/{id}");
    let log = format!("{job}/log");
    let reads_store =
        token(&rig, "store", r#"{"rights":["read"],"services":["object-store"]}"#).await;
    let reads = token(&rig, "reads", r#"{"rights":["read"]}"#).await;
    assert_eq!(asked((("GET", &job), ""), Some(&reads_store)).await, 404);
    assert_eq!(asked((("GET", &log), ""), Some(&of_shop)).await, 403);
    assert_eq!(asked((("GET", &log), ""), None).await, 401);
    assert_eq!(asked((("GET", &log), ""), Some(&reads)).await, 200);
    let (_, _, text) = send(&console, ("GET", "/v1/jobs"), &[], "").await;
    let JobList { jobs } = serde_json::from_str(&text).unwrap();
    assert!(jobs.len() == 2 && jobs.iter().all(|job| job.who.is_none()), "{text}");
    end_all(&rig);
    let all = token(&rig, "all", r#"{"rights":["all"]}"#).await;
    let bearer = format!("Bearer {all}");
    let (status, _, text) =
        send(&console, stop.0, &[JSON, ("authorization", &bearer)], stop.1).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    assert!(text.contains("nothing more can be asked of the job here"), "{text}");
}

fn end_all(rig: &Rig) {
    for kept in kept(rig) {
        assert_eq!(kept.state, JobState::GoesOn);
        end(rig, &kept.job);
    }
}

#[tokio::test(start_paused = true)]
async fn the_versions_that_a_service_can_go_back_to_are_told_with_what_became_of_them() {
    let mut rig = Rig::new();
    let path = "/v1/services/object-store/versions";
    let (status, _, text) = ask(&rig, "GET", path, "").await;
    assert_eq!((status, code(&text)), (StatusCode::SERVICE_UNAVAILABLE, "no_turn_yet".to_owned()));
    rig.ticks(6, 1).await;
    rig.deploy(&[(&store_file(), 2)]);
    rig.ticks(20, 1).await;
    let (status, _, text) = ask(&rig, "GET", path, "").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["service"], "object-store");
    let told: Vec<_> = answer["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["version"].clone(), it["state"].clone()))
        .collect();
    assert_eq!(told, [(json!("00000002"), json!("serves")), (json!("00000001"), json!("kept"))]);
    assert_eq!(ask(&rig, "GET", "/v1/services/nothing/versions", "").await.0, 404);
}
