//! Queries, field by field, so that what is wrong with one can be said of it.

use std::str::FromStr;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use model::output::harmless;
use model::time::Timestamp;
use service::problem::Problem;

/// The fields of a query that nobody has asked for yet.
#[derive(Debug)]
pub(crate) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Fields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Query<Vec<(String, String)>>, QueryRejection> =
            Query::from_request_parts(parts, state).await;
        let Query(fields) =
            read.map_err(|_| bad("The query is not understood: write NAME=VALUE&NAME=VALUE."))?;
        let mut names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(bad(format!("{} is given twice: give it once.", harmless(twice[0]))));
        }
        Ok(Self(fields))
    }
}

impl Fields {
    /// The value of a field.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// The value of a field, as what it says.
    pub(crate) fn value<T: FromStr>(
        &mut self,
        name: &str,
        allowed: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let refused = || bad(format!("{name} is {:?}: use {allowed}.", harmless(&text)));
        text.parse().map(Some).map_err(|_| refused())
    }

    /// A whole number from 1 to `most`, and that where there is none.
    pub(super) fn limit(&mut self, name: &str, most: usize) -> Result<usize, Problem> {
        Ok(self.given(name, most)?.unwrap_or(most))
    }

    /// A whole number from 1 to `most`, where there is one.
    pub(super) fn given(&mut self, name: &str, most: usize) -> Result<Option<usize>, Problem> {
        let allowed = format!("a whole number from 1 to {most}");
        match self.value(name, &allowed)? {
            Some(given) if !(1..=most).contains(&given) => {
                Err(bad(format!("{name} is {given}: use {allowed}.")))
            }
            given => Ok(given),
        }
    }

    /// So many of the newest, 1 to `most`; `None` where that is not asked for. None of `others` is there beside it.
    pub(super) fn newest(
        &mut self,
        others: [&str; 2],
        most: usize,
    ) -> Result<Option<usize>, Problem> {
        if !self.0.iter().any(|(name, _)| name == "newest") {
            return Ok(None);
        }
        if let Some((other, _)) = self.0.iter().find(|(name, _)| others.contains(&name.as_str())) {
            return Err(bad(format!("newest is there beside {other}: leave one of them out.")));
        }
        self.limit("newest", most).map(Some)
    }

    /// A moment, in milliseconds since 1970.
    pub(crate) fn moment(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let millis = self.value(name, "a moment in milliseconds since 1970")?;
        Ok(millis.map(Timestamp::from_millis))
    }

    /// No field is left.
    pub(crate) fn end(self, known: &str) -> Result<(), Problem> {
        let Some((name, _)) = self.0.first() else { return Ok(()) };
        Err(bad(format!("There is no field {:?} here: use {known}.", harmless(name))))
    }
}

/// A query that cannot be followed.
pub(super) fn bad(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
}
