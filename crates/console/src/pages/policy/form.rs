//! The form in which bounds and a policy are set. What it is made of is told once, as templates that scripts copy and fill
//! with what holds (`assets/figures.js`), since a policy may have several parts, and a figure several rows.

use maud::{Markup, html};
use model::bounds::Bounds;
use model::names::ServiceName;
use serde_json::Value;

use super::figure::{Told, unit, worded};
use super::schema::{Figure, Form, KINDS, Kind, Word};

/// As many policies as a service may have.
const MOST: usize = model::policies::PolicySpec::MOST;

pub(super) fn of_service(name: &ServiceName) -> Markup {
    html! {
        div #settings data-service=(name) data-needs-scripts hidden {
            (setting("policy", "Change the policy", policy()))
            (setting("bounds", "Change the bounds", bounds()))
            (preview(name))
        }
    }
}

/// What is set as one, with whatever keeps it from being set above it.
fn setting(name: &str, heading: &str, fields: Markup) -> Markup {
    html! {
        form id={ "set-" (name) } data-setting=(name) novalidate aria-labelledby={ "heading-" (name) } {
            h2 id={ "heading-" (name) } { (heading) }
            div.problem role="alert" {}
            (fields)
            div.controls {
                button { "Set the " (name) }
                button type="button" data-do="clear" hidden { "Back to the file's" }
                button type="button" data-do="load" { "Start again from what is in force" }
            }
        }
    }
}

fn bounds() -> Markup {
    let figure = |key: &str, about: &str, min: f64| Figure {
        key: key.to_owned(),
        about: about.to_owned(),
        default: None,
        is_required: true,
        form: Form::Number {
            is_whole: true,
            min: Some(min),
            max: Some(Bounds::MAX_INSTANCES.into()),
        },
    };
    let figures = [
        figure("min", "The fewest ready instances; with 0 an idle service has none.", 0.0),
        figure("max", "The most ready instances.", 1.0),
    ];
    html! { div.figures-form { @for figure in &figures { (field(figure)) } } }
}

fn policy() -> Markup {
    html! {
        p { "Of several policies together the highest asks for more, and all have to agree to fewer; a schedule bounds what the others ask for." }
        ol.parts data-most=(MOST) {}
        p { button type="button" data-do="add" { "Join another policy" } }
        template data-template="part" { (part()) }
        @for kind in KINDS.iter() { template data-template=(kind.name) { (figures(kind)) } }
    }
}

fn part() -> Markup {
    html! {
        li.part {
            div.field data-key="kind" data-form="word" {
                label { span { "Kind" } select { @for kind in KINDS.iter() { option value=(kind.name) { (kind.name) } } } }
                p.wrong hidden {}
            }
            div.of-kind {}
            button type="button" data-do="remove" { "Take this policy out" }
        }
    }
}

fn figures(kind: &Kind) -> Markup {
    html! {
        p { (worded(&kind.about)) @if kind.is_off { " It is off until its figures are set." } }
        div.figures-form { @for figure in &kind.figures { (field(figure)) } }
    }
}

/// A figure: what it is called, what is given for it, what it means, and, later, what is wrong with it.
fn field(figure: &Figure) -> Markup {
    let Figure { key, is_required, form, .. } = figure;
    match form {
        Form::Rows(inner) => rows(figure, inner),
        Form::AnyOf(words) => boxes(figure, words),
        Form::Number { is_whole, min, max } => html! {
            div.field data-key=(key) data-form="number" {
                label {
                    span { (key) }
                    input type="number" inputmode=(if *is_whole { "numeric" } else { "decimal" })
                        step=(if *is_whole { "1" } else { "any" }) min=[min] max=[max]
                        placeholder=[default(figure)] required[*is_required];
                    @if let Some(unit) = unit(key) { " " (unit) }
                }
                (help(figure))
            }
        },
        Form::Text => html! {
            div.field data-key=(key) data-form="text" {
                label {
                    span { (key) }
                    input type="text" autocomplete="off" spellcheck="false"
                        placeholder=[default(figure)] required[*is_required];
                }
                (help(figure))
            }
        },
        Form::OneOf(words) => html! {
            div.field data-key=(key) data-form="word" {
                label { span { (key) } (choice(words, figure.default.as_ref())) }
                (help(figure))
            }
        },
    }
}

fn choice(words: &[Word], default: Option<&Value>) -> Markup {
    html! {
        select {
            @for Word { word, .. } in words {
                option value=(word) selected[default.is_some_and(|it| it == word)] { (word) }
            }
        }
    }
}

fn boxes(figure: &Figure, words: &[Word]) -> Markup {
    html! {
        fieldset.field data-key=(figure.key) data-form="words" {
            legend { (figure.key) }
            @for Word { word, .. } in words { label { input type="checkbox" value=(word); " " (word) } }
            (help(figure))
        }
    }
}

fn rows(figure: &Figure, inner: &[Figure]) -> Markup {
    let default_rows = figure.default.as_ref().map(ToString::to_string);
    html! {
        fieldset.field.rows data-key=(figure.key) data-form="rows" data-default=[default_rows] {
            legend { (figure.key) }
            (help(figure))
            ol {}
            button type="button" data-do="add-row" { "Add to " (figure.key) }
            template {
                li {
                    div.figures-form { @for figure in inner { (field(figure)) } }
                    button type="button" data-do="remove" { "Remove from " (figure.key) }
                }
            }
        }
    }
}

fn help(figure: &Figure) -> Markup {
    html! {
        small { (worded(&figure.about)) (meanings(&figure.form)) @if let Some(allowed) = allowed(figure) { " " (allowed) } }
        p.wrong hidden {}
    }
}

fn meanings(form: &Form) -> Markup {
    html! {
        @if let Form::OneOf(words) = form {
            @for Word { word, about } in words { br; code { (word) } ": " (worded(about)) }
        }
    }
}

/// What may be given, and what holds where nothing is.
fn allowed(figure: &Figure) -> Option<String> {
    let Form::Number { min: Some(min), max: Some(max), .. } = figure.form else { return None };
    let unset = match (&figure.default, figure.is_required) {
        (Some(default), _) => format!(", {} where it is empty", Told(default)),
        (None, true) => String::new(),
        (None, false) => ", or empty".to_owned(),
    };
    Some(format!("{min} to {max}{unset}."))
}

fn default(figure: &Figure) -> Option<String> {
    figure.default.as_ref().map(|value| Told(value).to_string())
}

/// Where a preview is asked for and drawn.
fn preview(name: &ServiceName) -> Markup {
    let spans = [
        ("minutes=10", "the last 10 minutes"),
        ("hours=1", "the last hour"),
        ("hours=24", "the last 24 hours"),
    ];
    html! {
        div #preview data-service=(name) {
            h2 { "What would it have run?" }
            p { "The policy in the form above, tried on a simulated host with the load that was. Nothing is set by it." }
            div.controls role="group" aria-label="Preview with the load of" {
                @for (query, text) in spans { button type="button" data-query=(query) data-of=(text) { "Preview with " (text) } }
            }
            div.told role="status" {}
            div.plots {}
            div.table {}
        }
    }
}
