//! What instances write is told by right.

use super::doors::{operators, send, token};
use super::*;
use crate::doors::identify::{self, Unnamed};

/// What the instance wrote last.
const HUSH: &str = "the password is hunter2";

const OUTPUT: &str = "/v1/services/object-store/output";

/// Where the last lines of an instance that ended are told as well.
const BESIDE: [&str; 3] = ["/v1/ticks", "/v1/services", "/v1/services/object-store"];

/// A host with two services, of which an instance of the store wrote a line and ended.
async fn rig() -> Rig {
    let mut rig = Rig::with_files(&[(&store_file(), 1), (&set::later(), 1)]);
    rig.ticks(6, 1).await;
    let instance = rig.status().instances[0].name.clone();
    let folder = rig.state.path().join("output/object-store");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{instance}.log")), format!("1 e {HUSH}\n")).unwrap();
    rig.actor.containers().die(&instance);
    rig.ticks(6, 1).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn what_instances_write_is_told_to_who_may_read_their_service_alone() {
    let rig = rig().await;
    let reads = token(&rig, "r", r#"{"rights":["read"],"services":["object-store"]}"#).await;
    let host = token(&rig, "host", r#"{"rights":["all"]}"#).await;
    let operates = token(&rig, "o", r#"{"rights":["operate"],"services":["object-store"]}"#).await;
    let deploys = token(&rig, "d", r#"{"rights":["deploy"]}"#).await;
    let other = token(&rig, "other", r#"{"rights":["all"],"services":["later"]}"#).await;
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let by_operators = operators(&rig);
    for (since, told) in [(1, true), (2, false)] {
        let path = format!("{OUTPUT}?since_ms={since}");
        let (_, text) = send(&by_operators, ("GET", &path, ""), &[("host", "127.0.0.1")]).await;
        assert_eq!(text.contains(HUSH), told, "since {since}: {text}");
    }
    for (who, routes, secret, status) in [
        ("an operator", &by_operators, None, 200),
        ("read", &console, Some(&reads), 200),
        ("all", &console, Some(&host), 200),
        ("operate", &console, Some(&operates), 403),
        ("deploy", &console, Some(&deploys), 403),
        // It does not learn that there is such a service.
        ("all of another service", &console, Some(&other), 404),
        ("nobody", &console, None, 401),
    ] {
        let bearer = secret.map(|secret| format!("Bearer {secret}"));
        let bearer = bearer.as_ref().map(|bearer| ("authorization", bearer.as_str()));
        let headers: Vec<_> = [("host", "127.0.0.1")].into_iter().chain(bearer).collect();
        let (answered, text) = send(routes, ("GET", OUTPUT, ""), &headers).await;
        assert_eq!((answered.as_u16(), text.contains(HUSH)), (status, status == 200), "{who}");
        for path in BESIDE {
            let (_, text) = send(routes, ("GET", path, ""), &headers).await;
            assert_eq!(text.contains(HUSH), status == 200, "{who}: {path}: {text}");
        }
    }
}
