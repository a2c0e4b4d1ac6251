//! `bellows explain`: one turn of a service in words.

use anyhow::anyhow;
use command_line::terminal;
use host::settings::Settings;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use scaler_client::{Scaler, TickFilter};

use crate::clock::{moment, now, past};
use crate::error::BadInput;
use crate::scaler;

/// Explains the last turn of a service, or the last one that is kept up to a moment.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    at: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let at = at.map(|text| past("--at", text, now())).transpose()?;
    let scaler = scaler::client(settings)?;
    let status = scaler::known(&scaler, service).await?;
    let tick = match at {
        Some(at) => kept(&scaler, service, at).await?,
        None => status.tick.ok_or_else(|| no_turn(service))?,
    };
    if json {
        terminal::tell_line(serde_json::to_string_pretty(&tick)?)?;
    } else {
        terminal::tell(explain::turn::text(&tick))?;
    }
    Ok(())
}

/// A service of which nothing can be told yet.
pub(crate) fn no_turn(service: &ServiceName) -> BadInput {
    BadInput::new(anyhow!("{service} has had no turn yet: ask again in a second"))
}

/// The last turn of a service that is kept up to a moment.
async fn kept(scaler: &Scaler, service: &ServiceName, at: Timestamp) -> anyhow::Result<Tick> {
    let of_service = TickFilter { service: Some(service.clone()), ..TickFilter::default() };
    let up_to = TickFilter { to: Some(at), ..of_service.clone() };
    // The clock may have been set back in between: the newest of the record counts.
    if let Some(tick) = scaler.newest_tick(&up_to).await? {
        return Ok(tick);
    }
    let oldest = scaler.oldest_tick(&of_service).await?.map(|tick| tick.at);
    Err(none_kept(service, at, oldest).into())
}

fn none_kept(service: &ServiceName, at: Timestamp, oldest: Option<Timestamp>) -> BadInput {
    let told = format!("no turn of {service} is kept up to {}", moment(at));
    BadInput::new(match oldest {
        Some(oldest) => anyhow!("{told}: the oldest is of {}", moment(oldest)),
        None => anyhow!("{told}, nor any after it"),
    })
}

#[cfg(test)]
mod tests;
