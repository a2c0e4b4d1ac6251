//! Sends the spans of a program as OpenTelemetry traces, by OTLP over HTTP: `specification.md` of
//! open-telemetry/opentelemetry-proto, "OTLP/HTTP".
//!
//! A crate of its own, and within it a feature: what it stands on is 28 crates that no program needs unless it sends traces.

#[cfg(feature = "export")]
mod export;

use tracing_subscriber::Registry;

/// Whether this build can send anything.
pub const CAN_SEND: bool = cfg!(feature = "export");

/// What is told of all spans.
pub type Layer = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;

/// That nothing is sent.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The program was built without.
    #[error(
        "traces.endpoint is set in bellows.toml, and this build sends no traces: take it out, or build with `FEATURES=otel ./just build`"
    )]
    NotBuilt,
    /// The endpoint cannot be used, or no thread can be started.
    #[error("no traces can be sent to {endpoint}: see traces.endpoint in bellows.toml")]
    Endpoint {
        /// The collector's address.
        endpoint: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What sends the spans of a program, or nothing.
#[derive(Debug, Default)]
pub struct Traces {
    #[cfg(feature = "export")]
    export: Option<export::Export>,
}

impl Traces {
    /// Those of this program, sent to the collector at an endpoint such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// [`OtlpError::NotBuilt`] without the feature, [`OtlpError::Endpoint`] with it.
    #[cfg(feature = "export")]
    pub fn begin(program: &'static str, endpoint: &str) -> Result<Self, OtlpError> {
        let export = export::Export::begin(program, endpoint);
        let cannot = |source| OtlpError::Endpoint { endpoint: endpoint.to_owned(), source };
        let export = export.map_err(|error| cannot(Box::new(error)))?;
        Ok(Self { export: Some(export) })
    }

    /// Those of this program, sent to the collector at an endpoint such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// [`OtlpError::NotBuilt`] without the feature, [`OtlpError::Endpoint`] with it.
    #[cfg(not(feature = "export"))]
    pub fn begin(_: &'static str, _: &str) -> Result<Self, OtlpError> {
        Err(OtlpError::NotBuilt)
    }

    /// What gathers the spans of the program's own code; `None` where none are sent.
    pub fn layer(&self) -> Option<Layer> {
        #[cfg(feature = "export")]
        return self.export.as_ref().map(export::Export::layer);
        #[cfg(not(feature = "export"))]
        None
    }

    /// Sends what is left. It blocks for 3 s at most, and is not for a thread that runs tasks.
    pub fn end(self) {
        #[cfg(feature = "export")]
        self.export.into_iter().for_each(export::Export::end);
    }
}

#[cfg(all(test, not(feature = "export")))]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_sends_none_says_how_to_make_one_that_does() {
        let error = Traces::begin("scaler", "http://127.0.0.1:4318").unwrap_err().to_string();
        assert!(!CAN_SEND && error.contains("FEATURES=otel ./just build"), "{error}");
        assert!(Traces::default().layer().is_none());
    }
}
