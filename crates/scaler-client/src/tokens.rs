//! Tokens, and the codes with which browsers come to theirs.

use model::access::{Grant, MadeToken, Tokens};
use model::login::LoginCode;
use model::names::TokenName;

use crate::{Scaler, ScalerError};

impl Scaler {
    /// All tokens.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn tokens(&self) -> Result<Tokens, ScalerError> {
        self.get("/v1/tokens", &[]).await
    }

    /// Makes a token of that name.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it.
    pub async fn make_token(
        &self,
        name: &TokenName,
        grant: &Grant,
    ) -> Result<MadeToken, ScalerError> {
        let url = self.url(&format!("/v1/tokens/{name}"));
        self.answer(self.http.put(url).json(grant)).await
    }

    /// Revokes the token of that name.
    ///
    /// # Errors
    /// No answer, or there is no such token.
    pub async fn revoke_token(&self, name: &TokenName) -> Result<(), ScalerError> {
        let url = self.url(&format!("/v1/tokens/{name}"));
        let _others: Tokens = self.answer(self.http.delete(url)).await?;
        Ok(())
    }

    /// A code for one login of a browser, in the name of whoever asks.
    ///
    /// # Errors
    /// No answer, or whoever asks is no operator.
    pub async fn login_code(&self) -> Result<LoginCode, ScalerError> {
        self.answer(self.http.post(self.url("/v1/logins"))).await
    }
}
