//! Entity tags, RFC 9110, 8.8.3. The tag of an object is the SHA-256 of its content.

use std::fmt;

use axum::http::HeaderValue;

/// The SHA-256 of a content: equal contents, and no others, have equal tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Takes the 32 bytes of a SHA-256.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the SHA-256.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The value of the header `ETag`: the hash in hexadecimal digits and quotes.
    pub fn to_header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.quoted()).unwrap_or(HeaderValue::from_static("\"\""))
    }

    /// The same as bytes.
    pub(crate) fn quoted(self) -> [u8; 66] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'"'; 66];
        for (pair, byte) in text[1..65].chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.to_header())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_hash_in_quotes() {
        let cat = ContentHash([0xca; 32]);
        assert_eq!(cat.to_header(), format!("\"{}\"", "ca".repeat(32)));
    }
}
