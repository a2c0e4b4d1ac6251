//! What the page of a comparison says, for HTML and PDF alike.

mod scatter;

use run::numbers::{number, with_unit};
use run::policy_comparison::{PolicyRow, PolicyTable, Standing};
use scatter::Scatter;
use serde::Serialize;

/// Everything that the page says.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyPage {
    verdict: String,
    /// The policy whose instance-seconds are 100%.
    reference: String,
    loads: Vec<String>,
    scatter: Scatter,
    standings: Vec<StandingOnPage>,
}

#[derive(Debug, Serialize)]
struct StandingOnPage {
    policy: String,
    is_reference: bool,
    outside: String,
    held: String,
    failed: String,
    cost: String,
    instance_seconds: String,
    launches: String,
    /// One for each load, in their order.
    cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
struct Cell {
    outside: String,
    /// `held`, `missed` or `unknown`.
    class: &'static str,
}

impl PolicyPage {
    pub(crate) fn of(table: &PolicyTable) -> Self {
        Self {
            verdict: verdict(table),
            reference: table.reference().to_owned(),
            loads: table.loads().to_vec(),
            scatter: Scatter::of(table),
            standings: table.standings().iter().map(|s| on_page(table, s)).collect(),
        }
    }
}

fn verdict(table: &PolicyTable) -> String {
    let best = &table.standings()[0];
    let (policies, loads) = (table.standings().len(), table.loads().len());
    let held: Vec<&str> =
        table.standings().iter().filter(|s| s.held == loads).map(|s| s.policy.as_str()).collect();
    let everywhere = match held.as_slice() {
        [] => "No policy meets the objective under every load".to_owned(),
        held => format!("The objective is met under every load by {}", held.join(", ")),
    };
    format!(
        "{policies} policies under {loads} loads. {} has the fewest requests outside the objective. \
         {everywhere}.",
        best.policy
    )
}

fn on_page(table: &PolicyTable, standing: &Standing) -> StandingOnPage {
    let rows = table.loads().iter().map(|load| table.row(&standing.policy, load));
    let count = |n: Option<u64>| with_unit(n.map(|n| n as f64), "");
    StandingOnPage {
        policy: standing.policy.clone(),
        is_reference: standing.policy == table.reference(),
        outside: standing
            .outside_percent
            .map_or_else(|| "not known".to_owned(), |p| share(p) + "%"),
        held: format!("{} of {}", standing.held, table.loads().len()),
        failed: count(Some(standing.failed)),
        cost: with_unit(standing.cost_ratio.map(|ratio| (100.0 * ratio).round()), "%"),
        instance_seconds: with_unit(standing.instance_seconds.map(f64::round), "s"),
        launches: count(standing.launches),
        cells: rows.map(cell).collect(),
    }
}

fn cell(row: Option<&PolicyRow>) -> Cell {
    let known = row.and_then(|row| Some((row, row.outside_objective_percent?)));
    let Some((row, outside)) = known else {
        return Cell { outside: "–".to_owned(), class: "unknown" };
    };
    Cell { outside: share(outside), class: if row.is_held() { "held" } else { "missed" } }
}

/// Below a thousandth of a percent only the fact is worth its room.
fn share(percent: f64) -> String {
    if percent > 0.0 && percent < 0.001 { "<0.001".to_owned() } else { number(percent) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_page_says_who_won_and_under_which_load_the_others_lost() {
        let content = PolicyPage::of(&testing::policies());
        let row = |s: &StandingOnPage| {
            let cells: Vec<String> =
                s.cells.iter().map(|c| format!("{} {}", c.outside, c.class)).collect();
            format!("{}: {}, {}, {}; {}", s.policy, s.outside, s.held, s.cost, cells.join(", "))
        };
        let rows: Vec<String> = content.standings.iter().map(row).collect();
        insta::assert_snapshot!(format!("{}\n{}", content.verdict, rows.join("\n")), @r"
        3 policies under 2 loads. default has the fewest requests outside the objective. The objective is met under every load by default.
        default: 0.250%, 2 of 2, 100%; 0 held, 0.500 held
        hpa: 18%, 0 of 2, 100%; 12 missed, 24 missed
        cpu: 90%, 0 of 2, 20%; 90 missed, – unknown
        ");
    }
}
