//! Recordings: a stretch of turns with every input of their decisions, from which they are decided again, bit for bit.
//!
//! A recording is lines of JSON, one after the other: a [`Header`], the whole [`Controller`] before the first turn, then
//! the turns. A turn holds its moment, what of its inputs differs from the turn before, and what came of it. So a turn of
//! a service at rest takes some 130 bytes, whatever the number of its instances. Where the loop goes on with another
//! controller (after a restart, or when a clock was set) another start follows, and its first turn holds everything again.
//!
//! The [`Recorder`] makes turns of inputs, the [`Player`] inputs of turns, and the [`Replay`] decides them again.
//!
//! What no decision reads is not in it: of a service's description only its [`terms`](crate::terms), and nothing that instances wrote.

mod error;
mod instances;
mod outcome;
mod player;
mod recorder;
mod replay;
mod turn;

use model::names::ServiceName;
use serde::{Deserialize, Serialize};

pub use self::error::RecordingError;
pub use self::outcome::Outcome;
pub use self::player::{Inputs, Player};
pub use self::recorder::Recorder;
pub use self::replay::{Decided, Replay, Step};
pub use self::turn::Turn;
use crate::controller::Controller;

/// The format that this release writes, and the newest that it reads. Keys that a later release adds to it are passed
/// over, and those that an earlier one did not have yet stand at their defaults.
pub const FORMAT: u32 = 1;

/// The type of a recording's text in HTTP.
pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// What a recording begins with; and each part of it, where a scaler went on that had been started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format of what follows, up to the next header.
    pub format: u32,
    /// The release that wrote it.
    pub release: String,
    /// The service.
    pub service: ServiceName,
}

impl Header {
    /// That of a recording of this service, by this release.
    pub fn of(service: ServiceName) -> Self {
        Self { format: FORMAT, release: env!("CARGO_PKG_VERSION").to_owned(), service }
    }
}

/// Why a recording ends before whoever reads it has enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its reader did not take the lines as they came, and nobody waits for it.
    #[strum(to_string = "its reader was too slow")]
    TooSlow,
    /// The service is not deployed any more.
    #[strum(to_string = "the service is not deployed any more")]
    Withdrawn,
    /// The scaler ended.
    #[strum(to_string = "the scaler ended")]
    ScalerEnded,
    /// Whoever asked for it may not any more.
    #[strum(to_string = "the token that it was asked for with was revoked, or has ended")]
    TokenEnded,
}

/// One line of a recording.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// What follows, up to the next one.
    Recording(Header),
    /// The loop, complete, before the turn that follows.
    Start(Box<Controller>),
    /// One turn.
    Turn(Box<Turn>),
    /// Nothing follows, for this reason.
    End(End),
}

/// The same, of what somebody else has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineRef<'a> {
    /// [`Line::Recording`].
    Recording(&'a Header),
    /// [`Line::Start`].
    Start(&'a Controller),
    /// [`Line::Turn`].
    Turn(&'a Turn),
    /// [`Line::End`].
    End(End),
}

impl LineRef<'_> {
    /// The line with its end.
    ///
    /// # Errors
    /// A part of it has no form in JSON: a fault of this crate.
    pub fn to_text(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
