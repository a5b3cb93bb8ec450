//! What a caller asked for, with its own state as shown to that caller: `Open → Done | Refused | Closed`. Our clock and
//! the caller's cancel act here; a transaction they do not touch.

use rialto_adapters::port::Kind;

use super::transaction::State;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntentKind {
    Preauth,
    Payment,
    Refund,
    Deposit,
    Withdrawal,
}

impl IntentKind {
    pub const ALL: &'static [IntentKind] =
        &[IntentKind::Preauth, IntentKind::Payment, IntentKind::Refund, IntentKind::Deposit, IntentKind::Withdrawal];

    /// The stored and published name.
    pub fn as_str(self) -> &'static str {
        match self {
            IntentKind::Preauth => "preauth",
            IntentKind::Payment => "payment",
            IntentKind::Refund => "refund",
            IntentKind::Deposit => "deposit",
            IntentKind::Withdrawal => "withdrawal",
        }
    }

    pub fn parse(text: &str) -> Option<IntentKind> {
        IntentKind::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

/// How an intent was closed: by time, or by its caller or payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    Expired,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntentState {
    Open,
    Done,
    Refused,
    Closed(ClosedBy),
}

impl IntentState {
    pub const ALL: &'static [IntentState] = &[
        IntentState::Open,
        IntentState::Done,
        IntentState::Refused,
        IntentState::Closed(ClosedBy::Expired),
        IntentState::Closed(ClosedBy::Cancelled),
    ];

    /// The stored and published name; a closed one is called by what closed it.
    pub fn as_str(self) -> &'static str {
        match self {
            IntentState::Open => "open",
            IntentState::Done => "done",
            IntentState::Refused => "refused",
            IntentState::Closed(ClosedBy::Expired) => "expired",
            IntentState::Closed(ClosedBy::Cancelled) => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<IntentState> {
        IntentState::ALL.iter().copied().find(|state| state.as_str() == text)
    }
}

/// What a contract does with money that comes when the intent is no longer open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LatePolicy {
    /// Book it and tell.
    Book,
    /// Refund or release it; where the PSP cannot, an alert holds it.
    GiveBack,
}

/// What each contract does with late money; the one place that says so.
const LATE: &[(&str, LatePolicy)] = &[
    ("billwerk", LatePolicy::GiveBack),
    ("platform", LatePolicy::GiveBack),
    ("external", LatePolicy::Book),
    ("pix", LatePolicy::Book),
];

impl LatePolicy {
    /// By the contract's stored name. Money for one that is not listed goes back: nobody there waits for it any more.
    pub fn of(contract: &str) -> LatePolicy {
        LATE.iter().find(|(name, _)| *name == contract).map_or(LatePolicy::GiveBack, |(_, policy)| *policy)
    }
}

/// The new state of one transaction of the intent, and what is known around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    pub kind: Kind,
    pub state: State,
    /// For a Release or Refund: with it nothing of the parent is left and nothing was kept.
    pub whole: bool,
    /// Another transaction of this intent that could still make it Done is open.
    pub others_open: bool,
    /// The transaction was refused before, and the payer's session at the PSP went on: the second card of one checkout.
    pub same_session: bool,
}

impl News {
    /// News of the only transaction of an intent, with nothing special around it.
    pub fn of(kind: Kind, state: State) -> News {
        News { kind, state, whole: false, others_open: false, same_session: false }
    }
}

/// What becomes of the intent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntentChange {
    /// The new state; `None` leaves the old one.
    pub state: Option<IntentState>,
    /// It concerns an intent that had ended.
    pub late: bool,
    /// Start a Release (of a Preauth) or a Refund (of a Charge or Capture) of the whole.
    pub give_back: bool,
}

impl IntentChange {
    const NONE: IntentChange = IntentChange { state: None, late: false, give_back: false };

    fn to(state: IntentState) -> IntentChange {
        IntentChange { state: Some(state), ..IntentChange::NONE }
    }
}

/// What a kind of transaction is to a kind of intent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Its end is the intent's.
    Decides,
    /// It takes back what the intent had got.
    Undoes,
    Other,
}

fn role(intent: IntentKind, transaction: Kind) -> Role {
    match (intent, transaction) {
        // A preauth of a push method collects by a Charge; one without an amount only stores means.
        (IntentKind::Preauth, Kind::Preauth | Kind::Charge | Kind::StoreMeans) => Role::Decides,
        (IntentKind::Preauth, Kind::Release | Kind::Refund) => Role::Undoes,
        (IntentKind::Preauth, Kind::Capture | Kind::Payout) => Role::Other,
        (IntentKind::Payment, Kind::Charge | Kind::Capture) => Role::Decides,
        (IntentKind::Payment, Kind::StoreMeans | Kind::Preauth | Kind::Release | Kind::Payout | Kind::Refund) => {
            Role::Other
        }
        (IntentKind::Deposit, Kind::Charge) => Role::Decides,
        (
            IntentKind::Deposit,
            Kind::StoreMeans | Kind::Preauth | Kind::Capture | Kind::Release | Kind::Payout | Kind::Refund,
        ) => Role::Other,
        (IntentKind::Refund, Kind::Refund) => Role::Decides,
        (
            IntentKind::Refund,
            Kind::StoreMeans | Kind::Preauth | Kind::Capture | Kind::Release | Kind::Charge | Kind::Payout,
        ) => Role::Other,
        (IntentKind::Withdrawal, Kind::Payout) => Role::Decides,
        (
            IntentKind::Withdrawal,
            Kind::StoreMeans | Kind::Preauth | Kind::Capture | Kind::Release | Kind::Charge | Kind::Refund,
        ) => Role::Other,
    }
}

/// What becomes of an intent when one of its transactions has got a new state.
pub fn learn(kind: IntentKind, state: IntentState, news: News, late: LatePolicy) -> IntentChange {
    match role(kind, news.kind) {
        Role::Decides if news.state.is_good(news.kind) => good(state, news, late),
        Role::Decides => ended(kind, state, news),
        // Cancelling a reservation or a collected preauth is a movement of its own: it shows when that has succeeded.
        Role::Undoes if state == IntentState::Done && news.whole && news.state == State::Succeeded => {
            IntentChange::to(IntentState::Closed(ClosedBy::Cancelled))
        }
        Role::Undoes | Role::Other => IntentChange::NONE,
    }
}

fn good(state: IntentState, news: News, late: LatePolicy) -> IntentChange {
    let booked_late = IntentChange { late: true, ..IntentChange::to(IntentState::Done) };
    match state {
        IntentState::Open => IntentChange::to(IntentState::Done),
        IntentState::Done => IntentChange::NONE,
        IntentState::Refused if news.same_session => IntentChange::to(IntentState::Done),
        IntentState::Refused | IntentState::Closed(_) => match (late, news.kind) {
            (LatePolicy::Book, _) => booked_late,
            // Money that went out cannot be given back: the truth is told under every contract.
            (LatePolicy::GiveBack, Kind::Payout | Kind::Refund) => booked_late,
            (LatePolicy::GiveBack, Kind::Preauth | Kind::Charge | Kind::Capture) => {
                IntentChange { state: None, late: true, give_back: true }
            }
            // No money, so nothing to return.
            (LatePolicy::GiveBack, Kind::StoreMeans | Kind::Release) => {
                IntentChange { state: None, late: true, give_back: false }
            }
        },
    }
}

fn ended(kind: IntentKind, state: IntentState, news: News) -> IntentChange {
    let end = match news.state {
        State::Declined(_) => IntentState::Refused,
        State::Expired => IntentState::Closed(ClosedBy::Expired),
        State::Cancelled => IntentState::Closed(ClosedBy::Cancelled),
        State::Created
        | State::Submitted
        | State::Pending(_)
        | State::Unknown
        | State::Authorised
        | State::Succeeded => return IntentChange::NONE,
    };
    match state {
        IntentState::Open if news.others_open => IntentChange::NONE,
        IntentState::Open => IntentChange::to(end),
        // A reservation lapses after it was made; money that was collected does not.
        IntentState::Done if kind == IntentKind::Preauth && news.kind == Kind::Preauth => match end {
            IntentState::Closed(_) => IntentChange::to(end),
            IntentState::Open | IntentState::Done | IntentState::Refused => IntentChange::NONE,
        },
        IntentState::Done | IntentState::Refused | IntentState::Closed(_) => IntentChange::NONE,
    }
}

/// Whether our clock or the caller's cancel may close the intent now, given all its transactions and, for a preauth, the
/// captures of it. The caller of this has asked the PSP first, where it can be asked.
///
/// Never while one is being sent or its outcome is unknown: that would tell a no that nobody has said. Done is closed
/// for a preauth only, and not once a capture of it is under way or money was collected; that goes back by a movement.
pub fn may_close(kind: IntentKind, state: IntentState, transactions: &[(Kind, State)]) -> bool {
    let in_doubt = transactions.iter().any(|(_, state)| matches!(state, State::Submitted | State::Unknown));
    let held = |(of, state): &(Kind, State)| role(kind, *of) == Role::Decides && state.is_good(*of);
    let taken = |(of, state): &(Kind, State)| match of {
        Kind::Capture => !state.is_bad(),
        Kind::Charge => state.is_good(*of),
        Kind::StoreMeans | Kind::Preauth | Kind::Release | Kind::Payout | Kind::Refund => false,
    };
    match state {
        _ if in_doubt => false,
        IntentState::Open => !transactions.iter().any(held),
        IntentState::Done => kind == IntentKind::Preauth && !transactions.iter().any(taken),
        IntentState::Refused | IntentState::Closed(_) => false,
    }
}

#[cfg(test)]
mod tests;
