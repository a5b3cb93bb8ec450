//! One instruction and its life at the PSP. Only a PSP's word, or the proof that nothing was sent, ends it: our clock and
//! a caller's cancel act on the intent.

use rialto_adapters::port::manifest::AmountRule;
use rialto_adapters::port::{Kind, Money, Reason, Stage, Timestamp};

/// What a transaction is, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Committed, and not with the PSP: not sent yet, or proved not sent and to be sent again.
    Created,
    /// A node is sending it now, or died doing so.
    Submitted,
    /// The PSP has it and has not decided.
    Pending(Stage),
    /// It may or may not have happened. Never ended by waiting.
    Unknown,
    /// Money is reserved. The good end of a Preauth, which can still expire or be cancelled.
    Authorised,
    /// The good end of every other kind.
    Succeeded,
    Declined(Reason),
    Expired,
    Cancelled,
}

impl State {
    /// The good end of a transaction of this kind.
    pub fn good(kind: Kind) -> State {
        match kind {
            Kind::Preauth => State::Authorised,
            Kind::StoreMeans | Kind::Capture | Kind::Release | Kind::Charge | Kind::Payout | Kind::Refund => {
                State::Succeeded
            }
        }
    }

    pub fn is_good(self, kind: Kind) -> bool {
        self == State::good(kind)
    }

    /// Its outcome is still to come: the reconciler looks after it.
    pub fn is_open(self) -> bool {
        match self {
            State::Created | State::Submitted | State::Pending(_) | State::Unknown => true,
            State::Authorised | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => false,
        }
    }

    /// It has ended. `Authorised` is neither open nor final: a reservation ends later.
    pub fn is_final(self) -> bool {
        match self {
            State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => true,
            State::Created | State::Submitted | State::Pending(_) | State::Unknown | State::Authorised => false,
        }
    }

    /// It ended without effect.
    pub fn is_bad(self) -> bool {
        match self {
            State::Declined(_) | State::Expired | State::Cancelled => true,
            State::Created
            | State::Submitted
            | State::Pending(_)
            | State::Unknown
            | State::Authorised
            | State::Succeeded => false,
        }
    }

    /// The stored and published name. Stage and reason are stored beside it.
    pub fn name(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Submitted => "submitted",
            State::Pending(_) => "pending",
            State::Unknown => "unknown",
            State::Authorised => "authorised",
            State::Succeeded => "succeeded",
            State::Declined(_) => "declined",
            State::Expired => "expired",
            State::Cancelled => "cancelled",
        }
    }

    /// The stage's stored name, for a pending one.
    pub fn stage(self) -> Option<&'static str> {
        match self {
            State::Pending(stage) => Some(stage.as_str()),
            State::Created
            | State::Submitted
            | State::Unknown
            | State::Authorised
            | State::Succeeded
            | State::Declined(_)
            | State::Expired
            | State::Cancelled => None,
        }
    }

    /// The reason's stored name, for a declined one.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            State::Declined(reason) => Some(reason.as_str()),
            State::Created
            | State::Submitted
            | State::Pending(_)
            | State::Unknown
            | State::Authorised
            | State::Succeeded
            | State::Expired
            | State::Cancelled => None,
        }
    }

    /// Reads what `name`, `stage` and `reason` wrote. `None` for an unknown word, and where a stage or reason that the
    /// state needs is missing; one that it does not need is not looked at.
    pub fn from_parts(name: &str, stage: Option<&str>, reason: Option<&str>) -> Option<State> {
        match name {
            "created" => Some(State::Created),
            "submitted" => Some(State::Submitted),
            "pending" => Stage::parse(stage?).map(State::Pending),
            "unknown" => Some(State::Unknown),
            "authorised" => Some(State::Authorised),
            "succeeded" => Some(State::Succeeded),
            "declined" => Reason::parse(reason?).map(State::Declined),
            "expired" => Some(State::Expired),
            "cancelled" => Some(State::Cancelled),
            _ => None,
        }
    }
}

/// What `step` needs to know of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub kind: Kind,
    pub state: State,
    /// What we asked to move; `None` for StoreMeans.
    pub asked: Option<Money>,
    /// What the PSP confirmed. `None` before, and after a success of an as-told method that named no amount.
    pub confirmed: Option<Money>,
    pub amount_rule: AmountRule,
    /// When the fact that set the state happened, by the PSP's own clock; `None` if it did not say or another fact did.
    pub state_at_psp: Option<Timestamp>,
    /// Some attempt to send it ended unknown: a later "not sent" proves nothing about that one.
    pub ended_unknown: bool,
    /// For a Preauth: a capture of it is open or done.
    pub capture_open_or_done: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_storage() {
        let stages = Stage::ALL.iter().copied().map(State::Pending);
        let reasons = Reason::ALL.iter().copied().map(State::Declined);
        let plain = [
            State::Created,
            State::Submitted,
            State::Unknown,
            State::Authorised,
            State::Succeeded,
            State::Expired,
            State::Cancelled,
        ];
        for state in stages.chain(reasons).chain(plain) {
            assert_eq!(State::from_parts(state.name(), state.stage(), state.reason()), Some(state));
            // Whatever else stands in the columns, the name decides.
            assert_eq!(
                State::from_parts(state.name(), state.stage().or(Some("sent")), state.reason().or(Some("fraud"))),
                Some(state)
            );
        }
        assert_eq!(State::from_parts("pending", None, None), None);
        assert_eq!(State::from_parts("pending", Some("soon"), None), None);
        assert_eq!(State::from_parts("declined", None, None), None);
        assert_eq!(State::from_parts("paid", None, None), None);
    }

    #[test]
    fn every_state_is_open_or_holds_or_has_ended() {
        let rows = [
            (State::Created, true, false, false),
            (State::Submitted, true, false, false),
            (State::Pending(Stage::Sent), true, false, false),
            (State::Unknown, true, false, false),
            (State::Authorised, false, false, false),
            (State::Succeeded, false, true, false),
            (State::Declined(Reason::Fraud), false, true, true),
            (State::Expired, false, true, true),
            (State::Cancelled, false, true, true),
        ];
        for (state, open, ended, bad) in rows {
            assert_eq!((state.is_open(), state.is_final(), state.is_bad()), (open, ended, bad), "{state:?}");
        }
        for kind in Kind::ALL {
            assert_eq!(State::Authorised.is_good(*kind), *kind == Kind::Preauth);
            assert_eq!(State::Succeeded.is_good(*kind), *kind != Kind::Preauth);
        }
    }
}
