//! `bellows logs`: what instances write.

mod follow;

use command_line::terminal;
use host::settings::Settings;
use model::names::InstanceName;
use model::output::{OutputLine, Stream, harmless};
use model::time::Timestamp;
use serde::Serialize;
use tokio::time::sleep;

use self::follow::{Follow, PAUSE};
use crate::cli::Logs;
use crate::clock::{moment, now, past};
use crate::json::{self, FORMAT};
use crate::scaler;

/// So many lines the scaler tells at once.
const LINES_MAX: usize = 5000;

/// Shows the newest lines of a service, or of one of its instances, and with `follow` those that come, for ever.
pub(crate) async fn run(settings: &Settings, asked: Logs) -> anyhow::Result<()> {
    let Logs { service, instance, lines, since, follow, json } = asked;
    let since = since.map_or(Ok(Timestamp::default()), |text| past("--since", &text, now()))?;
    let scaler = scaler::client(settings)?;
    // What is followed goes on after all that was written, of which some may be more than is asked for.
    let count = if follow { LINES_MAX } else { lines };
    let written = scaler.output(&service, instance.as_ref(), since, count).await?;
    let newest = &written[written.len().saturating_sub(lines)..];
    if json && !follow {
        terminal::tell_line(serde_json::to_string_pretty(newest)?)?;
        return Ok(());
    }
    if newest.is_empty() && !follow {
        terminal::tell_line(format_args!(
            "Nothing was written{}.",
            if since == Timestamp::default() { " yet" } else { " since" }
        ))?;
    }
    newest.iter().try_for_each(|line| show(line, json))?;
    if follow {
        let mut following = Follow::after(&written, since);
        loop {
            sleep(PAUSE).await;
            let since = following.since();
            let page = scaler.output(&service, instance.as_ref(), since, LINES_MAX).await?;
            let new = following.new_of(page, LINES_MAX);
            if new.missed && json {
                json::print_line(&Missed { format: FORMAT, missed: true })?;
            } else if new.missed {
                terminal::tell_line(
                    "(more was written than can be shown: some lines are left out)",
                )?;
            }
            new.lines.iter().try_for_each(|line| show(line, json))?;
        }
    }
    Ok(())
}

fn show(line: &OutputLine, json: bool) -> anyhow::Result<()> {
    if json {
        return json::print_line(&Line::of(line));
    }
    terminal::tell_line(shown(line))?;
    Ok(())
}

/// A line that was written, as programs that follow are told of it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    format: u32,
    #[serde(rename = "at_ms")]
    at: Timestamp,
    instance: &'a InstanceName,
    stream: Stream,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(line: &'a OutputLine) -> Self {
        let OutputLine { at, instance, stream, text } = line;
        Self { format: FORMAT, at: *at, instance, stream: *stream, text }
    }
}

/// That lines are left out between those before and those after.
#[derive(Debug, Serialize)]
struct Missed {
    format: u32,
    missed: bool,
}

fn shown(line: &OutputLine) -> String {
    let OutputLine { at, instance, stream, text } = line;
    format!("{}  {instance}  {stream}  {}", moment(*at), harmless(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_who_and_what_and_does_nothing_on_a_terminal() {
        let line = OutputLine {
            at: Timestamp::from_millis(1_795_000_000_123),
            instance: "bw-store-1-a".parse().unwrap(),
            stream: Stream::Stderr,
            text: "oops \u{1b}[31m".to_owned(),
        };
        let json = serde_json::to_string(&Line::of(&line)).unwrap();
        insta::assert_snapshot!(json, @r#"{"format":1,"at_ms":1795000000123,"instance":"bw-store-1-a","stream":"stderr","text":"oops \u001b[31m"}"#);
        insta::assert_snapshot!(shown(&line), @r"2026-11-18T11:06:40Z  bw-store-1-a  stderr  oops \u{1b}[31m");
    }
}
