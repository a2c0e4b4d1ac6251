//! How a browser comes to a token, and ends it.

use model::access::{MadeToken, Token};
use model::login::Login;
use serde_json::{Value, json};

use super::super::document::{Needs, Operation, Schemas, example};

const LOGIN: &str = "/v1/login";

pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    let made = json!({ "token": token(), "secret": "bellows_0123456789abcdef" });
    let code = json!({ "code": "0123456789abcdef0123456789abcdef" });
    vec![
        Operation::passed("post", LOGIN, "logIn", "Exchanges the code of a link for a token")
            .needs(Needs::Nothing)
            .takes("application/json", schemas.taken::<Login>(), example::<Login>(code))
            .fails(403, &["bad_login_code"])
            .fails(422, &["bad_body", "no_token_made"])
            .answers_as(
                201,
                "The token, and its secret, this once.",
                "application/json",
                schemas.told::<MadeToken>(),
                example::<MadeToken>(made),
            ),
        Operation::passed("delete", LOGIN, "logOut", "Ends the token that it carries")
            .fails(409, &["not_of_a_login"])
            .answers("It has ended.", schemas.told::<Token>(), example::<Token>(token())),
    ]
}

fn token() -> Value {
    json!({
        "name": "browser-of-anna-3fa85f", "rights": ["all"], "services": null,
        "made_at_ms": 1_795_000_000_000_u64, "expires_at_ms": 1_795_043_200_000_u64,
    })
}
