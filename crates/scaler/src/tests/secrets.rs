//! Secrets by the API: who may set and list them, and that no value comes back.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use model::access::{Changed, MadeToken, Who};
use model::secrets::{SECRET_MAX_BYTES, SecretChange, SecretValue, Secrets};
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::doors::identify::{self, Unnamed};

const VALUE: &str = "correct-horse-battery-staple";
const DB: &str = "/v1/services/object-store/secrets/db";
const LIST: &str = "/v1/services/object-store/secrets";

struct Client {
    routes: Router,
    token: Option<String>,
}

impl Client {
    async fn send(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.into())).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn code(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (status, text) = self.send(method, path, body).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        (status.as_u16(), answer["error"]["code"].as_str().unwrap_or("ok").to_owned())
    }
}

fn operator(rig: &Rig) -> Client {
    Client { routes: identify::routes(&rig.shared, Unnamed::Operates { uid: 0 }), token: None }
}

fn reader(rig: &Rig) -> Client {
    Client { routes: identify::routes(&rig.shared, Unnamed::Reads), token: None }
}

async fn with_token(rig: &Rig, name: &str, right: &str, service: &str) -> Client {
    let grant = format!(r#"{{"rights":["{right}"],"services":["{service}"]}}"#);
    let shared = Arc::clone(&rig.shared);
    let grant = serde_json::from_str(&grant).unwrap();
    let MadeToken { secret, .. } = shared.make_token(root(), name.parse().unwrap(), grant).unwrap();
    Client { token: Some(secret), ..reader(rig) }
}

#[tokio::test(start_paused = true)]
async fn operators_and_who_may_deploy_a_service_set_its_secrets_and_nobody_else() {
    let rig = Rig::new();
    assert_eq!(operator(&rig).code("PUT", DB, VALUE).await, (200, "ok".to_owned()));
    let deploys = with_token(&rig, "ci", "deploy", "object-store").await;
    assert_eq!(deploys.code("PUT", DB, "another").await, (200, "ok".to_owned()));
    let other = "/v1/services/other/secrets/db";
    for (client, path, refused) in [
        (&deploys, other, (403, "too_few_rights")),
        (&with_token(&rig, "op", "operate", "object-store").await, DB, (403, "too_few_rights")),
        (&with_token(&rig, "page", "read", "object-store").await, DB, (403, "too_few_rights")),
        (&reader(&rig), DB, (401, "unauthorized")),
    ] {
        for method in ["PUT", "DELETE"] {
            let (status, code) = client.code(method, path, VALUE).await;
            assert_eq!((status, code.as_str()), refused, "{method} {path}");
        }
    }
    // A service is not deployed before its secrets are set.
    assert_eq!(operator(&rig).code("PUT", other, VALUE).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn which_secrets_there_are_is_told_to_operators_and_tokens_and_no_value_to_anybody() {
    let rig = Rig::new();
    let by_root = operator(&rig);
    let (_, answer) = by_root.send("PUT", DB, VALUE).await;
    let (_, again) = by_root.send("PUT", DB, VALUE).await;
    let change: SecretChange = serde_json::from_str(&again).unwrap();
    assert_eq!(change.before, Some(change.after), "the same value is no change");
    let reads = with_token(&rig, "page", "read", "object-store").await;
    let deploys = with_token(&rig, "ci", "deploy", "object-store").await;
    let mut answers = vec![answer, again];
    for client in [&by_root, &reads, &deploys] {
        let (status, text) = client.send("GET", LIST, "").await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let Secrets { secrets } = serde_json::from_str(&text).unwrap();
        assert_eq!((secrets.len(), secrets[0].name.as_str()), (1, "db"));
        assert_eq!((&secrets[0].set_by, secrets[0].generation), (&root(), change.after));
        answers.push(text);
    }
    assert_eq!(reader(&rig).code("GET", LIST, "").await, (401, "unauthorized".to_owned()));
    let operates = with_token(&rig, "op", "operate", "object-store").await;
    assert_eq!(operates.code("GET", LIST, "").await, (403, "too_few_rights".to_owned()));
    for path in ["/v1/changes", "/v1/services", "/v1/ticks"] {
        answers.push(by_root.send("GET", path, "").await.1);
    }
    assert!(answers.iter().all(|answer| !answer.contains(VALUE)), "{answers:?}");
    let files = std::fs::read_dir(rig.state.path()).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.is_file()) {
        let text = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(VALUE), "{}", file.display());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_secret_is_refused_in_a_sentence_and_changes_nothing() {
    let rig = Rig::new();
    let by_root = operator(&rig);
    let megabyte = "x".repeat(1 << 20);
    let most = "x".repeat(SECRET_MAX_BYTES);
    for (path, body, code, told) in [
        (DB, "", "bad_secret", "the secret is empty"),
        (DB, "\n", "bad_secret", "the secret is empty"),
        (DB, &megabyte, "bad_secret", "the secret has more than 65536 bytes"),
        (DB, &format!("{most}x"), "bad_secret", "the secret has more than 65536 bytes"),
        ("/v1/services/object-store/secrets/.db", VALUE, "bad_name", "`.db` is not the name of a"),
        (
            "/v1/services/object-store/secrets/a%2Fb",
            VALUE,
            "bad_name",
            "`a/b` is not the name of a",
        ),
        ("/v1/services/A/secrets/db", VALUE, "bad_name", "`A` is not a name"),
    ] {
        let (status, text) = by_root.send("PUT", path, body).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status.as_u16(), answer["error"]["code"].as_str()),
            (422, Some(code)),
            "{text}"
        );
        assert!(text.contains(told), "{text}");
    }
    assert!(rig.shared.secrets(&store()).unwrap().secrets.is_empty());
    for good in ["two\nlines\n", &most] {
        assert_eq!(by_root.code("PUT", DB, good).await, (200, "ok".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_removed_once_the_services_file_does_not_name_it() {
    let rig = Rig::new();
    let by_root = operator(&rig);
    assert_eq!(by_root.code("DELETE", DB, "").await, (404, "no_such_secret".to_owned()));
    by_root.send("PUT", DB, VALUE).await;
    let named =
        store_file().replacen("port = 8000", "port = 8000\nsecrets = [{ name = \"db\" }]", 1);
    let named: ServiceSpec = config_file::from_toml("a.toml", &named).unwrap();
    let without = rig.deployed();
    rig.services.replace([DeployedService { spec: named, ..without.clone() }]);
    let (status, text) = by_root.send("DELETE", DB, "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        text.contains(
            "the file of the service object-store names the secret `db`: remove it there"
        ),
        "{text}"
    );
    rig.services.replace([without]);
    assert_eq!(by_root.code("DELETE", DB, "").await, (200, "ok".to_owned()));
    assert!(rig.shared.secrets(&store()).unwrap().secrets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_set_is_a_change_with_who_also_when_no_scaler_ran() {
    let mut rig = Rig::new();
    let deploys = with_token(&rig, "ci", "deploy", "object-store").await;
    deploys.send("PUT", DB, VALUE).await;
    deploys.send("PUT", DB, VALUE).await;
    let secrets = rig.secrets();
    let value = SecretValue::new(b"of anna".to_vec()).unwrap();
    let anna = Who::Operator { uid: 1000, user: Some("anna".to_owned()) };
    let by = (anna.clone(), crate::clock::now());
    secrets.set(&store(), &"key".parse().unwrap(), &value, by).unwrap();
    secrets.remove(&store(), &"db".parse().unwrap(), None).unwrap();
    rig.restart().await;
    rig.restart().await;
    let told: Vec<_> = rig
        .shared
        .changes(0, 99)
        .into_iter()
        .filter_map(|change| match change.changed {
            Changed::Secret { name, before, after, .. } => {
                Some((change.who, name.to_string(), before.is_some(), after.is_some()))
            }
            _ => None,
        })
        .collect();
    let ci = Who::Token { name: "ci".parse().unwrap() };
    let expected = [
        (ci, "db".to_owned(), false, true),
        (root(), "db".to_owned(), true, false),
        (anna, "key".to_owned(), false, true),
    ];
    assert_eq!(told, expected);
}
