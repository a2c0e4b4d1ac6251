//! How often a message is tried, and how long is waited in between.

use std::time::Duration;

use super::send_error::SendError;

/// How often a message is tried.
const ATTEMPTS: u32 = 5;

/// The wait after the first attempt, and how many times as long each next one is: 7, 28, 112 and 448 s, so that a
/// receiver may be away for 10 minutes (595 s).
pub(super) const FIRST_WAIT: Duration = Duration::from_secs(7);
const TIMES: u32 = 4;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The receiver took it.
    Delivered,
    /// It said that it never will.
    Refused,
    /// It did not take it at any attempt.
    GivenUp,
    /// It waited behind too many others, or for a receiver that is there no more.
    Dropped,
}

/// Sends until it is taken, or it is of no use any more. `again` is told why it waits.
pub(super) async fn send<S, F>(
    first_wait: Duration,
    mut send: S,
    mut again: impl FnMut(&SendError),
) -> Outcome
where
    S: FnMut() -> F,
    F: Future<Output = Result<(), SendError>>,
{
    let mut wait = first_wait;
    for attempt in 1.. {
        match send().await {
            Ok(()) => return Outcome::Delivered,
            Err(error) => {
                again(&error);
                if matches!(error, SendError::Ever(_)) {
                    return Outcome::Refused;
                }
            }
        }
        if attempt == ATTEMPTS {
            break;
        }
        tokio::time::sleep(wait).await;
        wait *= TIMES;
    }
    Outcome::GivenUp
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    /// The outcome, and after how many seconds each attempt was made, where these are the answers.
    async fn sent(answers: &[Result<(), SendError>]) -> (Outcome, Vec<u64>) {
        let (begun, times) = (Instant::now(), RefCell::new(Vec::new()));
        let attempt = || {
            let number = times.borrow().len();
            times.borrow_mut().push(begun.elapsed().as_secs());
            std::future::ready(answers[number].clone())
        };
        let outcome = send(FIRST_WAIT, attempt, |_| {}).await;
        (outcome, times.into_inner())
    }

    fn now() -> Result<(), SendError> {
        Err(SendError::Now("it answered 500".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_tried_five_times_within_ten_minutes() {
        let expected = (Outcome::GivenUp, vec![0, 7, 35, 147, 595]);
        assert_eq!(sent(&[now(), now(), now(), now(), now()]).await, expected);
        assert_eq!(sent(&[now(), now(), Ok(())]).await, (Outcome::Delivered, vec![0, 7, 35]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_ever_is_not_sent_again() {
        let ever = Err(SendError::Ever("it answered 404".to_owned()));
        assert_eq!(sent(&[now(), ever]).await, (Outcome::Refused, vec![0, 7]));
    }
}
