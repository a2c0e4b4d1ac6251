//! What is told of an episode: that it began, or that it ended.

use host::settings::EpisodeKind;
use model::names::ServiceName;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The form of a message's body. Another number says that fields went or mean something else.
pub const FORMAT: u32 = 1;

/// Which end of an episode is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Change {
    /// It goes on from now.
    Began,
    /// It is over.
    Ended,
}

/// What is told. Nothing of what an instance wrote is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What the episode is about.
    pub kind: EpisodeKind,
    /// Whether it began or ended.
    pub state: Change,
    /// Of which service; `None` of the whole host.
    pub service: Option<ServiceName>,
    /// When that was seen.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The episode, the same in its two messages.
    pub episode: String,
    /// A sentence for people.
    pub text: String,
}

/// A message as it is posted.
#[derive(Debug, Serialize)]
struct Body<'a> {
    format: u32,
    kind: EpisodeKind,
    state: Change,
    service: Option<&'a ServiceName>,
    at_ms: Timestamp,
    episode: &'a str,
    host: &'a str,
    text: &'a str,
}

impl Message {
    /// The same for each attempt to send it, and for no other message: a receiver that knows it has been told.
    pub fn key(&self) -> String {
        let state: &str = self.state.into();
        format!("{}-{state}", self.episode)
    }

    /// The JSON that is posted, said by this host.
    pub fn body(&self, host: &str) -> String {
        let Self { kind, state, service, at, episode, text } = self;
        let body = Body {
            format: FORMAT,
            kind: *kind,
            state: *state,
            service: service.as_ref(),
            at_ms: *at,
            episode,
            host,
            text,
        };
        // Plain data with texts as keys cannot fail to be JSON.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_form_that_is_documented() {
        let message = Message {
            kind: EpisodeKind::AtMaximum,
            state: Change::Began,
            service: Some("store".parse().unwrap()),
            at: Timestamp::from_millis(1_764_468_000_000),
            episode: "at_maximum-store-1764468000000".to_owned(),
            text: "store needs more.".to_owned(),
        };
        insta::assert_snapshot!(message.body("web1"), @r#"{"format":1,"kind":"at_maximum","state":"began","service":"store","at_ms":1764468000000,"episode":"at_maximum-store-1764468000000","host":"web1","text":"store needs more."}"#);
        assert_eq!(message.key(), "at_maximum-store-1764468000000-began");
        let ended = Message { state: Change::Ended, service: None, ..message };
        assert_eq!(ended.key(), "at_maximum-store-1764468000000-ended");
        assert!(ended.body("web1").contains(r#""state":"ended","service":null"#));
    }
}
