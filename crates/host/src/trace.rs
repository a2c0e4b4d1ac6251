//! Spans of what takes time on the host, for traces: who gathers none pays a check of one flag for each.
//!
//! Their level is `debug`, so that lines of a log at its usual level, `info`, are not marked with them.

use std::fmt::Display;

use model::action::{Action, ActionKind};
use model::job::JobKind;
use model::names::ServiceName;
use tracing::field::{self, Empty};
use tracing::{Instrument as _, Span, debug_span};

/// How much of what went wrong is told: a first line says it, and those after it may be what an instance wrote.
const ERROR_MAX_CHARS: usize = 300;

/// Carries out a step, in a span below the one that is under way.
///
/// # Errors
/// Those of the step, which its span tells.
pub async fn step<T, E: Display>(
    name: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = debug_span!(
        "step",
        otel.name = name,
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    within(span, work).await
}

/// Carries out an action of a plan, in a span.
///
/// # Errors
/// Those of the action, which its span tells.
pub async fn action<T, E: Display>(
    action: &Action,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Action { kind, instance, slot, version, .. } = action;
    let span = debug_span!(
        "action",
        otel.name = match kind {
            ActionKind::Clone => "launch",
            ActionKind::Admit => "admit",
            ActionKind::Drain => "drain",
            ActionKind::Stop => "stop",
            ActionKind::Kill => "kill",
        },
        otel.status_code = Empty,
        otel.status_description = Empty,
        service = %instance.service(),
        instance = %instance,
        slot = slot.get(),
        version = version.map(field::display),
    );
    within(span, work).await
}

/// Carries out a job such as the deploy of a service, in a span.
///
/// # Errors
/// Those of the job, which its span tells.
pub async fn job<T, E: Display>(
    kind: JobKind,
    service: Option<&ServiceName>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = debug_span!(
        "job",
        otel.name = %kind,
        otel.status_code = Empty,
        otel.status_description = Empty,
        service = service.map(field::display),
    );
    within(span, work).await
}

async fn within<T, E: Display>(
    span: Span,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    // Steps lie in steps: by value, each would hold the state of all below it, twice.
    let result = Box::pin(work).instrument(span.clone()).await;
    if let Err(error) = &result
        && !span.is_disabled()
    {
        let told = error.to_string();
        let first = told.lines().next().unwrap_or_default();
        let first: String = first.chars().take(ERROR_MAX_CHARS).collect();
        span.record("otel.status_code", "ERROR").record("otel.status_description", first);
    }
    result
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::instrument::WithSubscriber as _;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Writes down the fields of each span.
    #[derive(Debug, Clone, Default)]
    struct Gathered(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

    struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

    impl Visit for Fields<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
        }
    }

    impl Subscriber for Gathered {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let mut all = self.0.lock().unwrap();
            let mut fields = BTreeMap::from([("span", span.metadata().name().to_owned())]);
            span.record(&mut Fields(&mut fields));
            all.push(fields);
            Id::from_u64(all.len() as u64)
        }
        fn record(&self, span: &Id, values: &Record<'_>) {
            let place = usize::try_from(span.into_u64()).unwrap() - 1;
            values.record(&mut Fields(&mut self.0.lock().unwrap()[place]));
        }
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    async fn spans(
        work: impl Future<Output = Result<(), String>>,
    ) -> Vec<BTreeMap<&'static str, String>> {
        let gathered = Gathered::default();
        let _ = work.with_subscriber(gathered.clone()).await;
        Arc::into_inner(gathered.0).unwrap().into_inner().unwrap()
    }

    #[tokio::test]
    async fn an_action_says_what_it_is_done_with_and_its_steps_what_went_wrong() {
        let launch = Action::new(ActionKind::Clone, "bw-shop-3-a".parse().unwrap(), None);
        let fails = async { Err(format!("{}\nsecond line", "x".repeat(400))) };
        let spans = spans(action(&launch, step("health", fails))).await;
        let [launch, health] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(launch["otel.name"], "launch");
        assert_eq!((launch["service"].as_str(), launch["slot"].as_str()), ("shop", "3"));
        assert_eq!(
            (health["otel.name"].as_str(), health["otel.status_code"].as_str()),
            ("health", "ERROR")
        );
        assert_eq!(health["otel.status_description"], "x".repeat(300));
    }

    #[tokio::test]
    async fn what_went_well_has_no_status() {
        let service = "shop".parse().unwrap();
        let spans = spans(job(JobKind::Deploy, Some(&service), async { Ok(()) })).await;
        assert_eq!(
            (spans[0]["otel.name"].as_str(), spans[0]["service"].as_str()),
            ("deploy", "shop")
        );
        assert!(!spans[0].contains_key("otel.status_code"), "{spans:?}");
    }
}
