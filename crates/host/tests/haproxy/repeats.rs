//! What is sent to an instance again, and how often, by RFC 9110, 9.2.2.

use std::sync::atomic::Ordering;
use std::time::Duration;

use host::haproxy::{LoadBalancer, ServerState};
use host::settings::Membership;
use reqwest::{Client, Method};

use super::rig::{Instance, Load, Rig, Unanswered};

/// The status, the error's code, and how many instances had the request.
async fn outcome(request: reqwest::RequestBuilder, unanswered: &Unanswered) -> (u16, String, u64) {
    let before = unanswered.load(Ordering::Relaxed);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json");
    let problem: serde_json::Value =
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
    let code = problem["error"]["code"].as_str().unwrap_or_default().to_owned();
    (status, code, unanswered.load(Ordering::Relaxed) - before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotent_request_without_a_condition_is_sent_again_once_and_no_other_is() {
    let mut rig = Rig::start(Membership::Runtime, 2).await;
    let unanswered = Unanswered::default();
    let _first = rig.scale_out_counting(1, &unanswered).await;
    let _second = rig.scale_out_counting(2, &unanswered).await;
    let kept = Client::builder().no_proxy().build().unwrap();
    let fresh = Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let conditions =
        ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"];
    let methods = [
        ("GET", 2),
        ("OPTIONS", 2),
        ("TRACE", 2),
        ("PUT", 2),
        ("DELETE", 2),
        ("POST", 1),
        ("PATCH", 1),
        ("LOCK", 1),
    ];
    for client in [&fresh, &kept] {
        // A connection that has had an answer: the failure of a later request is told there too.
        assert_eq!(client.get(rig.url("/")).send().await.unwrap().status(), 200);
        for (method, tries) in methods {
            let method: Method = method.parse().unwrap();
            let request = || client.request(method.clone(), rig.url("/leave")).body("x");
            let expected = |tries| (502, "bad_gateway".to_owned(), tries);
            assert_eq!(outcome(request(), &unanswered).await, expected(tries), "{method}");
            for condition in conditions {
                let request = request().header(condition, "*");
                let seen = outcome(request, &unanswered).await;
                assert_eq!(seen, expected(1), "{method} with {condition}");
            }
        }
    }
    // Its answer has no body.
    let head = outcome(kept.head(rig.url("/leave")), &unanswered).await;
    assert_eq!(head, (502, String::new(), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_get_that_kills_what_serves_it_kills_two_instances() {
    for membership in [Membership::Runtime, Membership::Reload] {
        let mut rig = Rig::start(membership, 4).await;
        let deaths = Unanswered::default();
        let mut instances = Vec::new();
        for number in 1..=4 {
            instances.push(rig.scale_out_counting(number, &deaths).await.0);
        }
        let client = Client::builder().no_proxy().build().unwrap();
        let told = outcome(client.get(rig.url("/die")), &deaths).await;
        assert_eq!(told, (502, "bad_gateway".to_owned(), 2));
        for _ in 0..10 {
            assert_eq!(client.get(rig.url("/")).send().await.unwrap().status(), 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_that_killed_the_only_instance_waits_for_the_next_and_meets_no_third() {
    for membership in [Membership::Runtime, Membership::Reload] {
        let mut rig = Rig::start(membership, 3).await;
        let deaths = Unanswered::default();
        let _first = rig.scale_out_counting(1, &deaths).await;
        let client = Client::builder().no_proxy().build().unwrap();
        let asked = tokio::spawn({
            let (request, deaths) = (client.get(rig.url("/die")), deaths.clone());
            async move { outcome(request, &deaths).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(deaths.load(Ordering::Relaxed), 1);
        assert!(!asked.is_finished());
        rig.set(1, ServerState::Maint);
        rig.apply().await;
        let _second = rig.scale_out_counting(2, &deaths).await;
        assert_eq!(asked.await.unwrap(), (502, "bad_gateway".to_owned(), 2));
        let _third = rig.scale_out_counting(3, &deaths).await;
        assert_eq!(client.get(rig.url("/")).send().await.unwrap().status(), 200);
        assert_eq!(deaths.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_instances_that_die_at_once_cost_no_request_that_may_be_repeated() {
    let mut rig = Rig::start(Membership::Runtime, 3).await;
    let mut instances = Vec::new();
    for number in 1..=3 {
        instances.push(Some(rig.scale_out(number).await.0));
    }
    let load = Load::repeatable(rig.url("/"));
    for kept in [0, 1, 2, 0] {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let dead: Vec<_> = (0..3).filter(|index| *index != kept).collect();
        dead.iter().for_each(|index| instances[*index] = None);
        tokio::time::sleep(Duration::from_millis(500)).await;
        for index in dead {
            let address = rig.servers[index].address;
            instances[index] = Some(Instance::start(address));
        }
        // The checks find them well again.
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    load.stop().await;
}

/// A request of which an instance has had nothing is no matter of RFC 9110, 9.2.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_sent_is_tried_again_whatever_its_method() {
    let mut rig = Rig::start(Membership::Runtime, 4).await;
    let _only = rig.scale_out(4).await;
    // In rotation, and nobody listens there.
    for number in 1..=3 {
        rig.set(number, ServerState::Ready);
    }
    rig.haproxy.apply(&rig.backends()).await.unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    for method in [Method::POST, Method::PATCH, Method::PUT, Method::POST] {
        let request = client.request(method, rig.url("/")).header("if-none-match", "*").body("x");
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
}
