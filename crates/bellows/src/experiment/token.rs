//! The token of an experiment: it sets policy and bounds meanwhile, and ends with the experiment.

use command_line::terminal;
use model::access::{Grant, MadeToken, Right, TokenTime};
use model::job::JobId;
use model::names::{ServiceName, TokenName};
use scaler_client::{Scaler, ScalerError};

/// A token that is revoked when the experiment ends. Where nobody comes to that, it ends by itself.
pub(super) struct OfExperiment {
    made: MadeToken,
}

impl OfExperiment {
    /// Makes one for what is the service's, or the whole host's where none is named.
    ///
    /// # Errors
    /// The scaler does not make it.
    pub(super) async fn make(
        scaler: &Scaler,
        id: JobId,
        service: Option<ServiceName>,
    ) -> anyhow::Result<Self> {
        let name: TokenName = format!("experiment-{id}").parse()?;
        let grant = Grant {
            rights: [Right::Operate].into(),
            services: service.map(|service| [service].into()),
            lasts: Some(TokenTime::OF_AN_EXPERIMENT),
        };
        Ok(Self { made: scaler.make_token(&name, &grant).await? })
    }

    /// What is sent with each request.
    pub(super) fn secret(&self) -> &str {
        &self.made.secret
    }

    /// Ends it. A scaler that was killed meanwhile is waited for.
    pub(super) async fn revoke(&self, scaler: &Scaler) {
        let name = &self.made.token.name;
        let revoked = scaler.patiently(async |scaler| scaler.revoke_token(name).await).await;
        match revoked {
            Ok(()) | Err(ScalerError::Refused { .. }) => {}
            Err(error) => terminal::note(format_args!(
                "the token {name} could not be revoked, and ends by itself a day after it was made: {error}"
            )),
        }
    }
}
