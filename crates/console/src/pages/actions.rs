//! What a service's file lets an operator have done with it. It cannot be taken back, so the service's name is typed.

use maud::{Markup, html};
use model::names::ServiceName;
use model::service::ServiceActions;
use serde_json::json;

use super::view::{Asked, View};
use crate::api::Known;
use crate::api::asker::Asker;

/// What the scaler says that can be done; nothing where it does not say it.
pub(super) async fn of(service: &ServiceName, known: &Known, asker: &Asker) -> ServiceActions {
    let path = format!("/v1/services/{service}/actions");
    known.upstream.get(&path, asker.secret()).await.unwrap_or_default()
}

/// A button for each.
pub(super) fn buttons(service: &ServiceName, view: &View) -> Markup {
    let Asked::Actions(declared) = &view.asked else { return html! {} };
    html! {
        @for (name, action) in &declared.actions {
            button.danger type="button" data-method="POST"
                data-path={ "/v1/services/" (service) "/actions/" (name) }
                data-body=(json!({ "confirm": service }))
                data-confirm={ "This cannot be taken back: " (service) " is sent " (action.method) " " (action.path) "." }
                data-type=(service)
                { (action.title) }
        }
    }
}
