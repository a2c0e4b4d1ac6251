//! Which format a client would rather have: RFC 9110, 12.5.1.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use super::Format;

/// JSON for a client that would rather have it, and else a page: for one that has no wish, or wants neither.
pub(super) fn preferred(headers: &HeaderMap) -> Format {
    let lines = headers.get_all(ACCEPT).iter();
    let ranges: Vec<Range<'_>> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(range)
        .collect();
    let json = weight(&ranges, "application", "json");
    if json > weight(&ranges, "text", "html") { Format::Json } else { Format::Page }
}

/// A range of media types, and how much it is wanted, in thousandths.
struct Range<'a> {
    name: &'a str,
    weight: u16,
}

fn range(text: &str) -> Range<'_> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let given = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = given.map_or(Some(1000), thousandths).unwrap_or(0);
    Range { name, weight }
}

/// RFC 9110, 12.4.2: from 0 to 1, with up to three digits after the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    // Rust's own reading takes a sign as well: `0.+5`.
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: u16 = format!("{rest:0<3}").parse().ok()?;
    match (whole, digits) {
        ("0", digits) => Some(digits),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// The weight of the most specific range that holds a type.
fn weight(ranges: &[Range<'_>], main: &str, sub: &str) -> u16 {
    let names = [format!("{main}/{sub}"), format!("{main}/*"), "*/*".to_owned()];
    let found = names
        .iter()
        .find_map(|name| ranges.iter().find(|range| range.name.eq_ignore_ascii_case(name)));
    found.map_or(0, |range| range.weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_would_rather_have_it() {
        for (accept, expected) in [
            ("application/json", Format::Json),
            ("Application/JSON; charset=utf-8", Format::Json),
            ("application/*", Format::Json),
            ("text/html;q=0.5, application/json;q=0.501", Format::Json),
            ("text/html;q=0, */*;q=0.1", Format::Json),
            ("", Format::Page),
            ("*/*", Format::Page),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Page),
            ("application/json, text/html", Format::Page),
            ("application/json;q=0", Format::Page),
            ("application/json;q=2", Format::Page),
            ("application/json;q=0.+5", Format::Page),
            ("application/json;q=+1", Format::Page),
            ("application/json;q=1.+0", Format::Page),
            ("application/json;q=0.0005", Format::Page),
            ("application/json;q=0.", Format::Page),
            ("application/json;q=1.", Format::Json),
            ("image/png", Format::Page),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(preferred(&headers), expected, "{accept}");
        }
        assert_eq!(preferred(&HeaderMap::new()), Format::Page);
    }
}
