//! Two experiments beside each other: which figures differ, by how much, and for which of them that is better.

use maud::{Markup, html};
use run::figures::{Difference, Verdict, differences};
use run::numbers::with_unit;

use super::super::{Region, experiments};
use super::{Told, all, figures, runs, summary};
use crate::experiments::{RunsOfWay, by_way};

pub(super) fn regions(one: &Told, other: &Told) -> Vec<Region> {
    let (own, others) = (by_way(&one.runs), by_way(&other.runs));
    // Of runs with both ways, those with the same.
    let pair = own.iter().find_map(|way| Some((way, others.iter().find(|it| it.way == way.way)?)));
    let pair = pair.or_else(|| own.first().zip(others.first()));
    let mut regions = vec![Region { id: "asked", html: asked(one, other) }];
    match pair {
        None => regions.push(Region {
            id: "compared",
            html: html! { p { "They cannot be compared: of one of them nothing was measured." } },
        }),
        Some((way, with)) => {
            regions.push(Region { id: "compared", html: compared(way, with) });
            regions.push(Region { id: "runs", html: charts((one, way), (other, with)) });
        }
    }
    regions
}

fn asked(one: &Told, other: &Told) -> Markup {
    html! {
        div.cards {
            @for (name, told) in [("This", one), ("The other", other)] {
                section.card {
                    h2 { (name) ": " a href={ "/experiments/" (told.record.id) } { (experiments::told(&told.record)) } }
                    (summary(told))
                }
            }
        }
        p {
            a href={ "/experiments/" (other.record.id) "?with=" (one.record.id) } { "The other way round" }
            " · " (all())
        }
    }
}

fn compared(way: &RunsOfWay<'_>, with: &RunsOfWay<'_>) -> Markup {
    let (own, others) = (way.medians(), with.medians());
    let differences = differences(&own, &others);
    html! {
        (differ(way, with))
        @if way.runs.len() > 1 || with.runs.len() > 1 {
            p { "Of several runs the medians: " (way.runs.len()) " and " (with.runs.len()) " runs." }
        } @else {
            p { "One run each: what differs may be chance. Five runs of each would tell." }
        }
        (in_words(&differences))
        @for group in figures::groups(own.iter()) {
            h2 { (group.title()) }
            div.scroll tabindex="0" role="region" aria-label=(group.title()) {
                table.measured.stacks {
                    thead {
                        tr {
                            th scope="col" { "Figure" }
                            th.n scope="col" { "This" }
                            th.n scope="col" { "The other" }
                            th.n scope="col" { "Difference" }
                            th scope="col" { "This one is" }
                        }
                    }
                    tbody { @for it in differences.iter().filter(|it| it.figure.group == group) { (row(it)) } }
                }
            }
        }
    }
}

fn row(it: &Difference<'_>) -> Markup {
    let unit = &it.figure.unit;
    html! {
        tr {
            (figures::name(it.figure))
            td.n data-label="This" { (with_unit(it.figure.value, unit)) }
            td.n data-label="The other" { (with_unit(it.other, unit)) }
            td.n data-label="Difference" { (it.change_told()) }
            td data-label="This one is" { (verdict(it.verdict)) }
        }
    }
}

fn verdict(verdict: Verdict) -> Markup {
    html! {
        @match verdict {
            Verdict::Better => span.good { "better" },
            Verdict::Worse => span.bad { "worse" },
            Verdict::Same => "the same",
            Verdict::Open => span.quiet { "–" },
        }
    }
}

/// How many figures are better and worse, and which.
fn in_words(differences: &[Difference<'_>]) -> Markup {
    let names = |verdict| -> Vec<&str> {
        let of = differences.iter().filter(|it| it.verdict == verdict);
        of.map(|it| it.figure.name.as_str()).collect()
    };
    let (better, worse) = (names(Verdict::Better), names(Verdict::Worse));
    html! {
        p {
            @if better.is_empty() && worse.is_empty() { "No figure differs by more than 1%." }
            @if !better.is_empty() { "This one is better in: " (better.join(", ")) ". " }
            @if !worse.is_empty() { "It is worse in: " (worse.join(", ")) "." }
        }
    }
}

/// What keeps the two from being compared as they are.
fn differ(way: &RunsOfWay<'_>, with: &RunsOfWay<'_>) -> Markup {
    let first = |way: &RunsOfWay<'_>| way.runs.first().map(|(_, run)| run.summary.clone());
    let Some((own, other)) = first(way).zip(first(with)) else { return html! {} };
    html! {
        @if !own.has_the_load_of(&other) {
            p.notice { "They had different loads (scenario, seed or length): a difference need not be the policy's." }
        }
        @if own.objective_ms != other.objective_ms {
            p.notice { "They had different objectives (" (own.objective_ms) " and " (other.objective_ms) " ms): what is outside of them does not compare." }
        }
        @if way.way != with.way {
            p.notice { "HAProxy learnt of instances in different ways." }
        }
    }
}

/// The charts of the first run of each, one above the other.
fn charts((one, way): (&Told, &RunsOfWay<'_>), (other, with): (&Told, &RunsOfWay<'_>)) -> Markup {
    html! {
        @for (name, told, way) in [("This", one, way), ("The other", other, with)] {
            @if let Some((run, _)) = way.runs.first() {
                h2 { (name) ": " (runs::title(*run).to_lowercase()) }
                (runs::chart(told, *run))
            }
        }
    }
}
