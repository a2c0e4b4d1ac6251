//! `bellows logs`: what instances write.

use host::settings::Settings;
use model::names::{InstanceName, ServiceName};
use model::output::{OutputLine, harmless};

use crate::clock::moment;
use crate::scaler;

/// Shows the newest lines of a service, or of one of its instances.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    instance: Option<&InstanceName>,
    count: usize,
    json: bool,
) -> anyhow::Result<()> {
    let lines = scaler::client(settings)?.output(service, instance, count).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    } else if lines.is_empty() {
        println!("Nothing was written yet.");
    } else {
        lines.iter().for_each(|line| println!("{}", shown(line)));
    }
    Ok(())
}

fn shown(line: &OutputLine) -> String {
    let OutputLine { at, instance, stream, text } = line;
    format!("{}  {instance}  {stream}  {}", moment(*at), harmless(text))
}

#[cfg(test)]
mod tests {
    use model::output::Stream;
    use model::time::Timestamp;

    use super::*;

    #[test]
    fn a_line_says_when_who_and_what_and_does_nothing_on_a_terminal() {
        let line = OutputLine {
            at: Timestamp::from_millis(1_795_000_000_123),
            instance: "bw-store-1-a".parse().unwrap(),
            stream: Stream::Stderr,
            text: "oops \u{1b}[31m".to_owned(),
        };
        insta::assert_snapshot!(shown(&line), @r"2026-11-18T11:06:40Z  bw-store-1-a  stderr  oops \u{1b}[31m");
    }
}
