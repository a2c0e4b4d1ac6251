//! What is around every page.

use maud::{DOCTYPE, Markup, html};
use model::names::ServiceName;

use super::event::moment;
use super::view::View;
use super::{Page, Region, assets};
use crate::watch::Seen;

/// A page as a whole.
pub(super) fn whole(page: &Page, view: &View) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title()) " · Bellows" }
                link rel="icon" href=(assets::address("icon.svg"));
                @if page.draws() {
                    link rel="stylesheet" href=(assets::address("uplot.css"));
                    script defer src=(assets::address("uplot.js")) {}
                }
                link rel="stylesheet" href=(assets::address("style.css"));
                @for module in &*assets::MODULES {
                    link rel="modulepreload" href=(assets::address(module));
                }
                script type="module" src=(assets::address(assets::PAGE)) {}
            }
            body data-page=(page.word()) {
                a.skip href="#main" { "To the content" }
                header.top {
                    a.brand href="/" { "Bellows" }
                    nav aria-label="Pages" {
                        (link("/", "Services", *page == Page::Overview))
                        (link("/experiments", "Experiments", *page == Page::Experiments))
                        (link("/host", "Host", *page == Page::Host))
                        (link("/v1/docs/", "API", false))
                    }
                    p #following role="status" { "As of " (moment(view.at)) }
                    div #session {}
                }
                main #main tabindex="-1" {
                    h1 { (page.title()) }
                    @if let Some(name) = page.service() { (tabs(name, page)) }
                    @for region in page.regions(view) { (region.section()) }
                }
                p #said role="status" aria-live="polite" {}
                dialog #dialog aria-labelledby="dialog-title" {}
                footer { "Bellows " (env!("CARGO_PKG_VERSION")) noscript { " · without JavaScript a page shows what was when it was loaded, and changes nothing" } }
            }
        }
    }
}

/// The pages of a service.
fn tabs(name: &ServiceName, page: &Page) -> Markup {
    let tabs = [
        ("", "Now", "service"),
        ("/why", "Why", "why"),
        ("/policy", "Policy", "policy"),
        ("/versions", "Versions", "versions"),
        ("/logs", "Logs", "logs"),
    ];
    html! {
        nav.tabs aria-label={ "Pages of " (name) } {
            @for (path, text, word) in tabs {
                (link(&format!("/services/{name}{path}"), text, page.word() == word))
            }
        }
    }
}

fn link(href: &str, text: &str, is_here: bool) -> Markup {
    html! { a href=(href) aria-current=[is_here.then_some("page")] { (text) } }
}

impl Region {
    /// The region as an element of the page.
    pub(super) fn section(&self) -> Markup {
        html! { section id=(self.id) data-region { (self.html) } }
    }
}

/// What a reader has to know first: that nothing is known, or may be known.
pub(super) fn notices(view: &View) -> Region {
    let html = match &view.seen {
        _ if !view.is_open => html! {
            div.notice role="alert" {
                p { strong { "You are not logged in." } " From beyond the host, reading needs a token." }
                p { "On the host, " code { "sudo bellows open" } " prints a link that logs you in." }
            }
        },
        Seen::Away(why) => html! {
            div.notice role="alert" {
                p { strong { "The scaler does not tell what it does." } " Traffic may go on as it was; nothing here is of now." }
                p { (why) }
                p { "On the host, " code { "bellows status" } " says what runs, and " code { "bellows doctor" } " what is wrong." }
            }
        },
        Seen::Now => network(view),
    };
    Region { id: "notices", html }
}

fn network(view: &View) -> Markup {
    html! {
        @if let Some(trouble) = &view.network.trouble {
            div.notice role="alert" {
                p { strong { "The instances' firewall cannot be held." } " " (trouble) }
            }
        }
    }
}

/// What is said where somebody who was asked does not tell.
pub(super) fn unanswered(problem: &str) -> Markup {
    html! { div.notice role="alert" { p { "This is not known now. " (problem) } } }
}

/// What is said where there is nothing.
pub(super) fn missing(what: &str) -> Region {
    let html = html! {
        p { "There is no service " code { (model::output::harmless(what)) } " here. " a href="/" { "All services" } }
    };
    Region { id: "missing", html }
}
