//! The page of a service's policy without scripts: what holds, who said so, and what it means.

use model::bounds::Bounds;
use model::feed::FeedLine;
use model::policies::{PolicyKind, PolicySpec};
use model::status::ServiceOverrides;

use crate::history::now;
use crate::scaler::{Console, FakeScaler, folder};

/// The page of a shop with this policy, set by an operator where that is so.
async fn page(policy: PolicySpec, set: ServiceOverrides) -> String {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let mut feed = console::samples::service_feed("shop", now().as_millis(), &[]);
    feed.status.policy = policy.to_string();
    feed.status.policy_spec = policy;
    feed.status.set = set;
    scaler.tell(&[FeedLine::Service(Box::new(feed))]);
    console.until("/v1/services", |it| it["services"][0].is_object()).await;
    let answer = console.ask("/services/shop/policy", &[]).await;
    assert_eq!(answer.status().as_u16(), 200);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn the_policy_in_force_is_told_with_every_figure_its_default_and_its_meaning() {
    let json = r#"[{"kind":"hpa","target_percent":71.5},{"kind":"schedule","time_zone":"Asia/Kathmandu"}]"#;
    let policy = serde_json::from_str(json).unwrap();
    let html = page(policy, ServiceOverrides::default()).await;
    for part in [
        "<strong>hpa+schedule</strong>, as its file says",
        "<strong>1 to 10</strong> instances, as its file says",
        "<code>target_percent</code><small>The mean per instance to aim for.</small></th>\
         <td class=\"n\">71.5 %<small>80 % by default</small></td>",
        "recommendation of this time counts.</small></th><td class=\"n\">300000 ms<small>by default</small></td>",
        "Asia/Kathmandu",
        "How far the measure may lie off its target without a change.",
        "aria-current=\"page\">Policy</a>",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    assert!(html.len() < 80_000, "{}", html.len());
}

#[tokio::test]
async fn what_an_operator_set_is_told_as_such_and_what_lacks_figures_as_off() {
    let policy = PolicySpec::from(PolicyKind::Ratio);
    let bounds = Bounds::new(1, 10).ok();
    let html = page(policy.clone(), ServiceOverrides { bounds, policy: Some(policy) }).await;
    for part in [
        "<strong>ratio</strong>, as an operator set it",
        "<strong>1 to 10</strong> instances, as an operator set it",
        "<strong>It is off until its figures are set.</strong>",
        "Growing multiplies by this, and rounds up.</small></th><td class=\"n\">not set<small>by default</small></td>",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    let waiting = ServiceOverrides { bounds: None, policy: Some(PolicyKind::Hpa.into()) };
    let html = page(PolicyKind::Hist.into(), waiting).await;
    assert!(html.contains("as its file says, since what an operator set does not go"), "{html}");
    assert!(!html.contains("It is off until its figures are set.</strong>"), "{html}");
}

#[tokio::test]
async fn the_form_needs_scripts_and_has_every_kind_of_policy_with_what_is_allowed() {
    let html = page(PolicySpec::default(), ServiceOverrides::default()).await;
    assert!(html.contains("<div id=\"settings\" data-service=\"shop\" data-needs-scripts hidden>"));
    for kind in PolicyKind::all() {
        assert!(html.contains(&format!("<template data-template=\"{kind}\">")), "{kind}");
    }
    for part in [
        "1 to 100, 80 where it is empty.",
        "step=\"1\" min=\"0\" max=\"86400000\" placeholder=\"60000\"",
        "1.01 to 100, or empty.",
        "<input type=\"checkbox\" value=\"mon\">",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}
