//! The names in a request's path, as the text that they stand for.

use axum::extract::{self, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The names in the path of a route. Escapes that are no text once they are read, such as `%ff`, answer 400 in the common
/// form, which axum's own refusal has not.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = extract::Path::from_request_parts(parts, state).await;
        let names = read.map(|extract::Path(names)| Self(names));
        names.map_err(|refused| match refused.status() {
            StatusCode::BAD_REQUEST => {
                let message = "The path is no text in UTF-8 once its escapes are read.";
                Problem::new(StatusCode::BAD_REQUEST, "bad_request", message)
            }
            // A route and its handler do not go together.
            _ => Problem::internal(&refused),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_name_is_any_text_and_what_is_none_is_refused_in_the_common_form() {
        let told = async |path: &str| {
            let named = async |Path((one, two)): Path<(String, String)>| format!("{one:?} {two:?}");
            let routes = Router::new().route("/{one}/of/{two}", get(named));
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let answer = routes.oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            format!("{status} {}", String::from_utf8_lossy(&body))
        };
        assert_eq!(told("/a%20b/of/%c3%a9%00").await, "200 \"a b\" \"é\\0\"");
        let refused = r#"400 {"error":{"code":"bad_request","message":"The path is no text in UTF-8 once its escapes are read."}}"#;
        for path in ["/%ff/of/a", "/a/of/%c3"] {
            assert_eq!(told(path).await, refused, "{path}");
        }
    }
}
