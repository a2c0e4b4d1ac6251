//! The console, which remembers what was, as it is asked on this host.

use anyhow::anyhow;
use host::settings::Settings;
use scaler_client::{Scaler, ScalerError};

use crate::code::Code;
use crate::error::{BadInput, Coded};
use crate::link::reached;

/// The console of an installation with these settings. It needs no token of who asks on the host.
pub(crate) fn client(settings: &Settings) -> Result<Scaler, ScalerError> {
    let (host, port) = reached(settings.listen.api);
    Scaler::new(&format!("http://{host}:{port}"))
}

/// What it did not do, told of it and not of the scaler.
pub(crate) fn told(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<ScalerError>() {
        Ok(ScalerError::Away { address, source }) => {
            let told =
                format!("the console gives no answer at {address}; `./just up` brings it up");
            Coded::new(Code::ConsoleAway, anyhow!(source).context(told)).into()
        }
        Ok(ScalerError::Refused { status, message }) => {
            let told = anyhow!("the console did not do it: {message}");
            match status.is_client_error() {
                true => BadInput::new(told).coded(Code::Refused).into(),
                false => Coded::new(Code::Refused, told).into(),
            }
        }
        Ok(error) => error.into(),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;

    use axum::Router;
    use axum::http::StatusCode;
    use tokio::net::TcpListener;

    use super::*;
    use crate::error::code_of;

    /// Settings with a console at that port.
    fn at(listener: &TcpListener) -> Settings {
        let mut settings = Settings::default();
        settings.listen.api = listener.local_addr().unwrap().to_string().parse().unwrap();
        settings
    }

    async fn asked(settings: &Settings) -> anyhow::Error {
        let answer = client(settings).unwrap().services().await;
        told(answer.unwrap_err().into())
    }

    #[tokio::test]
    async fn what_the_console_does_not_do_is_told_of_it_and_not_of_the_scaler() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = at(&listener);
        let body = r#"{"error":{"code":"nothing_known","message":"Nothing is known."}}"#;
        let routes = Router::new()
            .fallback(async move || (StatusCode::UNPROCESSABLE_ENTITY, body.to_owned()));
        let server = tokio::spawn(axum::serve(listener, routes).into_future());
        let refused = asked(&settings).await;
        assert_eq!(refused.to_string(), "the console did not do it: Nothing is known.");
        assert_eq!(code_of(&refused), Code::Refused);
        assert!(refused.is::<BadInput>());
        server.abort();
        let _ = server.await;
        let away = asked(&settings).await;
        let expected = format!("the console gives no answer at {}", settings.listen.api);
        assert!(away.to_string().starts_with(&expected), "{away}");
        assert_eq!(code_of(&away), Code::ConsoleAway);
        let other = told(anyhow!("something else"));
        assert_eq!(other.to_string(), "something else");
    }
}
