//! Entity tags, RFC 9110, 8.8.3. The tag of an object is the SHA-256 of its content.

use std::fmt;

use axum::http::HeaderValue;
use axum::http::header::GetAll;

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

    fn quoted(self) -> [u8; 66] {
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

/// A tag as a client gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenTag {
    weak: bool,
    /// With its quotes.
    opaque: Vec<u8>,
}

impl GivenTag {
    /// Reads the tag at the start of `text`, and returns it with the text after it.
    fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let (weak, text) = text.strip_prefix(b"W/").map_or((false, text), |text| (true, text));
        let inside = text.strip_prefix(b"\"")?;
        let length = inside.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = text.split_at(length + 2);
        // Any visible character and any byte above 127.
        let valid = opaque.iter().all(|byte| matches!(byte, 0x21..=0x7e | 0x80..));
        valid.then(|| (Self { weak, opaque: opaque.to_vec() }, rest))
    }

    /// RFC 9110, 8.8.3.2. The tags of objects are strong.
    fn equals_strongly(&self, hash: ContentHash) -> bool {
        !self.weak && self.equals_weakly(hash)
    }

    fn equals_weakly(&self, hash: ContentHash) -> bool {
        self.opaque == hash.quoted()
    }
}

/// Whether `value` is exactly one tag, and by the strong comparison the tag of this content.
pub(crate) fn is_strong_tag_of(value: &HeaderValue, hash: ContentHash) -> bool {
    GivenTag::read(value.as_bytes())
        .is_some_and(|(tag, rest)| rest.is_empty() && tag.equals_strongly(hash))
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagList {
    /// `*`: any content.
    Any,
    /// The content with one of these tags.
    OneOf(Vec<GivenTag>),
}

impl TagList {
    /// Reads all the lines of a field, which together are one list: RFC 9110, 5.3. Returns `None`
    /// when it is not a list of tags. RFC 9110 allows an empty list, but here it is refused too: the
    /// client has probably lost its tag, and an empty `If-None-Match` would have no effect.
    pub(crate) fn read(lines: GetAll<'_, HeaderValue>) -> Option<Self> {
        if lines.iter().eq(["*"]) {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        for line in lines {
            read_line(line.as_bytes(), &mut tags)?;
        }
        (!tags.is_empty()).then_some(Self::OneOf(tags))
    }

    /// Whether the content with this hash has one of these tags by the strong comparison; `hash` is
    /// `None` for a resource that exists and has no tag.
    pub(crate) fn includes_strongly(&self, hash: Option<ContentHash>) -> bool {
        self.includes(hash, GivenTag::equals_strongly)
    }

    /// The same by the weak comparison.
    pub(crate) fn includes_weakly(&self, hash: Option<ContentHash>) -> bool {
        self.includes(hash, GivenTag::equals_weakly)
    }

    fn includes(
        &self,
        hash: Option<ContentHash>,
        equals: fn(&GivenTag, ContentHash) -> bool,
    ) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => hash.is_some_and(|hash| tags.iter().any(|tag| equals(tag, hash))),
        }
    }
}

fn read_line(mut rest: &[u8], tags: &mut Vec<GivenTag>) -> Option<()> {
    loop {
        rest = rest.trim_ascii_start();
        match rest.first() {
            None => return Some(()),
            // RFC 9110, 5.6.1.2: elements of a list may be empty.
            Some(b',') => rest = &rest[1..],
            Some(_) => {
                let (tag, behind) = GivenTag::read(rest)?;
                tags.push(tag);
                rest = behind.trim_ascii_start();
                if !matches!(rest.first(), None | Some(b',')) {
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use axum::http::header::IF_MATCH;

    use super::*;

    const CAT: ContentHash = ContentHash([0xca; 32]);
    const DOG: ContentHash = ContentHash([0xd0; 32]);

    fn read(lines: &[&[u8]]) -> Option<TagList> {
        let line = |line: &&[u8]| (IF_MATCH, HeaderValue::from_bytes(line).unwrap());
        let headers: HeaderMap = lines.iter().map(line).collect();
        TagList::read(headers.get_all(IF_MATCH))
    }

    #[test]
    fn a_tag_is_the_hash_in_quotes() {
        assert_eq!(CAT.to_header(), format!("\"{}\"", "ca".repeat(32)));
    }

    #[test]
    fn a_list_names_every_tag_in_all_its_lines_and_no_other() {
        let cat = CAT.quoted();
        for lines in [
            vec![cat.to_vec()],
            vec![b"\"x\",, ".to_vec(), cat.to_vec()],
            vec![[&cat[..], b" ,\t"].concat()],
            vec![[b"\"a,b\", ".as_slice(), &cat].concat()],
            vec![[b"\"\xe9\",W/\"\", \"\\\",".as_slice(), &cat].concat()],
        ] {
            let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
            let list = read(&lines).unwrap();
            assert!(list.includes_strongly(Some(CAT)), "{list:?}");
            assert!(!list.includes_weakly(Some(DOG)), "{list:?}");
            assert!(!list.includes_weakly(None), "{list:?}");
        }
    }

    #[test]
    fn a_weak_tag_is_equal_by_the_weak_comparison_only() {
        let list = read(&[&[b"W/".as_slice(), &CAT.quoted()].concat()]).unwrap();
        assert!(list.includes_weakly(Some(CAT)));
        assert!(!list.includes_strongly(Some(CAT)));
    }

    #[test]
    fn a_star_stands_alone_and_includes_what_has_no_tag_too() {
        assert!(read(&[b"*"]).unwrap().includes_strongly(None));
        for lines in [[b"*".as_slice(), b"*"], [b"*", b"\"a\""]] {
            assert_eq!(read(&lines), None);
        }
        assert_eq!(read(&[b"*, \"a\""]), None);
        assert_eq!(read(&[b"\"a\", *"]), None);
    }

    #[test]
    fn what_is_no_list_of_tags_is_not_guessed_at() {
        for line in [
            "",
            ",",
            "abc",
            "\"",
            "\"a\", b",
            "W/a",
            "w/\"a\"",
            "**",
            "\"a\"b\"",
            "\"a\" \"b\"",
            "\"a b\"",
        ] {
            assert_eq!(read(&[line.as_bytes()]), None, "{line}");
        }
    }

    #[test]
    fn one_tag_is_compared_strongly_and_alone() {
        let is_cats =
            |value: &[u8]| is_strong_tag_of(&HeaderValue::from_bytes(value).unwrap(), CAT);
        let cat = CAT.quoted();
        assert!(is_cats(&cat));
        assert!(!is_cats(&DOG.quoted()));
        assert!(!is_cats(&[b"W/".as_slice(), &cat].concat()));
        assert!(!is_cats(&[&cat[..], b", \"a\""].concat()));
        assert!(!is_cats(b"*"));
    }
}
