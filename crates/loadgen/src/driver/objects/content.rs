//! What objects contain: bytes that follow from the run, the key and the version, so that a body
//! can be made and checked piece by piece, and none is ever kept.
//!
//! A body is a sequence of 8-byte words. The first holds the version and the second the size, both
//! masked with the identity of run and key; the rest is noise that follows from all of them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use workload::KeyIndex;

use crate::serving::WallMicros;

/// Version and size of a body stand in front of it.
const HEADER_BYTES: usize = 16;
/// Bodies are made in pieces of this size: a large one needs no more memory than a small one.
const PIECE_BYTES: u64 = 65_536;

/// One stored value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    /// Counts the writes of a run from 1.
    pub(crate) number: u64,
    /// Size of the body.
    pub(crate) bytes: u32,
}

/// Identity of everything that one run stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunIdentity(u64);

impl RunIdentity {
    /// The identity of the run with that seed, begun at that moment. It is another one for each
    /// run, so that what an earlier run left behind is told apart.
    pub(crate) fn new(seed: u64, begun: WallMicros) -> Self {
        Self(scramble(seed) ^ begun.as_micros())
    }
}

/// The bytes of one version of one key.
#[derive(Debug, Clone, Copy)]
struct Content {
    mask: u64,
    noise: u64,
    version: Version,
}

impl Content {
    fn new(run: RunIdentity, key: KeyIndex, version: Version) -> Self {
        let mask = mask(run, key);
        Self { mask, noise: scramble(mask ^ scramble(version.number)), version }
    }

    fn word(&self, index: u64) -> [u8; 8] {
        match index {
            0 => self.mask ^ self.version.number,
            1 => self.mask ^ u64::from(self.version.bytes),
            _ => scramble(self.noise.wrapping_add(index)),
        }
        .to_le_bytes()
    }

    /// The bytes from `offset` on, `length` of them.
    fn bytes(&self, offset: u64, length: u64) -> impl Iterator<Item = u8> {
        let skip = usize::try_from(offset % 8).unwrap_or(0);
        let last = (offset + length).div_ceil(8);
        let words = (offset / 8..last).flat_map(|i| self.word(i));
        words.skip(skip).take(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

fn mask(run: RunIdentity, key: KeyIndex) -> u64 {
    scramble(run.0 ^ scramble(u64::from(key.0)))
}

/// The finalizer of splitmix64: every bit of the result depends on every bit of `x`.
fn scramble(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The body of a PUT: a version's content.
pub(crate) struct ContentBody {
    content: Content,
    sent: u64,
}

impl ContentBody {
    /// The body of one version.
    pub(crate) fn new(run: RunIdentity, key: KeyIndex, version: Version) -> Self {
        Self { content: Content::new(run, key, version), sent: 0 }
    }

    fn left(&self) -> u64 {
        u64::from(self.content.version.bytes) - self.sent
    }
}

impl Body for ContentBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let length = self.left().min(PIECE_BYTES);
        if length == 0 {
            return Poll::Ready(None);
        }
        let piece: Bytes = self.content.bytes(self.sent, length).collect();
        self.sent += length;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

/// Checks a body while it arrives.
pub(crate) struct Checker {
    run: RunIdentity,
    key: KeyIndex,
    header: Vec<u8>,
    seen: u64,
    content: Option<Content>,
    intact: bool,
}

impl Checker {
    /// Checks a body that is said to be a value of `key`.
    pub(crate) fn new(run: RunIdentity, key: KeyIndex) -> Self {
        let header = Vec::with_capacity(HEADER_BYTES);
        Self { run, key, header, seen: 0, content: None, intact: true }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) {
        if self.content.is_none() {
            let wanted = HEADER_BYTES - self.header.len();
            let (front, rest) = piece.split_at(wanted.min(piece.len()));
            self.header.extend_from_slice(front);
            self.seen += front.len() as u64;
            piece = rest;
            self.content = self.read_header();
        }
        if let Some(content) = self.content.filter(|_| self.intact) {
            let length = piece.len() as u64;
            self.intact = content.bytes(self.seen, length).eq(piece.iter().copied());
        }
        self.seen += piece.len() as u64;
    }

    /// The version that the whole body is; `None` when it is not what this run stored under the
    /// key, or not all of it.
    pub(crate) fn finish(self) -> Option<Version> {
        let version = self.content?.version;
        (self.intact && self.seen == u64::from(version.bytes)).then_some(version)
    }

    fn read_header(&self) -> Option<Content> {
        let (number, bytes) = self.header.split_first_chunk::<8>()?;
        let bytes = bytes.first_chunk::<8>()?;
        let mask = mask(self.run, self.key);
        let number = u64::from_le_bytes(*number) ^ mask;
        // A foreign header decodes to a size beyond 32 bits, all but once in 4 billion times.
        let bytes = u32::try_from(u64::from_le_bytes(*bytes) ^ mask).unwrap_or(0);
        Some(Content::new(self.run, self.key, Version { number, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use proptest::prelude::*;

    use super::*;

    const RUN: RunIdentity = RunIdentity(42);
    const KEY: KeyIndex = KeyIndex(7);

    fn body(run: RunIdentity, key: KeyIndex, version: Version) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = runtime.block_on(ContentBody::new(run, key, version).collect()).unwrap();
        whole.to_bytes().to_vec()
    }

    fn check(pieces: &[&[u8]]) -> Option<Version> {
        let mut checker = Checker::new(RUN, KEY);
        pieces.iter().for_each(|p| checker.push(p));
        checker.finish()
    }

    #[test]
    fn a_body_larger_than_a_piece_has_the_size_it_says() {
        let version = Version { number: 3, bytes: 200_001 };
        let whole = body(RUN, KEY, version);
        assert_eq!(whole.len(), 200_001);
        assert_eq!(check(&[&whole]), Some(version));
        assert_eq!(ContentBody::new(RUN, KEY, version).size_hint().exact(), Some(200_001));
    }

    #[test]
    fn the_body_of_another_run_or_key_is_not_taken() {
        let version = Version { number: 3, bytes: 16 };
        assert_eq!(check(&[&body(RUN, KeyIndex(8), version)]), None);
        assert_eq!(check(&[&body(RunIdentity(43), KEY, version)]), None);
        assert_eq!(check(&[b"<html>not an object at all</html>"]), None);
        assert_eq!(check(&[]), None);
    }

    proptest! {
        #[test]
        fn a_body_is_known_again_however_it_is_cut(bytes in 16_u32..5_000, number in 1_u64..,
                                                   cuts in prop::collection::vec(0.0..1.0, 0..5)) {
            let version = Version { number, bytes };
            let whole = body(RUN, KEY, version);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let mut at: Vec<usize> =
                cuts.iter().map(|c: &f64| (c * f64::from(bytes)) as usize).collect();
            at.extend([0, whole.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &whole[w[0]..w[1]]).collect();
            prop_assert_eq!(check(&pieces), Some(version));
        }

        #[test]
        fn one_wrong_byte_or_length_is_found(bytes in 16_u32..2_000, place in any::<prop::sample::Index>(),
                                             flip in 1_u8..) {
            let version = Version { number: 9, bytes };
            let mut whole = body(RUN, KEY, version);
            prop_assert_ne!(check(&[&whole[..whole.len() - 1]]), Some(version));
            prop_assert_ne!(check(&[&whole, b"x"]), Some(version));
            let at = place.index(whole.len());
            whole[at] ^= flip;
            prop_assert_ne!(check(&[&whole]), Some(version));
        }
    }
}
