//! What instances wrote. It is for those with a token, so scripts ask for it; here is where they show it.

use maud::{Markup, html};
use model::names::{InstanceName, ServiceName};

use super::view::View;
use super::{Region, frame};

pub(super) fn regions(name: &ServiceName, view: &View) -> Vec<Region> {
    let Some(status) = view.service(name) else { return vec![frame::missing(name.as_str())] };
    let instances = status.instances.iter().map(|instance| &instance.name);
    vec![Region { id: "logs", html: of_service(name, instances) }]
}

fn of_service<'a>(
    service: &ServiceName,
    instances: impl Iterator<Item = &'a InstanceName>,
) -> Markup {
    let choice = html! {
        label { "Instance "
            select #log-instance {
                option value="" { "all" }
                @for instance in instances { option value=(instance) { (instance) } }
            }
        }
    };
    place(service, None, &choice)
}

/// What one instance wrote.
pub(super) fn of_instance(instance: &InstanceName) -> Markup {
    place(instance.service(), Some(instance), &html! {})
}

fn place(service: &ServiceName, instance: Option<&InstanceName>, choice: &Markup) -> Markup {
    let command = match instance {
        Some(instance) => format!("sudo bellows logs {service} {instance} --follow"),
        None => format!("sudo bellows logs {service} --follow"),
    };
    html! {
        div #log data-service=(service) data-instance=[instance] {
            div #log-login.notice {
                p { strong { "What instances write is told to those who are logged in." } " It may hold what the service's users sent." }
                p {
                    "On the host, " code { "sudo bellows open" } " prints a link that logs you in, and "
                    code { (command) } " shows it in the terminal."
                }
            }
            div #log-shown hidden {
                div.controls {
                    label { "Search " input #log-search type="search" autocomplete="off" spellcheck="false"; }
                    (choice)
                    button #log-pause type="button" aria-pressed="false" { "Pause" }
                    button #log-earlier type="button" { "Earlier lines" }
                }
                p #log-said role="status" {}
                div #log-lines tabindex="0" role="region" aria-label="Lines" {}
            }
        }
    }
}
