//! A stretch of a service's turns, as they are taken.

use std::time::Duration;

use model::names::ServiceName;
use reqwest::Response;
use tokio::time::timeout;

use crate::{Scaler, ScalerError};

/// How long nothing may come before the scaler is away: it takes a turn each 100 ms, and each second where it cannot
/// see the host.
const QUIET: Duration = Duration::from_secs(15);

/// The longest recording. The client's own limit is for answers that have an end.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The lines of a recording as they come.
#[derive(Debug)]
pub struct Recording {
    response: Response,
    address: String,
    /// What came and was not given yet.
    bytes: Vec<u8>,
}

impl Scaler {
    /// Begins to record the turns of a service.
    ///
    /// # Errors
    /// No answer, or the scaler does not record it.
    pub async fn record(&self, service: &ServiceName) -> Result<Recording, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/recording"));
        let request = self.http.get(url).timeout(LONGEST);
        let asked = timeout(QUIET, self.accepted(request)).await;
        let response = asked.map_err(|_| ScalerError::Silent { address: self.address() })??;
        Ok(Recording { response, address: self.address(), bytes: Vec::new() })
    }
}

impl Recording {
    /// The next line, with its end; `None` where there are no more. What of a line came before the scaler went is not
    /// given. A call that is dropped takes nothing.
    ///
    /// # Errors
    /// Nothing came for long, or the scaler is gone.
    pub async fn line(&mut self) -> Result<Option<Vec<u8>>, ScalerError> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let rest = self.bytes.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.bytes, rest)));
            }
            let address = || self.address.clone();
            match timeout(QUIET, self.response.chunk()).await {
                Err(_) => return Err(ScalerError::Silent { address: address() }),
                Ok(Err(source)) => return Err(ScalerError::Away { address: address(), source }),
                Ok(Ok(None)) => return Ok(None),
                Ok(Ok(Some(chunk))) => self.bytes.extend_from_slice(&chunk),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn store() -> ServiceName {
        "store".parse().unwrap()
    }

    #[tokio::test]
    async fn lines_are_given_whole_however_they_come_and_one_that_is_cut_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scaler = Scaler::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let answers = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let count = stream.read(&mut asked).await.unwrap();
            let asked = std::str::from_utf8(&asked[..count]).unwrap();
            assert!(asked.starts_with("GET /v1/services/store/recording HTTP/1.1\r\n"), "{asked}");
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for chunk in ["one\ntw", "o", "\n", "three\n", "fou"] {
                let chunk = format!("{:x}\r\n{chunk}\r\n", chunk.len());
                stream.write_all(chunk.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let lines = async {
            let mut recording = scaler.record(&store()).await.unwrap();
            let mut lines = Vec::new();
            loop {
                match recording.line().await {
                    Ok(Some(line)) => lines.push(String::from_utf8(line).unwrap()),
                    end => return (lines, end.unwrap_err().to_string()),
                }
            }
        };
        let ((lines, end), ()) = tokio::join!(lines, answers);
        assert_eq!(lines, ["one\n", "two\n", "three\n"]);
        assert!(end.starts_with("the scaler gives no answer at"), "{end}");
    }

    #[tokio::test]
    async fn a_recording_that_is_refused_is_told_in_the_scalers_own_words() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scaler = Scaler::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let problem = r#"{"error":{"code":"too_many_recordings","message":"End one."}}"#;
        let answer = move || async move { (axum::http::StatusCode::TOO_MANY_REQUESTS, problem) };
        let routes = Router::new().route("/v1/services/store/recording", get(answer));
        tokio::spawn(axum::serve(listener, routes).into_future());
        let refused = scaler.record(&store()).await.unwrap_err();
        assert_eq!(refused.to_string(), "the scaler did not do it: End one.");
    }
}
