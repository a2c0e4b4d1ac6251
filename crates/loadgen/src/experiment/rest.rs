//! Waits until a service is at rest: under the settings asked for, with as many ready instances as
//! its lower bound or that of a schedule, and nothing that starts or drains.

use std::time::{Duration, Instant};

use command_line::terminal;
use model::status::{ServiceOverrides, ServiceStatus};
use scaler_client::Scaler;

use crate::error::Error;
use crate::interrupt::Interrupt;

/// The scaler is asked this often.
const INTERVAL: Duration = Duration::from_millis(500);
/// Rest is what lasts for so long: twenty turns of the loop, the first of which may still be one
/// under other settings.
const RESTED_FOR: Duration = Duration::from_secs(2);
/// A line that says what is waited for comes this often.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Waits for rest under these settings. False when an interrupt came first.
pub(crate) async fn wait(
    scaler: &Scaler,
    service: &str,
    settings: &ServiceOverrides,
    limit: Duration,
    interrupt: &mut Interrupt,
) -> Result<bool, Error> {
    let began = Instant::now();
    let mut next_line = began;
    let mut at_rest_since = None;
    loop {
        let status = scaler.patiently(async |scaler| scaler.service(service).await).await?;
        if !is_at_rest(&status, settings) {
            at_rest_since = None;
            if began.elapsed() >= limit {
                let (service, seen) = (service.to_owned(), seen(&status, settings));
                return Err(Error::NotAtRest { service, limit_s: limit.as_secs(), seen });
            }
            if Instant::now() >= next_line {
                next_line = Instant::now() + LINE_INTERVAL;
                let seen = seen(&status, settings);
                terminal::note(format_args!("waiting until {service} is at rest: {seen}"));
            }
        } else if at_rest_since.get_or_insert_with(Instant::now).elapsed() >= RESTED_FOR {
            return Ok(true);
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = interrupt.requested() => return Ok(false),
        }
    }
}

fn is_at_rest(status: &ServiceStatus, settings: &ServiceOverrides) -> bool {
    let phases = status.phases;
    let is_small = phases.ready == status.rests_at() && phases.starting + phases.draining == 0;
    let in_force = settings.policy.as_ref().is_none_or(|policy| *policy == status.policy_spec);
    is_small && in_force && status.set == *settings
}

fn seen(status: &ServiceStatus, settings: &ServiceOverrides) -> String {
    let phases = status.phases;
    let meanwhile = if status.set == *settings {
        ""
    } else {
        ", and somebody has changed its policy or its bounds meanwhile"
    };
    format!(
        "{} ready, {} starting, {} draining under {}, with a lower bound of {}{meanwhile}",
        phases.ready,
        phases.starting,
        phases.draining,
        status.policy,
        status.rests_at()
    )
}
