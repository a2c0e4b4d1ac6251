//! The file of an object: a head with everything known of the object, then its content. One file
//! holds both, so one rename replaces both.
//!
//! The head, integers little endian: 8 bytes magic and version; `u64` content length; 32 bytes
//! SHA-256 of the content; `u16` length of the id; `u16` length of the type; id; type.

use crate::condition::ContentHash;
use crate::id::{MAX_ID_BYTES, ObjectId};

/// The longest content type in bytes.
pub const MAX_TYPE_BYTES: usize = 255;

const MAGIC: &[u8; 8] = b"bellows\x01";
const FIXED_BYTES: usize = 8 + 8 + 32 + 2 + 2;

/// The longest head in bytes: reading this much of a file reads its head.
pub(super) const MAX_HEAD_BYTES: usize = FIXED_BYTES + MAX_ID_BYTES + MAX_TYPE_BYTES;

/// The media type of an object as the client gave it; empty if it gave none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentType(Vec<u8>);

impl ContentType {
    /// Takes the bytes of a header's value, up to [`MAX_TYPE_BYTES`] of them.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= MAX_TYPE_BYTES).then(|| Self(bytes.to_vec()))
    }

    /// The bytes of the header's value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What is known of an object besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The object's id.
    pub id: ObjectId,
    /// The media type.
    pub content_type: ContentType,
    /// The hash of the content, which is its tag.
    pub hash: ContentHash,
    /// The length of the content in bytes.
    pub length: u64,
}

/// What is wrong with a file in the folder of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The head is cut short, of another program or of a later version.
    #[error("the head of the file is not one of an object")]
    Head,
    /// The file is longer or shorter than its head says.
    #[error("the file is not as long as its head says")]
    Length,
    /// The file is that of another object.
    #[error("the file belongs to another id")]
    OtherId,
}

/// The length in bytes of the head of an object.
pub(super) fn head_bytes(id: &ObjectId, content_type: &ContentType) -> u64 {
    (FIXED_BYTES + id.as_str().len() + content_type.0.len()) as u64
}

pub(super) fn encode(head: &Head) -> Vec<u8> {
    let id = head.id.as_str().as_bytes();
    let content_type = head.content_type.as_bytes();
    let mut bytes = Vec::with_capacity(FIXED_BYTES + id.len() + content_type.len());
    bytes.extend(MAGIC);
    bytes.extend(head.length.to_le_bytes());
    bytes.extend(head.hash.as_bytes());
    for part in [id, content_type] {
        // Both are bounded by their types, at 1,024 and 255.
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_le_bytes());
    }
    bytes.extend(id);
    bytes.extend(content_type);
    bytes
}

/// Reads the head at the begin of `bytes`, which are the first ones of a file of `file_bytes`.
pub(super) fn decode(bytes: &[u8], file_bytes: u64) -> Result<Head, RecordError> {
    let mut rest = bytes;
    let magic: [u8; 8] = take_array(&mut rest)?;
    let length = u64::from_le_bytes(take_array(&mut rest)?);
    let hash = ContentHash::from_bytes(take_array(&mut rest)?);
    let id_bytes = u16::from_le_bytes(take_array(&mut rest)?);
    let type_bytes = u16::from_le_bytes(take_array(&mut rest)?);
    let id = take(&mut rest, id_bytes.into())?.to_vec();
    let content_type = take(&mut rest, type_bytes.into())?;
    if &magic != MAGIC {
        return Err(RecordError::Head);
    }
    let id = String::from_utf8(id).ok().and_then(|id| ObjectId::new(id).ok());
    let head = Head {
        id: id.ok_or(RecordError::Head)?,
        content_type: ContentType::new(content_type).ok_or(RecordError::Head)?,
        hash,
        length,
    };
    if length.checked_add(head_bytes(&head.id, &head.content_type)) != Some(file_bytes) {
        return Err(RecordError::Length);
    }
    Ok(head)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], RecordError> {
    rest.split_off(..count).ok_or(RecordError::Head)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RecordError> {
    take(rest, N)?.try_into().map_err(|_| RecordError::Head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(id: String, content_type: &[u8], length: u64) -> Head {
        Head {
            id: ObjectId::new(id).unwrap(),
            content_type: ContentType::new(content_type).unwrap(),
            hash: ContentHash::from_bytes([7; 32]),
            length,
        }
    }

    proptest! {
        #[test]
        fn a_head_survives_its_file(
            id in "[a-z/]{1,100}",
            content_type in proptest::collection::vec(any::<u8>(), 0..=255),
            length in 0..1_u64 << 40,
        ) {
            let head = head(id, &content_type, length);
            let bytes = encode(&head);
            prop_assert_eq!(bytes.len() as u64, head_bytes(&head.id, &head.content_type));
            prop_assert!(bytes.len() <= MAX_HEAD_BYTES);
            prop_assert_eq!(decode(&bytes, bytes.len() as u64 + length), Ok(head));
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            magic in any::<bool>(),
        ) {
            let bytes = if magic { [MAGIC.as_slice(), &bytes].concat() } else { bytes };
            let _ = decode(&bytes, bytes.len() as u64);
        }
    }

    #[test]
    fn a_file_cut_short_or_grown_is_not_an_object() {
        let head = head("a".into(), b"text/plain", 100);
        let bytes = encode(&head);
        let whole = bytes.len() as u64 + 100;
        assert_eq!(decode(&bytes, whole - 1), Err(RecordError::Length));
        assert_eq!(decode(&bytes, whole + 1), Err(RecordError::Length));
        assert_eq!(decode(&bytes[..bytes.len() - 1], whole), Err(RecordError::Head));
        assert_eq!(decode(b"", 0), Err(RecordError::Head));
    }
}
