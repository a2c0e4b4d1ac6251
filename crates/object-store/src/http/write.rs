//! `PUT` and `DELETE /objs/{id}`.

use std::mem;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use service::problem::Problem;

use super::error::no_such_object;
use super::path::InPath;
use super::{App, blocking};
use crate::condition::Condition;
use crate::id::ObjectId;
use crate::store::{Fields, Store, StoreError, Stored, Upload};

/// A body is handed to the disk in parts of about this many bytes: of each connection, one is in
/// memory, and a small body takes a single trip.
const PART_BYTES: usize = 128 * 1024;

pub(super) async fn put(
    State(app): State<App>,
    InPath(id): InPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let condition = Condition::of(&Method::PUT, &headers)?;
    let fields = Fields::of(&headers)?;
    refuse_part(&headers)?;
    check_length(&headers, &body, app.max_object_bytes)?;
    if !condition.is_none() {
        // RFC 9110, 10.1.1: a client that waits for `100 Continue` is told before it sends the body.
        // Which of several writers wins is decided in `commit`.
        let (store, id, condition) = (app.store.clone(), id.clone(), condition.clone());
        blocking(move || store.check(&id, &condition)).await?;
    }
    let mut receiver = Receiver::new(Target { store: app.store.clone(), id, fields });
    receiver.receive(&app, body).await?;
    let stored = receiver.commit(condition).await?;
    // RFC 9110, 9.3.4.
    let status = if stored.created { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    let mut response = (status, [(header::ETAG, stored.hash.to_header())]).into_response();
    // Dropped with the response's head, when that is written: see `Claim`.
    response.extensions_mut().insert(stored.claim);
    Ok(response)
}

pub(super) async fn delete(
    State(app): State<App>,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let condition = Condition::of(&Method::DELETE, &headers)?;
    if blocking(move || app.store.delete(&id, &condition)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_object())
    }
}

/// RFC 9110, 14.5: a PUT with `Content-Range` sends a part, which must not replace the whole object.
fn refuse_part(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::CONTENT_RANGE) {
        let message = "An object is stored whole: send all of it, without Content-Range.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "content_range", message));
    }
    Ok(())
}

/// Refuses a body by its announced length. RFC 9112, 6.3, takes a request without a length and
/// without chunks for one with an empty body, and allows 411; here it is more likely a mistake than
/// an empty object. Two different lengths never come here: hyper answers them with 400.
fn check_length(headers: &HeaderMap, body: &Body, most: u64) -> Result<(), Problem> {
    let announced = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    if !announced.iter().any(|name| headers.contains_key(name)) {
        let message = "Send a Content-Length, 0 for an empty object, or a chunked body.";
        return Err(Problem::new(StatusCode::LENGTH_REQUIRED, "length_required", message));
    }
    if body.size_hint().lower() > most {
        return Err(too_large(most));
    }
    Ok(())
}

fn too_large(most: u64) -> Problem {
    let message = format!("The object is larger than {most} bytes; nothing was stored.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

/// Takes a body in and hands it to the disk part by part.
struct Receiver {
    target: Target,
    upload: Pending,
    part: Vec<Bytes>,
}

#[derive(Clone)]
struct Target {
    store: Store,
    id: ObjectId,
    fields: Fields,
}

/// An upload that was begun. Should the client go away, a thread that may block removes it: to
/// remove a large file takes the kernel 100 ms and more.
struct Pending(Option<Upload>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(upload) = self.0.take() {
            tokio::task::spawn_blocking(move || drop(upload));
        }
    }
}

impl Receiver {
    fn new(target: Target) -> Self {
        Self { target, upload: Pending(None), part: Vec::new() }
    }

    async fn receive(&mut self, app: &App, mut body: Body) -> Result<(), Problem> {
        let mut received = 0;
        let mut waiting = 0;
        while let Some(bytes) = next(&mut body, app.body_timeout).await? {
            received += bytes.len() as u64;
            if received > app.max_object_bytes {
                return Err(too_large(app.max_object_bytes));
            }
            waiting += bytes.len();
            self.part.push(bytes);
            if waiting >= PART_BYTES {
                let write = self.writing();
                self.upload.0 = Some(blocking(write).await?);
                waiting = 0;
            }
        }
        Ok(())
    }

    async fn commit(mut self, condition: Condition) -> Result<Stored, StoreError> {
        let write = self.writing();
        blocking(move || write()?.commit(&condition)).await
    }

    /// The work of writing what was received since the last time.
    fn writing(&mut self) -> impl FnOnce() -> Result<Upload, StoreError> + Send + use<> {
        let Target { store, id, fields } = self.target.clone();
        let begun = self.upload.0.take();
        let part = mem::take(&mut self.part);
        move || {
            let mut upload = match begun {
                Some(upload) => upload,
                None => store.begin(id, fields)?,
            };
            for bytes in part {
                upload.write(&bytes)?;
            }
            Ok(upload)
        }
    }
}

/// The next bytes of a body, or `None` at its end.
async fn next(body: &mut Body, body_timeout: Duration) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = tokio::time::timeout(body_timeout, body.frame()).await.map_err(|_| {
            let message = "The body stopped before its end; nothing was stored.";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
        })?;
        match frame {
            None => return Ok(None),
            // A frame that is not data has trailers, which are ignored: RFC 9110, 6.5.1.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(error)) => {
                tracing::debug!(error = service::exit::chain(&error), "a body broke off");
                let message = "The body is broken or shorter than announced; nothing was stored.";
                return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_body", message));
            }
        }
    }
}
