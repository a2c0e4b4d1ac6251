//! Has HTTPS go on with the operator's certificate when its files change, as they do when it is renewed.

use std::time::Duration;

use host::haproxy::{FollowError, Haproxy};
use tokio::time::MissedTickBehavior;

/// How often the files are read: a few KB.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks at the files, for ever. What is wrong with them is said once.
pub(crate) async fn run(haproxy: &Haproxy) {
    let mut timer = tokio::time::interval(LOOK_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = None;
    loop {
        timer.tick().await;
        match haproxy.follow_certificate().await {
            Ok(false) => said = None,
            Ok(true) => {
                said = None;
                tracing::info!("HTTPS goes on with the certificate that its files hold now");
            }
            Err(error) => say(&error, &mut said),
        }
    }
}

fn say(error: &FollowError, said: &mut Option<String>) {
    let text = service::exit::chain(error);
    if said.as_ref() != Some(&text) {
        tracing::error!(error = text, "HTTPS goes on with the certificate of before");
        *said = Some(text);
    }
}
