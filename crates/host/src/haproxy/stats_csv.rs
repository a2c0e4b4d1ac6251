//! Reads HAProxy's statistics from its CSV by the names of columns.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;
use std::str::FromStr;
use std::time::Duration;

use csv::StringRecord;
use model::names::{ServiceName, Slot};
use tokio::time::Instant;

use super::stats::{
    Counters, Entrance, ServerStats, ServerStatus, ServiceStats, Stats, StatsError, Worker,
};
use crate::slots::{self, Subnet};

/// Proxies whose name starts with this are the load balancer's own. A service's name has no dot.
const OWN_PREFIX: &str = "bellows.";
/// The empty backend that says which generation counted. It is the last row.
const GENERATION_PREFIX: &str = "bellows.generation.";

impl ServerStatus {
    fn takes_requests(self) -> bool {
        matches!(self, Self::Up | Self::Nolb | Self::NoCheck)
    }

    /// HAProxy adds detail behind the word: `DOWN 1/2`, `MAINT (via b/s)`.
    fn parse(text: &str) -> Option<Self> {
        Some(match text.split([' ', '(']).next()? {
            "UP" => Self::Up,
            "DOWN" => Self::Down,
            "MAINT" => Self::Maint,
            "DRAIN" => Self::Drain,
            "NOLB" => Self::Nolb,
            "no" if text == "no check" => Self::NoCheck,
            _ => return None,
        })
    }
}

impl Stats {
    /// Reads the text of `/stats;csv;no-maint`, which was asked for at `asked_at` by this entrance. Servers are
    /// known by the addresses of their instances.
    ///
    /// # Errors
    /// It is no table of statistics, lacks columns or rows, or has a figure that is none.
    pub fn parse(
        text: &str,
        entrance: Entrance,
        asked_at: Instant,
        subnet: Subnet,
    ) -> Result<Self, StatsError> {
        if !text.starts_with("# pxname,") {
            let start = text.chars().take(40).collect();
            return Err(StatsError::NotStatistics { start });
        }
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let columns = Columns::new(reader.headers()?);
        let mut worker = None;
        let mut scrapes = None;
        let mut services: BTreeMap<ServiceName, ServiceStats> = BTreeMap::new();
        let mut totals = BTreeMap::new();
        for record in reader.records() {
            let record = record?;
            let row = Row { columns: &columns, record: &record };
            let (proxy, server) = (row.text("# pxname")?, row.text("svname")?);
            if let Some(generation) = proxy.strip_prefix(GENERATION_PREFIX) {
                let generation =
                    generation.parse().map_err(|_| row.wrong("# pxname", generation))?;
                worker = Some((generation, row.known("lastchg")?));
            } else if proxy == entrance.proxy() {
                scrapes = Some(row.known("stot")?);
            } else if proxy.starts_with(OWN_PREFIX) || server == "FRONTEND" {
                // The load balancer's own entrances count all services together.
            } else if let Ok(service) = proxy.parse::<ServiceName>() {
                if server == "BACKEND" {
                    totals.insert(service, row.totals()?);
                } else if let Some(slot) = row.slot(subnet)? {
                    let servers = &mut services.entry(service).or_default().servers;
                    servers.insert(slot, row.server()?);
                }
            }
        }
        let missing = |row: &str| StatsError::NoRow(row.to_owned());
        let scrapes = scrapes.ok_or_else(|| missing(entrance.proxy()))?;
        let (generation, age_s) = worker.ok_or_else(|| missing(GENERATION_PREFIX))?;
        for (service, (queued, in_flight, counters)) in totals {
            let stats = services.entry(service).or_default();
            stats.queued = waiting(&stats.servers, queued, in_flight);
            stats.in_flight = in_flight;
            stats.counters = counters;
        }
        Ok(Self { asked_at, worker: Worker { generation, age_s, scrapes }, services })
    }
}

/// The requests that wait, where `queued` are in the backend's own queue and `in_flight` in all of
/// the backend. While no server takes requests, those that no server is ending are held: they are on
/// no server and in no queue while they wait for their next try.
fn waiting(
    servers: &BTreeMap<Slot, ServerStats>,
    queued: Option<u64>,
    in_flight: Option<u64>,
) -> Option<u64> {
    if servers.values().any(|server| server.status.takes_requests()) {
        let queues = servers.values().map(|server| server.queued);
        return queues.fold(queued, |sum, queue| Some(sum? + queue?));
    }
    let ending = servers.values().map(|server| server.in_flight);
    ending.fold(in_flight, |rest, ending| Some(rest?.saturating_sub(ending?)))
}

/// The place of each column, in whatever order and with whatever additions they come.
struct Columns(HashMap<String, usize>);

impl Columns {
    fn new(header: &StringRecord) -> Self {
        Self(header.iter().map(str::to_owned).zip(0..).collect())
    }
}

/// One line under its header.
struct Row<'a> {
    columns: &'a Columns,
    record: &'a StringRecord,
}

impl Row<'_> {
    fn text(&self, column: &'static str) -> Result<&str, StatsError> {
        let index = self.columns.0.get(column);
        index.and_then(|index| self.record.get(*index)).ok_or(StatsError::NoColumn(column))
    }

    fn parsed<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, StatsError> {
        match self.text(column)? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| self.wrong(column, text)),
        }
    }

    fn figure(&self, column: &'static str) -> Result<Option<u64>, StatsError> {
        self.parsed(column)
    }

    /// A figure that is never blank.
    fn known(&self, column: &'static str) -> Result<u64, StatsError> {
        self.figure(column)?.ok_or_else(|| self.wrong(column, ""))
    }

    fn wrong(&self, column: &'static str, text: &str) -> StatsError {
        let name = |column| self.text(column).unwrap_or_default().to_owned();
        StatsError::Figure {
            proxy: name("# pxname"),
            server: name("svname"),
            column,
            text: text.to_owned(),
        }
    }

    /// A backend's own row: its queue, its requests in flight and its counters.
    fn totals(&self) -> Result<(Option<u64>, Option<u64>, Counters), StatsError> {
        let counters = Counters {
            sessions: self.figure("stot")?,
            requests: self.figure("req_tot")?,
            informational: self.figure("hrsp_1xx")?,
            success: self.figure("hrsp_2xx")?,
            redirection: self.figure("hrsp_3xx")?,
            client_error: self.figure("hrsp_4xx")?,
            server_error: self.figure("hrsp_5xx")?,
            other: self.figure("hrsp_other")?,
            retries: self.figure("wretr")?,
            redispatches: self.figure("wredis")?,
            denied: self.figure("dreq")?,
            connection_errors: self.figure("econ")?,
            response_errors: self.figure("eresp")?,
        };
        Ok((self.figure("qcur")?, self.figure("scur")?, counters))
    }

    /// The slot of a server's instance, which is that of its address. Configurations of earlier builds
    /// tell no addresses, and named the server after the slot.
    fn slot(&self, subnet: Subnet) -> Result<Option<Slot>, StatsError> {
        let (address, name) = (self.text("addr")?, self.text("svname")?);
        if address.is_empty() {
            return Ok(slots::of_server(name));
        }
        let address: SocketAddrV4 = address.parse().map_err(|_| self.wrong("addr", address))?;
        Ok(subnet.slot(*address.ip()))
    }

    /// The answers of any status.
    fn answers(&self) -> Result<Option<u64>, StatsError> {
        let columns = ["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other"];
        columns.into_iter().try_fold(Some(0), |sum, column| {
            Ok(sum.zip(self.figure(column)?).map(|(sum, answers)| sum + answers))
        })
    }

    fn server(&self) -> Result<ServerStats, StatsError> {
        let text = self.text("status")?;
        let status = match ServerStatus::parse(text).ok_or_else(|| self.wrong("status", text))? {
            // A server that was rendered as draining has no weight, and says no more than that.
            ServerStatus::Up if self.figure("weight")? == Some(0) => ServerStatus::Drain,
            status => status,
        };
        // -1 stands for never.
        let last_session = self.parsed::<i64>("lastsess")?.and_then(|s| u64::try_from(s).ok());
        // A star says that a check is under way; the outcome behind it is the last one's.
        let check = self.text("check_status")?.trim_start_matches("* ");
        Ok(ServerStats {
            line: self.text("svname")?.to_owned(),
            status,
            in_flight: self.figure("scur")?,
            queued: self.figure("qcur")?,
            sessions: self.figure("stot")?,
            last_session: last_session.map(Duration::from_secs),
            answers: self.answers()?,
            server_errors: self.figure("hrsp_5xx")?,
            response_errors: self.figure("eresp")?,
            check: (!check.is_empty()).then(|| check.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from HAProxy 2.6.12 with one request served and two that wait.
    const CAPTURED: &str = include_str!("fixtures/stats.csv");
    /// Captured with 1,000 instances, of which two were used.
    const THOUSAND: &str = include_str!("fixtures/stats-1000.csv");

    fn parse(text: &str) -> Result<Stats, StatsError> {
        Stats::parse(text, Entrance::Address, Instant::now(), Subnet::DEFAULT)
    }

    fn store(stats: &Stats) -> &ServiceStats {
        stats.services.get(&"store".parse().unwrap()).unwrap()
    }

    fn server(stats: &Stats, slot: u32) -> &ServerStats {
        &store(stats).servers[&Slot::try_from(slot).unwrap()]
    }

    #[test]
    fn captured_statistics_are_read_whole() {
        let stats = parse(CAPTURED).unwrap();
        assert_eq!(stats.worker, Worker { generation: 17, age_s: 2, scrapes: 1 });
        assert_eq!(stats.services.len(), 1);
        let ServiceStats { queued, in_flight, counters, servers } = store(&stats);
        assert_eq!((*queued, *in_flight, servers.len()), (Some(2), Some(3), 4));
        let expected = Counters {
            sessions: Some(12),
            requests: Some(9),
            success: Some(7),
            client_error: Some(1),
            server_error: Some(1),
            ..Counters::ZERO
        };
        assert_eq!(*counters, expected);
        let busy = ServerStats {
            line: "store.1".to_owned(),
            status: ServerStatus::Up,
            in_flight: Some(1),
            queued: Some(0),
            sessions: Some(10),
            last_session: Some(Duration::from_secs(1)),
            answers: Some(9),
            server_errors: Some(1),
            response_errors: Some(0),
            check: Some("L7OK".to_owned()),
        };
        assert_eq!(*server(&stats, 1), busy);
        let statuses: Vec<_> = servers.values().map(|server| server.status).collect();
        use ServerStatus::{Down, Drain, Up};
        assert_eq!(statuses, [Up, Drain, Down, Down]);
        let slots: Vec<_> = servers.keys().map(|slot| slot.get()).collect();
        assert_eq!(slots, [1, 2, 4, 5], "the third line is free");
        assert_eq!(server(&stats, 2).last_session, None);
    }

    #[test]
    fn a_worker_is_known_by_what_the_control_loop_asked_and_not_by_what_others_did() {
        let scrapes = |entrance| {
            let stats = Stats::parse(CAPTURED, entrance, Instant::now(), Subnet::DEFAULT);
            stats.unwrap().worker.scrapes
        };
        assert_eq!((scrapes(Entrance::Socket), scrapes(Entrance::Address)), (7, 1));
    }

    #[test]
    fn a_check_without_an_answer_is_told_from_one_with_a_bad_answer() {
        let silent = |check: &str| {
            let text = CAPTURED.replace(",L7OK,200,", &format!(",{check},,"));
            server(&parse(&text).unwrap(), 1).is_silent()
        };
        for check in ["L4TOUT", "L7TOUT", "* L7TOUT"] {
            assert!(silent(check), "{check}");
        }
        for check in ["L7OK", "L7STS", "L7RSP", "L4CON", "HANA", "INI", "* L7OK"] {
            assert!(!silent(check), "{check}");
        }
    }

    #[test]
    fn what_is_held_while_no_server_takes_requests_waits() {
        let none_up = CAPTURED.replace(",UP,1,", ",MAINT,1,");
        let of_1 = "store,store.1,0,0,1,";
        assert!(none_up.contains(of_1));
        // One is being ended by the first server, and two of the three are on none.
        assert_eq!(store(&parse(&none_up).unwrap()).queued, Some(2));
        let idle = none_up.replace(of_1, "store,store.1,0,0,0,");
        assert_eq!(store(&parse(&idle).unwrap()).queued, Some(3));
        let unknown = none_up.replace(of_1, "store,store.1,0,0,,");
        assert_eq!(store(&parse(&unknown).unwrap()).queued, None);
    }

    #[test]
    fn a_thousand_servers_are_read_whole() {
        let stats = parse(THOUSAND).unwrap();
        assert_eq!(stats.worker.generation, 18);
        assert_eq!(store(&stats).servers.len(), 1000);
        assert_eq!(server(&stats, 1).sessions, Some(2));
        assert_eq!(store(&stats).counters.sessions, Some(3));
    }

    #[test]
    fn statistics_that_break_off_anywhere_are_refused() {
        let end = CAPTURED.trim_end().rfind('\n').unwrap();
        for cut in (0..end).filter(|cut| CAPTURED.is_char_boundary(*cut)) {
            assert!(parse(&CAPTURED[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for other in ["", " ", "\n", "{}", include_str!("fixtures/stats.html")] {
            assert!(matches!(parse(other), Err(StatsError::NotStatistics { .. })), "{other}");
        }
    }

    #[test]
    fn a_column_that_is_missing_is_named() {
        let error = parse(&CAPTURED.replace(",qcur,", ",qqq,")).unwrap_err();
        assert!(matches!(error, StatsError::NoColumn("qcur")));
    }

    #[test]
    fn order_and_additions_of_columns_do_not_matter() {
        let turned: Vec<_> = CAPTURED
            .lines()
            .map(|line| {
                let fields: Vec<_> = line.strip_suffix(',').unwrap().split(',').collect();
                // The first column stays, for HAProxy marks the header with `# ` there.
                let rest: Vec<_> = fields[1..].iter().rev().copied().collect();
                format!("{},{},new\n", fields[0], rest.join(","))
            })
            .collect();
        let (plain, turned) = (parse(CAPTURED).unwrap(), parse(&turned.concat()).unwrap());
        assert_eq!(plain.services, turned.services);
        assert_eq!(plain.worker, turned.worker);
    }

    #[test]
    fn a_figure_that_is_none_is_refused_with_its_place_and_a_blank_is_not_known() {
        let with = |figure: &str| {
            parse(
                &CAPTURED.replace("store,store.2,0,0,0,", &format!("store,store.2,{figure},0,0,")),
            )
        };
        for bad in ["x", "-1", "1.5", "99999999999999999999"] {
            let error = with(bad).unwrap_err();
            let StatsError::Figure { server, column, .. } = error else { panic!("{error}") };
            assert_eq!((server.as_str(), column), ("store.2", "qcur"));
        }
        let blank = with("").unwrap();
        assert_eq!(server(&blank, 2).queued, None);
        // Part of the sum is not known, so the sum is not known.
        assert_eq!(store(&blank).queued, None);
    }

    #[test]
    fn a_server_is_known_by_its_address_or_in_earlier_builds_by_its_name() {
        let moved = parse(&CAPTURED.replace(",10.117.0.5:8080,", ",10.117.0.19:99,")).unwrap();
        assert_eq!(server(&moved, 18).in_flight, Some(0));
        let foreign = parse(&CAPTURED.replace(",10.117.0.5:8080,", ",127.0.0.1:1,")).unwrap();
        assert_eq!(store(&foreign).servers.len(), 3);
        let before = CAPTURED.replace(",10.117.0.5:8080,", ",,").replace("store.4", "s17");
        assert_eq!(server(&parse(&before).unwrap(), 17).in_flight, Some(0));
        let error = parse(&CAPTURED.replace(",10.117.0.5:8080,", ",x,")).unwrap_err();
        assert!(matches!(error, StatsError::Figure { column: "addr", .. }), "{error}");
    }

    #[test]
    fn a_status_nobody_has_heard_of_is_refused() {
        assert!(parse(&CAPTURED.replace(",UP,", ",SIDEWAYS,")).is_err());
        for (text, status) in [
            ("UP 1/3", ServerStatus::Up),
            ("DOWN 1/2", ServerStatus::Down),
            ("DRAIN 1/2", ServerStatus::Drain),
            ("MAINT (via b/s1)", ServerStatus::Maint),
            ("MAINT(resolution)", ServerStatus::Maint),
            ("no check", ServerStatus::NoCheck),
        ] {
            assert_eq!(ServerStatus::parse(text), Some(status), "{text}");
        }
    }
}
