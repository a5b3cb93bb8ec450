//! Whether all is well, as a person checks who suspects that it is not. Reads, writes one row that matters to nobody, tries
//! out the settings of every connection and knocks at every endpoint; changes nothing else.

use std::sync::Arc;

use rialto_adapters::port::manifest::Authenticity;
use rialto_adapters::port::{Adapter, Duration, Fault, Probe, Secret, Settings, Timestamp};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::tenants::{SetupError, checked_settings};
use super::{Engine, FlowError};
use crate::store::StoreError;
use crate::store::checkup::{Listed, SealedBy, Unattended};
use crate::store::deliveries::Endpoint;
use crate::store::figures::{Figures, Schema};
use crate::store::tenants::Connection;
use crate::wire::certificate::http_date;
use crate::wire::guard::OUR_SUFFIX;
use crate::wire::{Exchange, Knocker};

/// A PSP or a receiver that needs longer is slow enough to be told of.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// All calls together; what has not answered by then is told as such. Shorter than an operator's command waits.
const CALLS_WITHIN: Duration = Duration::from_secs(11);
/// Calls under way at once.
const CALLS_AT_ONCE: usize = 16;

/// Clocks this far apart are worth a look: timestamps in logs no longer match, leases are taken over too early.
pub const SKEW_WARN: Duration = Duration::from_secs(5);
/// A minute off is on the way to the tolerance of signatures (five minutes), beyond which nothing is believed.
pub const SKEW_FAIL: Duration = Duration::from_secs(60);
/// A certificate is renewed by then, or somebody has forgotten it.
const CERTIFICATE_WARN: Duration = Duration::from_hours(21 * 24);
const CERTIFICATE_FAIL: Duration = Duration::from_hours(3 * 24);
/// A write that takes this long makes callers wait.
const WRITE_WARN: Duration = Duration::from_secs(1);
/// An outcome is found out within minutes where the PSP can be asked.
const DOUBT_WARN: Duration = Duration::from_hours(1);
/// Receivers are down for a while now and then.
const UNSENT_WARN: Duration = Duration::from_hours(1);
/// A notice that comes before its transaction waits for seconds.
const PARKED_WARN: Duration = Duration::from_secs(10 * 60);
/// Workers look twice a second.
const UNREAD_WARN: Duration = Duration::from_secs(60);

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Ok,
    /// Somebody should look at it in working hours.
    Warn,
    /// Something does not work, or is about to stop.
    Fail,
}

impl Grade {
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub what: &'static str,
    /// Which one, where there are several.
    pub of: Option<String>,
    pub grade: Grade,
    pub found: String,
    /// What to do; none where all is well.
    pub advice: Option<String>,
}

impl Check {
    pub fn ok(what: &'static str, found: impl Into<String>) -> Check {
        Check { what, of: None, grade: Grade::Ok, found: found.into(), advice: None }
    }

    pub fn warn(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { grade: Grade::Warn, advice: Some(advice.into()), ..Check::ok(what, found) }
    }

    pub fn fail(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { grade: Grade::Fail, advice: Some(advice.into()), ..Check::ok(what, found) }
    }

    fn of(self, of: &str) -> Check {
        Check { of: Some(of.to_owned()), ..self }
    }
}

/// What a database that cannot be asked means.
fn broken(what: &'static str, error: &StoreError) -> Check {
    Check::fail(
        what,
        error.to_string(),
        "see what the database's own log says, and whether it can be reached from here",
    )
}

impl Engine {
    /// Everything, in the order in which a person reads it.
    pub async fn examine(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        match self.store.product().await {
            Ok(product) if product.durable => {
                checks.push(Check::ok("database", format!("{} ({})", product.name, product.durability)));
            }
            Ok(product) => checks.push(Check::warn(
                "database",
                format!("{} ({})", product.name, product.durability),
                "answered writes can be lost when it crashes: switch on synchronous_commit",
            )),
            Err(error) => {
                // Nothing else could be found out.
                checks.push(broken("database", &error));
                return checks;
            }
        }
        checks.push(self.schema_check().await);
        checks.push(self.write_check().await);
        checks.push(self.clock_check().await);
        match self.store.sealed_by().await {
            Ok(keys) => checks.extend(key_checks(&keys)),
            Err(error) => checks.push(broken("keys", &error)),
        }
        checks.extend(rialto_adapters::registry().iter().map(|adapter| sample_check(*adapter)));
        checks.extend(self.outside_checks().await);
        checks.extend(self.backlog_checks().await);
        checks
    }

    async fn schema_check(&self) -> Check {
        match self.store.schema().await {
            Ok(Schema::Current) => Check::ok("schema", "as this program knows it"),
            Ok(Schema::Older(why)) => {
                Check::fail("schema", why, "run `rialto migrate`, or start the server, which does it")
            }
            Ok(Schema::Newer(why)) => {
                Check::fail("schema", why, "start the newer program, or go back to a copy from before")
            }
            Err(error) => broken("schema", &error),
        }
    }

    async fn write_check(&self) -> Check {
        let began = self.clock.now();
        let written = self.store.try_writing().await;
        let took = began.until(self.clock.now());
        let found = format!("a write took {} ms", took.as_millis());
        match written {
            Ok(()) if took < WRITE_WARN => Check::ok("writer", found),
            Ok(()) => Check::warn("writer", found, "look at the disk, and at what else the database does"),
            Err(error) => Check::fail("writer", error.to_string(), "is the disk full, or the database read-only?"),
        }
    }

    async fn clock_check(&self) -> Check {
        let before = self.clock.now();
        match self.store.ping().await {
            Ok(Some(there)) => {
                // Somewhere between asking and hearing.
                let now = Timestamp(before.0.midpoint(self.clock.now().0));
                skew("clock", "the database", there, now)
            }
            Ok(None) => Check::ok("clock", "the database is on this machine, by the same clock"),
            Err(error) => broken("clock", &error),
        }
    }

    /// PSPs and receivers, all at once.
    async fn outside_checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let (connections, endpoints) =
            match tokio::try_join!(self.store.connections_everywhere(), self.store.endpoints_everywhere()) {
                Ok(found) => found,
                Err(error) => return vec![broken("connections", &error)],
            };
        let mut calls = Calls::default();
        for connection in &connections.rows {
            let name = self.connection_name(connection).await;
            match self.ready(connection).await {
                Ok((adapter, settings)) => {
                    let (engine, connection) = (self.clone(), connection.clone());
                    calls.add(name.clone(), "connection", async move {
                        engine.try_out(&connection, adapter, &settings, &name).await
                    });
                }
                Err(check) => checks.push(check.of(&name)),
            }
        }
        for (endpoint, dead) in &endpoints.rows {
            if let Some(knocker) = self.knocker.clone() {
                let (endpoint, dead, now) = (endpoint.clone(), *dead, self.clock.now());
                calls.add(
                    endpoint.origin.clone(),
                    "endpoint",
                    async move { knock(&knocker, &endpoint, dead, now).await },
                );
            }
        }
        if connections.rows.is_empty() {
            checks.push(Check::ok("connections", "there are none yet"));
        }
        checks.extend(calls.answers().await);
        checks.extend(more("connections", &connections));
        checks.extend(more("endpoints", &endpoints));
        checks
    }

    async fn connection_name(&self, connection: &Connection) -> String {
        let tenant = self.store.tenant(connection.tenant_id).await.ok().flatten();
        let tenant = tenant.map_or_else(|| connection.tenant_id.to_string(), |tenant| tenant.name);
        format!("{} of {tenant} ({})", connection.adapter, connection.id)
    }

    /// Adapter and settings of a connection, if it could be used.
    async fn ready(&self, connection: &Connection) -> Result<(&'static dyn Adapter, Settings), Check> {
        let adapter = self.adapter(connection).map_err(|error: FlowError| {
            Check::fail(
                "connection",
                error.to_string(),
                "start a program that has this adapter, or disable the connection",
            )
        })?;
        let settings = self.store.settings(connection.tenant_id, connection.id, connection.version).await;
        let settings = settings.map_err(|error| {
            Check::fail(
                "connection",
                error.to_string(),
                "give the server the master key that its settings are sealed with",
            )
        })?;
        let values = settings.iter().map(|(key, value): (&str, &Secret)| (key.to_owned(), value.expose().to_owned()));
        match checked_settings(adapter.manifest(), values.collect(), true) {
            Ok(_) => Ok((adapter, settings)),
            Err(SetupError::Invalid { field, text }) => {
                let found = format!("setting {field}: {text}");
                Err(Check::fail("connection", found, "change the connection's settings"))
            }
            Err(error @ (SetupError::NotFound { .. } | SetupError::Flow(_))) => {
                Err(Check::fail("connection", error.to_string(), "change the connection's settings"))
            }
        }
    }

    /// Asks the PSP whether it accepts the settings, and compares clocks and certificate dates on the way.
    async fn try_out(
        &self,
        connection: &Connection,
        adapter: &dyn Adapter,
        settings: &Settings,
        name: &str,
    ) -> Vec<Check> {
        let (found, exchanges) =
            self.probe_connection(adapter, connection, settings, self.clock.now().plus(CALL_WITHIN)).await;
        let mut checks = vec![probed(&found).of(name)];
        for exchange in &exchanges {
            if let Some(there) = date_of(exchange) {
                let heard = exchange.started_at.plus(Duration::from_millis(exchange.took_ms));
                let check = skew("clock", "the PSP", there, heard).of(name);
                checks.extend((check.grade != Grade::Ok).then_some(check));
            }
        }
        let address = exchanges.iter().map(|exchange| exchange.url.as_str()).find(|url| is_outside(url));
        if let (Some(address), Some(knocker)) = (address, &self.knocker) {
            checks.push(certificate(knocker, address, self.clock.now()).await.of(name));
        }
        checks
    }

    async fn backlog_checks(&self) -> Vec<Check> {
        let now = self.clock.now();
        let mut checks = Vec::new();
        match self.store.figures().await {
            Ok(figures) => checks.extend(open_checks(&figures, now)),
            Err(error) => checks.push(broken("payments", &error)),
        }
        match self.store.unattended().await {
            Ok(unattended) => checks.extend(unattended_checks(&unattended, now)),
            Err(error) => checks.push(broken("workers", &error)),
        }
        match self.store.leases().await {
            Ok(leases) => {
                let held: Vec<&str> =
                    leases.iter().filter(|lease| lease.until_ms > now.0).map(|lease| lease.name.as_str()).collect();
                // A lease is taken when there is something to do, so none is no fault.
                let held = if held.is_empty() { "none is held now".to_owned() } else { held.join(", ") };
                checks.push(Check::ok("leases", held));
            }
            Err(error) => checks.push(broken("leases", &error)),
        }
        checks
    }
}

/// Calls to the outside, a few at once.
struct Calls {
    names: Vec<(String, &'static str)>,
    tasks: JoinSet<(usize, Vec<Check>)>,
    places: Arc<Semaphore>,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls { names: Vec::new(), tasks: JoinSet::new(), places: Arc::new(Semaphore::new(CALLS_AT_ONCE)) }
    }
}

impl Calls {
    fn add(&mut self, name: String, what: &'static str, call: impl Future<Output = Vec<Check>> + Send + 'static) {
        let (number, places) = (self.names.len(), self.places.clone());
        self.names.push((name, what));
        self.tasks.spawn(async move {
            // Never closed.
            let _place = places.acquire().await;
            (number, call.await)
        });
    }

    /// What was found, in the order in which it was asked.
    async fn answers(mut self) -> Vec<Check> {
        let mut answers: Vec<Option<Vec<Check>>> = vec![None; self.names.len()];
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok((number, checks)) = ended {
                    answers[number] = Some(checks);
                }
            }
        };
        // Those that are late are told as such below; what they ask for only reads.
        let _late = tokio::time::timeout(CALLS_WITHIN, all).await;
        let told = |((name, what), answer): ((String, &'static str), Option<Vec<Check>>)| {
            let late = || Check::warn(what, "no answer in time, with many to ask", "run it again").of(&name);
            answer.unwrap_or_else(|| vec![late()])
        };
        self.names.into_iter().zip(answers).flat_map(told).collect()
    }
}

fn more<T>(what: &'static str, listed: &Listed<T>) -> Option<Check> {
    let text = format!("only the oldest {} were looked at", listed.rows.len());
    listed.more.then(|| Check::warn(what, text, "there are more of them than are checked at once"))
}

/// How far another clock is from ours.
fn skew(what: &'static str, whose: &str, there: Timestamp, now: Timestamp) -> Check {
    let (behind, ahead) = (there.until(now), now.until(there));
    let off = behind.max(ahead);
    let direction = if behind > ahead { "behind" } else { "ahead" };
    let found = format!("{whose} is {}.{:03} s {direction} of us", off.as_secs(), off.subsec_millis());
    let advice = "keep this machine's clock by NTP; if it is right, tell whoever runs the other one";
    match off {
        off if off < SKEW_WARN => Check::ok(what, found),
        off if off < SKEW_FAIL => Check::warn(what, found, advice),
        _ => Check::fail(what, found, advice),
    }
}

fn key_checks(keys: &[SealedBy]) -> Vec<Check> {
    let check = |key: &SealedBy| {
        let id = if key.key_id.is_empty() { "none of ours" } else { &key.key_id };
        let now = if key.current { ", which seals now" } else { ", keep it in RIALTO_MASTER_KEYS" };
        match &key.failed {
            None => Check::ok("keys", format!("{} values under key {id:?} open{now}", key.tried)),
            Some(why) => Check::fail(
                "keys",
                format!("of {} values under key {id:?} some do not open: {why}", key.tried),
                "give the server the key they were sealed with: RIALTO_MASTER_KEYS=new:…,old:…, or master.key",
            ),
        }
    };
    if keys.is_empty() { vec![Check::ok("keys", "nothing is sealed yet")] } else { keys.iter().map(check).collect() }
}

fn sample_check(adapter: &dyn Adapter) -> Check {
    let manifest = adapter.manifest();
    let signed = match manifest.notices.authenticity {
        Authenticity::Signed => true,
        Authenticity::NudgeOnly => false,
    };
    let check = match adapter.notice_sample() {
        Some(sample) => match sample.check(adapter) {
            Ok(()) => Check::ok("adapter", "the vendor's sample of a signed notice is believed, a forged one is not"),
            Err(why) => Check::fail("adapter", why, "do not take notices with this program: its checker is wrong"),
        },
        None if signed => Check::ok("adapter", "it brings no sample of a signed notice"),
        None => Check::ok("adapter", "its notices are not signed, and not believed"),
    };
    check.of(manifest.name)
}

/// What trying settings out came to.
fn probed(found: &Probe) -> Check {
    match found {
        Probe::Valid(methods) => {
            let mut names: Vec<&str> = methods.iter().map(|(_, method)| method.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            Check::ok("connection", format!("the PSP accepts the settings, for {}", names.join(", ").replace('_', " ")))
        }
        Probe::Refused(reason, text) => {
            let found = format!("the PSP refuses the settings ({}): {text}", reason.as_str().replace('_', " "));
            Check::fail("connection", found, "look at the account in the PSP's portal, then change the settings")
        }
        Probe::Unknown(fault) => Check::fail(
            "connection",
            format!("the PSP gave no usable answer: {fault}"),
            "look at the way to it (name, firewall, certificate) and at the PSP's status page",
        ),
    }
}

/// The time a PSP had when it answered.
fn date_of(exchange: &Exchange) -> Option<Timestamp> {
    let mut lines = exchange.reply_headers.lines();
    lines.find_map(|line| line.strip_prefix("date: ")).and_then(http_date)
}

/// Whether it is an https address outside this process.
fn is_outside(url: &str) -> bool {
    let url = url::Url::parse(url).ok().filter(|url| url.scheme() == "https");
    url.is_some_and(|url| url.host_str().is_some_and(|host| !host.ends_with(OUR_SUFFIX)))
}

async fn certificate(knocker: &Knocker, address: &str, now: Timestamp) -> Check {
    match knocker.certificate_until(address, CALL_WITHIN).await {
        Ok(Some(until)) => expiry(until, now),
        Ok(None) => Check::warn("certificate", "its date cannot be read", "look at it with a browser"),
        Err(fault) => Check::warn("certificate", format!("it was not shown: {fault}"), "look at it with a browser"),
    }
}

fn expiry(until: Timestamp, now: Timestamp) -> Check {
    let left = now.until(until);
    let days = left.as_secs() / (24 * 3600);
    let advice = "tell whoever runs that server to renew it";
    match left {
        Duration::ZERO => {
            let past = until.until(now).as_secs() / (24 * 3600);
            Check::fail("certificate", format!("it expired {past} days ago"), advice)
        }
        left if left < CERTIFICATE_FAIL => Check::fail("certificate", format!("it expires in {days} days"), advice),
        left if left < CERTIFICATE_WARN => Check::warn("certificate", format!("it expires in {days} days"), advice),
        _ => Check::ok("certificate", format!("it is good for {days} days")),
    }
}

/// One receiver.
async fn knock(knocker: &Knocker, endpoint: &Endpoint, dead: u64, now: Timestamp) -> Vec<Check> {
    let address = endpoint.url.as_deref().unwrap_or(&endpoint.origin);
    let answer: Result<_, Fault> = knocker.knock(address, CALL_WITHIN).await;
    let mut checks = match answer {
        Ok(knock) => {
            let clock = knock.date.map(|there| skew("clock", "the receiver", there, now));
            let clock = clock.filter(|clock| clock.grade != Grade::Ok);
            [Some(Check::ok("endpoint", format!("it answers ({})", knock.status))), clock]
                .into_iter()
                .flatten()
                .collect()
        }
        Err(fault) => {
            let advice = "tell the tenant; what it was to be told is tried again by schedule";
            vec![Check::warn("endpoint", format!("it does not answer: {fault}"), advice)]
        }
    };
    if dead > 0 {
        let found = format!("{dead} deliveries to it were given up");
        checks.push(Check::warn(
            "endpoint",
            found,
            "once it answers: rialto attention lists them, rialto replay sends them",
        ));
    }
    if is_outside(&endpoint.origin) {
        checks.push(certificate(knocker, &endpoint.origin, now).await);
    }
    checks.into_iter().map(|check| check.of(&endpoint.origin)).collect()
}

/// Something that should not be older than this.
fn aged(
    what: &'static str,
    oldest: Option<Timestamp>,
    now: Timestamp,
    limit: Duration,
    name: &str,
    advice: &str,
) -> Check {
    let Some(since) = oldest else { return Check::ok(what, format!("no {name}")) };
    let age = since.until(now);
    let found = format!("the oldest {name} is {} old", span(age));
    if age <= limit { Check::ok(what, found) } else { Check::warn(what, found, advice) }
}

fn span(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn open_checks(figures: &Figures, now: Timestamp) -> Vec<Check> {
    let in_doubt = "rialto attention lists what waits for a person; rialto explain says what is known";
    let unsent = "the endpoints above say who does not answer";
    let parked = "its transaction is not known here: rialto explain and the notice's id";
    let mut checks = vec![
        aged("payments", figures.oldest_unknown, now, DOUBT_WARN, "transaction in doubt", in_doubt),
        aged("deliveries", figures.oldest_unsent, now, UNSENT_WARN, "delivery not made yet", unsent),
        aged("notices", figures.oldest_parked, now, PARKED_WARN, "parked notice", parked),
    ];
    if figures.open_alerts > 0 {
        let found = format!("{} alerts are open", figures.open_alerts);
        checks.push(Check::warn("alerts", found, "rialto attention lists them"));
    }
    checks
}

fn unattended_checks(unattended: &Unattended, now: Timestamp) -> Vec<Check> {
    let workers = "is a server running, and what does its log say?";
    let mut checks = vec![
        aged("workers", unattended.event, now, UNREAD_WARN, "event without its deliveries", workers),
        aged("workers", unattended.notice, now, UNREAD_WARN, "unread notice", workers),
    ];
    if let Some(since) = unattended.unmatched {
        let found = format!("notices could not be read or matched, the oldest {} ago", span(since.until(now)));
        checks.push(Check::warn("notices", found, "rialto attention lists them; rialto notice match or drop"));
    }
    checks
}

#[cfg(test)]
mod tests {
    use rialto_adapters::port::manifest::MethodName;
    use rialto_adapters::port::{FaultCause, Kind, Reason};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn clocks() {
        let ms = Duration::from_millis;
        for (there, grade, found) in [
            (NOW, Grade::Ok, "the PSP is 0.000 s ahead of us"),
            (NOW.plus(ms(4_999)), Grade::Ok, "the PSP is 4.999 s ahead of us"),
            (NOW.plus(ms(5_000)), Grade::Warn, "the PSP is 5.000 s ahead of us"),
            (NOW.minus(ms(59_999)), Grade::Warn, "the PSP is 59.999 s behind of us"),
            (NOW.minus(ms(60_000)), Grade::Fail, "the PSP is 60.000 s behind of us"),
        ] {
            let check = skew("clock", "the PSP", there, NOW);
            assert_eq!((check.grade, check.found.as_str()), (grade, found));
        }
    }

    #[test]
    fn certificates() {
        for (until, grade, found) in [
            (NOW.plus(DAY * 90), Grade::Ok, "it is good for 90 days"),
            (NOW.plus(DAY * 20), Grade::Warn, "it expires in 20 days"),
            (NOW.plus(DAY * 2), Grade::Fail, "it expires in 2 days"),
            (NOW, Grade::Fail, "it expired 0 days ago"),
            (NOW.minus(DAY * 5), Grade::Fail, "it expired 5 days ago"),
        ] {
            let check = expiry(until, NOW);
            assert_eq!((check.grade, check.found.as_str()), (grade, found));
        }
    }

    #[test]
    fn what_lies_there() {
        let old = |age: Duration| Some(NOW.minus(age));
        let rows = [
            (None, Grade::Ok, "no parked notice"),
            (old(Duration::from_secs(600)), Grade::Ok, "the oldest parked notice is 10 min old"),
            (old(Duration::from_secs(601)), Grade::Warn, "the oldest parked notice is 10 min old"),
            (old(DAY * 3), Grade::Warn, "the oldest parked notice is 3 d old"),
        ];
        for (oldest, grade, found) in rows {
            let figures = Figures { oldest_parked: oldest, ..Figures::default() };
            let checks = open_checks(&figures, NOW);
            assert_eq!((checks[2].grade, checks[2].found.as_str()), (grade, found));
        }
        let all_well = [open_checks(&Figures::default(), NOW), unattended_checks(&Unattended::default(), NOW)].concat();
        assert!(all_well.iter().all(|check| check.grade == Grade::Ok && check.advice.is_none()), "{all_well:#?}");
        let bad = Figures {
            oldest_unknown: old(DAY),
            oldest_unsent: old(DAY),
            oldest_parked: old(DAY),
            open_alerts: 2,
            ..Figures::default()
        };
        assert!(open_checks(&bad, NOW).iter().all(|check| check.grade == Grade::Warn && check.advice.is_some()));
        let bad = Unattended { event: old(DAY), notice: old(DAY), unmatched: old(DAY) };
        assert!(unattended_checks(&bad, NOW).iter().all(|check| check.grade == Grade::Warn && check.advice.is_some()));
    }

    #[test]
    fn keys_and_settings() {
        let key = |failed: Option<&str>, current| SealedBy {
            key_id: "a".to_owned(),
            tried: 3,
            failed: failed.map(str::to_owned),
            current,
        };
        let grades: Vec<(Grade, String)> = key_checks(&[key(None, true), key(None, false), key(Some("why"), true)])
            .into_iter()
            .map(|check| (check.grade, check.found))
            .collect();
        assert_eq!(
            grades,
            [
                (Grade::Ok, "3 values under key \"a\" open, which seals now".to_owned()),
                (Grade::Ok, "3 values under key \"a\" open, keep it in RIALTO_MASTER_KEYS".to_owned()),
                (Grade::Fail, "of 3 values under key \"a\" some do not open: why".to_owned()),
            ]
        );
        let valid = Probe::Valid(vec![(Kind::Charge, MethodName::DirectDebit), (Kind::Charge, MethodName::Card)]);
        let refused = Probe::Refused(Reason::AccountRefused, "no such key".to_owned());
        let unknown = Probe::Unknown(Fault::not_sent(FaultCause::ConnectionRefused, "nobody there"));
        for (found, grade, text) in [
            (valid, Grade::Ok, "the PSP accepts the settings, for card, direct debit"),
            (refused, Grade::Fail, "the PSP refuses the settings (account refused): no such key"),
            (unknown, Grade::Fail, "the PSP gave no usable answer: connection_refused: nobody there"),
        ] {
            let check = probed(&found);
            assert_eq!((check.grade, check.found.as_str()), (grade, text));
        }
        assert!(is_outside("https://psp.example/x") && !is_outside("http://psp.example/"));
        assert!(!is_outside("https://sandbox.rialto.internal/v1") && !is_outside("nonsense"));
        for adapter in rialto_adapters::registry() {
            assert_eq!(sample_check(*adapter).grade, Grade::Ok, "{}", adapter.manifest().name);
        }
    }
}
