//! Who is let in: any program of the host can ask, any page in a browser there tries to, and with `listen.api` beyond
//! loopback anybody can try.

mod rates;

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use service::bearer::{bearer, unauthorized};
use service::origin::{self, Place};
use service::problem::Problem;

use super::asker::Asker;
use super::forward::list;
use crate::rights::Rights;
use crate::{openapi, pages};
use rates::Rates;

/// What lets somebody in.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether who sends no token may read: on loopback, where every user of the host may know what runs.
    pub unnamed_read: bool,
    /// The names that this host is known by, beside its addresses and `localhost`. By one of these a request came by way
    /// of a proxy, behind which anybody can be.
    pub hosts: Vec<String>,
    /// Times as many requests as usual that are let in: 1, but for a test that asks for everything.
    pub rate_factor: NonZeroU32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { unnamed_read: true, hosts: Vec::new(), rate_factor: NonZeroU32::MIN }
    }
}

/// The one way in.
#[derive(Debug)]
pub(super) struct Door {
    rules: Rules,
    rights: Rights,
    rates: Rates,
}

impl Door {
    pub(super) fn new(rules: Rules, rights: Rights) -> Self {
        let rates = Rates::new(rules.rate_factor);
        Self { rules, rights, rates }
    }

    /// Who sends a request: whoever has its token, or nobody by name. What is open to all needs no name.
    async fn asker(&self, is_open: bool, headers: &HeaderMap) -> Result<Option<Asker>, Problem> {
        if is_open {
            return Ok(None);
        }
        let Some(secret) = bearer(headers)? else { return Ok(None) };
        let token = self.rights.of(secret).await?;
        Ok(Some(Asker::Named { token, secret: secret.to_owned() }))
    }
}

/// Lets a request in, or refuses it.
pub(super) async fn admit(
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let is_login = list::is_login(request.method(), request.uri().path());
    let is_open = is_login || is_open(request.uri().path());
    // Counted before anything refuses it: a refusal takes time too.
    let asker = door.asker(is_open, request.headers()).await;
    match &asker {
        _ if is_login => door.rates.count_login()?,
        Ok(Some(Asker::Named { token, .. })) => door.rates.count_named(&token.name, &request)?,
        Ok(_) => door.rates.count_unnamed(&request)?,
        Err(_) => door.rates.count_wrong()?,
    }
    let place = origin::check(request.headers(), &door.rules.hosts)?;
    let asker = match asker? {
        Some(asker) => asker,
        None if door.rules.unnamed_read && place == Place::Here => Asker::Reader,
        None if is_open || pages::is_part(request.uri().path()) => Asker::Stranger,
        None => return Err(unauthorized("From beyond the host, reading needs a token.")),
    };
    request.extensions_mut().insert(asker);
    let mut answer = next.run(request).await;
    // What one may see another may not, and all of it is of this moment.
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
    answer
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(answer)
}

/// What tells nothing of this host but that it is there.
fn is_open(path: &str) -> bool {
    path == super::HEALTH || openapi::is_part(path)
}
