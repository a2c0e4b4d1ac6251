//! The comparison as tables in Markdown.

use run::PolicyTable;
use run::policy_comparison::{PolicyRow, Standing};

/// The head of a column, and its cell for a row.
type Column<Row> = (&'static str, fn(&Row) -> String);

/// The ranking over all loads, below it what its columns say, and which rows say nothing.
pub fn of_ranking(policies: &PolicyTable) -> String {
    let columns: [Column<Standing>; 11] = [
        ("policy", |s| s.policy.clone()),
        ("outside %", |s| figure(s.outside_percent, 4)),
        ("failed", |s| s.failed.to_string()),
        ("cost x", |s| figure(s.cost_ratio, 2)),
        ("launches", |s| count(s.launches)),
        ("under %", |s| figure(s.under_accuracy_percent, 2)),
        ("over %", |s| figure(s.over_accuracy_percent, 1)),
        ("unstable %", |s| figure(s.instability_percent, 1)),
        ("jitter", |s| figure(s.jitter_per_minute, 2)),
        ("outside <", |s| s.fewer_outside.to_string()),
        ("cost <", |s| s.fewer_seconds.to_string()),
    ];
    let table = markdown(&columns, policies.standings(), 1);
    let legend = legend(policies.loads().len(), policies.reference());
    format!("{table}\n{legend}{}", silent(policies.standings()))
}

fn legend(loads: usize, reference: &str) -> String {
    format!(
        "Loads: {loads}, each counting alike. outside: requests slower than the service's \
         objective, failed or never sent.\ncost x: instance-seconds as a multiple of {reference}'s, the geometric mean. \
         under, over: instances that\nlacked or were too many, in percent of the demand. unstable, \
         jitter (a minute): docs/operations/report.md.\noutside <, cost <: on how many of the \
         loads it has fewer requests outside, or fewer instance-seconds,\nthan {reference}.\n"
    )
}

/// Policies that never launched anything were not tried by these loads: their figures are those of
/// a fleet that does not change.
fn silent(standings: &[Standing]) -> String {
    let names: Vec<&str> =
        standings.iter().filter(|s| s.launches == Some(0)).map(|s| s.policy.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "\nWithout a launch under any load, so that the row is that of a fleet that never changes \
         and says\nnothing of the rule (no load asks for more, what it measures does not move here, \
         or its figures are\nnot set): {}.\n",
        names.join(", ")
    )
}

/// Every row with every figure.
pub fn by_load(rows: &[PolicyRow]) -> String {
    let columns: [Column<PolicyRow>; 15] = [
        ("load", |row| row.load.clone()),
        ("policy", |row| row.policy.clone()),
        ("outside, %", |row| figure(row.outside_objective_percent, 4)),
        ("failed", |row| row.failed.to_string()),
        ("p95, ms", |row| figure(row.p95_ms, 1)),
        ("p99, ms", |row| figure(row.p99_ms, 1)),
        ("inst-s", |row| figure(row.instance_seconds, 0)),
        ("launches", |row| count(row.launches)),
        ("hours charged", |row| figure(row.charged_hours, 0)),
        ("under, %", |row| figure(row.under_accuracy_percent, 2)),
        ("over, %", |row| figure(row.over_accuracy_percent, 1)),
        ("time under, %", |row| figure(row.under_timeshare_percent, 2)),
        ("time over, %", |row| figure(row.over_timeshare_percent, 1)),
        ("unstable, %", |row| figure(row.instability_percent, 1)),
        ("jitter, /min", |row| figure(row.jitter_per_minute, 2)),
    ];
    markdown(&columns, rows, 2)
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(unknown, |value| format!("{value:.digits$}"))
}

fn count(value: Option<u64>) -> String {
    value.map_or_else(unknown, |value| value.to_string())
}

fn unknown() -> String {
    "-".to_owned()
}

/// A table whose first `names` columns are flush left and whose others are flush right, each as
/// wide as its widest cell.
fn markdown<Row>(columns: &[Column<Row>], rows: &[Row], names: usize) -> String {
    let mut lines = vec![String::from("|"); rows.len() + 2];
    for (index, (head, cell)) in columns.iter().enumerate() {
        let is_name = index < names;
        let cells: Vec<String> = rows.iter().map(cell).collect();
        let width = cells.iter().map(String::len).chain([head.len()]).max().unwrap_or(0);
        let rule = "-".repeat(width.saturating_sub(1)) + if is_name { "-" } else { ":" };
        let column = [(*head).to_owned(), rule].into_iter().chain(cells);
        for (line, cell) in lines.iter_mut().zip(column) {
            *line +=
                &if is_name { format!(" {cell:width$} |") } else { format!(" {cell:>width$} |") };
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(policy: &str, outside: f64, seconds: f64, launches: u64) -> PolicyRow {
        PolicyRow {
            load: "ramp".to_owned(),
            policy: policy.to_owned(),
            outside_objective_percent: Some(outside),
            failed: 12,
            p95_ms: Some(1.75),
            instance_seconds: Some(seconds),
            launches: Some(launches),
            under_accuracy_percent: Some(0.125),
            jitter_per_minute: Some(-1.5),
            charged_hours: Some(10.0),
            ..PolicyRow::default()
        }
    }

    fn rows() -> Vec<PolicyRow> {
        vec![
            row("default", 0.5, 100.0, 9),
            row("hpa", 2.0, 80.0, 4),
            row("threshold", 99.0, 10.0, 0),
        ]
    }

    #[test]
    fn the_ranking_names_the_rows_that_say_nothing() {
        insta::assert_snapshot!(of_ranking(&PolicyTable::of(rows()).unwrap()), @r"
        | policy    | outside % | failed | cost x | launches | under % | over % | unstable % | jitter | outside < | cost < |
        | --------- | --------: | -----: | -----: | -------: | ------: | -----: | ---------: | -----: | --------: | -----: |
        | default   |    0.5000 |     12 |   1.00 |        9 |    0.12 |      - |          - |  -1.50 |         0 |      0 |
        | hpa       |    2.0000 |     12 |   0.80 |        4 |    0.12 |      - |          - |  -1.50 |         0 |      1 |
        | threshold |   99.0000 |     12 |   0.10 |        0 |    0.12 |      - |          - |  -1.50 |         0 |      1 |

        Loads: 1, each counting alike. outside: requests slower than the service's objective, failed or never sent.
        cost x: instance-seconds as a multiple of default's, the geometric mean. under, over: instances that
        lacked or were too many, in percent of the demand. unstable, jitter (a minute): docs/operations/report.md.
        outside <, cost <: on how many of the loads it has fewer requests outside, or fewer instance-seconds,
        than default.

        Without a launch under any load, so that the row is that of a fleet that never changes and says
        nothing of the rule (no load asks for more, what it measures does not move here, or its figures are
        not set): threshold.
        ");
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        insta::assert_snapshot!(by_load(&rows()[..1]), @r"
        | load | policy  | outside, % | failed | p95, ms | p99, ms | inst-s | launches | hours charged | under, % | over, % | time under, % | time over, % | unstable, % | jitter, /min |
        | ---- | ------- | ---------: | -----: | ------: | ------: | -----: | -------: | ------------: | -------: | ------: | ------------: | -----------: | ----------: | -----------: |
        | ramp | default |     0.5000 |     12 |     1.8 |       - |    100 |        9 |            10 |     0.12 |       - |             - |            - |           - |        -1.50 |
        ");
    }
}
