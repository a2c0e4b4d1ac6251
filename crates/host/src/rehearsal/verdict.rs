//! By which of an application's answers it is known whether it can serve.

use application::HEALTH_PATHS;
use model::service::HealthStatus;

use super::Found;

/// What one path was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing that is HTTP, or nothing in time.
    None,
    /// This status, the highest of those that they got who ask.
    Status(u16),
}

/// What all paths were answered with, in their order.
pub(super) type Answers = [Answer; HEALTH_PATHS.len()];

/// The first path with a good answer, once those before it are known to have none: a status below 500 is final, and what
/// fails may still be starting.
pub(super) fn found(answers: &Answers) -> Option<Found> {
    for (index, answer) in answers.iter().enumerate() {
        match answer {
            Answer::Status(status) if is_good(index, *status) => return path(index),
            Answer::Status(status) if *status < 500 => {}
            _ => return None,
        }
    }
    None
}

/// What there is when there is no more time: the first path with a good answer, whatever those before it say.
pub(super) fn settled(answers: &Answers) -> Option<Found> {
    answers.iter().enumerate().find_map(|(index, answer)| match answer {
        Answer::Status(status) if is_good(index, *status) => path(index),
        _ => None,
    })
}

/// The highest good status of a path. Of one that is for the purpose, what says that there is none is no good answer.
/// Everybody has the last one, which may be a page that is not there, or not for everybody.
fn highest(index: usize) -> u16 {
    if index + 1 == HEALTH_PATHS.len() { 499 } else { 399 }
}

fn is_good(index: usize, status: u16) -> bool {
    status <= highest(index)
}

/// By every answer that is good here, and not by the one that came: an application that is set up by its first user
/// answers 302 until then, and 200 from then on.
fn path(index: usize) -> Option<Found> {
    let status: HealthStatus = format!("200-{}", highest(index)).parse().ok()?;
    Some(Found::Path { path: HEALTH_PATHS[index].parse().ok()?, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(found: Option<Found>) -> Option<String> {
        found.map(|found| match found {
            Found::Path { path, status } => format!("{path} {status}"),
            other => format!("{other:?}"),
        })
    }

    fn of(statuses: [u16; 4]) -> Answers {
        statuses.map(|status| match status {
            0 => Answer::None,
            status => Answer::Status(status),
        })
    }

    #[test]
    fn the_first_path_that_answers_well_is_taken_by_all_that_is_good_there() {
        for (statuses, wanted) in [
            ([200, 200, 200, 200], "/healthz 200-399"),
            ([404, 204, 200, 200], "/health 200-399"),
            ([404, 404, 302, 200], "/up 200-399"),
            ([404, 403, 405, 200], "/ 200-499"),
            ([404, 404, 404, 404], "/ 200-499"),
            ([404, 404, 404, 301], "/ 200-499"),
        ] {
            assert_eq!(told(found(&of(statuses))), Some(wanted.to_owned()));
        }
    }

    #[test]
    fn what_fails_may_still_be_starting_and_is_asked_again_until_there_is_no_more_time() {
        for (statuses, at_last) in [
            ([503, 404, 404, 200], Some("/ 200-499")),
            ([404, 0, 404, 200], Some("/ 200-499")),
            ([404, 404, 404, 500], None),
            ([404, 404, 404, 0], None),
            ([0, 0, 0, 0], None),
        ] {
            assert_eq!(found(&of(statuses)), None, "{statuses:?}");
            assert_eq!(told(settled(&of(statuses))).as_deref(), at_last);
        }
    }
}
