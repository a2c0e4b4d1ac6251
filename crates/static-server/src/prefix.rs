//! Redirects of a service that sees paths without their prefix.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::LOCATION;
use axum::middleware::Next;
use axum::response::Response;

/// The header in which the load balancer says what it took off.
const PREFIX: &str = "x-forwarded-prefix";

/// Puts back what was taken off the path where a redirect, such as that of `/about` to `/about/`, leads to one here.
pub(crate) async fn put_back(request: Request, next: Next) -> Response {
    let prefix = request.headers().get(PREFIX).and_then(|prefix| prefix.to_str().ok());
    let prefix = prefix.unwrap_or_default().trim_end_matches('/').to_owned();
    let mut response = next.run(request).await;
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(path) = location.filter(|path| path.starts_with('/') && !prefix.is_empty()) else {
        return response;
    };
    if let Ok(location) = HeaderValue::from_str(&format!("{prefix}{path}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
