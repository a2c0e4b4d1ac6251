//! The tokens that there are, and how a browser comes to one.

use std::io;

use model::access::{Changed, Grant, MadeToken, Token, Tokens, Who};
use model::login::LoginCode;
use model::names::TokenName;

use super::SharedState;
use crate::access::Caller;
use crate::clock;
use crate::tokens::{LoggedIn, MakeError};

impl SharedState {
    /// The token that a secret is of, which may have ended.
    pub(crate) fn token(&self, secret: &str) -> Option<Token> {
        self.tokens.of_secret(secret)
    }

    /// Whether a caller is still who he was when he asked for what takes long: tokens are revoked, and end.
    pub(crate) fn is_still(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Token(token) => !token.has_ended(clock::now()) && self.tokens.has(token),
            Caller::Operator { .. } | Caller::Reader => true,
        }
    }

    /// All tokens.
    pub(crate) fn tokens(&self) -> Tokens {
        Tokens { tokens: self.tokens.list() }
    }

    /// Makes a token.
    ///
    /// # Errors
    /// There is one of that name, there are too many, or it could not be written.
    pub(crate) fn make_token(
        &self,
        who: Who,
        name: TokenName,
        grant: Grant,
    ) -> Result<MadeToken, MakeError> {
        let made = self.tokens.make(name, grant, clock::now())?;
        self.note_made(who, &made);
        Ok(made)
    }

    /// Revokes a token, and says whether there was one of that name.
    ///
    /// # Errors
    /// It could not be written; the token goes on to hold.
    pub(crate) fn revoke_token(&self, who: Who, name: &TokenName) -> io::Result<bool> {
        let before = self.tokens.revoke(name)?;
        let there = before.is_some();
        before.into_iter().for_each(|before| self.note_gone(who.clone(), before));
        Ok(there)
    }

    /// A code for one login in the name of this operator.
    pub(crate) fn login_code(&self, who: Who) -> LoginCode {
        let (code, lasts) = self.logins.give(who);
        LoginCode { code, expires_at: clock::now().after(lasts) }
    }

    /// Whose this code is, which nobody can use again; `None` where it is of no use.
    pub(crate) fn use_login_code(&self, code: &str) -> Option<Who> {
        self.logins.take(code)
    }

    /// Makes a token for a browser in which this operator logged in.
    ///
    /// # Errors
    /// There are too many tokens, or it could not be written.
    pub(crate) fn log_in(&self, who: Who) -> Result<MadeToken, MakeError> {
        let user = match &who {
            Who::Operator { uid, user: None } => uid.to_string(),
            who => who.to_string(),
        };
        let LoggedIn { made, gone } = self.tokens.log_in(&user, clock::now())?;
        gone.into_iter().for_each(|before| self.note_gone(who.clone(), before));
        self.note_made(who, &made);
        Ok(made)
    }

    /// Ends the token of a browser that logs out, and gives it; `None` where it is none of a login.
    ///
    /// # Errors
    /// It could not be written; the token goes on to hold.
    pub(crate) fn log_out(&self, name: &TokenName) -> io::Result<Option<Token>> {
        let before = self.tokens.log_out(name)?;
        if let Some(before) = before.clone() {
            self.note_gone(Who::Token { name: name.clone() }, before);
        }
        Ok(before)
    }

    /// Drops the tokens that ended long ago. That they end is told with who made them.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn forget_ended_tokens(&self) -> io::Result<()> {
        self.tokens.forget_ended(clock::now())
    }

    fn note_made(&self, who: Who, made: &MadeToken) {
        let (name, after) = (made.token.name.clone(), Some(made.token.clone()));
        self.note(who, Changed::Token { name, before: None, after });
    }

    fn note_gone(&self, who: Who, before: Token) {
        let name = before.name.clone();
        self.note(who, Changed::Token { name, before: Some(before), after: None });
    }
}
