//! Work for the host that outlives the request for it.

use std::time::Duration;

use model::experiment::Experiment;
use model::job::{JobId, JobList, JobStatus, StopAnswer};
use model::names::ServiceName;
use model::version::Version;
use reqwest::header;
use serde_json::{Value, json};

use crate::setting::Tagged;
use crate::{Scaler, ScalerError};

/// How long an archive may take to be sent and written to the disk.
const UPLOAD: Duration = Duration::from_secs(600);

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As tar.
    Tar,
    /// As tar, compressed by gzip.
    Gzip,
}

impl Packing {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Tar => "application/x-tar",
            Self::Gzip => "application/gzip",
        }
    }
}

impl Scaler {
    /// Has an application deployed that lies in an archive; `replaces` what is deployed of that name from a folder.
    ///
    /// # Errors
    /// No answer, or the scaler did not take it.
    pub async fn deploy(
        &self,
        service: &ServiceName,
        archive: Vec<u8>,
        packing: Packing,
        replaces: bool,
    ) -> Result<JobStatus, ScalerError> {
        let mut url = self.url(&format!("/v1/services/{service}/deploys"));
        if replaces {
            url.set_query(Some("replace=true"));
        }
        let request = self.http.post(url).header(header::CONTENT_TYPE, packing.media_type());
        self.answer(request.body(archive).timeout(UPLOAD)).await
    }

    /// Has a service go back to a version, or to the one before; with all that its file said then where `revision` says so.
    ///
    /// # Errors
    /// No answer, or the scaler did not take it.
    pub async fn roll_back(
        &self,
        service: &ServiceName,
        version: Option<Version>,
        revision: bool,
    ) -> Result<JobStatus, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/rollback"));
        let body = json!({ "version": version, "revision": revision });
        self.answer(self.http.post(url).json(&body)).await
    }

    /// A service's whole file as JSON.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn file(&self, service: &ServiceName) -> Result<Tagged<Value>, ScalerError> {
        self.tagged(&format!("/v1/services/{service}/file")).await
    }

    /// Has a service be what its whole file says; where a tag is given, only while the file has it.
    ///
    /// # Errors
    /// No answer, or the scaler did not take it.
    pub async fn put_file(
        &self,
        service: &ServiceName,
        file: &Value,
        tag: Option<&str>,
    ) -> Result<JobStatus, ScalerError> {
        let mut request = self.http.put(self.url(&format!("/v1/services/{service}"))).json(file);
        if let Some(tag) = tag {
            request = request.header(header::IF_MATCH, tag);
        }
        self.answer(request).await
    }

    /// Has a service removed, and what it keeps on the host where `data` says so.
    ///
    /// # Errors
    /// No answer, or the scaler did not take it.
    pub async fn destroy(
        &self,
        service: &ServiceName,
        data: bool,
    ) -> Result<JobStatus, ScalerError> {
        let mut url = self.url(&format!("/v1/services/{service}"));
        url.set_query(Some(if data { "data=true" } else { "data=false" }));
        self.answer(self.http.delete(url)).await
    }

    /// Has everything taken down, the scaler among it.
    ///
    /// # Errors
    /// No answer, or the scaler did not take it.
    pub async fn stop_everything(&self) -> Result<StopAnswer, ScalerError> {
        let body = json!({ "confirm": "stop everything" });
        self.answer(self.http.post(self.url("/v1/stop")).json(&body)).await
    }

    /// Has an experiment carried out.
    ///
    /// # Errors
    /// No answer, or the scaler did not take it.
    pub async fn begin_experiment(&self, asked: &Experiment) -> Result<JobStatus, ScalerError> {
        self.answer(self.http.post(self.url("/v1/experiments")).json(asked)).await
    }

    /// Asks an experiment to end in order.
    ///
    /// # Errors
    /// No answer, or the job is none that can be ended.
    pub async fn interrupt(&self, id: JobId) -> Result<JobStatus, ScalerError> {
        self.answer(self.http.post(self.url(&format!("/v1/jobs/{id}/interrupt")))).await
    }

    /// The jobs that are kept, or those of one service, the one that was asked for last first.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn jobs(&self, service: Option<&ServiceName>) -> Result<JobList, ScalerError> {
        let query: Vec<_> = service.map(|name| ("service", name.to_string())).into_iter().collect();
        self.get("/v1/jobs", &query).await
    }

    /// One job.
    ///
    /// # Errors
    /// No answer, or there is no such job.
    pub async fn job(&self, id: JobId) -> Result<JobStatus, ScalerError> {
        self.get(&format!("/v1/jobs/{id}"), &[]).await
    }

    /// A part of what a job wrote, from so many bytes on; nothing where it wrote no more yet.
    ///
    /// # Errors
    /// No answer, or there is no such job.
    pub async fn job_log(&self, id: JobId, after: u64) -> Result<Vec<u8>, ScalerError> {
        let mut url = self.url(&format!("/v1/jobs/{id}/log"));
        url.set_query(Some(&format!("after={after}")));
        let answer = self.accepted(self.http.get(url)).await?;
        let body = answer.bytes().await.map_err(|source| self.away(source))?;
        Ok(body.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::Request;
    use model::bounds::Bounds;
    use tokio::net::TcpListener;

    use super::*;
    use crate::Setting;

    const JOB: &str = r#"{"id":"00000000000000ab","kind":"deploy","service":"shop","who":null,"begun_at_ms":1,
        "ended_at_ms":null,"stage":"begin","outcome":null}"#;

    /// What is answered to a request.
    fn answer(path: &str) -> String {
        match path {
            "/v1/jobs" => format!("{{\"jobs\":[{JOB}]}}"),
            "/v1/stop" => format!("{{\"job\":{JOB},\"message\":\"It ends.\"}}"),
            "/v1/services/shop/file" => r#"{"name":"shop"}"#.to_owned(),
            "/v1/services/shop/versions" => r#"{"service":"shop","versions":[]}"#.to_owned(),
            "/v1/services/shop/actions" => r#"{"actions":{}}"#.to_owned(),
            "/v1/services/shop/actions/tidy" => r#"{"status":204,"body":""}"#.to_owned(),
            "/v1/services/shop/hold" => r#"{"in_force":null,"set":null}"#.to_owned(),
            "/v1/services/shop/policy" => r#"{"in_force":{"kind":"hpa"},"set":null}"#.to_owned(),
            "/v1/services/shop/bounds" => r#"{"in_force":{"min":1,"max":4},"set":null}"#.to_owned(),
            path if path.ends_with("bounds/check") => r#"{"min":1,"max":4}"#.to_owned(),
            path if path.ends_with("policy/check") => r#"{"kind":"hpa"}"#.to_owned(),
            path if path.ends_with("/log") => "two\n".to_owned(),
            _ => JOB.to_owned(),
        }
    }

    #[tokio::test]
    async fn each_wish_is_a_request_of_its_own() {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::clone(&seen);
        let routes = Router::new().fallback(async move |request: Request| {
            let (parts, body) = request.into_parts();
            let header = |name: &str| {
                let value = parts.headers.get(name).map(|it| it.to_str().unwrap());
                value.map(|it| format!(" {name}: {it}")).unwrap_or_default()
            };
            let headers = header("if-match") + &header("content-type");
            let body = axum::body::to_bytes(body, 1000).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let line = format!("{} {}{headers} {body}", parts.method, parts.uri);
            record.lock().unwrap().push(line.trim_end().to_owned());
            ([("etag", "\"a\"")], answer(parts.uri.path()))
        });
        tokio::spawn(axum::serve(listener, routes).into_future());
        let scaler = Scaler::new(&format!("http://{address}")).unwrap();
        let shop: ServiceName = "shop".parse().unwrap();
        let job = scaler.deploy(&shop, b"tar".to_vec(), Packing::Gzip, true).await.unwrap();
        scaler.roll_back(&shop, Some(Version::new(1)), true).await.unwrap();
        let file = scaler.file(&shop).await.unwrap();
        assert_eq!(file.tag, "\"a\"");
        scaler.put_file(&shop, &file.value, Some(&file.tag)).await.unwrap();
        scaler.destroy(&shop, true).await.unwrap();
        assert_eq!(scaler.stop_everything().await.unwrap().message, "It ends.");
        let ramp: Experiment = serde_json::from_str(r#"{"scenario":"ramp"}"#).unwrap();
        assert_eq!(scaler.begin_experiment(&ramp).await.unwrap(), job);
        assert_eq!(scaler.interrupt(job.id).await.unwrap(), job);
        assert_eq!(scaler.jobs(Some(&shop)).await.unwrap().jobs, std::slice::from_ref(&job));
        assert_eq!(scaler.job(job.id).await.unwrap(), job);
        assert_eq!(scaler.job_log(job.id, 4).await.unwrap(), b"two\n");
        scaler.versions(&shop).await.unwrap();
        scaler.actions(&shop).await.unwrap();
        assert_eq!(scaler.act(&shop, &"tidy".parse().unwrap()).await.unwrap().status, 204);
        assert_eq!(scaler.held(&shop).await.unwrap().value.set, None);
        let policy = scaler.policy(&shop).await.unwrap().value.in_force;
        let bounds = scaler.bounds(&shop).await.unwrap();
        let more = Bounds::new(1, 4).unwrap();
        assert_eq!(bounds.value.in_force, more);
        scaler.set_as_read(&Setting::Bounds("shop", Some(more)), &bounds.tag).await.unwrap();
        scaler.check_bounds(&shop, more).await.unwrap();
        scaler.check_policy(&shop, &policy).await.unwrap();
        let seen = seen.lock().unwrap().join("\n");
        insta::assert_snapshot!(seen, @r#"
        POST /v1/services/shop/deploys?replace=true content-type: application/gzip tar
        POST /v1/services/shop/rollback content-type: application/json {"revision":true,"version":"00000001"}
        GET /v1/services/shop/file
        PUT /v1/services/shop if-match: "a" content-type: application/json {"name":"shop"}
        DELETE /v1/services/shop?data=true
        POST /v1/stop content-type: application/json {"confirm":"stop everything"}
        POST /v1/experiments content-type: application/json {"scenario":"ramp","policy":null,"runs":1,"time_factor":1.0,"seed":null}
        POST /v1/jobs/00000000000000ab/interrupt
        GET /v1/jobs?service=shop
        GET /v1/jobs/00000000000000ab
        GET /v1/jobs/00000000000000ab/log?after=4
        GET /v1/services/shop/versions
        GET /v1/services/shop/actions
        POST /v1/services/shop/actions/tidy content-type: application/json {"confirm":"shop"}
        GET /v1/services/shop/hold
        GET /v1/services/shop/policy
        GET /v1/services/shop/bounds
        PUT /v1/services/shop/bounds if-match: "a" content-type: application/json {"max":4,"min":1}
        POST /v1/services/shop/bounds/check content-type: application/json {"min":1,"max":4}
        POST /v1/services/shop/policy/check content-type: application/json {"kind":"hpa","measure":"offered","target_percent":80.0,"sync_ms":15000,"tolerance_percent":10.0,"stabilisation_in_ms":300000,"stabilisation_out_ms":0,"out_count":4,"out_percent":100,"in_percent":100,"period_ms":15000}
        "#);
    }
}
