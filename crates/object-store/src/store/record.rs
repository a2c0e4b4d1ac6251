//! The file of an object: a head with everything known of the object, then its content. One file
//! holds both, so one rename replaces both.
//!
//! The head, integers little endian: 7 bytes magic; 1 byte version, which is the layout of the
//! fields; `u64` content length; 32 bytes SHA-256 of the content; `u16` length of the id; `u16`
//! length of the fields; id; fields.

use bytes::Bytes;

use super::fields::{Fields, Layout, MAX_FIELDS_BYTES};
use crate::id::{MAX_ID_BYTES, ObjectId};
use crate::tag::ContentHash;

const MAGIC: &[u8; 7] = b"bellows";
const FIXED_BYTES: usize = 8 + 8 + 32 + 2 + 2;

/// The longest head in bytes: reading this much of a file reads its head.
pub(super) const MAX_HEAD_BYTES: usize = FIXED_BYTES + MAX_ID_BYTES + MAX_FIELDS_BYTES;

/// What is known of an object besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The object's id.
    pub id: ObjectId,
    /// The header fields that it was given.
    pub fields: Fields,
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
pub(super) fn head_bytes(id: &ObjectId, fields: &Fields) -> u64 {
    (FIXED_BYTES + id.as_str().len() + fields.as_bytes().len()) as u64
}

pub(super) fn encode(head: &Head) -> Vec<u8> {
    let id = head.id.as_str().as_bytes();
    let fields = head.fields.as_bytes();
    let mut bytes = Vec::with_capacity(FIXED_BYTES + id.len() + fields.len());
    bytes.extend(MAGIC);
    bytes.push(head.fields.layout() as u8);
    bytes.extend(head.length.to_le_bytes());
    bytes.extend(head.hash.as_bytes());
    for part in [id, fields] {
        // Both are bounded by their types, at 1,024 and 2,048.
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_le_bytes());
    }
    bytes.extend(id);
    bytes.extend(fields);
    bytes
}

/// Reads the head at the start of `bytes`, which are the first ones of a file of `file_bytes`.
pub(super) fn decode(bytes: &Bytes, file_bytes: u64) -> Result<Head, RecordError> {
    let mut rest = &bytes[..];
    let magic: [u8; 7] = take_array(&mut rest)?;
    let [version] = take_array(&mut rest)?;
    let length = u64::from_le_bytes(take_array(&mut rest)?);
    let hash = ContentHash::from_bytes(take_array(&mut rest)?);
    let id_bytes = u16::from_le_bytes(take_array(&mut rest)?);
    let fields_bytes = u16::from_le_bytes(take_array(&mut rest)?);
    let id = take(&mut rest, id_bytes.into())?.to_vec();
    let fields = bytes.slice_ref(take(&mut rest, fields_bytes.into())?);
    let layout = Layout::of_version(version).filter(|_| &magic == MAGIC);
    let id = String::from_utf8(id).ok().and_then(|id| ObjectId::new(id).ok());
    let head = Head {
        id: id.ok_or(RecordError::Head)?,
        fields: layout
            .and_then(|layout| Fields::from_record(layout, fields))
            .ok_or(RecordError::Head)?,
        hash,
        length,
    };
    if length.checked_add(head_bytes(&head.id, &head.fields)) != Some(file_bytes) {
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
    use axum::http::HeaderMap;
    use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
    use proptest::prelude::*;

    use super::*;

    fn head(id: String, content_type: &str, cache_control: &str, length: u64) -> Head {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        headers.insert(CACHE_CONTROL, cache_control.parse().unwrap());
        Head {
            id: ObjectId::new(id).unwrap(),
            fields: Fields::of(&headers).unwrap(),
            hash: ContentHash::from_bytes([7; 32]),
            length,
        }
    }

    proptest! {
        #[test]
        fn a_head_survives_its_file(
            id in "[a-z/]{1,100}",
            content_type in "[ -~]{0,300}",
            cache_control in "[ -~]{0,300}",
            length in 0..1_u64 << 40,
        ) {
            let head = head(id, &content_type, &cache_control, length);
            let bytes = Bytes::from(encode(&head));
            prop_assert_eq!(bytes.len() as u64, head_bytes(&head.id, &head.fields));
            prop_assert!(bytes.len() <= MAX_HEAD_BYTES);
            prop_assert_eq!(decode(&bytes, bytes.len() as u64 + length), Ok(head));
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            magic in any::<bool>(),
        ) {
            let bytes = if magic { [MAGIC.as_slice(), &bytes].concat() } else { bytes };
            let length = bytes.len() as u64;
            let _ = decode(&bytes.into(), length);
        }
    }

    #[test]
    fn a_file_cut_short_or_grown_is_not_an_object() {
        let head = head("a".into(), "text/plain", "", 100);
        let bytes = Bytes::from(encode(&head));
        let whole = bytes.len() as u64 + 100;
        assert_eq!(decode(&bytes, whole - 1), Err(RecordError::Length));
        assert_eq!(decode(&bytes, whole + 1), Err(RecordError::Length));
        let cut = bytes.slice(..bytes.len() - 1);
        assert_eq!(decode(&cut, whole), Err(RecordError::Head));
        assert_eq!(decode(&Bytes::new(), 0), Err(RecordError::Head));
    }

    #[test]
    fn a_record_of_a_later_version_is_not_guessed_at() {
        let mut bytes = encode(&head("a".into(), "text/plain", "", 0));
        bytes[7] = 3;
        let whole = bytes.len() as u64;
        assert_eq!(decode(&bytes.into(), whole), Err(RecordError::Head));
    }

    /// The file was stored by the build that knew the first version only.
    #[test]
    fn records_of_the_first_version_are_read_and_still_written() {
        let file = include_bytes!("../../tests/records/version-1");
        let head = decode(&Bytes::from_static(file), file.len() as u64).unwrap();
        assert_eq!(head.id.as_str(), "captured/1");
        let fields: Vec<_> = head.fields.iter().collect();
        assert_eq!(fields, [(CONTENT_TYPE, "text/plain; charset=utf-8".parse().unwrap())]);
        assert_eq!(encode(&head), file[..file.len() - 26]);
        assert!(file.ends_with(b"stored by the build before"));
    }
}
