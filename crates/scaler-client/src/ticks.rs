//! The kept ticks, and which of them are asked for.

use model::names::ServiceName;
use model::status::TickPage;
use model::tick::Tick;
use model::time::Timestamp;

use crate::{PAGE, Scaler, ScalerError, page_after};

/// What ticks must have to be told; what is `None` is of no account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TickFilter {
    /// The service that they are of.
    pub service: Option<ServiceName>,
    /// The earliest moment.
    pub from: Option<Timestamp>,
    /// The latest moment.
    pub to: Option<Timestamp>,
}

impl TickFilter {
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let millis = |at: &Timestamp| at.as_millis().to_string();
        let service = self.service.as_ref().map(|name| ("service", name.to_string()));
        let from = self.from.as_ref().map(|at| ("from_ms", millis(at)));
        let to = self.to.as_ref().map(|at| ("to_ms", millis(at)));
        service.into_iter().chain(from).chain(to).collect()
    }
}

impl Scaler {
    /// The kept ticks that a filter lets through, with a number above `since`, oldest first; and the number to go on after.
    /// It is that of who is asked: of the scaler the sequence of a tick, of the console one of its own, which no tick tells.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn ticks(
        &self,
        filter: &TickFilter,
        mut since: u64,
    ) -> Result<(Vec<Tick>, u64), ScalerError> {
        let mut all: Vec<Tick> = Vec::new();
        loop {
            let mut query = filter.query();
            query.extend(page_after(since));
            let page: TickPage = self.get("/v1/ticks", &query).await?;
            let is_last = page.ticks.len() < PAGE;
            since = page.next;
            all.extend(page.ticks);
            if is_last {
                return Ok((all, since));
            }
        }
    }

    /// The newest of the kept ticks that a filter lets through; `None` where it lets none through.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn newest_tick(&self, filter: &TickFilter) -> Result<Option<Tick>, ScalerError> {
        Ok(self.newest_ticks(filter, 1).await?.0.pop())
    }

    /// So many of the newest kept ticks that a filter lets through, 1,000 at most, oldest first; and the number to go on
    /// after.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn newest_ticks(
        &self,
        filter: &TickFilter,
        count: usize,
    ) -> Result<(Vec<Tick>, u64), ScalerError> {
        let mut query = filter.query();
        query.push(("newest", count.to_string()));
        let page: TickPage = self.get("/v1/ticks", &query).await?;
        Ok((page.ticks, page.next))
    }

    /// The oldest of the kept ticks that a filter lets through; `None` where it lets none through.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn oldest_tick(&self, filter: &TickFilter) -> Result<Option<Tick>, ScalerError> {
        let mut query = filter.query();
        query.push(("limit", "1".to_owned()));
        let page: TickPage = self.get("/v1/ticks", &query).await?;
        Ok(page.ticks.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_account_is_asked_for() {
        assert_eq!(TickFilter::default().query(), []);
        let at = |millis| Some(Timestamp::from_millis(millis));
        let service = Some("shop".parse().unwrap());
        let all = TickFilter { service, from: at(1), to: at(2) }.query();
        let told: Vec<String> = all.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(told, ["service=shop", "from_ms=1", "to_ms=2"]);
    }
}
