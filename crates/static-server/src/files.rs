//! What is served: the files of a folder, by tower-http's `ServeDir`, and what machines ask every server.

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use prometheus_client::registry::Registry;
use service::metrics::HttpMetrics;
use service::{probes, problem};
use tower::Service;
use tower_http::services::{ServeDir, ServeFile};

use crate::config::Config;
use crate::{prefix, unchanged};

/// The page of a folder.
const INDEX: &str = "index.html";

/// The page for a path that leads to nothing.
const NOT_FOUND: &str = "404.html";

/// All that is served. A folder is its `index.html`; a file has a compressed one beside it (`.br`, `.gz`) served to
/// who takes it; a path that leads nowhere is answered 404 with `404.html`, or with `index.html` for an application
/// of one page. Beside the files, `/healthz` and `/metrics`.
pub(crate) fn routes(config: &Config) -> Router {
    let files = ServeDir::new(&config.folder).precompressed_br().precompressed_gzip();
    let page = |name| ServeFile::new(config.folder.join(name));
    let files = if config.single_page {
        everywhere(files.fallback(page(INDEX)))
    } else {
        everywhere(files.not_found_service(page(NOT_FOUND)))
    };
    let files = files.layer(from_fn(unchanged::by_exact_date)).layer(from_fn(prefix::put_back));
    let mut registry = Registry::default();
    let metrics = HttpMetrics::register(&mut registry);
    problem::guard(metrics.observe(files).merge(probes::routes(registry)))
}

/// Routes by which every path is the service's.
fn everywhere<S>(service: S) -> Router
where
    S: Service<Request, Error = Infallible, Response: IntoResponse, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
{
    Router::new().route_service("/", service.clone()).route_service("/{*path}", service)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use axum::body::Body;
    use axum::http::{HeaderMap, StatusCode};
    use http_body_util::BodyExt as _;
    use tempfile::TempDir;
    use tower::ServiceExt as _;

    use super::*;

    struct Site {
        root: TempDir,
        single_page: bool,
    }

    struct Answer {
        status: u16,
        headers: HeaderMap,
        text: String,
    }

    impl Answer {
        fn header(&self, name: &str) -> &str {
            self.headers.get(name).map_or("", |value| value.to_str().unwrap())
        }
    }

    impl Site {
        fn of(files: &[(&str, &str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let file = root.path().join("site").join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            Self { root, single_page: false }
        }

        fn folder(&self) -> PathBuf {
            self.root.path().join("site")
        }

        async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
            let (folder, single_page) = (self.folder(), self.single_page);
            let raw = format!("folder = '{}'\nsingle_page = {single_page}\n", folder.display());
            let config: Config = config_file::from_toml("f", &raw).unwrap();
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = routes(&config).oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            Answer {
                status: parts.status.as_u16(),
                headers: parts.headers,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            }
        }

        async fn get(&self, path: &str) -> Answer {
            self.ask("GET", path, &[]).await
        }
    }

    #[tokio::test]
    async fn a_folder_is_its_page_and_a_file_is_what_it_is() {
        let site =
            Site::of(&[("index.html", "<p>home"), ("about/index.html", "us"), ("a.css", "*{}")]);
        let home = site.get("/").await;
        assert_eq!((home.status, home.text.as_str()), (200, "<p>home"));
        assert_eq!(home.header("content-type"), "text/html");
        assert_eq!(site.get("/a.css").await.header("content-type"), "text/css");
        assert_eq!(site.get("/about/").await.text, "us");
        let head = site.ask("HEAD", "/a.css", &[]).await;
        assert_eq!(
            (head.status, head.header("content-length"), head.text.as_str()),
            (200, "3", "")
        );
        let part = site.ask("GET", "/index.html", &[("range", "bytes=3-5")]).await;
        assert_eq!((part.status, part.text.as_str()), (206, "hom"));
    }

    #[tokio::test]
    async fn nothing_outside_of_the_folder_is_served() {
        let site = Site::of(&[("index.html", "home"), ("inner/a", "a")]);
        fs::write(site.root.path().join("beside"), "secret").unwrap();
        for path in ["/../beside", "/%2e%2e/beside", "/inner/..%2f../beside"] {
            let answer = site.get(path).await;
            assert!(answer.status >= 400 && !answer.text.contains("secret"), "{path}");
        }
    }

    #[tokio::test]
    async fn a_path_that_leads_nowhere_has_a_page_of_its_own_or_is_the_applications() {
        let mut site = Site::of(&[("index.html", "home")]);
        assert_eq!(site.get("/nowhere").await.status, 404);
        fs::write(site.folder().join("404.html"), "lost").unwrap();
        let lost = site.get("/nowhere").await;
        assert_eq!((lost.status, lost.text.as_str()), (404, "lost"));
        site.single_page = true;
        let page = site.get("/orders/7").await;
        assert_eq!((page.status, page.text.as_str()), (200, "home"));
    }

    #[tokio::test]
    async fn a_redirect_of_a_folder_leads_below_the_prefix_that_was_taken_off() {
        let site = Site::of(&[("about/index.html", "us")]);
        assert_eq!(site.get("/about").await.header("location"), "/about/");
        let below = site.ask("GET", "/about", &[("x-forwarded-prefix", "/site")]).await;
        assert_eq!(below.header("location"), "/site/about/");
    }

    #[tokio::test]
    async fn a_copy_is_the_file_where_its_date_is_the_very_same() {
        let site = Site::of(&[("index.html", "home")]);
        let file = File::options().write(true).open(site.folder().join("index.html")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        let date = site.get("/").await.header("last-modified").to_owned();
        let with = |date: String| {
            let site = &site;
            async move { site.ask("GET", "/", &[("if-modified-since", &date)]).await }
        };
        let same = with(date.clone()).await;
        assert_eq!((same.status, same.text.as_str()), (304, ""));
        assert_eq!(same.header("cache-control"), "no-cache", "nobody keeps it without asking");
        // It was newer, and somebody went back.
        let newer = with("Wed, 15 Nov 2023 22:13:20 GMT".to_owned()).await;
        assert_eq!((newer.status, newer.text.as_str()), (200, "home"));
        assert_eq!(date, "Tue, 14 Nov 2023 22:13:20 GMT");
    }

    #[tokio::test]
    async fn a_compressed_file_goes_to_whoever_takes_it() {
        let site = Site::of(&[("a.js", "long"), ("a.js.gz", "short")]);
        let answer = site.ask("GET", "/a.js", &[("accept-encoding", "gzip")]).await;
        assert_eq!((answer.header("content-encoding"), answer.text.as_str()), ("gzip", "short"));
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert_eq!(site.get("/a.js").await.text, "long");
    }

    #[tokio::test]
    async fn who_has_a_part_of_another_version_gets_all_of_this_one() {
        let site = Site::of(&[("big", "of this version")]);
        let rest = [("range", "bytes=3-"), ("if-range", "Tue, 14 Nov 2023 22:13:20 GMT")];
        let answer = site.ask("GET", "/big", &rest).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "of this version"));
    }

    #[tokio::test]
    async fn what_is_not_asked_of_files_is_refused_and_it_is_known_whether_it_lives() {
        let site = Site::of(&[("index.html", "home")]);
        assert_eq!(site.ask("POST", "/", &[]).await.status, 405);
        assert_eq!(site.get("/healthz").await.status, StatusCode::OK.as_u16());
    }
}
