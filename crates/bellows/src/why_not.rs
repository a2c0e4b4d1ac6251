//! `bellows why-not`: what stands between a service and another number of ready instances, in words.

use anyhow::anyhow;
use command_line::terminal;
use host::settings::Settings;
use model::bounds::Bounds;
use model::names::ServiceName;

use crate::error::BadInput;
use crate::explain::no_turn;
use crate::scaler;

/// Says why a service has not so many ready instances.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    ready: u32,
    json: bool,
) -> anyhow::Result<()> {
    can_be(ready)?;
    let scaler = scaler::client(settings)?;
    if scaler::known(&scaler, service).await?.tick.is_none() {
        return Err(no_turn(service).into());
    }
    let answer = scaler.why_not(service, ready).await?;
    if json {
        terminal::tell_line(serde_json::to_string_pretty(&answer)?)?;
    } else {
        terminal::tell(explain::why_not::text(&answer))?;
    }
    Ok(())
}

/// Whether any service may have so many.
fn can_be(ready: u32) -> Result<(), BadInput> {
    let most = Bounds::MAX_INSTANCES;
    let told = || anyhow!("N is {ready}: use 0 to {most} (instances), the most of any service");
    (ready <= most).then_some(()).ok_or_else(|| BadInput::new(told()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_no_service_ever_has_is_bad_input() {
        assert!(can_be(750).is_ok());
        let told = can_be(751).unwrap_err().to_string();
        assert_eq!(told, "N is 751: use 0 to 750 (instances), the most of any service");
    }
}
