//! The header fields that are stored with an object and sent back with it.

use std::{iter, mem};

use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::{Buf, Bytes};

/// The most bytes of an object's fields on disk: their values, and three bytes for each.
pub const MAX_FIELDS_BYTES: usize = 2048;

/// The longest content type that a record of the first version has.
const MAX_TYPE_BYTES: usize = 255;

/// RFC 9110, 8.3 to 8.5, RFC 6266 and RFC 9111, 5.2. A field's place is its number on disk: add
/// further ones at the end.
const KEPT: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_DISPOSITION, CACHE_CONTROL];

const CONTENT_TYPE_NUMBER: u8 = 0;

/// Fields whose lines are one list: RFC 9110, 5.3. The others have one line.
const LISTS: [HeaderName; 3] = [CONTENT_ENCODING, CONTENT_LANGUAGE, CACHE_CONTROL];

/// The fields of an object, as they are on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    layout: Layout,
    bytes: Bytes,
}

/// How fields are written. The number is the version of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Layout {
    /// The value of `Content-Type`, or no bytes when there is none. Earlier builds read only this
    /// layout, so it is written whenever it is enough.
    #[default]
    TypeOnly = 1,
    /// Of each field its number, the length of its value as `u16`, and the value.
    Numbered = 2,
}

impl Layout {
    pub(super) fn of_version(version: u8) -> Option<Self> {
        [Self::TypeOnly, Self::Numbered].into_iter().find(|layout| *layout as u8 == version)
    }
}

/// Why fields cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A field that has one value was given twice.
    #[error("The header {0} is given twice; give it once.")]
    Repeated(HeaderName),
    /// They take more than [`MAX_FIELDS_BYTES`].
    #[error(
        "The headers that are stored with an object (content-type, content-encoding, \
         content-language, content-disposition, cache-control) are longer than {MAX_FIELDS_BYTES} \
         bytes together."
    )]
    TooLong,
}

impl Fields {
    /// Takes the fields to keep from those of a request.
    pub fn of(headers: &HeaderMap) -> Result<Self, FieldsError> {
        let mut given = Vec::new();
        for (number, name) in (0_u8..).zip(KEPT) {
            let value = joined(headers, &name)?;
            if !value.is_empty() {
                given.push((number, value));
            }
        }
        let (layout, bytes) = match &given[..] {
            [] => (Layout::TypeOnly, Vec::new()),
            [(CONTENT_TYPE_NUMBER, value)] if value.len() <= MAX_TYPE_BYTES => {
                (Layout::TypeOnly, value.clone())
            }
            fields => (Layout::Numbered, numbered(fields)?),
        };
        Ok(Self { layout, bytes: bytes.into() })
    }

    /// The fields in a record, or `None` when the bytes do not have this layout.
    pub(super) fn from_record(layout: Layout, bytes: Bytes) -> Option<Self> {
        let fields = Self { layout, bytes };
        let valid = match layout {
            Layout::TypeOnly => fields.bytes.len() <= MAX_TYPE_BYTES,
            Layout::Numbered => {
                let whole: usize = fields.iter().map(|(_, value)| 3 + value.len()).sum();
                whole == fields.bytes.len() && whole <= MAX_FIELDS_BYTES
            }
        };
        valid.then_some(fields)
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let mut rest = self.bytes.clone();
        let layout = self.layout;
        iter::from_fn(move || {
            let (name, value) = match layout {
                Layout::TypeOnly => (CONTENT_TYPE, mem::take(&mut rest)),
                Layout::Numbered => next(&mut rest)?,
            };
            let value = HeaderValue::from_maybe_shared(value).ok()?;
            (!value.is_empty()).then_some((name, value))
        })
    }
}

/// Writes fields in the layout [`Layout::Numbered`].
fn numbered(fields: &[(u8, Vec<u8>)]) -> Result<Vec<u8>, FieldsError> {
    let mut bytes = Vec::new();
    for (number, value) in fields {
        let length = u16::try_from(value.len()).map_err(|_| FieldsError::TooLong)?;
        bytes.push(*number);
        bytes.extend(length.to_le_bytes());
        bytes.extend(value);
    }
    if bytes.len() > MAX_FIELDS_BYTES { Err(FieldsError::TooLong) } else { Ok(bytes) }
}

/// Takes the next field from `rest`, or `None` at its end and where it is no field.
fn next(rest: &mut Bytes) -> Option<(HeaderName, Bytes)> {
    let number = rest.try_get_u8().ok()?;
    let length = usize::from(rest.try_get_u16_le().ok()?);
    let name = KEPT.get(usize::from(number))?.clone();
    (length <= rest.len()).then(|| (name, rest.split_to(length)))
}

/// The value of a field, with its lines joined.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<u8>, FieldsError> {
    let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1 && !LISTS.contains(name) {
        return Err(FieldsError::Repeated(name.clone()));
    }
    Ok(lines.join(&b", "[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &str)]) -> Result<Fields, FieldsError> {
        let line = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        Fields::of(&lines.iter().map(line).collect())
    }

    fn text(fields: &Fields) -> String {
        let line = |(name, value)| format!("{name}: {}", HeaderValue::to_str(&value).unwrap());
        fields.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_fields_of_the_content_are_kept_and_no_others() {
        let fields = fields(&[
            ("cache-control", "no-cache"),
            ("content-language", "de"),
            ("content-language", "en"),
            ("x-other", "x"),
            ("content-length", "1"),
            ("content-type", "text/plain"),
            ("content-encoding", "gzip"),
            ("content-disposition", "attachment"),
        ]);
        insta::assert_snapshot!(text(&fields.unwrap()), @r"
        content-type: text/plain
        content-encoding: gzip
        content-language: de, en
        content-disposition: attachment
        cache-control: no-cache
        ");
    }

    #[test]
    fn what_earlier_builds_can_read_is_written_as_they_wrote_it() {
        let kept = |lines: &[_]| {
            let fields = fields(lines).unwrap();
            (fields.layout(), String::from_utf8_lossy(fields.as_bytes()).into_owned())
        };
        let (name, long) = ("content-type", "y".repeat(256));
        assert_eq!(kept(&[]), (Layout::TypeOnly, String::new()));
        assert_eq!(kept(&[(name, "")]), (Layout::TypeOnly, String::new()));
        assert_eq!(kept(&[(name, "a/b")]), (Layout::TypeOnly, "a/b".into()));
        assert_eq!(kept(&[(name, &long[1..])]).0, Layout::TypeOnly);
        assert_eq!(kept(&[(name, &long)]).0, Layout::Numbered);
        assert_eq!(kept(&[("content-language", "de")]).0, Layout::Numbered);
    }

    #[test]
    fn fields_are_bounded_together() {
        let long = "y".repeat(1021);
        let lines = [("content-type", &*long), ("cache-control", &long)];
        assert!(fields(&lines).is_ok());
        let longer = format!("{long}y");
        let lines = [("content-type", &*long), ("cache-control", &longer)];
        assert_eq!(fields(&lines), Err(FieldsError::TooLong));
        let endless = "y".repeat(70_000);
        assert_eq!(fields(&[("content-type", &endless)]), Err(FieldsError::TooLong));
    }

    #[test]
    fn what_has_one_value_is_given_once() {
        for name in ["content-type", "content-disposition"] {
            let twice = fields(&[(name, "a"), (name, "a")]);
            assert_eq!(twice, Err(FieldsError::Repeated(name.parse().unwrap())));
        }
    }
}
