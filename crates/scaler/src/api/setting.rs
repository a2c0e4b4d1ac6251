//! What can be set while the system runs: how it is told, which tag it has then, and the condition under which it is
//! set (RFC 9110, 13.1.1).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use model::access::{Change, Changed};
use model::names::ServiceName;
use model::service::ServiceSpec;
use model::status::{HoldStatus, InForce};
use serde::Serialize;
use service::entity_tags::TagList;
use service::problem::Problem;
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::shared_state::SharedState;

/// Bytes of the digest in a tag: nobody finds two values with the same 128 bits.
const TAG_BYTES: usize = 16;

/// The header of an answer that tells the tag of a value.
pub(super) type TagHeader = [(HeaderName, HeaderValue); 1];

/// What is set, and of which service.
#[derive(Debug, Clone, Copy)]
pub(super) enum Setting<'a> {
    Bounds(&'a ServiceSpec),
    Policy(&'a ServiceSpec),
    Hold(&'a ServiceSpec),
    /// Of the whole host.
    Membership,
}

/// A value as it is told, and its tag.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) json: String,
    pub(super) tag: String,
}

impl Told {
    /// A value, which is told as JSON.
    pub(super) fn of(value: &impl Serialize) -> Self {
        // Values that were read from JSON cannot fail to be JSON.
        let json = serde_json::to_string(value).unwrap_or_default();
        let digest = Sha256::digest(&json);
        let digits: String =
            digest.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { json, tag: format!("\"{digits}\"") }
    }

    /// The header `ETag`.
    pub(super) fn header(&self) -> TagHeader {
        let value = HeaderValue::from_str(&self.tag);
        [(header::ETAG, value.unwrap_or(HeaderValue::from_static("\"\"")))]
    }
}

impl Setting<'_> {
    /// As it is now.
    pub(super) fn told(self, shared: &SharedState) -> Told {
        match self {
            Self::Bounds(spec) => Told::of(&InForce {
                in_force: shared.bounds(spec),
                set: shared.set_for(&spec.name).bounds,
            }),
            Self::Policy(spec) => Told::of(&InForce {
                in_force: shared.in_force(spec).policy.clone(),
                set: shared.set_for(&spec.name).policy,
            }),
            Self::Hold(spec) => {
                let set = shared.standing().hold(&spec.name, clock::now());
                let bounds = shared.bounds(spec);
                Told::of(&HoldStatus { in_force: set.map(|hold| hold.within(bounds)), set })
            }
            Self::Membership => Told::of(&shared.membership()),
        }
    }

    /// Its name in a sentence.
    fn name(self) -> String {
        match self {
            Self::Bounds(spec) => format!("the bounds of {}", spec.name),
            Self::Policy(spec) => format!("the policy of {}", spec.name),
            Self::Hold(spec) => format!("what {} is held at", spec.name),
            Self::Membership => "the way of membership".to_owned(),
        }
    }

    /// Whether a change was one of it.
    fn is_changed_by(self, changed: &Changed) -> bool {
        let of_file = |spec: &ServiceSpec, table: &str| is_of_file(changed, &spec.name, table);
        match (self, changed) {
            (Self::Bounds(spec), Changed::Bounds { service, .. })
            | (Self::Policy(spec), Changed::Policy { service, .. })
            | (Self::Hold(spec), Changed::Hold { service, .. }) => *service == spec.name,
            (Self::Membership, Changed::Membership { .. }) => true,
            (Self::Bounds(spec), _) => of_file(spec, "bounds"),
            (Self::Policy(spec), _) => of_file(spec, "policy"),
            _ => false,
        }
    }
}

/// Whether a deploy changed this table of the service's file.
fn is_of_file(changed: &Changed, name: &ServiceName, table: &str) -> bool {
    let Changed::ServiceFile { service, keys } = changed else { return false };
    service == name && keys.iter().any(|change| change.key.split('.').next() == Some(table))
}

/// The condition `If-Match` of a request.
#[derive(Debug)]
pub(super) struct IfMatch(Option<TagList>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if !parts.headers.contains_key(header::IF_MATCH) {
            return Ok(Self(None));
        }
        // To take it for absent would do what whoever sends it means to prevent.
        let list = TagList::read(parts.headers.get_all(header::IF_MATCH)).ok_or_else(|| {
            let message = "The header If-Match is not understood: give * alone, or tags in double quotes, separated by \
                           commas.";
            Problem::new(StatusCode::BAD_REQUEST, "bad_condition", message)
        })?;
        Ok(Self(Some(list)))
    }
}

impl IfMatch {
    /// No condition.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Whether there is one.
    pub(super) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it holds for a value as it is now.
    pub(super) fn holds(&self, now: &Told) -> bool {
        self.0.as_ref().is_none_or(|list| list.includes_strongly(Some(now.tag.as_bytes())))
    }

    /// Refuses to set what was changed meanwhile.
    ///
    /// # Errors
    /// 412, with what it is now and who changed it last.
    pub(super) fn check(&self, setting: Setting<'_>, shared: &SharedState) -> Result<(), Problem> {
        let now = setting.told(shared);
        if self.holds(&now) {
            return Ok(());
        }
        let last = shared.last_change(|changed| setting.is_changed_by(changed));
        Err(changed_meanwhile(&setting.name(), &now, last.as_ref()))
    }
}

/// Something is not what whoever sets it took it for.
pub(super) fn changed_meanwhile(name: &str, now: &Told, last: Option<&Change>) -> Problem {
    let who = last.map_or_else(
        || "Who changed it last is not kept.".to_owned(),
        |Change { who, at, .. }| format!("{who} changed it last, at {at}."),
    );
    let message = format!(
        "Now {name} is {}. {who} Nothing was set: read it again, and send its new ETag in If-Match.",
        now.json
    );
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", message);
    let [(header, value)] = now.header();
    problem.with_header(header, value)
}
