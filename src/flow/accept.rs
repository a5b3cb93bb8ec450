//! A caller's wish becomes an intent and its transaction: once for ever under the caller's key, and committed before
//! anything is sent.

use std::collections::BTreeMap;

use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::{self, Duration, Kind, Money, Timestamp};
use tokio::task::JoinHandle;
use tracing::Instrument as _;
use uuid::Uuid;

use super::budget::Admitted;
use super::identity::Caller;
use super::instruct::Instructed;
use super::limits::{
    CALL_ANSWERED_WITHIN, PAYOUT_SUBMIT_WITHIN, POLL_PAUSE, RACES_MAX, SCHEDULED_SUBMIT_WITHIN, SUBMIT_WITHIN,
    UNANSWERED_SWEPT_AFTER,
};
use super::tenants::CONTRACTS;
use super::{Engine, FlowError, Known, work};
use crate::core::counters::{Counters, Verb};
use crate::core::event::EventType;
use crate::core::intent::{IntentKind, IntentState};
use crate::core::sameness::{self, Sameness};
use crate::core::transaction::State;
use crate::metrics;
use crate::store::agreements::{self, Agreement, AgreementState};
use crate::store::forms::Details;
use crate::store::intents::{self, Intent};
use crate::store::transactions::{self, Transaction};
use crate::store::{Refusal, Unit, hash_token};

/// What a caller wants, checked by its contract.
#[derive(Clone, Debug)]
pub struct Wish {
    pub operation: &'static str,
    pub caller_key: String,
    /// The request by field, to tell a repeat from another request under the same key.
    pub request: BTreeMap<String, String>,
    pub kind: IntentKind,
    pub amount: Money,
    pub method: MethodName,
    pub agreement: Option<Under>,
    pub details: Details,
    pub notify_url: Option<String>,
    /// The payer takes part on our page; it stays open until then.
    pub page_until: Option<Timestamp>,
    /// Our page asks the payer for what the PSP needs first; nothing is sent before that.
    pub asks_payer: bool,
    /// The intent it acts on, where that is not the one of the transaction it acts on: a booking's payment.
    pub above: Option<Uuid>,
    pub work: Work,
}

/// The agreement a wish is made under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Under {
    /// One of the caller's tenant that was just read.
    Known(Uuid),
    /// By the caller's id; opened if there is none.
    Named(String),
}

/// The transaction a wish needs.
#[derive(Clone, Debug)]
pub enum Work {
    StoreMeans,
    Preauth,
    Charge,
    /// To the destination and the payee that the details name.
    Payout,
    /// Of a preauth, with the intent it belongs to.
    Capture(Box<Transaction>),
    /// Of a charge or a capture, with the intent it belongs to.
    Refund(Box<Transaction>),
    /// Nothing is sent: a payment takes what this charge has collected.
    Book(Box<Transaction>),
}

impl Work {
    fn kind(&self) -> Kind {
        match self {
            Work::StoreMeans => Kind::StoreMeans,
            Work::Preauth => Kind::Preauth,
            Work::Charge => Kind::Charge,
            Work::Payout => Kind::Payout,
            Work::Capture(_) => Kind::Capture,
            Work::Refund(_) => Kind::Refund,
            // What is booked.
            Work::Book(charge) => charge.kind,
        }
    }

    fn parent(&self) -> Option<&Transaction> {
        match self {
            Work::StoreMeans | Work::Preauth | Work::Charge | Work::Payout => None,
            Work::Capture(parent) | Work::Refund(parent) | Work::Book(parent) => Some(parent),
        }
    }
}

/// What became of a wish.
#[derive(Debug)]
pub enum Accepted {
    /// It is committed, and being sent by a task of its own. The handle ends with the first outcome; at once, where it is
    /// to be sent later.
    New { intent: Box<Intent>, transaction: Uuid, sending: JoinHandle<()> },
    /// The very same request was accepted earlier.
    Same(Box<Intent>),
    /// Another request has this key; `field` is where they differ.
    Differs { field: String },
    /// The parent has less left than this would take, or is in a state that does not allow it any more. Nothing is stored.
    Short,
    /// The adapter sees without asking the PSP that it cannot be carried out. Nothing is stored.
    Refused(port::Refusal),
    /// The PSP takes no more at the moment, and as many as may wait do so already. Nothing is stored.
    Busy { retry_after: Duration },
}

/// What an earlier request under the same key means for this one.
#[derive(Debug)]
pub enum Repeat {
    /// There was none.
    Fresh,
    Same(Box<Intent>),
    Differs {
        field: String,
    },
}

/// A wish as a unit of work, and what is to be done once it is committed.
pub(super) struct Built {
    pub known: Known,
    pub unit: Unit,
    pub first: First,
}

pub(super) enum First {
    Send,
    /// Another transaction than the one of the wish.
    SendOther(Uuid),
    Nothing,
}

/// Bytes of randomness in a page token: not to be guessed.
const PAGE_TOKEN_BYTES: usize = 24;

impl Engine {
    /// Looks whether the caller's key has been used, before the rest of a request is checked: a repeat is answered from
    /// what is stored even if it would be refused today.
    pub async fn repeat(
        &self,
        caller: &Caller,
        operation: &str,
        caller_key: &str,
        request: &BTreeMap<String, String>,
    ) -> Result<Repeat, FlowError> {
        let stored = self.store.intent_by_key(caller.tenant_id, &caller.contract, operation, caller_key).await?;
        Ok(match stored {
            None => Repeat::Fresh,
            Some(intent) => match sameness::compare(&intent.sameness, &fingerprints(request)) {
                Sameness::Same => Repeat::Same(Box::new(intent)),
                Sameness::Differs(field) => Repeat::Differs { field },
            },
        })
    }

    /// Commits the wish, and starts sending it. A wish refused here has left nothing behind. Call [`Engine::repeat`]
    /// first; a repeat that comes at the very same moment is found out by the claim.
    pub async fn accept(&self, caller: &Caller, wish: Wish) -> Result<Accepted, FlowError> {
        for _ in 0..RACES_MAX {
            let Built { known, unit, first } = match self.build(caller, &wish).await? {
                Ok(built) => built,
                Err(accepted) => return Ok(accepted),
            };
            let span = work!("accept", known.intent);
            let refusal = match self.store.run(unit).instrument(span.clone()).await? {
                Ok(()) => {
                    span.in_scope(|| self.tell_accepted(&known))?;
                    self.nudges.dispatcher.notify_one();
                    let (intent, transaction) = (Box::new(known.intent.clone()), known.t.id);
                    let sending = match first {
                        First::Send => self.spawn_first(known),
                        First::SendOther(id) => self.spawn_submit(known.t.tenant_id, id),
                        First::Nothing => tokio::spawn(async {}),
                    };
                    return Ok(Accepted::New { intent, transaction, sending });
                }
                Err(refusal) => refusal,
            };
            // Somebody may have been faster under the same key: that is what counts, before there was too little left.
            match self.repeat(caller, wish.operation, &wish.caller_key, &wish.request).await? {
                Repeat::Same(intent) => return Ok(Accepted::Same(intent)),
                Repeat::Differs { field } => return Ok(Accepted::Differs { field }),
                Repeat::Fresh => {}
            }
            match refusal {
                Refusal::Short | Refusal::Missing => return Ok(Accepted::Short),
                // The agreement was opened meanwhile: build it anew.
                Refusal::KeyTaken | Refusal::Stale | Refusal::Held | Refusal::Duplicate => {}
            }
        }
        Err(FlowError::Broken(format!("intent {} keeps changing", wish.caller_key)))
    }

    fn tell_accepted(&self, known: &Known) -> Result<(), FlowError> {
        let Known { t, intent, connection } = known;
        let (adapter, kind) = (self.adapter(connection)?.manifest().name, t.kind.as_str());
        let contract = CONTRACTS.iter().find(|contract| **contract == intent.contract).copied();
        metrics::INTENTS.add([contract.unwrap_or("other"), intent.kind.as_str()]);
        metrics::TRANSACTIONS.add([adapter, kind, t.state.name()]);
        tracing::info!(tenant = %t.tenant_id, contract, operation = intent.operation, adapter, kind, transaction = %t.id, "accepted");
        Ok(())
    }

    async fn build(&self, caller: &Caller, wish: &Wish) -> Result<Result<Built, Accepted>, FlowError> {
        let now = self.clock.now();
        let mut unit = Unit::new("accept");
        let agreement_id = match &wish.agreement {
            Some(Under::Known(id)) => Some(*id),
            Some(Under::Named(name)) => Some(self.agreement_for(&mut unit, caller, wish, name, now).await?),
            None => None,
        };
        let mut details = wish.details.clone();
        if wish.page_until.is_some() {
            details.page_token = Some(hex(&self.clock.random::<PAGE_TOKEN_BYTES>()));
        }
        let parent = wish.work.parent();
        let connection = match parent {
            // What was taken with one connection is given back with the same.
            Some(parent) => self.connection(caller.tenant_id, parent.connection_id).await?,
            None => caller.connection.clone(),
        };
        let intent = Intent {
            id: self.clock.new_id(),
            tenant_id: caller.tenant_id,
            connection_id: connection.id,
            key_id: caller.key_id,
            contract: caller.contract.clone(),
            operation: wish.operation.to_owned(),
            caller_key: wish.caller_key.clone(),
            kind: wish.kind,
            state: IntentState::Open,
            amount: wish.amount,
            method: wish.method,
            agreement_id,
            parent_id: wish.above.or(parent.map(|parent| parent.intent_id)),
            sameness: fingerprints(&wish.request),
            page_token_hash: details.page_token.as_deref().map(hash_token),
            details,
            notify_url: wish.notify_url.clone(),
            expires_at: wish.page_until,
            trace: Some(match &caller.trace {
                Some(trace) => trace.to_string(),
                None => self.clock.new_id().simple().to_string(),
            }),
            created_at: now,
            updated_at: now,
        };
        if let Work::Book(charge) = &wish.work {
            return Ok(Ok(self.build_booking(unit, intent, connection, charge).await?));
        }
        let mut transaction =
            self.new_transaction(&intent, wish.work.kind(), parent, &connection.adapter, wish.amount)?;
        let adapter = self.adapter(&connection)?;
        // What the payer is still to be asked cannot be wrong yet; the adapter looks at it when it is sent.
        if !wish.asks_payer
            && let Some(refusal) = self.wrong_with(&intent, &transaction, adapter).await?
        {
            return Ok(Err(Accepted::Refused(refusal)));
        }
        if let Some(id) = agreement_id.filter(|_| wish.details.use_stored_means) {
            // Means mean something only to the account that they are stored in.
            let stored = self.store.agreement_by_id(caller.tenant_id, id).await?;
            transaction.settings_version = stored.map_or(0, |agreement| agreement.settings_version);
        }
        let mut first = First::Send;
        if let (true, Some(until)) = (wish.asks_payer, wish.page_until) {
            transaction = held(transaction, until);
            first = First::Nothing;
        } else if let Some(not_before) = intent.details.not_before.map(Timestamp) {
            transaction = self.scheduled(transaction, not_before);
            first = First::Nothing;
        } else {
            let at_once = leaves_at_once(transaction.kind);
            let patient = !at_once || wish.page_until.is_some();
            match self.admit(adapter, &connection, &transaction, at_once, patient).await? {
                Admitted::Sends if at_once => transaction = self.submitted(&transaction, &connection)?,
                Admitted::Sends => {}
                Admitted::Waits(not_before) => {
                    first = First::Nothing;
                    transaction.look_at = Some(not_before);
                    transaction.submit_by = wish.page_until.unwrap_or(transaction.submit_by);
                }
                Admitted::TurnedAway { retry_after } => return Ok(Err(Accepted::Busy { retry_after })),
            }
        }
        self.store.claim_intent(&mut unit, &intent);
        if let (Some(parent), Some(counter)) = (parent, Verb::of(transaction.kind)) {
            transactions::reserve(&mut unit, parent, counter, transaction.amount.minor);
            // What is left of it has changed, which its caller sees.
            intents::touch(&mut unit, intent.tenant_id, parent.intent_id, now);
        }
        transactions::insert(&mut unit, &transaction);
        self.tell(&mut unit, &intent, Some(&transaction), EventType::Created, None);
        Ok(Ok(Built { known: Known { t: transaction, intent, connection }, unit, first }))
    }

    /// What the adapter sees to be wrong with a transaction that stands on its own; a follow-up's parent has passed.
    async fn wrong_with(
        &self,
        intent: &Intent,
        t: &Transaction,
        adapter: &dyn port::Adapter,
    ) -> Result<Option<port::Refusal>, FlowError> {
        if t.parent_id.is_some() {
            return Ok(None);
        }
        match self.instruction(intent, t).await? {
            Instructed::Ready(instruction) => Ok(adapter.check(&instruction).err()),
            Instructed::Impossible(..) => Ok(None),
        }
    }

    /// The same transaction, to be sent by the `due` worker from then on.
    pub(super) fn scheduled(&self, t: Transaction, not_before: Timestamp) -> Transaction {
        let submit_by = not_before.plus(self.clock.wait(SCHEDULED_SUBMIT_WITHIN));
        Transaction { not_before: Some(not_before), look_at: Some(not_before), submit_by, ..t }
    }

    /// A transaction that is not sent yet, with a reference of its own that no PSP has ever seen.
    pub(super) fn new_transaction(
        &self,
        intent: &Intent,
        kind: Kind,
        parent: Option<&Transaction>,
        adapter: &str,
        amount: Money,
    ) -> Result<Transaction, FlowError> {
        let adapter =
            rialto_adapters::find(adapter).ok_or_else(|| FlowError::Broken(format!("unknown adapter {adapter:?}")))?;
        let id = self.clock.new_id();
        let now = self.clock.now();
        let submit_by = self.clock.deadline(if kind == Kind::Payout { PAYOUT_SUBMIT_WITHIN } else { SUBMIT_WITHIN });
        Ok(Transaction {
            id,
            tenant_id: intent.tenant_id,
            intent_id: intent.id,
            connection_id: intent.connection_id,
            settings_version: parent.map_or(0, |parent| parent.settings_version),
            kind,
            method: intent.method,
            parent_id: parent.map(|parent| parent.id),
            ours: adapter.manifest().reference.mint(id.as_u128()),
            theirs: None,
            scheme: None,
            state: State::Created,
            amount,
            confirmed: None,
            counters: Counters::new(amount.minor),
            marked: false,
            attempts: 0,
            ended_unknown: false,
            not_before: None,
            submit_by,
            send_by: None,
            answer_by: None,
            // Should this node die before it sends: whoever looks then finds it past its time.
            look_at: Some(submit_by.min(self.clock.deadline(SUBMIT_WITHIN))),
            lookups: 0,
            absences: 0,
            state_at_psp: None,
            next: None,
            valid_until: None,
            psp_code: None,
            psp_text: None,
            version: 0,
            created_at: now,
            updated_at: now,
        })
    }

    async fn agreement_for(
        &self,
        unit: &mut Unit,
        caller: &Caller,
        wish: &Wish,
        caller_id: &str,
        now: Timestamp,
    ) -> Result<Uuid, FlowError> {
        if let Some(agreement) = self.store.agreement(caller.tenant_id, &caller.contract, caller_id).await? {
            return Ok(agreement.id);
        }
        let agreement = Agreement {
            id: self.clock.new_id(),
            tenant_id: caller.tenant_id,
            connection_id: caller.connection.id,
            contract: caller.contract.clone(),
            caller_id: caller_id.to_owned(),
            method: wish.method,
            state: AgreementState::Open,
            token: None,
            bearer: BTreeMap::new(),
            settings_version: caller.connection.version,
            stored_by: None,
        };
        agreements::open(unit, &agreement, now);
        Ok(agreement.id)
    }

    /// Waits, as long as a caller waits, until the transaction is no longer on its way to the PSP.
    pub async fn settled(&self, tenant: Uuid, transaction: Uuid) -> Result<(), FlowError> {
        let give_up_at = self.clock.after(CALL_ANSWERED_WITHIN);
        let mut changed = self.store.changed();
        loop {
            let now = self.store.transaction(tenant, transaction).await?;
            // One with a time of its own may take days.
            let state = now.filter(|t| t.not_before.is_none()).map(|t| t.state);
            if !matches!(state, Some(State::Created | State::Submitted)) || self.clock.now() >= give_up_at {
                return Ok(());
            }
            // This node's commits wake us; those of others are found by looking.
            tokio::select! {
                _ = changed.changed() => {}
                () = self.clock.sleep(POLL_PAUSE) => {}
            }
        }
    }
}

/// Whether the unit that accepts it says already that it is being sent, which saves a commit. Should this node die before
/// the first byte, the PSP's "never heard of it" settles these; of money on its way out it would not, so a refund or a
/// payout is committed as unsent first.
fn leaves_at_once(kind: Kind) -> bool {
    match kind {
        Kind::StoreMeans | Kind::Preauth | Kind::Capture | Kind::Release | Kind::Charge => true,
        Kind::Payout | Kind::Refund => false,
    }
}

/// A transaction that waits for the payer's answers as long as the page is open. Without them it can never be sent: its
/// last moment comes before its first.
fn held(t: Transaction, until: Timestamp) -> Transaction {
    Transaction { not_before: Some(until.plus(UNANSWERED_SWEPT_AFTER)), submit_by: until, look_at: None, ..t }
}

/// Short fingerprints instead of the values: a request may hold names and account data.
fn fingerprints(request: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    request.iter().map(|(field, value)| (field.clone(), hash_token(value)[..32].to_owned())).collect()
}

fn hex(bytes: &[u8]) -> String {
    rialto_adapters::port::notice::hex(bytes)
}
