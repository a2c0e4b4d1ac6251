//! The body of an answer, from an object's content.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use super::blocking;
use crate::store::{Content, ContentFile, StoreError};

/// A large content is sent in parts of this many bytes: of each connection, one is in memory.
const PART_BYTES: u64 = 64 * 1024;

/// The bytes `range` of `content`.
pub(super) fn of(content: Content, range: Range<u64>) -> Body {
    match content {
        Content::Whole(bytes) => {
            let [start, end] = [range.start, range.end].map(|at| {
                // What is whole in memory has at most 64 KiB.
                usize::try_from(at).unwrap_or(bytes.len()).min(bytes.len())
            });
            Body::from(bytes.slice(start..end))
        }
        Content::File(file) => {
            let file = Arc::new(file);
            Body::from_stream(stream::try_unfold(range, move |range| next(file.clone(), range)))
        }
    }
}

type Unfolded = Option<(Bytes, Range<u64>)>;

async fn next(file: Arc<ContentFile>, range: Range<u64>) -> Result<Unfolded, StoreError> {
    if range.is_empty() {
        return Ok(None);
    }
    let bytes = PART_BYTES.min(range.end - range.start);
    let rest = range.start + bytes..range.end;
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    if let Some(part) = file.read_cached(range.start, length) {
        return Ok(Some((part, rest)));
    }
    let read = move || file.read(range.start, length).map_err(failed);
    let part = blocking(read).await.inspect_err(|error| {
        tracing::error!(error = service::exit::chain(error), "an answer was broken off");
    })?;
    Ok(Some((part, rest)))
}

fn failed(source: std::io::Error) -> StoreError {
    StoreError::Io { doing: "read an object", source }
}
