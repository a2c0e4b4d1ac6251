//! Entity tags as clients give them: RFC 9110, 8.8.3, 13.1.1 and 13.1.2.

use axum::http::HeaderValue;
use axum::http::header::GetAll;

/// A tag as a client gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GivenTag {
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

    /// RFC 9110, 8.8.3.2, with a tag that is strong.
    fn equals_strongly(&self, tag: &[u8]) -> bool {
        !self.weak && self.equals_weakly(tag)
    }

    fn equals_weakly(&self, tag: &[u8]) -> bool {
        self.opaque == tag
    }
}

/// Whether `value` is exactly one tag, and by the strong comparison this one, which is strong and has its quotes.
pub fn is_one_strong_tag(value: &HeaderValue, tag: &[u8]) -> bool {
    GivenTag::read(value.as_bytes())
        .is_some_and(|(given, rest)| rest.is_empty() && given.equals_strongly(tag))
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagList(Named);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    /// `*`: any content.
    Any,
    /// The content with one of these tags.
    OneOf(Vec<GivenTag>),
}

impl TagList {
    /// Reads all the lines of a field, which together are one list: RFC 9110, 5.3. Returns `None`
    /// when it is not a list of tags. RFC 9110 allows an empty list, but here it is refused too: the
    /// client has probably lost its tag, and an empty `If-None-Match` would have no effect.
    pub fn read(lines: GetAll<'_, HeaderValue>) -> Option<Self> {
        if lines.iter().eq(["*"]) {
            return Some(Self(Named::Any));
        }
        let mut tags = Vec::new();
        for line in lines {
            read_line(line.as_bytes(), &mut tags)?;
        }
        (!tags.is_empty()).then_some(Self(Named::OneOf(tags)))
    }

    /// Whether the content with this tag, strong and with its quotes, is named by the strong comparison; `tag` is `None`
    /// for a resource that exists and has no tag.
    pub fn includes_strongly(&self, tag: Option<&[u8]>) -> bool {
        self.includes(tag, GivenTag::equals_strongly)
    }

    /// The same by the weak comparison.
    pub fn includes_weakly(&self, tag: Option<&[u8]>) -> bool {
        self.includes(tag, GivenTag::equals_weakly)
    }

    fn includes(&self, tag: Option<&[u8]>, equals: fn(&GivenTag, &[u8]) -> bool) -> bool {
        match &self.0 {
            Named::Any => true,
            Named::OneOf(tags) => tag.is_some_and(|tag| tags.iter().any(|it| equals(it, tag))),
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

    const CAT: &[u8] = b"\"cat\"";
    const DOG: &[u8] = b"\"dog\"";

    fn read(lines: &[&[u8]]) -> Option<TagList> {
        let line = |line: &&[u8]| (IF_MATCH, HeaderValue::from_bytes(line).unwrap());
        let headers: HeaderMap = lines.iter().map(line).collect();
        TagList::read(headers.get_all(IF_MATCH))
    }

    #[test]
    fn a_list_names_every_tag_in_all_its_lines_and_no_other() {
        for lines in [
            vec![CAT.to_vec()],
            vec![b"\"x\",, ".to_vec(), CAT.to_vec()],
            vec![[CAT, b" ,\t"].concat()],
            vec![[b"\"a,b\", ".as_slice(), CAT].concat()],
            vec![[b"\"\xe9\",W/\"\", \"\\\",".as_slice(), CAT].concat()],
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
        let list = read(&[&[b"W/".as_slice(), CAT].concat()]).unwrap();
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
            |value: &[u8]| is_one_strong_tag(&HeaderValue::from_bytes(value).unwrap(), CAT);
        assert!(is_cats(CAT));
        assert!(!is_cats(DOG));
        assert!(!is_cats(&[b"W/".as_slice(), CAT].concat()));
        assert!(!is_cats(&[CAT, b", \"a\""].concat()));
        assert!(!is_cats(b"*"));
    }
}
