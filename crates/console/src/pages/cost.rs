//! What instances ran and cost.

use std::time::Duration;

use explain::words::{figure, hours};
use maud::{Markup, html};
use model::cost::{CostPage, ServiceCost};
use model::names::ServiceName;

use super::event::moment;
use super::frame;
use super::table::UNKNOWN;
use crate::api::Known;
use crate::api::asker::Asker;

/// What the ledger says, or why it does not.
pub(super) type Ledger = Result<CostPage, String>;

/// Asks the scaler.
pub(super) async fn ask(known: &Known, asker: &Asker) -> Ledger {
    let page = known.upstream.get_recent("/v1/cost", asker.secret()).await;
    page.map_err(|problem| problem.message().to_owned())
}

/// What a service cost so far.
pub(super) fn so_far(ledger: Option<&Ledger>, service: &ServiceName) -> String {
    let rows = ledger.and_then(|ledger| ledger.as_ref().ok()).map(|page| &page.services);
    let own = rows.into_iter().flatten().find(|row| row.service == *service);
    own.map_or_else(|| UNKNOWN.to_owned(), cost)
}

/// A price is in whatever currency; what has none is not told as free.
fn cost(row: &ServiceCost) -> String {
    row.cost.map_or_else(|| UNKNOWN.to_owned(), figure)
}

/// The ledger as a table.
pub(super) fn table(ledger: &Ledger) -> Markup {
    html! {
        h2 { "Ledger" }
        @match ledger {
            Err(problem) => (frame::unanswered(problem)),
            Ok(page) if page.services.is_empty() => p { "No instance was there yet." },
            Ok(page) => (rows(page)),
        }
    }
}

fn rows(page: &CostPage) -> Markup {
    let is_unpriced = page.services.iter().any(|row| row.unpriced_s > 0);
    html! {
        p {
            "Since " (moment(page.since)) ". Every second that an instance begins is charged, at the price of its size. "
            a href="/v1/cost?format=csv" { "As CSV" }
        }
        div.scroll tabindex="0" role="region" aria-label="Ledger" {
            table.stacks {
                thead {
                    tr {
                        th scope="col" { "Service" }
                        th.n scope="col" { "Instances" }
                        th.n scope="col" { "Launches" }
                        th.n scope="col" { "Runtime" }
                        th.n scope="col" { "Charged" }
                        th.n scope="col" { "Cost" }
                        th.n scope="col" { "Without a price" }
                    }
                }
                tbody { @for line in &page.services { (row(line)) } }
            }
        }
        @if is_unpriced {
            p { "What an instance costs is said by " code { "price_per_hour" } " of its size, in " code { "bellows.toml" } ", or of its service." }
        }
    }
}

fn row(row: &ServiceCost) -> Markup {
    html! {
        tr {
            th scope="row" { (row.service) }
            td.n data-label="Instances" { (row.instances) }
            td.n data-label="Launches" { (row.launches) }
            td.n data-label="Runtime" { (hours(Duration::from_millis(row.runtime_ms))) }
            td.n data-label="Charged" { (hours(Duration::from_secs(row.charged_s))) }
            td.n data-label="Cost" { (cost(row)) }
            td.n data-label="Without a price" {
                @if row.unpriced_s > 0 { (hours(Duration::from_secs(row.unpriced_s))) }
            }
        }
    }
}
