//! `bellows token`: who may ask the scaler for changes without being an operator of this host.

use command_line::terminal;
use host::settings::Settings;
use model::access::{Grant, MadeToken, Token};
use serde::Serialize;

use crate::cli::TokenCommand;
use crate::json::{self, FORMAT};
use crate::scaler;

/// Does what is to be done with tokens.
pub(crate) async fn run(settings: &Settings, what: TokenCommand) -> anyhow::Result<()> {
    let scaler = scaler::client(settings)?;
    match what {
        TokenCommand::Make { name, rights, services } => {
            let rights = rights.into_iter().collect();
            let services = services.map(|services| services.into_iter().collect());
            let MadeToken { secret, .. } =
                scaler.make_token(&name, &Grant { rights, services }).await?;
            // The secret alone goes to standard output, so that a script can keep it.
            terminal::note(format_args!(
                "The secret of the token {name}, which is shown this once:"
            ));
            terminal::tell_line(secret)?;
        }
        TokenCommand::List { json } => {
            let tokens = scaler.tokens().await?.tokens;
            if json {
                return json::print(&List { format: FORMAT, tokens: &tokens });
            }
            terminal::tell(table(&tokens))?;
        }
        TokenCommand::Revoke { name } => {
            scaler.revoke_token(&name).await?;
            terminal::tell_line(format_args!("The token {name} is revoked."))?;
        }
    }
    Ok(())
}

/// The tokens, as programs are told of them.
#[derive(Debug, Serialize)]
struct List<'a> {
    format: u32,
    tokens: &'a [Token],
}

fn table(tokens: &[Token]) -> String {
    if tokens.is_empty() {
        return "There are no tokens; `bellows token make NAME --rights operate` makes one.\n"
            .to_owned();
    }
    let line = |token: &Token| {
        let rights: Vec<String> = token.rights.iter().map(ToString::to_string).collect();
        let services = token.services.as_ref().map_or("all".to_owned(), |services| {
            services.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        });
        format!("{:<31}  {:<24}  {services}\n", token.name.as_str(), rights.join(","))
    };
    let head = format!("{:<31}  {:<24}  SERVICES\n", "TOKEN", "RIGHTS");
    head + &tokens.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use model::access::Right;
    use model::time::Timestamp;

    use super::*;

    #[test]
    fn tokens_are_listed_with_their_rights_and_services() {
        let token = |name: &str, rights: &[Right], services: Option<&[&str]>| Token {
            name: name.parse().unwrap(),
            rights: rights.iter().copied().collect(),
            services: services.map(|names| names.iter().map(|it| it.parse().unwrap()).collect()),
            made_at: Timestamp::default(),
        };
        let tokens = [
            token("ci", &[Right::Deploy, Right::Read], Some(&["shop", "cart"])),
            token("page", &[Right::Read], None),
        ];
        insta::assert_snapshot!(table(&tokens), @r"
        TOKEN                            RIGHTS                    SERVICES
        ci                               read,deploy               cart,shop
        page                             read                      all
        ");
        assert!(table(&[]).starts_with("There are no tokens"));
    }
}
