//! Who calls, and what that caller may do.

use axum::http::StatusCode;
use host::accounts;
use model::access::{Right, Token, Who};
use model::names::ServiceName;
use service::bearer::unauthorized_as;
pub(crate) use service::bearer::{bearer, unauthorized};
use service::problem::Problem;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Root, or a member of the operators' group, by their socket: may do everything.
    Operator {
        /// The user's id.
        uid: u32,
    },
    /// Whoever has a token.
    Token(Token),
    /// Anybody who may read.
    Reader,
}

impl Caller {
    /// Whether the caller may see this service.
    pub(crate) fn sees(&self, service: &ServiceName) -> bool {
        match self {
            Self::Operator { .. } | Self::Reader => true,
            Self::Token(token) => token.is_for(Some(service)),
        }
    }

    /// Whether the caller may see what instances of this service write: everybody may not, though everybody
    /// on the host may see that there are some.
    pub(crate) fn reads_output(&self, service: &ServiceName) -> bool {
        match self {
            Self::Operator { .. } => true,
            Self::Token(token) => token.allows(Right::Read) && token.is_for(Some(service)),
            Self::Reader => false,
        }
    }

    /// Whether the caller may record the turns of this service: whoever may read more of it than all may. It shows
    /// what was decided on and nothing that programs are told or write, but each reader takes some of the loop's thread.
    pub(crate) fn records(&self, service: &ServiceName) -> bool {
        self.reads_output(service)
    }

    /// Who it is, if the caller may set something of this service, or of the whole host.
    ///
    /// # Errors
    /// 401 to who says nothing of himself, 403 to who may not.
    pub(crate) fn operates(&self, service: Option<&ServiceName>) -> Result<Who, Problem> {
        self.may(Right::Operate, service)
    }

    /// Who it is, if the caller may deploy this service, and set its secrets. `None` is a text that is no
    /// service's name.
    ///
    /// # Errors
    /// 401 to who says nothing of himself, 403 to who may not.
    pub(crate) fn deploys(&self, service: Option<&ServiceName>) -> Result<Who, Problem> {
        self.may(Right::Deploy, service)
    }

    /// Who it is, if the caller may do everything with the whole host.
    ///
    /// # Errors
    /// 401 to who says nothing of himself, 403 to who may not.
    pub(crate) fn does_all(&self) -> Result<Who, Problem> {
        self.may(Right::All, None)
    }

    fn may(&self, right: Right, service: Option<&ServiceName>) -> Result<Who, Problem> {
        match self {
            Self::Operator { uid } => Ok(operator(*uid)),
            Self::Token(token) if token.allows(right) && token.is_for(service) => {
                Ok(Who::Token { name: token.name.clone() })
            }
            Self::Token(token) => Err(too_few_rights(token, right, service)),
            Self::Reader => {
                Err(unauthorized(&format!("A change needs a token with the right `{right}`.")))
            }
        }
    }

    /// Whether the caller may know which secrets the service has.
    ///
    /// # Errors
    /// 401 to who says nothing of himself, 403 to who may neither read nor deploy it.
    pub(crate) fn lists_secrets(&self, service: Option<&ServiceName>) -> Result<(), Problem> {
        match self {
            Self::Operator { .. } => Ok(()),
            Self::Token(token) => {
                let allows = token.allows(Right::Read) || token.allows(Right::Deploy);
                let may = allows && token.is_for(service);
                may.then_some(()).ok_or_else(|| too_few_rights(token, Right::Read, service))
            }
            Self::Reader => {
                Err(unauthorized("Which secrets there are is told to those with a token."))
            }
        }
    }

    /// Who it is, if the caller may see and give away rights.
    ///
    /// # Errors
    /// 403 to all but operators.
    pub(crate) fn grants(&self) -> Result<Who, Problem> {
        match self {
            Self::Operator { uid } => Ok(operator(*uid)),
            Self::Token(_) | Self::Reader => {
                let message = "Tokens are the operators' matter: `bellows token` on the host.";
                Err(Problem::new(StatusCode::FORBIDDEN, "operators_only", message))
            }
        }
    }
}

fn operator(uid: u32) -> Who {
    Who::Operator { uid, user: accounts::user_name(uid) }
}

pub(crate) fn too_few_rights(
    token: &Token,
    right: Right,
    service: Option<&ServiceName>,
) -> Problem {
    let of = service.map_or("the whole host".to_owned(), |name| format!("the service {name}"));
    let message = format!(
        "The token `{}` has no right to {right} {of}: `bellows token make` makes one that has.",
        token.name
    );
    Problem::new(StatusCode::FORBIDDEN, "too_few_rights", message)
}

/// Whoever has the secret learns that its time is over, and so what to do.
pub(crate) fn ended(token: &Token) -> Problem {
    let message = format!(
        "The token `{}` has ended: `bellows open` on the host logs a browser in, and `bellows token make` makes another.",
        token.name
    );
    unauthorized_as("token_ended", message)
}

#[cfg(test)]
mod tests {
    use model::time::Timestamp;

    use super::*;

    fn token(right: Right, service: Option<&str>) -> Caller {
        Caller::Token(Token {
            name: "ci".parse().unwrap(),
            rights: [right].into(),
            services: service.map(|name| [name.parse().unwrap()].into()),
            made_at: Timestamp::default(),
            expires_at: None,
        })
    }

    #[test]
    fn operators_may_all_tokens_what_their_rights_say_and_readers_read() {
        let store: ServiceName = "store".parse().unwrap();
        let other: ServiceName = "other".parse().unwrap();
        let may = |caller: &Caller, service| match caller.operates(service) {
            Ok(_) => 200,
            Err(problem) => problem.status().as_u16(),
        };
        let operator = Caller::Operator { uid: 0 };
        assert_eq!((may(&operator, Some(&store)), may(&operator, None)), (200, 200));
        assert_eq!((may(&Caller::Reader, Some(&store)), may(&Caller::Reader, None)), (401, 401));
        let of_store = token(Right::Operate, Some("store"));
        assert_eq!(may(&of_store, Some(&store)), 200);
        assert_eq!((may(&of_store, Some(&other)), may(&of_store, None)), (403, 403));
        assert_eq!(may(&token(Right::All, None), None), 200);
        assert_eq!(may(&token(Right::Read, None), None), 403);
        assert_eq!(may(&token(Right::Deploy, None), None), 403);
        assert!(of_store.sees(&store) && !of_store.sees(&other));
    }

    #[test]
    fn tokens_give_no_tokens_away() {
        assert!(Caller::Operator { uid: 0 }.grants().is_ok());
        for caller in [Caller::Reader, token(Right::All, None)] {
            assert_eq!(caller.grants().unwrap_err().status(), StatusCode::FORBIDDEN);
        }
    }

    #[test]
    fn who_calls_is_named_as_the_host_names_him() {
        let named = Who::Operator { uid: 0, user: Some("root".to_owned()) };
        assert_eq!(Caller::Operator { uid: 0 }.operates(None).unwrap(), named);
        let unnamed = Who::Operator { uid: 3_999_999_999, user: None };
        assert_eq!(Caller::Operator { uid: 3_999_999_999 }.operates(None).unwrap(), unnamed);
    }
}
