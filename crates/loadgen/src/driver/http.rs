//! The driver of plain HTTP requests, for any service: the status of an answer and a text in its body
//! are compared with what the scenario expects.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use memchr::memmem;
use tokio::time::Instant;
use workload::HttpRequest;

use crate::outcome::{Answer, Failure};
use crate::pool::{Pool, RequestBody, next_piece};

/// Makes the request and compares the answer with what is expected. A request without its whole answer
/// by `deadline` has timed out.
pub(crate) async fn carry_out(pool: &Pool, request: &HttpRequest, deadline: Instant) -> Answer {
    let text = request.expected_text.as_deref().unwrap_or_default();
    let read = async |_: StatusCode, body: Incoming| contains(body, text.as_bytes()).await;
    match pool.exchange(|| built(request), read, deadline).await {
        Ok(reply) if !request.expected_statuses.contains(&reply.status) => {
            reply.answer(Err(Failure::Status(reply.status)))
        }
        Ok(reply) if !reply.body => reply.answer(Err(Failure::WrongBody)),
        Ok(reply) => reply.answer(Ok(())),
        Err(failure) => failure.into(),
    }
}

fn built(request: &HttpRequest) -> Request<RequestBody> {
    let mut built = Request::new(Full::new(request.body.clone()).boxed_unsync());
    *built.method_mut() = request.method.clone();
    *built.uri_mut() = request.path.clone().into();
    *built.headers_mut() = request.headers.clone();
    built
}

/// Reads a body to its end, however long it is, and says whether it contains `text`.
async fn contains(mut body: Incoming, text: &[u8]) -> Result<bool, Failure> {
    let mut search = Search::new(text);
    while let Some(piece) = next_piece(&mut body).await? {
        search.push(&piece);
    }
    Ok(search.found)
}

/// Looks for a text in a body that comes in pieces, and keeps no more of it than the text is long.
struct Search<'a> {
    text: &'a [u8],
    /// The end of what has come, in which the text may have begun.
    tail: Vec<u8>,
    found: bool,
}

impl<'a> Search<'a> {
    /// An empty text is found at once.
    fn new(text: &'a [u8]) -> Self {
        Self { text, tail: Vec::new(), found: text.is_empty() }
    }

    fn push(&mut self, piece: &[u8]) {
        if self.found {
            return;
        }
        self.tail.extend_from_slice(piece);
        self.found = memmem::find(&self.tail, self.text).is_some();
        let kept = self.tail.len().min(self.text.len() - 1);
        self.tail.drain(..self.tail.len() - kept);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_found_however_its_body_is_cut(
            body in prop::collection::vec(0_u8..3, 0..40), text in prop::collection::vec(0_u8..3, 0..5),
            size in 1_usize..10,
        ) {
            let mut search = Search::new(&text);
            body.chunks(size).for_each(|piece| search.push(piece));
            let whole = text.is_empty() || body.windows(text.len()).any(|part| part == text);
            prop_assert_eq!(search.found, whole);
        }
    }
}
