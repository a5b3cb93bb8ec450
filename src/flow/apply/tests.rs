//! Late money where it cannot go back.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use rialto_adapters::port::manifest::{Manifest, MethodName};
use rialto_adapters::port::{
    BalanceAnswer, Context, Currency, Feed, Instruction, Lookup, NoticeSecrets, Outcome, Probe, RawNotice, Read,
    Reason, References, Refusal, Verification, Verified,
};

use super::*;
use crate::clock::Clock;
use crate::flow::accept::{Accepted, Wish, Work};
use crate::flow::identity::Caller;
use crate::psp::sandbox::{NoticeSink, SandboxPsp};
use crate::store::forms::Details;
use crate::store::testing::{TestDatabase, databases, fresh_url};
use crate::wire::LocalWire;

/// Nobody hears the PSP's notices.
struct Deaf;

#[async_trait]
impl NoticeSink for Deaf {
    async fn deliver(&self, _: &str, _: Vec<(String, String)>, _: Vec<u8>) -> u16 {
        200
    }
}

/// The sandbox as a PSP that cannot give a reservation free.
struct Keeps;

static KEEPS: LazyLock<Manifest> = LazyLock::new(|| {
    let sandbox = rialto_adapters::find("sandbox").expect("it is registered").manifest();
    let lines: Vec<_> = sandbox.capabilities.iter().copied().filter(|line| line.kind != Kind::Release).collect();
    Manifest { capabilities: lines.leak(), ..*sandbox }
});

#[async_trait]
impl Adapter for Keeps {
    fn manifest(&self) -> &'static Manifest {
        &KEEPS
    }

    fn check(&self, _: &Instruction) -> Result<(), Refusal> {
        Ok(())
    }

    async fn submit(&self, _: &Context<'_>, _: &Instruction) -> Outcome {
        panic!("nothing is sent through it")
    }

    async fn lookup(&self, _: &Context<'_>, _: Kind, _: &References) -> Lookup {
        Lookup::CannotAsk
    }

    async fn probe(&self, _: &Context<'_>) -> Probe {
        Probe::Valid(Vec::new())
    }

    async fn balance(&self, _: &Context<'_>) -> BalanceAnswer {
        BalanceAnswer::Unsupported
    }

    async fn feed(&self, _: &Context<'_>, _: Option<&str>) -> Feed {
        Feed::Unsupported
    }

    fn verify(&self, _: &NoticeSecrets, _: &RawNotice, _: Timestamp) -> Verification {
        Verification::Rejected("never")
    }

    fn read(&self, _: &Verified) -> Read {
        Read::Ignored("never".to_owned())
    }

    fn notice_secret_setting(&self) -> Option<&'static str> {
        None
    }
}

struct World {
    engine: Engine,
    caller: Caller,
    _database: TestDatabase,
}

impl World {
    async fn new(kind: &str) -> World {
        let clock = Clock::scaled(1);
        let database = fresh_url(kind);
        let store = database.store(clock.clone()).await.expect("a fresh database opens");
        let psp = SandboxPsp::new(store.clone(), Arc::new(Deaf), "http://127.0.0.1:8080");
        let engine = Engine::new(store, Arc::new(LocalWire::new(clock, Arc::new(psp))), "http://127.0.0.1:8080");
        let tenant = engine.add_tenant("own", true).await.expect("a tenant").id;
        let settings = [("api_key", "key"), ("webhook_secret", "whsec"), ("scripted", "on")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let connection = engine.add_connection(tenant, "sandbox", true, settings, true).await.expect("a connection").id;
        let key = engine.add_key(tenant, "billwerk", connection, false).await.expect("a key");
        let caller = engine.identify("billwerk", key.expose()).await.expect("a database").expect("a caller");
        World { engine, caller, _database: database }
    }

    /// A preauth whose payer did not come in time.
    async fn expired(&self, key: &str) -> (Intent, Transaction) {
        let wish = Wish {
            operation: "preauth",
            caller_key: key.to_owned(),
            request: Default::default(),
            kind: IntentKind::Preauth,
            // The PSP's page lives on.
            amount: Money::new(2_537, Currency::EUR),
            method: MethodName::Card,
            agreement: None,
            details: Details::default(),
            notify_url: None,
            page_until: Some(self.engine.clock.now()),
            asks_payer: false,
            above: None,
            work: Work::Preauth,
        };
        let accepted = self.engine.accept(&self.caller, wish).await.expect("a database");
        let Accepted::New { intent, transaction, sending } = accepted else { panic!("it is new") };
        sending.await.expect("it is sent");
        let tenant = self.caller.tenant_id;
        self.engine.expire(tenant, intent.id).await.expect("it expires");
        let intent = self.engine.store.intent(tenant, intent.id).await.expect("a database").expect("an intent");
        assert_eq!(intent.state, IntentState::Closed(ClosedBy::Expired));
        let t = self.engine.store.transaction(tenant, transaction).await.expect("a database").expect("a transaction");
        assert!(matches!(t.state, State::Pending(_)));
        (intent, t)
    }

    async fn alerts(&self) -> Vec<(String, Option<Uuid>)> {
        let open = self.engine.store.alerts_open(self.caller.tenant_id).await.expect("a database");
        open.into_iter().map(|alert| (alert.kind, alert.transaction_id)).collect()
    }
}

fn authorised() -> News {
    News::of_ours(Learned::Said { verdict: Verdict::Authorised, amount: None, occurred_at: None })
}

#[tokio::test]
async fn late_money_that_cannot_go_back_waits_for_a_person() {
    for kind in databases() {
        let world = World::new(kind).await;
        let (intent, t) = world.expired("a").await;
        let applied = world.engine.applied(&t, &intent, &authorised(), None, None, &Keeps).expect("it is built");
        assert!(applied.children.is_empty(), "there is nothing to send");
        assert_eq!(world.engine.store.run(applied.unit).await.expect("a database"), Ok(()));
        assert_eq!(world.alerts().await, [("late_money".to_owned(), Some(t.id))], "{kind}");
        let after = world.engine.store.intent(intent.tenant_id, intent.id).await.expect("a database");
        assert_eq!(after.expect("an intent").state, intent.state, "it stays what its caller was told");
    }
}

#[tokio::test]
async fn late_money_that_the_psp_does_not_take_back_waits_for_a_person() {
    for kind in databases() {
        let world = World::new(kind).await;
        let (intent, t) = world.expired("a").await;
        let sandbox = rialto_adapters::find("sandbox").expect("it is registered");
        let applied = world.engine.applied(&t, &intent, &authorised(), None, None, sandbox).expect("it is built");
        let [release] = applied.children[..] else { panic!("one release: {:?}", applied.children) };
        assert_eq!(world.engine.store.run(applied.unit).await.expect("a database"), Ok(()));
        assert_eq!(world.alerts().await, [], "{kind}: it is on its way");
        let release = world.engine.store.transaction(t.tenant_id, release).await.expect("a database");
        let release = release.expect("a release");
        assert_eq!((release.kind, release.amount, release.state), (Kind::Release, t.amount, State::Created));
        assert!(release.submit_by > world.engine.clock.now().plus(std::time::Duration::from_secs(3_600)));
        let refused = Learned::Said { verdict: Verdict::Declined(Reason::Rejected), amount: None, occurred_at: None };
        world.engine.learn(&release, News::of_ours(refused)).await.expect("a database");
        assert!(world.alerts().await.contains(&("late_money".to_owned(), Some(release.id))), "{kind}");
    }
}
