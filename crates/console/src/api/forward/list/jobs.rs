//! What outlives a request, and what a service is asked to do.

use super::{Carries, Forwarded, Takes, Verb, change, read};

pub(super) const JOBS: &[Forwarded] = &[
    change(Verb::Put, "/v1/services/{name}", Carries::Small),
    change(Verb::Delete, "/v1/services/{name}", Carries::Nothing),
    read("/v1/services/{name}/file", Takes::Much),
    read("/v1/services/{name}/versions", Takes::Much),
    change(Verb::Post, "/v1/services/{name}/deploys", Carries::Archive),
    change(Verb::Post, "/v1/services/{name}/rollback", Carries::Small),
    change(Verb::Post, "/v1/stop", Carries::Small),
    read("/v1/jobs", Takes::Much),
    read("/v1/jobs/{id}", Takes::Much),
    read("/v1/jobs/{id}/log", Takes::Much),
    change(Verb::Post, "/v1/jobs/{id}/interrupt", Carries::Nothing),
    change(Verb::Post, "/v1/experiments", Carries::Small),
    read("/v1/services/{name}/actions", Takes::Little),
    change(Verb::Post, "/v1/services/{name}/actions/{action}", Carries::Small),
];
