//! One client of the object store: carries out operations and judges the answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use model::names::Slot;
use tokio::time::Instant;
use workload::{KeyIndex, Operation};

use crate::content::{Checker, ContentBody, RunIdentity, Version};
use crate::model::{Model, Value, Verdict};
use crate::outcome::{Answer, Failure};
use crate::pool::Pool;
use crate::target::Target;

/// The load balancer names the server that answered, `s17` for slot 17.
const SERVER_HEADER: &str = "x-bellows-server";
/// Of an answer that is not an object, no more than this is read.
const MAX_OTHER_BODY: usize = 65_536;

/// What the operations of one run have in common.
#[derive(Debug)]
pub(crate) struct Client {
    pool: Pool,
    model: Arc<Model>,
    identity: RunIdentity,
    prefix: String,
}

/// A response read to its end.
struct Reply {
    status: StatusCode,
    slot: Option<Slot>,
    /// What a GET's body is; `None` when it is nothing that was stored.
    version: Option<Version>,
}

impl Client {
    /// A client whose objects all bear the run's name, `run`, in front of theirs.
    pub(crate) fn new(target: Target, run: &str, identity: RunIdentity) -> Self {
        let prefix = format!("/objs/{run}-");
        Self { pool: Pool::new(target), model: Arc::default(), identity, prefix }
    }

    /// A client of the same objects over connections of its own.
    pub(crate) fn with_own_connections(&self) -> Self {
        Self {
            pool: Pool::new(self.pool.target().clone()),
            model: Arc::clone(&self.model),
            identity: self.identity,
            prefix: self.prefix.clone(),
        }
    }

    /// The connections.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Does it, and judges the answer. What is not done by `deadline` has timed out.
    pub(crate) async fn carry_out(&self, operation: Operation, deadline: Instant) -> Answer {
        match operation {
            Operation::Get(key) => self.get(key, deadline).await,
            Operation::Put { key, bytes } => self.put(key, bytes, deadline).await,
            Operation::Delete(key) => self.delete(key, deadline).await,
        }
    }

    async fn get(&self, key: KeyIndex, deadline: Instant) -> Answer {
        let read = self.model.begin_read(key);
        let build = || self.request(Method::GET, key, ContentBody::empty());
        let reply = self.exchange(build, Some(key), deadline).await;
        let found = match &reply {
            Ok(Reply { status: StatusCode::OK, version: Some(version), .. }) => {
                Some(Value::Present(*version))
            }
            Ok(Reply { status: StatusCode::NOT_FOUND, .. }) => Some(Value::Absent),
            _ => None,
        };
        let verdict = self.model.end_read(&read, found);
        judged(reply, |reply| match (reply.status, found, verdict) {
            (StatusCode::OK, None, _) => Err(Failure::WrongBody),
            (status, None, _) => Err(Failure::Status(status)),
            (_, Some(_), Verdict::Expected) => Ok(()),
            (_, Some(_), Verdict::Outdated) => Err(Failure::OutdatedBody),
            (_, Some(_), Verdict::Lost) => Err(Failure::LostObject),
        })
    }

    async fn put(&self, key: KeyIndex, bytes: u32, deadline: Instant) -> Answer {
        let (version, write) = self.model.begin_put(key, bytes);
        let body = || ContentBody::new(self.identity, key, version);
        let reply = self.exchange(|| self.request(Method::PUT, key, body()), None, deadline).await;
        judged(reply, |reply| match reply.status {
            // Both are good for either kind of object: a load balancer may repeat a PUT, and the
            // repetition of a creation is a replacement.
            StatusCode::CREATED | StatusCode::NO_CONTENT => {
                self.model.acknowledge(&write);
                Ok(())
            }
            status => Err(Failure::Status(status)),
        })
    }

    async fn delete(&self, key: KeyIndex, deadline: Instant) -> Answer {
        let write = self.model.begin_delete(key);
        let build = || self.request(Method::DELETE, key, ContentBody::empty());
        let reply = self.exchange(build, None, deadline).await;
        judged(reply, |reply| match reply.status {
            // A repeated DELETE finds nothing more to remove: 404 means that the object is gone.
            // An object that is gone and should not be is found by the GETs.
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => {
                self.model.acknowledge(&write);
                Ok(())
            }
            status => Err(Failure::Status(status)),
        })
    }

    fn request(&self, method: Method, key: KeyIndex, body: ContentBody) -> Request<ContentBody> {
        // No other path may ever come of this: `DELETE /` removes all objects there are.
        Request::builder()
            .method(method)
            .uri(format!("{}{}", self.prefix, key.0))
            .body(body)
            .expect("a checked name and a number are a path")
    }

    /// Sends a request and reads the answer; `object` is the key that a body is checked against.
    async fn exchange(
        &self,
        build: impl Fn() -> Request<ContentBody>,
        object: Option<KeyIndex>,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        let whole = async {
            let (response, sender) = self.pool.send(build).await?.into_parts();
            let (head, body) = response.into_parts();
            let version = match object {
                Some(key) if head.status == StatusCode::OK => self.read_object(key, body).await?,
                _ => skip(body).await.map(|()| None)?,
            };
            let reply = Reply { status: head.status, slot: slot(&head.headers), version };
            Ok((reply, sender))
        };
        let in_time = tokio::time::timeout_at(deadline, whole).await;
        let (reply, sender) = in_time.unwrap_or(Err(Failure::Timeout))?;
        self.pool.give_back(sender).await;
        Ok(reply)
    }

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

/// The answer to a request, given the verdict on a complete reply.
fn judged(
    reply: Result<Reply, Failure>,
    verdict: impl FnOnce(&Reply) -> Result<(), Failure>,
) -> Answer {
    match reply {
        Ok(reply) => Answer { result: verdict(&reply), slot: reply.slot },
        Err(failure) => Answer { result: Err(failure), slot: None },
    }
}

async fn skip(mut body: Incoming) -> Result<(), Failure> {
    let mut left = MAX_OTHER_BODY;
    while let Some(piece) = next_piece(&mut body).await? {
        left = left.checked_sub(piece.len()).ok_or(Failure::WrongBody)?;
    }
    Ok(())
}

async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::ConnectionLost)?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

fn slot(headers: &HeaderMap) -> Option<Slot> {
    let number = headers.get(SERVER_HEADER)?.to_str().ok()?.strip_prefix('s')?;
    Slot::try_from(number.parse::<u32>().ok()?).ok()
}
