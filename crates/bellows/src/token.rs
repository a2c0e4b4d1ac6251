//! `bellows token`: who may ask the scaler for changes without being an operator of this host.

use command_line::terminal;
use host::settings::Settings;
use model::access::{Grant, MadeToken, Token, TokenTime};
use model::time::Timestamp;
use serde::Serialize;

use crate::cli::TokenCommand;
use crate::clock::{moment, now, span};
use crate::json::{self, FORMAT};
use crate::scaler;

/// Does what is to be done with tokens.
pub(crate) async fn run(settings: &Settings, what: TokenCommand) -> anyhow::Result<()> {
    let scaler = scaler::client(settings)?;
    match what {
        TokenCommand::Make { name, rights, services, lasts } => {
            let rights = rights.into_iter().collect();
            let services = services.map(|services| services.into_iter().collect());
            let grant = Grant { rights, services, lasts };
            let MadeToken { token, secret } = scaler.make_token(&name, &grant).await?;
            let until = token.expires_at.map(|end| format!(", of use until {}", moment(end)));
            // The secret alone goes to standard output, so that a script can keep it.
            terminal::note(format_args!(
                "The secret of the token {name}{}, which is shown this once:",
                until.unwrap_or_default()
            ));
            terminal::tell_line(secret)?;
        }
        TokenCommand::List { json } => {
            let tokens = scaler.tokens().await?.tokens;
            if json {
                return json::print(&List { format: FORMAT, tokens: &tokens });
            }
            terminal::tell(table(&tokens, now()))?;
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

/// The span that `--for` names, such as `12h` or `90d`.
pub(crate) fn token_time(text: &str) -> Result<TokenTime, String> {
    let time = span(text).and_then(|span| TokenTime::from_secs(span.as_secs()).ok());
    time.ok_or_else(|| "use 1m to 366d, such as 90m, 12h or 90d".to_owned())
}

fn table(tokens: &[Token], now: Timestamp) -> String {
    if tokens.is_empty() {
        return "There are no tokens; `bellows token make NAME --rights operate` makes one.\n"
            .to_owned();
    }
    let line = |token: &Token| {
        let rights: Vec<String> = token.rights.iter().map(ToString::to_string).collect();
        let services = token.services.as_ref().map_or("all".to_owned(), |services| {
            services.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        });
        let end = end(token, now);
        format!("{:<31}  {:<24}  {end:<20}  {services}\n", token.name.as_str(), rights.join(","))
    };
    let head = format!("{:<31}  {:<24}  {:<20}  SERVICES\n", "TOKEN", "RIGHTS", "ENDS");
    head + &tokens.iter().map(line).collect::<String>()
}

fn end(token: &Token, now: Timestamp) -> String {
    match token.expires_at {
        None => "never".to_owned(),
        Some(_) if token.has_ended(now) => "has ended".to_owned(),
        Some(end) => moment(end),
    }
}

#[cfg(test)]
mod tests {
    use model::access::Right;

    use super::*;

    #[test]
    fn tokens_are_listed_with_their_rights_ends_and_services() {
        let at = Timestamp::from_millis;
        let token = |name: &str, rights: &[Right], ends: Option<u64>, services: Option<&[&str]>| {
            let named = |names: &[&str]| names.iter().map(|it| it.parse().unwrap()).collect();
            Token {
                name: name.parse().unwrap(),
                rights: rights.iter().copied().collect(),
                services: services.map(named),
                made_at: Timestamp::default(),
                expires_at: ends.map(at),
            }
        };
        let now = 1_795_000_000_000;
        let tokens = [
            token("browser-of-root-3fa85f", &[Right::All], Some(now + 43_200_000), None),
            token("ci", &[Right::Deploy, Right::Read], Some(now), Some(&["shop", "cart"])),
            token("page", &[Right::Read], None, None),
        ];
        insta::assert_snapshot!(table(&tokens, at(now)), @r"
        TOKEN                            RIGHTS                    ENDS                  SERVICES
        browser-of-root-3fa85f           all                       2026-11-18T23:06:40Z  all
        ci                               read,deploy               has ended             cart,shop
        page                             read                      never                 all
        ");
        assert!(table(&[], at(now)).starts_with("There are no tokens"));
    }

    #[test]
    fn a_token_is_for_a_minute_to_a_year_in_any_unit() {
        let seconds = |text: &str| token_time(text).map(u64::from);
        for (text, expected) in
            [("1m", 60), ("12h", 43_200), ("1h 30m", 5_400), ("366d", 31_622_400)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "59s", "367d", "-1h", "12", "for ever"] {
            assert!(seconds(text).unwrap_err().starts_with("use 1m to 366d"), "{text}");
        }
    }
}
