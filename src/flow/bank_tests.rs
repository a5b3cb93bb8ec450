//! Payouts, request budgets and feeds, over a PSP that cannot be asked by our reference.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use rialto_adapters::pientegra::contract::{self, Created, ErrorReply, Item, LedgerEvent, Minor, Page, Subject};
use rialto_adapters::pientegra::iso;
use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{
    Currency, Duration, Fault, FaultCause, Kind, Money, NextAction, Reason, Reply, Request, Stage, Wire,
};
use serde::Serialize;
use uuid::Uuid;

use super::Engine;
use super::accept::{Accepted, Wish, Work};
use super::identity::Caller;
use super::inquire::FeedRead;
use crate::clock::Clock;
use crate::core::intent::{IntentKind, IntentState};
use crate::core::transaction::State;
use crate::store::forms::Details;
use crate::store::testing::{TestDatabase, databases, fresh_url};
use crate::store::transactions::Transaction;

const IBAN: &str = "TR320010009999901234567890";
const CONTRACT: &str = "billwerk";

/// What happens to the next call that makes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    LostAfter,
    LostBefore,
    NotSent,
}

/// Pientegra in a few lines: what was made, under which key.
#[derive(Default)]
struct Psp {
    made: Vec<(String, Item)>,
    fates: VecDeque<Fate>,
    events: Vec<LedgerEvent>,
    calls: u32,
}

#[derive(Clone, Default)]
struct PspWire(Arc<Mutex<Psp>>);

impl PspWire {
    fn with<T>(&self, act: impl FnOnce(&mut Psp) -> T) -> T {
        act(&mut self.0.lock().expect("no test panics while it holds this"))
    }

    fn fate(&self, fate: Fate) {
        self.with(|psp| psp.fates.push_back(fate));
    }

    fn set_status(&self, id: &str, status: &str) {
        self.with(|psp| {
            let (_, item) = psp.made.iter_mut().find(|(_, item)| id_of(item) == id).expect("it was made");
            item.status = Some(status.to_owned());
        });
    }

    fn made(&self) -> usize {
        self.with(|psp| psp.made.len())
    }
}

fn id_of(item: &Item) -> &str {
    item.intent_id.as_deref().or(item.withdrawal_id.as_deref()).expect("one of them")
}

fn json(status: u16, body: &impl Serialize) -> Result<Reply, Fault> {
    let body = serde_json::to_vec(body).expect("plain data");
    Ok(Reply { status, headers: vec![("content-type".to_owned(), "application/json".to_owned())], body })
}

#[async_trait::async_trait]
impl Wire for PspWire {
    async fn send(&self, request: Request, _: Deadlines) -> Result<Reply, Fault> {
        self.with(|psp| psp.answer(&request))
    }
}

impl Psp {
    fn answer(&mut self, request: &Request) -> Result<Reply, Fault> {
        self.calls += 1;
        let (_, path) = request.url.split_once("/api/v1").expect("the base");
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        match path {
            contract::DEPOSITS | contract::WITHDRAWALS if !request.body.is_empty() => self.make(path, request),
            contract::EVENTS => json(200, &Page { data: self.events.clone(), next_cursor: None }),
            contract::INTENTS | contract::WITHDRAWALS => {
                let deposits = path == contract::INTENTS;
                let of = self.made.iter().map(|(_, item)| item).filter(|item| item.intent_id.is_some() == deposits);
                let wanted = request.url.split_once("status=").and_then(|(_, rest)| rest.split('&').next());
                let of = of.filter(|item| wanted.is_none() || item.status.as_deref() == wanted);
                json(200, &Page { data: of.cloned().collect(), next_cursor: None })
            }
            _ => {
                let id = path.rsplit('/').next().expect("an id");
                match self.made.iter().find(|(_, item)| id_of(item) == id) {
                    Some((_, item)) => json(200, item),
                    None => json(404, &ErrorReply { error: contract::error::NOT_FOUND.to_owned(), message: None }),
                }
            }
        }
    }

    fn make(&mut self, path: &str, request: &Request) -> Result<Reply, Fault> {
        let fate = self.fates.pop_front();
        match fate {
            Some(Fate::NotSent) => return Err(Fault::not_sent(FaultCause::ConnectionRefused, "refused")),
            Some(Fate::LostBefore) => return Err(Fault::unknown(FaultCause::AnswerTimeout, "slow")),
            Some(Fate::LostAfter) | None => {}
        }
        let (_, key) = request.headers.iter().find(|(name, _)| *name == "idempotency-key").expect("a key");
        let key = key.expose().to_owned();
        let told: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        if !self.made.iter().any(|(made, _)| *made == key) {
            let id = Some(Uuid::now_v7().to_string());
            let deposits = path == contract::DEPOSITS;
            let (intent_id, withdrawal_id) = if deposits { (id, None) } else { (None, id) };
            let status = if deposits { contract::intent::RESERVED } else { contract::withdrawal::PENDING_REVIEW };
            let minor = told["amount"].as_str().expect("a text").parse().expect("digits");
            let (status, amount) = (Some(status.to_owned()), Some(Minor(minor)));
            let currency = Some("TRY".to_owned());
            let item = Item { intent_id, withdrawal_id, status, amount, currency, ..Item::default() };
            self.made.push((key.clone(), item));
        }
        if fate == Some(Fate::LostAfter) {
            return Err(Fault::unknown(FaultCause::AnswerTimeout, "slow"));
        }
        let (_, item) = self.made.iter().find(|(made, _)| *made == key).expect("made above");
        let deposit_url = item.intent_id.as_ref().map(|id| format!("https://pay.tenant.example/d/{id}"));
        let (intent_id, withdrawal_id) = (item.intent_id.clone(), item.withdrawal_id.clone());
        let (amount, currency) = (item.amount, item.currency.clone());
        json(201, &Created { intent_id, withdrawal_id, deposit_url, amount, currency, ..Created::default() })
    }
}

struct World {
    engine: Engine,
    psp: PspWire,
    caller: Caller,
    database: TestDatabase,
}

impl World {
    async fn new(kind: &str) -> World {
        World::scaled(kind, 1).await
    }

    async fn scaled(kind: &str, scale: u32) -> World {
        let database = fresh_url(kind);
        let store = database.store(Clock::scaled(scale)).await.expect("a fresh database opens");
        let psp = PspWire::default();
        let engine = Engine::new(store, Arc::new(psp.clone()), "http://127.0.0.1:8080");
        let tenant = engine.add_tenant("shop", true).await.expect("a tenant");
        let settings = [
            ("base_url", "https://api.pientegra.example/api/v1"),
            ("api_key", "sk_live_shop_1"),
            ("webhook_secret", "whsec_1"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let connection = engine.add_connection(tenant.id, "pientegra", true, settings, true).await;
        let connection = connection.expect("a connection");
        let key = engine.add_key(tenant.id, CONTRACT, connection.id, false).await.expect("a key");
        let caller = engine.identify(CONTRACT, key.expose()).await.expect("the store answers").expect("a caller");
        World { engine, psp, caller, database }
    }

    async fn accept(&self, wish: Wish) -> Accepted {
        self.engine.accept(&self.caller, wish).await.expect("the store answers")
    }

    /// Accepts a wish and waits for its first outcome.
    async fn made(&self, wish: Wish) -> Uuid {
        match self.accept(wish).await {
            Accepted::New { transaction, sending, .. } => {
                sending.await.expect("it does not panic");
                transaction
            }
            other => panic!("not accepted: {other:?}"),
        }
    }

    async fn read(&self, id: Uuid) -> Transaction {
        let found = self.engine.store.transaction(self.caller.tenant_id, id).await;
        found.expect("the store answers").expect("a transaction")
    }

    async fn intent_state(&self, t: &Transaction) -> IntentState {
        let found = self.engine.store.intent(t.tenant_id, t.intent_id).await;
        found.expect("the store answers").expect("an intent").state
    }

    async fn inquire(&self, id: Uuid) -> Transaction {
        self.engine.inquire(&self.read(id).await).await.expect("asked");
        self.read(id).await
    }

    /// Reads the feed until it has been through all of its parts.
    async fn read_feed(&self) {
        let mut quiet = 0;
        while quiet < 3 {
            let read = self.engine.read_feed(&self.caller.connection).await.expect("the store answers");
            quiet += u32::from(read != FeedRead::More);
        }
    }

    async fn facts(&self, id: Uuid) -> usize {
        self.engine.store.facts(self.caller.tenant_id, id).await.expect("the store answers").len()
    }

    async fn alerts(&self, id: Uuid) -> Vec<String> {
        let facts = self.engine.store.facts(self.caller.tenant_id, id).await.expect("the store answers");
        facts.into_iter().filter_map(|fact| fact.alert).collect()
    }

    fn pass(&self, by: Duration) {
        self.engine.clock.advance(by);
    }
}

fn wish(key: &str, work: Work, details: Details) -> Wish {
    Wish {
        operation: "test",
        caller_key: key.to_owned(),
        request: BTreeMap::from([("amount".to_owned(), "250000".to_owned())]),
        kind: if matches!(work, Work::Payout) { IntentKind::Withdrawal } else { IntentKind::Deposit },
        amount: Money::new(250_000, Currency::TRY),
        method: MethodName::BankTransfer,
        agreement: None,
        details,
        notify_url: None,
        page_until: None,
        asks_payer: false,
        above: None,
        work,
    }
}

fn payout(key: &str, iban: &str) -> Wish {
    let details = Details {
        destination_kind: Some("iban".to_owned()),
        destination: Some(iban.to_owned()),
        name: Some("Ahmet Yılmaz".to_owned()),
        customer: Some("user-12345".to_owned()),
        ..Details::default()
    };
    wish(key, Work::Payout, details)
}

fn deposit(world: &World, key: &str) -> Wish {
    let page_until = Some(world.engine.clock.now().plus(Duration::from_secs(30 * 60)));
    Wish { page_until, ..wish(key, Work::Charge, Details::default()) }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_payout_goes_out_once_and_what_is_wrong_with_it_is_seen_first() {
    for kind in databases() {
        let world = World::new(kind).await;
        match world.accept(payout("bad", "TR320010009999901234567891")).await {
            Accepted::Refused(refusal) => {
                assert_eq!((refusal.field, refusal.reason), ("destination", Reason::IbanInvalid));
            }
            other => panic!("{other:?}"),
        }
        let nobody = Details { name: None, ..payout("", IBAN).details };
        match world.accept(wish("nobody", Work::Payout, nobody)).await {
            Accepted::Refused(refusal) => assert_eq!((refusal.field, refusal.reason), ("name", Reason::DataInvalid)),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.psp.made(), 0);

        // The key of what was refused is free.
        let id = world.made(payout("bad", IBAN)).await;
        let sent = world.read(id).await;
        assert_eq!(sent.state, State::Pending(Stage::CreatedThere));
        assert!(matches!(world.accept(payout("bad", IBAN)).await, Accepted::Same(_)));
        let theirs = sent.theirs.expect("the PSP has told its id");
        world.psp.set_status(&theirs, contract::withdrawal::SENT);
        let done = world.inquire(id).await;
        assert_eq!((done.state, world.intent_state(&done).await), (State::Succeeded, IntentState::Done));

        // It comes back, which only the list tells.
        world.psp.set_status(&theirs, contract::withdrawal::RETURNED);
        world.read_feed().await;
        world.read_feed().await;
        let movements = world.engine.store.movements(done.tenant_id, id).await.expect("the store answers");
        let kinds: Vec<&str> = movements.iter().map(|movement| movement.kind.as_str()).collect();
        assert_eq!(kinds, ["paid_out", "returned"]);
        assert_eq!((world.read(id).await.state, world.psp.made()), (State::Succeeded, 1));
    }
}

#[tokio::test]
async fn a_lost_answer_is_repeated_with_its_key_and_not_too_soon() {
    for (make, fate) in [(true, Fate::LostAfter), (true, Fate::LostBefore), (false, Fate::LostAfter)] {
        let world = World::new("sqlite").await;
        world.psp.fate(fate);
        let wish = if make { deposit(&world, "d") } else { payout("p", IBAN) };
        let id = world.made(wish).await;
        assert_eq!(world.read(id).await.state, State::Unknown);
        world.pass(MINUTE);
        assert_eq!(world.inquire(id).await.state, State::Unknown, "too soon to send again");
        assert_eq!(world.alerts(id).await, Vec::<String>::new());
        let before = world.psp.made();
        world.pass(2 * MINUTE);
        world.inquire(id).await;
        world.pass(2 * MINUTE);
        let found = world.inquire(id).await;
        assert!(matches!(found.state, State::Pending(_)), "{fate:?}: {:?}", found.state);
        assert_eq!((before.max(1), world.psp.made()), (1, 1), "one effect");
        if make {
            assert!(matches!(found.next, Some(NextAction::Redirect { .. })), "the payer can go on");
        }
    }
}

#[tokio::test]
async fn after_the_keys_day_an_empty_list_decides_and_nothing_else() {
    for (others, kind, expected) in [
        (false, Kind::Charge, State::Declined(Reason::NotReceived)),
        (true, Kind::Charge, State::Unknown),
        (false, Kind::Payout, State::Unknown),
        (true, Kind::Payout, State::Unknown),
    ] {
        let world = World::new("sqlite").await;
        world.psp.fate(Fate::LostBefore);
        let wish = |key| if kind == Kind::Charge { deposit(&world, key) } else { payout(key, IBAN) };
        let id = world.made(wish("lost")).await;
        if others {
            world.made(wish("another")).await;
        }
        let calls = world.psp.made();
        world.pass(DAY);
        world.inquire(id).await;
        world.pass(DAY);
        let last = world.inquire(id).await;
        assert_eq!(last.state, expected, "{kind:?}, others {others}");
        assert_eq!(world.psp.made(), calls, "nothing is sent again");
        let asks = world.alerts(id).await.iter().any(|alert| alert == "needs_person");
        assert_eq!(asks, expected == State::Unknown, "{kind:?}, others {others}");
    }
}

#[tokio::test]
async fn a_payout_that_was_not_sent_is_tried_for_longer_than_its_caller_waits() {
    let world = World::scaled("sqlite", 50).await;
    for _ in 0..100 {
        world.psp.fate(Fate::NotSent);
    }
    let id = world.made(payout("p", IBAN)).await;
    let left = world.read(id).await;
    assert_eq!(left.state, State::Created, "its sender has left it to the reconciler");
    assert!(left.attempts < 20, "{}", left.attempts);
    world.inquire(id).await;
    let tried = world.read(id).await;
    assert_eq!((tried.state, tried.attempts), (State::Created, left.attempts + 1));
    world.psp.with(|psp| psp.fates.clear());
    assert!(matches!(world.inquire(id).await.state, State::Pending(_)));
    assert_eq!(world.psp.made(), 1);
}

#[tokio::test]
async fn beyond_the_budget_pages_wait_payouts_are_pending_and_the_rest_is_turned_away() {
    let world = World::new("sqlite").await;
    for n in 0..48 {
        let id = world.made(deposit(&world, &format!("d{n}"))).await;
        assert!(matches!(world.read(id).await.state, State::Pending(_)), "{n}");
    }
    // Look-ups have their own share.
    let first = world.made(deposit(&world, "page")).await;
    let waiting = world.read(first).await;
    assert_eq!((waiting.state, world.psp.made()), (State::Created, 48));
    assert!(waiting.submit_by > world.engine.clock.now().plus(20 * MINUTE), "as long as the page is open");
    assert_eq!(world.inquire(first).await.state, State::Created, "still not its turn");
    let payout_id = world.made(payout("p", IBAN)).await;
    assert_eq!(world.read(payout_id).await.state, State::Created);
    let no_page = Wish { page_until: None, ..deposit(&world, "nobody waits") };
    assert!(matches!(world.accept(no_page).await, Accepted::Busy { .. }));

    let mut queued = vec![first, payout_id];
    let turned_away = loop {
        match world.accept(deposit(&world, &format!("q{}", queued.len()))).await {
            Accepted::New { transaction, .. } => queued.push(transaction),
            Accepted::Busy { retry_after } => break retry_after,
            other => panic!("{other:?}"),
        }
        assert!(queued.len() < 500, "the queue has no end");
    };
    assert_eq!((queued.len(), turned_away), (144, MINUTE));
    assert!(matches!(world.accept(payout("late", IBAN)).await, Accepted::Busy { .. }));
    let stored = world.engine.store.intent_by_key(world.caller.tenant_id, CONTRACT, "test", "late").await;
    assert!(stored.expect("the store answers").is_none(), "nothing is stored of what is turned away");

    for minutes in 1..10 {
        world.pass(2 * MINUTE);
        for id in &queued {
            if world.read(*id).await.state == State::Created {
                world.inquire(*id).await;
            }
        }
        let sent = world.psp.made();
        assert!(sent <= 48 * (minutes + 1), "{sent} after {minutes} windows");
        if sent == 48 + queued.len() {
            return;
        }
    }
    panic!("{} were sent", world.psp.made());
}

#[tokio::test]
async fn two_nodes_never_exceed_the_budget_together() {
    for kind in databases() {
        let world = World::new(kind).await;
        let store = world.database.store(world.engine.clock.clone()).await.expect("a second node");
        let other = Engine::new(store, Arc::new(world.psp.clone()), "http://127.0.0.1:8080");
        let mut granted = 0;
        for round in 0..3 {
            let mut asking = tokio::task::JoinSet::new();
            for n in 0..120 {
                let engine = if n % 2 == 0 { world.engine.clone() } else { other.clone() };
                let (caller, key) = (world.caller.clone(), format!("{round}-{n}"));
                let wish = Wish { page_until: None, ..deposit(&world, &key) };
                asking.spawn(async move {
                    match engine.accept(&caller, wish).await.expect("the store answers") {
                        Accepted::New { sending, .. } => sending.await.is_ok(),
                        _ => false,
                    }
                });
            }
            let sent = asking.join_all().await.into_iter().filter(|sent| *sent).count();
            granted += sent;
            assert!(sent <= 48, "{kind}: {sent} in one window");
            assert!(sent >= 30, "{kind}: the budget is used: {sent}");
            world.pass(2 * MINUTE);
        }
        assert_eq!(world.psp.with(|psp| psp.calls) as usize, granted, "{kind}: each call had its turn");
    }
}

#[tokio::test]
async fn what_never_reached_us_is_found_in_the_feed_and_kept_once() {
    for kind in databases() {
        let world = World::new(kind).await;
        let id = world.made(deposit(&world, "d")).await;
        let theirs = world.read(id).await.theirs.expect("their id");
        let about = Item { id: Some(theirs.clone()), amount: Some(Minor(240_000)), ..Item::default() };
        let stranger = Item { id: Some("another".to_owned()), ..about.clone() };
        let now = iso(world.engine.clock.now());
        let event = |about: Item| LedgerEvent {
            event_id: Uuid::now_v7().to_string(),
            event_type: contract::event::INTENT_APPROVED.to_owned(),
            occurred_at: Some(now.clone()),
            delivery_status: contract::delivery::DEAD.to_owned(),
            attempts: 8,
            last_response_status: None,
            last_error: None,
            delivered_at: None,
            payload: Subject { intent: Some(about), withdrawal: None },
        };
        let listed = vec![event(about), event(stranger)];
        world.psp.with(|psp| psp.events = listed);
        world.read_feed().await;
        let paid = world.read(id).await;
        assert_eq!((paid.state, paid.taken().minor, paid.marked), (State::Succeeded, 240_000, true));
        let facts = world.facts(id).await;
        world.read_feed().await;
        assert_eq!(world.facts(id).await, facts, "told again, it is no news");
    }
}

#[tokio::test]
async fn money_that_comes_late_is_watched_until_it_is_decided() {
    for (word, expected) in
        [(contract::intent::APPROVED, State::Succeeded), (contract::intent::REJECTED, State::Expired)]
    {
        let world = World::new("sqlite").await;
        let id = world.made(deposit(&world, "d")).await;
        let theirs = world.read(id).await.theirs.expect("their id");
        world.psp.set_status(&theirs, contract::intent::AUTO_CANCELLED);
        let ended = world.inquire(id).await;
        assert_eq!((ended.state, ended.look_at), (State::Expired, None));
        world.psp.set_status(&theirs, contract::intent::LATE_ARRIVAL);
        world.read_feed().await;
        world.read_feed().await;
        let watched = world.read(id).await;
        assert_eq!(watched.state, State::Expired);
        assert!(watched.look_at.is_some(), "asked for until it is decided");
        assert_eq!(world.alerts(id).await, ["late_money"]);
        assert!(world.inquire(id).await.look_at.is_some(), "and on");
        world.psp.set_status(&theirs, word);
        let decided = world.inquire(id).await;
        assert_eq!((decided.state, decided.look_at), (expected, None), "{word}");
    }
}
