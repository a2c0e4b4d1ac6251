//! Where an archive of an application is chosen and sent: of a new one, or the next version of one. Without scripts, the command
//! line does it.

use maud::{Markup, html};
use model::names::ServiceName;

/// The next version of a service.
pub(super) fn next(service: &ServiceName) -> Markup {
    html! {
        h2 { "Deploy the next one" }
        (explained(service.as_str()))
        (form(Some(service)))
    }
}

/// An application that is not here yet.
pub(super) fn first(is_open: bool) -> Markup {
    html! {
        details.narrow open[is_open] {
            summary { "Deploy an application" }
            (explained("shop"))
            (form(None))
        }
    }
}

fn explained(name: &str) -> Markup {
    html! {
        p {
            "On the host: " code { "sudo bellows deploy FOLDER" } ". From here: an archive of the files in the application's folder, as "
            code { "tar -czf " (name) ".tar.gz -C FOLDER $(ls -A FOLDER)" } " makes it."
        }
    }
}

/// Of a service, or of one that is named there.
fn form(service: Option<&ServiceName>) -> Markup {
    html! {
        form #deploy-form data-service=[service] data-needs-scripts hidden {
            @if service.is_none() {
                div.field {
                    label {
                        span { "Name" }
                        input name="service" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="deploy-name-wrong";
                    }
                    p.wrong #deploy-name-wrong role="status" {}
                }
            }
            div.controls {
                label { "Archive " input type="file" name="archive" accept=".tar,.gz,.tgz,application/x-tar,application/gzip" required; }
                button { "Deploy" }
            }
            @if service.is_some() {
                p { label { input type="checkbox" name="replace"; " It may take the place of what was deployed from a folder of the host" } }
            }
            progress max="1" value="0" aria-label="Sent" hidden {}
            p #deploy-said role="status" {}
        }
    }
}
