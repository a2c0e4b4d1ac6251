//! What an operator sets while the system runs.

use model::bounds::Bounds;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::status::{HoldStatus, InForce, Membership};
use reqwest::header;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use crate::{Scaler, ScalerError};

/// A value, and the tag that it has as long as nobody changes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tagged<T> {
    /// The value.
    pub value: T,
    /// Its `ETag`, with the quotes.
    pub tag: String,
}

/// One of the settings; `None` goes back to what the service's file or the host's settings say.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting<'a> {
    /// The policy of the service of that name.
    Policy(&'a str, Option<PolicySpec>),
    /// The bounds of the service of that name.
    Bounds(&'a str, Option<Bounds>),
    /// How HAProxy learns of members, for the whole host.
    Membership(Option<Membership>),
}

impl Setting<'_> {
    /// Where the API has it.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Policy(service, _) => format!("/v1/services/{service}/policy"),
            Self::Bounds(service, _) => format!("/v1/services/{service}/bounds"),
            Self::Membership(_) => "/v1/membership".to_owned(),
        }
    }

    /// What the API is told, as JSON; `None` takes it back.
    pub(crate) fn body(&self) -> Option<Value> {
        match self {
            Self::Policy(_, policy) => policy.as_ref().map(|policy| json!(policy)),
            Self::Bounds(_, bounds) => bounds.map(|bounds| json!(bounds)),
            Self::Membership(way) => way.map(|way| json!({ "membership": way })),
        }
    }
}

impl Scaler {
    /// The bounds of a service.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn bounds(
        &self,
        service: &ServiceName,
    ) -> Result<Tagged<InForce<Bounds>>, ScalerError> {
        self.tagged(&format!("/v1/services/{service}/bounds")).await
    }

    /// The policy of a service.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn policy(
        &self,
        service: &ServiceName,
    ) -> Result<Tagged<InForce<PolicySpec>>, ScalerError> {
        self.tagged(&format!("/v1/services/{service}/policy")).await
    }

    /// What a service is held at.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn held(&self, service: &ServiceName) -> Result<Tagged<HoldStatus>, ScalerError> {
        self.tagged(&format!("/v1/services/{service}/hold")).await
    }

    /// Changes a setting, as long as it has this tag.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it: somebody has changed it meanwhile.
    pub async fn set_as_read(&self, setting: &Setting<'_>, tag: &str) -> Result<(), ScalerError> {
        let url = self.url(&setting.path());
        let request = match setting.body() {
            Some(body) => self.http.put(url).json(&body),
            None => self.http.delete(url),
        };
        let _status: IgnoredAny = self.answer(request.header(header::IF_MATCH, tag)).await?;
        Ok(())
    }

    /// Bounds as they would be set; nothing is.
    ///
    /// # Errors
    /// No answer, or they would be refused.
    pub async fn check_bounds(
        &self,
        service: &ServiceName,
        bounds: Bounds,
    ) -> Result<Bounds, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/bounds/check"));
        self.answer(self.http.post(url).json(&bounds)).await
    }

    /// A policy as it would be set, with every figure; nothing is.
    ///
    /// # Errors
    /// No answer, or it would be refused.
    pub async fn check_policy(
        &self,
        service: &ServiceName,
        policy: &PolicySpec,
    ) -> Result<PolicySpec, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/policy/check"));
        self.answer(self.http.post(url).json(policy)).await
    }

    pub(crate) async fn tagged<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Tagged<T>, ScalerError> {
        let answer = self.accepted(self.http.get(self.url(path))).await?;
        let tag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.unwrap_or_default().to_owned();
        let body = answer.bytes().await.map_err(|source| self.away(source))?;
        let value = serde_json::from_slice(&body).map_err(|source| self.strange(source))?;
        Ok(Tagged { value, tag })
    }
}
