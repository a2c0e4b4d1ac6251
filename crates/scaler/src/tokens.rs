//! The tokens with which somebody may change something who is no operator of the host. Of a secret only
//! its digest is kept.

mod files;
pub(crate) mod secret;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::access::{Grant, MadeToken, Right, Token, TokenTime};
use model::names::TokenName;
use model::time::Timestamp;

use crate::lock::lock;
use files::{Files, Kept};
use secret::{SecretDigest, chance};

/// The bytes of chance in a secret: too many to guess, so that a plain digest of it can be kept.
const SECRET_BYTES: usize = 32;

/// What secrets begin with, so that one that was published by mistake is recognised.
const PREFIX: &str = "bellows_";

/// Tokens at most: each request that carries one is compared with all of them.
pub(crate) const MOST: usize = 1_000;

/// Tokens of logins at most: some browsers of some operators, a day long. The oldest goes.
const MOST_OF_LOGINS: usize = 32;

/// For how long it is told of a token that it has ended, and not that nobody knows it.
const TOLD_AFTER_END: Duration = Duration::from_secs(24 * 3_600);

/// The tokens, and the files that hold them. Whoever reads does not wait for the disk. Two who make or revoke at
/// once get in each other's way.
#[derive(Debug)]
pub(crate) struct TokensFile {
    files: Files,
    held: Mutex<Arc<Vec<Kept>>>,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    /// There is one of that name.
    #[error("there is a token `{0}`: revoke it first, or choose another name")]
    Taken(TokenName),
    /// There are too many.
    #[error("there are {MOST} tokens: revoke one that is of no use any more")]
    TooMany,
    /// It could not be kept.
    #[error(transparent)]
    NotWritten(#[from] io::Error),
}

/// A token that was made for a browser, and those that went for it.
#[derive(Debug)]
pub(crate) struct LoggedIn {
    pub(crate) made: MadeToken,
    pub(crate) gone: Vec<Token>,
}

impl TokensFile {
    /// Reads the file at `path`, and that of the tokens that end, beside it; none is no tokens.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let files = Files::new(path);
        let held = files.read()?;
        Ok(Self { files, held: Mutex::new(Arc::new(held)) })
    }

    fn held(&self) -> Arc<Vec<Kept>> {
        Arc::clone(&lock(&self.held))
    }

    /// All tokens, in the order of their names, also those that ended within the last day.
    pub(crate) fn list(&self) -> Vec<Token> {
        self.held().iter().map(|kept| kept.token.clone()).collect()
    }

    /// Whether there is this token, with these rights.
    pub(crate) fn has(&self, token: &Token) -> bool {
        self.held().iter().any(|kept| kept.token == *token)
    }

    /// The token with this secret, which may have ended. Every token is compared, and each whole, so that the time tells
    /// nothing of any. What is no secret by its length, which is no secret itself, costs no digest.
    pub(crate) fn of_secret(&self, secret: &str) -> Option<Token> {
        if secret.len() != PREFIX.len() + SECRET_BYTES * 2 {
            return None;
        }
        let digest = SecretDigest::of(secret);
        self.held()
            .iter()
            .filter(|kept| kept.sha256.is(&digest))
            .fold(None, |_, kept| Some(kept.token.clone()))
    }

    /// Makes a token, on disk first.
    ///
    /// # Errors
    /// The name is taken, there are too many, or it could not be written.
    pub(crate) fn make(
        &self,
        name: TokenName,
        grant: Grant,
        now: Timestamp,
    ) -> Result<MadeToken, MakeError> {
        let mut all = Vec::clone(&self.held());
        // One that ended gives its name back.
        all.retain(|kept| kept.token.name != name || !kept.token.has_ended(now));
        if all.iter().any(|kept| kept.token.name == name) {
            return Err(MakeError::Taken(name));
        }
        let Grant { rights, services, lasts } = grant;
        let expires_at = lasts.map(|time| now.after(time.span()));
        let token = Token { name, rights, services, made_at: now, expires_at };
        self.add(all, token, false)
    }

    /// Makes a token for a browser in which this user logged in: it may do what operators may, and ends. The oldest ones
    /// go where there are too many.
    ///
    /// # Errors
    /// There are too many tokens, or it could not be written.
    pub(crate) fn log_in(&self, user: &str, now: Timestamp) -> Result<LoggedIn, MakeError> {
        let held = self.held();
        let is_open = |kept: &&Kept| kept.of_a_login && !kept.token.has_ended(now);
        let mut open: Vec<Token> = held.iter().filter(is_open).map(|it| it.token.clone()).collect();
        open.sort_by_key(|token| token.made_at);
        let gone: Vec<Token> =
            open.drain(..(open.len() + 1).saturating_sub(MOST_OF_LOGINS)).collect();
        let mut all = Vec::clone(&held);
        all.retain(|kept| !gone.contains(&kept.token));
        let token = Token {
            name: name_of_login(user, &all)?,
            rights: [Right::All].into(),
            services: None,
            made_at: now,
            expires_at: Some(now.after(TokenTime::OF_A_LOGIN.span())),
        };
        Ok(LoggedIn { made: self.add(all, token, true)?, gone })
    }

    /// Adds a token, whose name is free, to these.
    fn add(
        &self,
        mut all: Vec<Kept>,
        token: Token,
        of_a_login: bool,
    ) -> Result<MadeToken, MakeError> {
        let now = token.made_at;
        if all.len() >= MOST {
            all.retain(|kept| !kept.token.has_ended(now));
        }
        if all.len() >= MOST {
            return Err(MakeError::TooMany);
        }
        let secret = format!("{PREFIX}{}", chance(SECRET_BYTES));
        let kept = Kept { token: token.clone(), sha256: SecretDigest::of(&secret), of_a_login };
        all.insert(all.partition_point(|other| other.token.name < kept.token.name), kept);
        self.replace(all)?;
        Ok(MadeToken { token, secret })
    }

    /// Revokes the token of that name, and gives it; `None` where there is none.
    ///
    /// # Errors
    /// It could not be written. The token goes on to hold.
    pub(crate) fn revoke(&self, name: &TokenName) -> io::Result<Option<Token>> {
        self.remove(|kept| kept.token.name == *name)
    }

    /// Ends the token of that name, and gives it; `None` where no browser logged in for it.
    ///
    /// # Errors
    /// It could not be written. The token goes on to hold.
    pub(crate) fn log_out(&self, name: &TokenName) -> io::Result<Option<Token>> {
        self.remove(|kept| kept.token.name == *name && kept.of_a_login)
    }

    fn remove(&self, is_it: impl Fn(&Kept) -> bool) -> io::Result<Option<Token>> {
        let (gone, others): (Vec<_>, Vec<_>) = self.held().iter().cloned().partition(is_it);
        if !gone.is_empty() {
            self.replace(others)?;
        }
        Ok(gone.into_iter().next().map(|kept| kept.token))
    }

    /// Drops the tokens that ended more than a day ago.
    ///
    /// # Errors
    /// It could not be written. They are dropped the next time.
    pub(crate) fn forget_ended(&self, now: Timestamp) -> io::Result<()> {
        let held = self.held();
        let others: Vec<_> =
            held.iter().filter(|it| !it.token.has_ended(now.before(TOLD_AFTER_END))).collect();
        if others.len() == held.len() {
            return Ok(());
        }
        self.replace(others.into_iter().cloned().collect())
    }

    fn replace(&self, all: Vec<Kept>) -> io::Result<()> {
        self.files.write(&self.held(), &all)?;
        *lock(&self.held) = Arc::new(all);
        Ok(())
    }
}

/// What the names of logins begin with.
const OF_LOGIN: &str = "browser-of-";

/// The bytes of chance in such a name, and the characters of the user's own in it: the longest name has 31 characters.
const NAME_BYTES: usize = 3;
const USER_MAX: usize = 31 - OF_LOGIN.len() - 1 - 2 * NAME_BYTES;

/// A name that is free and says whose login it is, such as `browser-of-anna-3fa85f`.
fn name_of_login(user: &str, taken: &[Kept]) -> io::Result<TokenName> {
    let allowed = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9') => c,
        _ => '-',
    };
    let user: String = user.chars().map(allowed).take(USER_MAX).collect();
    loop {
        let name = format!("{OF_LOGIN}{user}-{}", chance(NAME_BYTES));
        let name: TokenName = name.parse().map_err(io::Error::other)?;
        if !taken.iter().any(|kept| kept.token.name == name) {
            return Ok(name);
        }
    }
}

#[cfg(test)]
mod tests;
