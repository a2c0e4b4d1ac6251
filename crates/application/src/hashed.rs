//! Contents, hashed as they are read.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::contents::Digest;

/// Reads on, and knows the digest of what was read.
pub(crate) struct Hashed<R> {
    from: R,
    hasher: Sha256,
    bytes: u64,
}

impl<R: Read> Hashed<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, hasher: Sha256::new(), bytes: 0 }
    }

    /// The bytes that were read, and their digest.
    pub(crate) fn finish(self) -> (u64, Digest) {
        (self.bytes, Digest::of(self.hasher))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
