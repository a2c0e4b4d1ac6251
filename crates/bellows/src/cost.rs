//! `bellows cost`: what instances ran and cost, as the ledger has it.

use std::time::Duration;

use anyhow::anyhow;
use command_line::terminal;
use explain::words::{figure, hours};
use host::settings::Settings;
use model::cost::{CostPage, ServiceCost};
use model::time::Timestamp;
use serde::Serialize;

use crate::cli::Cost;
use crate::clock::{moment, now, past};
use crate::error::BadInput;
use crate::json::{self, FORMAT};
use crate::scaler;
use crate::text::columns;

/// Shows what the instances of all services ran and cost, or those of one.
pub(crate) async fn run(settings: &Settings, asked: Cost) -> anyhow::Result<()> {
    let Cost { service, since, json, csv } = asked;
    let since = since.map(|text| begins(&text)).transpose()?;
    let scaler = scaler::client(settings)?;
    let mut page = scaler.cost(since.unwrap_or_default()).await?;
    if let Some(service) = &service {
        page.services.retain(|row| row.service == *service);
        if page.services.is_empty() {
            // It had no instance then, or there is no such service.
            scaler::known(&scaler, service).await?;
        }
    }
    if json {
        return json::print(&Told::of(&page));
    }
    terminal::tell(if csv { page.csv() } else { text(&page, since) })?;
    Ok(())
}

/// Since when. Nothing ran yet in what is still to come.
fn begins(text: &str) -> Result<Timestamp, BadInput> {
    let now = now();
    let since = past("--since", text, now)?;
    match since <= now {
        true => Ok(since),
        false => Err(BadInput::new(anyhow!("--since is {text:?}, which is still to come"))),
    }
}

/// What the ledger says, as programs are told of it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    format: u32,
    /// Since when; earlier than asked for where that lies in a span that is summed up.
    since_ms: Timestamp,
    at_ms: Timestamp,
    /// As the API tells them.
    services: &'a [ServiceCost],
}

impl<'a> Told<'a> {
    fn of(page: &'a CostPage) -> Self {
        Self { format: FORMAT, since_ms: page.since, at_ms: page.at, services: &page.services }
    }
}

/// The ledger for people. A moment within a span that is summed up is answered with all of that span.
fn text(page: &CostPage, asked: Option<Timestamp>) -> String {
    let since = moment(page.since);
    if page.services.is_empty() {
        return match asked {
            Some(_) => format!("No instance was there since {since}.\n"),
            None => "No instance was there yet.\n".to_owned(),
        };
    }
    let earlier = match asked {
        Some(asked) if page.since < asked => {
            format!(" What was before {} is summed up with what came after it.", moment(asked))
        }
        _ => String::new(),
    };
    let heads = ["SERVICE", "INSTANCES", "LAUNCHES", "RUNTIME", "CHARGED", "COST", "UNPRICED"];
    let table = columns(heads, page.services.iter().map(cells));
    let is_unpriced = page.services.iter().any(|row| row.unpriced_s > 0);
    let unpriced = if is_unpriced { UNPRICED } else { "" };
    format!("Since {since}.{earlier}\n{table}{unpriced}")
}

/// What is to be done about time without a price.
const UNPRICED: &str = "\
    What an instance costs is said by price_per_hour of its size, in bellows.toml, or of its service.\n";

/// A price is in whatever currency; what has none is not told as free.
fn cells(row: &ServiceCost) -> [String; 7] {
    let none = || "-".to_owned();
    [
        row.service.to_string(),
        row.instances.to_string(),
        row.launches.to_string(),
        hours(Duration::from_millis(row.runtime_ms)),
        hours(Duration::from_secs(row.charged_s)),
        row.cost.map_or_else(none, figure),
        match row.unpriced_s {
            0 => none(),
            seconds => hours(Duration::from_secs(seconds)),
        },
    ]
}

#[cfg(test)]
mod tests {
    use crate::error::code_of;
    use crate::fake_scaler::FakeScaler;

    use super::*;

    const PAGE: &str = r#"{"since_ms":1700000000000,"at_ms":1700086400000,"services":[
        {"service":"shop","instances":2,"launches":12,"runtime_ms":90000000,"charged_s":90010,"cost":1.2501,"unpriced_s":0},
        {"service":"worker","instances":0,"launches":1,"runtime_ms":61200,"charged_s":62,"cost":null,"unpriced_s":62}]}"#;

    fn page() -> CostPage {
        serde_json::from_str(PAGE).unwrap()
    }

    #[test]
    fn what_ran_is_told_by_service_and_what_has_no_price_is_not_told_as_free() {
        insta::assert_snapshot!(text(&page(), None), @r"
        Since 2023-11-14T22:13:20Z.
        SERVICE  INSTANCES  LAUNCHES  RUNTIME  CHARGED  COST  UNPRICED
        shop     2          12        25 h     25 h     1.25  -
        worker   0          1         61.2 s   62 s     -     62 s
        What an instance costs is said by price_per_hour of its size, in bellows.toml, or of its service.
        ");
        let told = serde_json::to_value(Told::of(&page())).unwrap();
        assert_eq!((&told["format"], &told["services"][1]["cost"]), (&1.into(), &().into()));
        assert_eq!(told["since_ms"], 1_700_000_000_000_u64);
        let priced = CostPage { services: page().services[..1].to_vec(), ..page() };
        assert!(!text(&priced, None).contains("price_per_hour"));
    }

    #[test]
    fn a_moment_in_a_span_that_is_summed_up_is_told_from_where_that_begins() {
        let asked = Timestamp::from_millis(1_700_003_600_000);
        let told = text(&page(), Some(asked));
        let expected = "Since 2023-11-14T22:13:20Z. What was before 2023-11-14T23:13:20Z is summed up with what came after it.";
        assert_eq!(told.lines().next(), Some(expected));
        assert!(!text(&page(), Some(page().since)).contains("summed up"));
        let empty = CostPage { services: Vec::new(), ..page() };
        let since = "No instance was there since 2023-11-14T22:13:20Z.\n";
        assert_eq!(text(&empty, Some(page().since)), since);
        assert_eq!(text(&empty, None), "No instance was there yet.\n");
    }

    #[tokio::test]
    async fn a_service_that_is_gone_is_told_and_one_that_never_was_is_bad_input() {
        let scaler = FakeScaler::new(|path| match path {
            "/v1/cost?since=0" => Some(PAGE.to_owned()),
            "/v1/services" => Some(r#"{"services":[]}"#.to_owned()),
            _ => None,
        });
        let mut settings = Settings::default();
        settings.paths.run = scaler.folder().to_owned();
        let ask = async |service: &str, since: Option<&str>| {
            let since = since.map(str::to_owned);
            let service = Some(service.parse().unwrap());
            run(&settings, Cost { service, since, json: true, csv: false }).await
        };
        ask("worker", None).await.unwrap();
        assert_eq!(scaler.asked(), ["/v1/cost?since=0"]);
        let unknown = ask("blog", None).await.unwrap_err();
        assert_eq!(code_of(&unknown).to_string(), "no-such-service");
        for since in ["yesterday", "2999-01-01T00:00:00Z"] {
            let told = ask("worker", Some(since)).await.unwrap_err();
            assert!(told.is::<BadInput>() && told.to_string().contains(since), "{told}");
        }
        assert_eq!(scaler.asked().len(), 4, "bad input is asked of nobody");
    }
}
