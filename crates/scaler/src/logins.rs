//! The codes with which a browser may log in, each once and soon. They are in memory alone, as digests: a scaler that
//! starts again knows none.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use model::access::Who;
use tokio::time::Instant;

use crate::lock::lock;
use crate::tokens::secret::{SecretDigest, chance};

/// The bytes of chance in a code: 128 bits, of which nobody guesses one within its two minutes.
const CODE_BYTES: usize = 16;

/// How long a code is of use: whoever asked for it has the link before his eyes, and may have to carry it to another
/// machine's browser.
const LASTS: Duration = Duration::from_secs(120);

/// Codes at a time: those of some operators, some of whom ask again. The oldest goes.
const MOST: usize = 16;

/// The codes that are open.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    open: Mutex<VecDeque<Open>>,
}

/// A code that was given.
#[derive(Debug)]
struct Open {
    sha256: SecretDigest,
    /// By the clock that nobody sets.
    until: Instant,
    /// The operator who asked for it.
    who: Who,
}

impl Logins {
    /// Gives a code for one login in the name of this operator, and says for how long.
    pub(crate) fn give(&self, who: Who) -> (String, Duration) {
        let code = chance(CODE_BYTES);
        let (sha256, until) = (SecretDigest::of(&code), Instant::now() + LASTS);
        let mut open = lock(&self.open);
        if open.len() >= MOST {
            open.pop_front();
        }
        open.push_back(Open { sha256, until, who });
        (code, LASTS)
    }

    /// Takes a code back, and says whose it is: of two who bring the same one, the first alone. `None` where it was never
    /// given, was used, or is too old. What is no code by its length costs no digest.
    pub(crate) fn take(&self, code: &str) -> Option<Who> {
        if code.len() != 2 * CODE_BYTES {
            return None;
        }
        let sha256 = SecretDigest::of(code);
        let mut open = lock(&self.open);
        open.retain(|it| Instant::now() < it.until);
        // Each is compared, so that the time tells nothing of any.
        let all = open.iter().enumerate();
        let at = all.filter(|(_, it)| it.sha256.is(&sha256)).fold(None, |_, (at, _)| Some(at))?;
        open.remove(at).map(|it| it.who)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn anna() -> Who {
        Who::Operator { uid: 1000, user: Some("anna".to_owned()) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_is_used_once_and_says_whose_it_is() {
        let logins = Logins::default();
        let (hers, _) = logins.give(anna());
        let (other, _) = logins.give(Who::Up);
        assert_ne!(hers, other);
        assert_eq!((logins.take(&hers), logins.take(&hers)), (Some(anna()), None));
        assert_eq!(logins.take(&other), Some(Who::Up));
        let zeros = "0".repeat(32);
        for wrong in ["", "0", &hers[1..], &hers.to_uppercase(), &zeros, &"x".repeat(9_999)] {
            assert_eq!(logins.take(wrong), None, "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_is_of_use_for_two_minutes() {
        let logins = Logins::default();
        let [soon, late] = [(); 2].map(|()| logins.give(anna()).0);
        tokio::time::advance(LASTS - Duration::from_millis(1)).await;
        assert_eq!(logins.take(&soon), Some(anna()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(logins.take(&late), None);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_codes_the_oldest_goes() {
        let logins = Logins::default();
        let codes: Vec<String> = (0..=MOST).map(|_| logins.give(anna()).0).collect();
        assert_eq!(logins.take(&codes[0]), None);
        assert!(codes[1..].iter().all(|code| logins.take(code) == Some(anna())));
    }

    #[test]
    fn of_many_who_bring_a_code_at_once_exactly_one_wins() {
        for _ in 0..50 {
            let (logins, gate) = (Logins::default(), Barrier::new(4));
            let (code, _) = logins.give(anna());
            let take = || {
                gate.wait();
                logins.take(&code).is_some()
            };
            let won = std::thread::scope(|scope| {
                let threads = [(); 4].map(|()| scope.spawn(take));
                threads.map(|thread| thread.join().unwrap()).into_iter().filter(|won| *won).count()
            });
            assert_eq!(won, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_code_is_in_what_is_kept() {
        let logins = Logins::default();
        let (code, _) = logins.give(anna());
        assert!(!format!("{logins:?}").contains(&code));
    }
}
