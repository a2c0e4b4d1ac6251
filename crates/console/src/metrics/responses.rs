//! Response times and answers by class, counted since the console began.

use std::collections::BTreeMap;

use host::answer_pipe::{Answer, Class};
use model::names::ServiceName;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::OfService;

/// The upper ends of buckets, in seconds. A request waits for an instance for 20 s at most.
const BUCKETS_S: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClass {
    service: String,
    class: &'static str,
}

/// What services answered.
#[derive(Debug)]
pub struct Responses {
    times: Family<OfService, Histogram, fn() -> Histogram>,
    answers: Family<OfClass, Counter>,
    /// Those of each service, so that an answer is not looked for by its labels.
    own: BTreeMap<ServiceName, Own>,
}

#[derive(Debug)]
struct Own {
    times: Histogram,
    answers: [Counter; 4],
}

impl Responses {
    /// Makes the figures and enters them into `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let times: Family<OfService, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS_S));
        let answers = Family::default();
        let help = "From a request to the begin of its answer, since the console began";
        let name = "bellows_service_response";
        registry.register_with_unit(name, help, Unit::Seconds, times.clone());
        let help = "Answers since the console began, by the class of their status";
        registry.register("bellows_service_answers", help, answers.clone());
        Self { times, answers, own: BTreeMap::new() }
    }

    /// Counts an answer.
    pub fn count(&mut self, answer: &Answer) {
        let own = match self.own.get(&answer.service) {
            Some(own) => own,
            None => {
                let made = self.made(&answer.service);
                self.own.entry(answer.service.clone()).or_insert(made)
            }
        };
        own.times.observe(f64::from(answer.time_ms) / 1000.0);
        own.answers[answer.class as usize].inc();
    }

    fn made(&self, service: &ServiceName) -> Own {
        let service = service.to_string();
        let classes = [Class::Success, Class::Redirection, Class::ClientError, Class::ServerError];
        let answers = classes.map(|class| {
            let label = OfClass { service: service.clone(), class: word(class) };
            self.answers.get_or_create(&label).clone()
        });
        Own { times: self.times.get_or_create(&OfService { service }).clone(), answers }
    }
}

fn word(class: Class) -> &'static str {
    match class {
        Class::Success => "2xx",
        Class::Redirection => "3xx",
        Class::ClientError => "4xx",
        Class::ServerError => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn answers_are_counted_by_time_and_by_class() {
        let mut registry = Registry::default();
        let mut responses = Responses::register(&mut registry);
        for (class, time_ms) in
            [(Class::Success, 4), (Class::Success, 240), (Class::ServerError, 30_000)]
        {
            responses.count(&Answer { service: "store".parse().unwrap(), class, time_ms });
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let lines = text.lines().filter(|line| !line.contains("_answers_total"));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
        # HELP bellows_service_response_seconds From a request to the begin of its answer, since the console began.
        # TYPE bellows_service_response_seconds histogram
        # UNIT bellows_service_response_seconds seconds
        bellows_service_response_seconds_sum{service="store"} 30.244
        bellows_service_response_seconds_count{service="store"} 3
        bellows_service_response_seconds_bucket{le="0.005",service="store"} 1
        bellows_service_response_seconds_bucket{le="0.01",service="store"} 1
        bellows_service_response_seconds_bucket{le="0.025",service="store"} 1
        bellows_service_response_seconds_bucket{le="0.05",service="store"} 1
        bellows_service_response_seconds_bucket{le="0.1",service="store"} 1
        bellows_service_response_seconds_bucket{le="0.25",service="store"} 2
        bellows_service_response_seconds_bucket{le="0.5",service="store"} 2
        bellows_service_response_seconds_bucket{le="1.0",service="store"} 2
        bellows_service_response_seconds_bucket{le="2.5",service="store"} 2
        bellows_service_response_seconds_bucket{le="5.0",service="store"} 2
        bellows_service_response_seconds_bucket{le="10.0",service="store"} 2
        bellows_service_response_seconds_bucket{le="20.0",service="store"} 2
        bellows_service_response_seconds_bucket{le="+Inf",service="store"} 3
        # HELP bellows_service_answers Answers since the console began, by the class of their status.
        # TYPE bellows_service_answers counter
        # EOF
        "#);
        for (class, count) in [("2xx", 2), ("3xx", 0), ("4xx", 0), ("5xx", 1)] {
            let line = format!(
                "bellows_service_answers_total{{service=\"store\",class=\"{class}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{text}");
        }
    }
}
