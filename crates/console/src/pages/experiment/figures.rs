//! The figures of an experiment, by what they are about: of several runs the medians, with how sure they are.

use maud::{Markup, html};
use run::figures::{Figure, Group};
use run::numbers::{number, with_unit};
use run::repetitions::Interval;

use super::Told;
use crate::experiments::{RunsOfWay, by_way};

/// A column: what it is called, and its figures.
type Column = (String, Vec<(Figure, Option<Interval>)>);

pub(super) fn tables(told: &Told) -> Markup {
    let ways = by_way(&told.runs);
    let columns: Vec<Column> = ways.iter().map(|way| (heading(way), way.figures())).collect();
    html! {
        @match columns.first() {
            None => p { "Nothing was measured." },
            Some((_, first)) => {
                @for group in groups(first.iter().map(|(figure, _)| figure)) { (table(group, &columns)) }
                @if columns.iter().any(|(_, figures)| figures.iter().any(|(_, interval)| interval.is_some())) {
                    p.hint { "Below a median stands the interval from one value to another that holds the true one, and how often such an interval does: five runs give 93.8%, six 96.9%." }
                }
            }
        }
    }
}

fn heading(way: &RunsOfWay<'_>) -> String {
    let value = match way.runs.len() {
        1 => "Value".to_owned(),
        count => format!("Median of {count} runs"),
    };
    way.way.map_or(value.clone(), |way| format!("{}: {}", way.word(), value.to_lowercase()))
}

/// What figures are about, in their order.
pub(super) fn groups<'a>(figures: impl Iterator<Item = &'a Figure>) -> Vec<Group> {
    let mut groups: Vec<Group> = figures.map(|figure| figure.group).collect();
    groups.dedup();
    groups
}

fn table(group: Group, columns: &[Column]) -> Markup {
    let (_, first) = &columns[0];
    html! {
        h2 { (group.title()) }
        div.scroll tabindex="0" role="region" aria-label=(group.title()) {
            table.measured.stacks {
                thead { tr { th scope="col" { "Figure" } @for (heading, _) in columns { th.n scope="col" { (heading) } } } }
                tbody {
                    @for (figure, _) in first.iter().filter(|(figure, _)| figure.group == group) {
                        tr {
                            (name(figure))
                            @for (heading, figures) in columns { (cell(heading, figures.iter().find(|(it, _)| it.key == figure.key))) }
                        }
                    }
                }
            }
        }
    }
}

/// What a figure is called, and what it says.
pub(super) fn name(figure: &Figure) -> Markup {
    html! { th scope="row" { (figure.name) small { (figure.explanation) } } }
}

fn cell(heading: &str, found: Option<&(Figure, Option<Interval>)>) -> Markup {
    html! {
        td.n data-label=(heading) {
            @if let Some((figure, interval)) = found {
                (with_unit(figure.value, &figure.unit))
                @if let Some(interval) = interval {
                    small { (number(interval.low)) " to " (number(interval.high)) ", " (number((interval.coverage_percent * 10.0).round() / 10.0)) "%" }
                }
            }
        }
    }
}
