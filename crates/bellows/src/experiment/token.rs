//! The token of an experiment: it sets policy and bounds meanwhile, and ends with the experiment.

use command_line::terminal;
use model::access::{Grant, MadeToken, Right, TokenTime};
use model::job::JobId;
use model::names::{ServiceName, TokenName};
use scaler_client::{Scaler, ScalerError};

/// What the names of such tokens begin with; the id of the job follows.
const OF_EXPERIMENT: &str = "experiment-";

/// A token that is revoked when the experiment ends. Where nobody comes to that, it ends by itself.
pub(super) struct OfExperiment {
    made: MadeToken,
}

impl OfExperiment {
    /// Makes one for what is the service's, or the whole host's where none is named, and revokes those that were left by
    /// experiments whose process died: one goes on at a time.
    ///
    /// # Errors
    /// The scaler does not do it.
    pub(super) async fn make(
        scaler: &Scaler,
        id: JobId,
        service: Option<ServiceName>,
    ) -> anyhow::Result<Self> {
        for left in scaler.tokens().await?.tokens.iter().filter(|token| is_of_one(&token.name)) {
            scaler.revoke_token(&left.name).await?;
        }
        let name: TokenName = format!("{OF_EXPERIMENT}{id}").parse()?;
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

/// Whether a token has the name of an experiment's.
fn is_of_one(name: &TokenName) -> bool {
    let id = name.as_str().strip_prefix(OF_EXPERIMENT);
    id.is_some_and(|id| id.parse::<JobId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_an_experiment_is_told_from_one_that_somebody_named_so() {
        let is_one = |name: &str| is_of_one(&name.parse().unwrap());
        assert!(is_one("experiment-d72af54691f9e985"));
        assert!(!is_one("experiment-of-anna") && !is_one("experiment-d72af54691f9e98"));
        assert!(!is_one("d72af54691f9e985-a") && !is_one("anna"));
    }
}
