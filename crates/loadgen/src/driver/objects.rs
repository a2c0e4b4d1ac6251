//! The driver of objects: it stores, reads and removes them, and checks every answer against the
//! values that the object may have.

mod content;
mod expected_values;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::time::Instant;
use workload::{KeyIndex, ObjectOperation};

use self::content::{Checker, ContentBody, Version};
use self::expected_values::{ExpectedValues, PendingWrite, Value, Verdict};
use crate::outcome::{Answer, Failure};
use crate::pool::{Pool, RequestBody, next_piece};

pub(crate) use self::content::RunIdentity;

/// Of an answer that is not an object, no more than this is read.
const MAX_OTHER_BODY: usize = 65_536;

/// The objects of one run.
#[derive(Debug)]
pub(crate) struct ObjectDriver {
    values: ExpectedValues,
    identity: RunIdentity,
    prefix: String,
}

impl ObjectDriver {
    /// Objects that all bear the run's name, `run`, in front of theirs.
    pub(crate) fn new(run: &str, identity: RunIdentity) -> Self {
        Self { values: ExpectedValues::default(), identity, prefix: format!("/objs/{run}-") }
    }

    /// Carries the operation out and compares the answer with what is expected. A request without its
    /// whole answer by `deadline` has timed out.
    pub(crate) async fn carry_out(
        &self,
        pool: &Pool,
        operation: ObjectOperation,
        deadline: Instant,
    ) -> Answer {
        match operation {
            ObjectOperation::Get(key) => self.get(pool, key, deadline).await,
            ObjectOperation::Put { key, bytes } => self.put(pool, key, bytes, deadline).await,
            ObjectOperation::Delete(key) => self.delete(pool, key, deadline).await,
        }
    }

    async fn get(&self, pool: &Pool, key: KeyIndex, deadline: Instant) -> Answer {
        let read = self.values.begin_read(key);
        let body = async |status: StatusCode, body: Incoming| match status {
            StatusCode::OK => self.read_object(key, body).await,
            _ => skip(body).await.map(|()| None),
        };
        let reply = pool.exchange(|| self.request(Method::GET, key, empty()), body, deadline).await;
        let found = match &reply {
            Ok(reply) if reply.status == StatusCode::OK => reply.body.map(Value::Present),
            Ok(reply) if reply.status == StatusCode::NOT_FOUND => Some(Value::Absent),
            _ => None,
        };
        let verdict = self.values.end_read(&read, found);
        match reply {
            Err(failure) => failure.into(),
            Ok(reply) => reply.answer(match (reply.status, found, verdict) {
                (StatusCode::OK, None, _) => Err(Failure::WrongBody),
                (status, None, _) => Err(Failure::Status(status)),
                (_, Some(_), Verdict::Expected) => Ok(()),
                (_, Some(_), Verdict::Outdated) => Err(Failure::OutdatedBody),
                (_, Some(_), Verdict::Lost) => Err(Failure::LostObject),
            }),
        }
    }

    async fn put(&self, pool: &Pool, key: KeyIndex, bytes: u32, deadline: Instant) -> Answer {
        let (version, write) = self.values.begin_put(key, bytes);
        let body = || ContentBody::new(self.identity, key, version).boxed_unsync();
        let build = || self.request(Method::PUT, key, body());
        // Both are good for either kind of object: a load balancer may repeat a PUT, and the
        // repetition of a creation is a replacement.
        let good = [StatusCode::CREATED, StatusCode::NO_CONTENT];
        self.write(pool, build, &write, good, deadline).await
    }

    async fn delete(&self, pool: &Pool, key: KeyIndex, deadline: Instant) -> Answer {
        let write = self.values.begin_delete(key);
        let build = || self.request(Method::DELETE, key, empty());
        // A repeated DELETE finds nothing more to remove: 404 means that the object is gone. An
        // object that is gone and should not be is found by the GETs.
        let good = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
        self.write(pool, build, &write, good, deadline).await
    }

    async fn write(
        &self,
        pool: &Pool,
        build: impl Fn() -> Request<RequestBody>,
        write: &PendingWrite,
        good: [StatusCode; 2],
        deadline: Instant,
    ) -> Answer {
        match pool.exchange(build, async |_, body| skip(body).await, deadline).await {
            Err(failure) => failure.into(),
            Ok(reply) if good.contains(&reply.status) => {
                self.values.acknowledge(write);
                reply.answer(Ok(()))
            }
            Ok(reply) => reply.answer(Err(Failure::Status(reply.status))),
        }
    }

    fn request(&self, method: Method, key: KeyIndex, body: RequestBody) -> Request<RequestBody> {
        // No other path may ever come of this: `DELETE /` removes all objects there are.
        Request::builder()
            .method(method)
            .uri(format!("{}{}", self.prefix, key.0))
            .body(body)
            .expect("a checked name and a number are a path")
    }

    /// The version that a body is; `None` when it is nothing that was stored under the key.
    async fn read_object(
        &self,
        key: KeyIndex,
        mut body: Incoming,
    ) -> Result<Option<Version>, Failure> {
        let mut checker = Checker::new(self.identity, key);
        while let Some(piece) = next_piece(&mut body).await? {
            checker.push(&piece);
        }
        Ok(checker.finish())
    }
}

fn empty() -> RequestBody {
    Empty::<Bytes>::new().boxed_unsync()
}

async fn skip(mut body: Incoming) -> Result<(), Failure> {
    let mut left = MAX_OTHER_BODY;
    while let Some(piece) = next_piece(&mut body).await? {
        left = left.checked_sub(piece.len()).ok_or(Failure::WrongBody)?;
    }
    Ok(())
}
