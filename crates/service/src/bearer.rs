//! The secret that a request carries, by which it is known who sends it: RFC 6750.

use axum::http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;

/// RFC 9110, 15.5.2: a 401 says how to ask again.
pub fn unauthorized(need: &str) -> Problem {
    let message = format!(
        "{need} Send `Authorization: Bearer SECRET`; `bellows token make` on the host makes one."
    );
    unauthorized_as("unauthorized", message)
}

/// The same with another code and another sentence.
pub fn unauthorized_as(code: &'static str, message: impl Into<String>) -> Problem {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, code, message);
    problem.with_header(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"))
}

/// The secret that a request carries; `None` where it says nothing of who sends it.
///
/// # Errors
/// 401 where it says it in another way, or twice.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    // RFC 9110, 11.1: the scheme is the same in any case; RFC 6750, 2.1.
    let secret = field.to_str().ok().and_then(|text| text.split_once(' ')).and_then(|it| {
        let (scheme, secret) = it;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim_ascii())
    });
    match (secret, fields.next()) {
        (Some(secret), None) => Ok(Some(secret)),
        _ => Err(unauthorized("The header Authorization is not understood.")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_secret_is_read_from_one_header_of_its_scheme() {
        let read = |fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(field));
            }
            bearer(&headers).map(|secret| secret.map(str::to_owned)).map_err(|it| it.status())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["Bearer abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&["bearer  abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&["Bearer "]), Ok(Some(String::new())));
        for fields in [&["Basic abc"][..], &["Bearer"], &["abc"], &["Bearer a", "Bearer a"]] {
            assert_eq!(read(fields), Err(StatusCode::UNAUTHORIZED), "{fields:?}");
        }
    }
}
