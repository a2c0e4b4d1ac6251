use model::instance::{Ended, InstanceStatus, Phase};
use model::names::{InstanceName, ServiceName, Slot};
use model::status::{HostStatus, ServiceStatus};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use scaler_client::{InstanceLoad, InstanceRates, ScalerError};

use super::*;
use crate::events::Event;
use crate::top::ask::Answer;
use crate::top::keys::Action;
use crate::top::load::Told;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn ago(seconds: u64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - 1_000 * seconds)
}

/// A service of which the last turn decided on more than it has.
pub(crate) fn status(name: &str) -> ServiceStatus {
    let phases = r#"{"starting":1,"ready":2,"draining":1,"failed":0}"#;
    let json = format!(
        r#"{{"name":"{name}","route":"/","bounds":{{"min":1,"max":10}},"policy":"target_tracking",
        "policy_spec":{{"kind":"hpa"}},"objective_ms":250,
        "wanted":{{"version":"00000001","deployed_at_ms":1}},
        "rollout":{{"state":"serving","version":"00000001"}},
        "set":{{"bounds":null,"policy":null}},"phases":{phases},"instances":[],
        "tick":{{"sequence":1,"at_ms":1795000000000,"service":"{name}","observation":{{"offered_rps":120.5,
        "served_rps":118.0,"rejected_rps":null,"queued":7,"in_flight":16,"cpu_cores":1.25,"phases":{phases}}},
        "decision":{{"kind":"target","ready":4,"reasons":["OfferedLoad","AtMax"]}},"plan":[],"blocked":["HostMemory"],
        "done":[]}}}}"#
    );
    let mut status: ServiceStatus = serde_json::from_str(&json).unwrap();
    let service: ServiceName = name.parse().unwrap();
    let phases = [Phase::Ready, Phase::Ready, Phase::Starting, Phase::Draining];
    let instances = (1..).zip(phases).map(|(slot, phase)| {
        let number = u8::try_from(slot).unwrap();
        let slot = Slot::try_from(slot).unwrap();
        InstanceStatus {
            name: InstanceName::new(&service, slot, ago(600)),
            slot,
            address: [10, 117, 0, number].into(),
            version: status.wanted.version.into(),
            phase,
            since: ago(90),
            to_be_removed: slot.to_string() == "2",
        }
    });
    status.instances = instances.collect();
    status
}

/// Three services, the first one idle, and what happened.
fn state() -> State {
    let idle = {
        let mut status = status("blog");
        let tick = status.tick.as_mut().unwrap();
        tick.decision = model::decision::Decision::Hold { reasons: vec![] };
        tick.observation.offered_rps = None;
        tick.observation.queued = None;
        tick.blocked.clear();
        status.instances.clear();
        status.phases = Default::default();
        status
    };
    let services = vec![idle, status("object-store"), status("shop")];
    let event = |index: u64| Event {
        at: ago(40 - index),
        service: Some("shop".parse().unwrap()),
        text: format!("shop: bw-shop-{index}-mwm0nk74 is ready, after 8{index} ms"),
    };
    let mut state = State::default();
    let host = HostStatus { services, ..HostStatus::default() };
    state.took(Ok(Answer { at: ago(1), host, events: (0..20).map(event).collect() }));
    state.took_loads(vec![told()]);
    state.act(Action::Last);
    state
}

/// What the feed told of instances of the shop: of one all, of one that is new no rates, and nothing of the others.
fn told() -> Told {
    let shop = status("shop");
    let rates = InstanceRates { cpu_cores: Some(0.625), requests_rps: Some(60.25) };
    let load = |(instance, rates): (&InstanceStatus, Option<InstanceRates>)| InstanceLoad {
        name: instance.name.clone(),
        phase: instance.phase,
        in_flight: Some(8),
        memory_bytes: Some(47 << 20),
        rates,
    };
    let loads = shop.instances.iter().zip([Some(rates), None]).map(load).collect();
    Told { at: ago(2), service: shop.name, loads }
}

fn drawn(state: &State, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(state, NOW, Theme::Coloured, frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_wide_terminal_shows_all_columns_and_panes() {
    insta::assert_snapshot!(drawn(&state(), (120, 30)));
}

#[test]
fn a_usual_terminal_leaves_out_the_columns_that_matter_least() {
    insta::assert_snapshot!(drawn(&state(), (80, 24)));
}

#[test]
fn a_narrow_and_short_terminal_shows_what_matters_most() {
    insta::assert_snapshot!(drawn(&state(), (40, 12)));
}

#[test]
fn what_an_instance_does_is_seen_on_a_terminal_of_44_columns() {
    let mut state = state();
    // Without the widest phase, that of one which leaves.
    let shop = &mut state.picture.as_mut().unwrap().services[2];
    shop.instances.iter_mut().for_each(|instance| instance.to_be_removed = false);
    insta::assert_snapshot!(drawn(&state, (44, 14)));
}

#[test]
fn eight_rows_show_the_pane_that_has_the_keys() {
    let mut state = state();
    let services = drawn(&state, (40, 8));
    state.act(Action::NextPane);
    let instances = drawn(&state, (40, 8));
    state.act(Action::NextPane);
    insta::assert_snapshot!([services, instances, drawn(&state, (40, 8))].join("\n"));
}

#[test]
fn what_was_known_stays_with_its_age_while_the_scaler_does_not_answer() {
    let mut state = state();
    state.took(Err(ScalerError::Silent { address: "/run/a".to_owned() }));
    let mut terminal = Terminal::new(TestBackend::new(100, 20)).unwrap();
    let later = Timestamp::from_millis(NOW.as_millis() + 59_000);
    terminal.draw(|frame| draw(&state, later, Theme::Coloured, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let is_dim = |row: u16| buffer[(0, row)].modifier.contains(Modifier::DIM);
    assert!((1..20).all(is_dim), "what is not of this moment is greyed");
    let text = terminal.backend().to_string();
    assert!(text.contains("NO ANSWER for 1 min 0 s: the scaler at /run/a"), "{text}");
    assert!(text.contains("shop"), "{text}");
}

#[test]
fn before_the_first_answer_it_says_that_there_is_none() {
    let mut state = State::default();
    assert!(drawn(&state, (60, 10)).contains("asking the scaler"));
    state.took(Err(ScalerError::Silent { address: "/run/a".to_owned() }));
    assert!(drawn(&state, (60, 10)).contains("NO ANSWER: the scaler at /run/a"));
    state.took(Ok(Answer { at: NOW, host: HostStatus::default(), events: vec![] }));
    assert!(drawn(&state, (60, 10)).contains("No services."));
}

#[test]
fn a_turn_is_explained_and_scrolls_no_further_than_its_end() {
    let mut state = state();
    state.act(Action::Explain);
    assert!(drawn(&state, (80, 24)).contains("shop at 2026-11-18T11:06:40Z: "));
    state.act(Action::Last);
    let end = drawn(&state, (80, 6));
    assert!(end.contains("the host's memory has room for no more instances"), "{end}");
    state.act(Action::Help);
    assert!(drawn(&state, (80, 24)).contains("Keys"));
}

#[test]
fn what_instances_wrote_does_nothing_on_the_terminal() {
    let mut state = state();
    let ended = Ended {
        instance: "bw-shop-1-a".parse().unwrap(),
        version: None,
        last_lines: vec!["oops \u{1b}[31m".to_owned()],
    };
    let mut picture = state.picture.take().unwrap();
    picture.services[2].tick.as_mut().unwrap().ended = vec![ended];
    state.picture = Some(picture);
    state.act(Action::Explain);
    assert!(!drawn(&state, (80, 24)).contains('\u{1b}'));
}

#[test]
fn it_is_drawn_on_any_size() {
    let mut state = state();
    for action in [Action::NextPane, Action::NextPane, Action::NextPane, Action::Explain] {
        for size in [1, 2, 9, 20, 33, 46]
            .into_iter()
            .flat_map(|width| (1..18).map(move |height| (width, height)))
        {
            drawn(&state, size);
        }
        state.act(action);
    }
}
