//! Percent escapes in the parts of a URL.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Why a part of a URL cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EscapeError {
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("holds a percent sign without two hexadecimal digits; write it as %25.")]
    Malformed,
    /// The decoded bytes are not UTF-8.
    #[error("is not UTF-8.")]
    NotUtf8,
}

/// Decodes `raw` once. The library's decoder keeps what it does not understand; two spellings of
/// one text would follow.
pub(crate) fn decode(raw: &str) -> Result<Cow<'_, str>, EscapeError> {
    let well_formed = raw.split('%').skip(1).all(|rest| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !well_formed {
        return Err(EscapeError::Malformed);
    }
    percent_decode_str(raw).decode_utf8().map_err(|_| EscapeError::NotUtf8)
}
