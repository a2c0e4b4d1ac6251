//! What the scaler tells as it happens.

use std::collections::BTreeMap;

use model::feed::FeedLine;
use reqwest::Response;
use serde::de::IgnoredAny;

use crate::ScalerError;

/// The words of the lines that are known here.
const KNOWN: [&str; 3] = ["tick", "network", "service"];

/// Longest part of a line that is kept until the rest comes: a line of 1,000 instances has 400 kB.
const LINE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The scaler's feed, read as it comes.
#[derive(Debug)]
pub struct Feed {
    response: Response,
    address: String,
    /// What came of a line that is not whole.
    rest: Vec<u8>,
}

impl Feed {
    pub(crate) fn new(response: Response, address: String) -> Self {
        Self { response, address, rest: Vec::new() }
    }

    /// Waits for more, and gives the lines that are whole, those left out that a later release says and this one does not
    /// know; `None` at the end. Nothing is lost where it is not waited for to the end.
    ///
    /// # Errors
    /// It broke off, or is no feed.
    pub async fn next(&mut self) -> Result<Option<Vec<FeedLine>>, ScalerError> {
        let came = self.response.chunk().await;
        let away = |source| ScalerError::Away { address: self.address.clone(), source };
        let Some(chunk) = came.map_err(away)? else { return Ok(None) };
        self.rest.extend_from_slice(&chunk);
        let strange = |source| ScalerError::Strange { address: self.address.clone(), source };
        lines(&mut self.rest).map(Some).map_err(strange)
    }
}

/// Takes the whole lines.
fn lines(rest: &mut Vec<u8>) -> Result<Vec<FeedLine>, serde_json::Error> {
    let Some(last) = rest.iter().rposition(|byte| *byte == b'\n') else {
        let is_long = rest.len() > LINE_MAX_BYTES;
        let too_long = || serde::de::Error::custom("a line of the feed does not end");
        return if is_long { Err(too_long()) } else { Ok(Vec::new()) };
    };
    let behind = rest.split_off(last + 1);
    let whole = std::mem::replace(rest, behind);
    let texts = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    texts.filter_map(|text| line(text).transpose()).collect()
}

fn line(text: &[u8]) -> Result<Option<FeedLine>, serde_json::Error> {
    let told = match serde_json::from_slice(text) {
        Ok(line) => return Ok(Some(line)),
        Err(told) => told,
    };
    let words: BTreeMap<String, IgnoredAny> = serde_json::from_slice(text)?;
    let is_known = words.keys().any(|word| KNOWN.contains(&word.as_str()));
    if is_known { Err(told) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use model::network::NetworkStatus;

    use super::*;

    #[test]
    fn lines_come_in_parts_and_those_of_a_later_release_are_passed_over() {
        let network = serde_json::to_string(&FeedLine::Network(NetworkStatus::default())).unwrap();
        let text = format!("{network}\n{{\"weather\":{{}}}}\n{network}\n");
        for cut in 0..text.len() {
            let (first, second) = text.split_at(cut);
            let mut rest = first.as_bytes().to_vec();
            let mut told = lines(&mut rest).unwrap();
            rest.extend_from_slice(second.as_bytes());
            told.extend(lines(&mut rest).unwrap());
            assert_eq!((told.len(), rest.len()), (2, 0), "{cut}");
        }
    }

    #[test]
    fn a_line_that_is_none_and_one_that_does_not_end_are_errors() {
        for bad in ["nonsense\n", "{\"tick\":{}}\n", "[]\n"] {
            assert!(lines(&mut bad.as_bytes().to_vec()).is_err(), "{bad}");
        }
        assert!(lines(&mut vec![b' '; LINE_MAX_BYTES + 1]).is_err());
    }
}
