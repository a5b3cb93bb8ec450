//! What is told outward, one shape whatever the PSP, and the one table that picks it. A profile gives it a receiver's name.

use rialto_adapters::port::{Kind, ReportKind};

use super::intent::IntentKind;
use super::transaction::State;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Accepted. Told by the unit that accepts, never by a change of state: a transaction may become Created again.
    Created,
    Pending,
    Authorised,
    /// Money came in: a Charge or a Capture.
    Captured,
    /// Money went out: a Payout.
    Transferred,
    Refunded,
    /// Reserved money was given free.
    Voided,
    /// A payout or refund came back.
    Returned,
    ChargedBack,
    ChargebackReversed,
    Disputed,
    Declined,
    Expired,
    Cancelled,
    /// Money came for what had ended, and its contract does not book it.
    Late,
    MeansStored,
    MeansRevoked,
    /// The payer is not the customer. Told beside the event of the state.
    PayerMismatch,
}

impl EventType {
    /// Every type, for tables, forms and tests.
    pub const ALL: &'static [EventType] = &[
        EventType::Created,
        EventType::Pending,
        EventType::Authorised,
        EventType::Captured,
        EventType::Transferred,
        EventType::Refunded,
        EventType::Voided,
        EventType::Returned,
        EventType::ChargedBack,
        EventType::ChargebackReversed,
        EventType::Disputed,
        EventType::Declined,
        EventType::Expired,
        EventType::Cancelled,
        EventType::Late,
        EventType::MeansStored,
        EventType::MeansRevoked,
        EventType::PayerMismatch,
    ];

    /// The stored and published name.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Created => "created",
            EventType::Pending => "pending",
            EventType::Authorised => "authorised",
            EventType::Captured => "captured",
            EventType::Transferred => "transferred",
            EventType::Refunded => "refunded",
            EventType::Voided => "voided",
            EventType::Returned => "returned",
            EventType::ChargedBack => "charged_back",
            EventType::ChargebackReversed => "chargeback_reversed",
            EventType::Disputed => "disputed",
            EventType::Declined => "declined",
            EventType::Expired => "expired",
            EventType::Cancelled => "cancelled",
            EventType::Late => "late",
            EventType::MeansStored => "means_stored",
            EventType::MeansRevoked => "means_revoked",
            EventType::PayerMismatch => "payer_mismatch",
        }
    }

    pub fn parse(text: &str) -> Option<EventType> {
        EventType::ALL.iter().copied().find(|event| event.as_str() == text)
    }

    /// The table: what is told when news of `what` leaves it in `state`. `None` where there is nothing to tell: not sent
    /// yet, being sent, or not known – nobody outside can do anything with that.
    ///
    /// Arrive-only kinds (chargeback, return, …) are told once they have happened, which is `Succeeded`; a dispute and
    /// revoked means are news in whatever state they come.
    pub fn of(what: ReportKind, state: State) -> Option<EventType> {
        let happened = |event| (state == State::Succeeded).then_some(event);
        match what {
            ReportKind::Of(kind) => EventType::of_transaction(kind, state),
            ReportKind::Return => happened(EventType::Returned),
            ReportKind::Chargeback => happened(EventType::ChargedBack),
            ReportKind::ChargebackReversed => happened(EventType::ChargebackReversed),
            ReportKind::Dispute { .. } => Some(EventType::Disputed),
            ReportKind::MeansRevoked => Some(EventType::MeansRevoked),
        }
    }

    fn of_transaction(kind: Kind, state: State) -> Option<EventType> {
        match state {
            State::Created | State::Submitted | State::Unknown => None,
            State::Pending(_) => Some(EventType::Pending),
            State::Authorised | State::Succeeded if !state.is_good(kind) => None,
            State::Authorised | State::Succeeded => Some(match kind {
                Kind::StoreMeans => EventType::MeansStored,
                Kind::Preauth => EventType::Authorised,
                Kind::Capture | Kind::Charge => EventType::Captured,
                Kind::Release => EventType::Voided,
                Kind::Payout => EventType::Transferred,
                Kind::Refund => EventType::Refunded,
            }),
            State::Declined(_) => Some(EventType::Declined),
            State::Expired => Some(EventType::Expired),
            State::Cancelled => Some(EventType::Cancelled),
        }
    }

    /// The type of billwerk's notice about an event of an intent, or `None` if that platform is not told: it has just
    /// made what was created, and it knows no deposits and withdrawals.
    pub fn webhook_type(self, intent: IntentKind) -> Option<WebhookType> {
        match self {
            EventType::Created => None,
            EventType::ChargedBack | EventType::ChargebackReversed | EventType::Disputed => Some(WebhookType::Payment),
            EventType::MeansRevoked => Some(WebhookType::Agreement),
            EventType::Pending
            | EventType::Authorised
            | EventType::Captured
            | EventType::Transferred
            | EventType::Refunded
            | EventType::Voided
            | EventType::Returned
            | EventType::Declined
            | EventType::Expired
            | EventType::Cancelled
            | EventType::Late
            | EventType::MeansStored
            | EventType::PayerMismatch => match intent {
                IntentKind::Preauth => Some(WebhookType::Preauth),
                IntentKind::Payment => Some(WebhookType::Payment),
                IntentKind::Refund => Some(WebhookType::Refund),
                IntentKind::Deposit | IntentKind::Withdrawal => None,
            },
        }
    }
}

/// Billwerk's `WebhookType`. Its `Mandate` (5) is never sent: stored means are told as their agreement's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebhookType {
    Preauth,
    Payment,
    Refund,
    Agreement,
}

impl WebhookType {
    /// The name, for receivers that want names.
    pub fn name(self) -> &'static str {
        match self {
            WebhookType::Preauth => "Preauth",
            WebhookType::Payment => "Payment",
            WebhookType::Refund => "Refund",
            WebhookType::Agreement => "Agreement",
        }
    }

    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            WebhookType::Preauth => 1,
            WebhookType::Payment => 2,
            WebhookType::Refund => 3,
            WebhookType::Agreement => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rialto_adapters::port::{Reason, Stage};

    #[test]
    fn names_come_back_and_are_the_published_ones() {
        let names: Vec<&str> = EventType::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(
            names.join(" "),
            "created pending authorised captured transferred refunded voided returned charged_back \
             chargeback_reversed disputed declined expired cancelled late means_stored means_revoked payer_mismatch"
        );
        for event in EventType::ALL {
            assert_eq!(EventType::parse(event.as_str()), Some(*event));
        }
    }

    #[test]
    fn the_whole_table() {
        let states = [
            State::Created,
            State::Submitted,
            State::Unknown,
            State::Pending(Stage::Sent),
            State::Authorised,
            State::Succeeded,
            State::Declined(Reason::Rejected),
            State::Expired,
            State::Cancelled,
        ];
        let dispute = ReportKind::Dispute { respond_by: None };
        // What, then its event in each of the states above.
        let rows: &[(ReportKind, [&str; 9])] = &[
            (
                ReportKind::Of(Kind::StoreMeans),
                ["", "", "", "pending", "", "means_stored", "declined", "expired", "cancelled"],
            ),
            (
                ReportKind::Of(Kind::Preauth),
                ["", "", "", "pending", "authorised", "", "declined", "expired", "cancelled"],
            ),
            (
                ReportKind::Of(Kind::Capture),
                ["", "", "", "pending", "", "captured", "declined", "expired", "cancelled"],
            ),
            (ReportKind::Of(Kind::Release), ["", "", "", "pending", "", "voided", "declined", "expired", "cancelled"]),
            (ReportKind::Of(Kind::Charge), ["", "", "", "pending", "", "captured", "declined", "expired", "cancelled"]),
            (
                ReportKind::Of(Kind::Payout),
                ["", "", "", "pending", "", "transferred", "declined", "expired", "cancelled"],
            ),
            (ReportKind::Of(Kind::Refund), ["", "", "", "pending", "", "refunded", "declined", "expired", "cancelled"]),
            (ReportKind::Return, ["", "", "", "", "", "returned", "", "", ""]),
            (ReportKind::Chargeback, ["", "", "", "", "", "charged_back", "", "", ""]),
            (ReportKind::ChargebackReversed, ["", "", "", "", "", "chargeback_reversed", "", "", ""]),
            (dispute, ["disputed"; 9]),
            (ReportKind::MeansRevoked, ["means_revoked"; 9]),
        ];
        for (what, names) in rows {
            for (state, name) in states.into_iter().zip(names) {
                assert_eq!(EventType::of(*what, state), EventType::parse(name), "{what:?} in {state:?}");
            }
        }
    }

    #[test]
    fn billwerks_notice_types() {
        let rows = [
            (EventType::Authorised, IntentKind::Preauth, Some(1)),
            (EventType::Voided, IntentKind::Preauth, Some(1)),
            (EventType::Captured, IntentKind::Preauth, Some(1)),
            (EventType::Captured, IntentKind::Payment, Some(2)),
            (EventType::Declined, IntentKind::Payment, Some(2)),
            (EventType::ChargedBack, IntentKind::Payment, Some(2)),
            (EventType::ChargedBack, IntentKind::Preauth, Some(2)),
            (EventType::ChargebackReversed, IntentKind::Payment, Some(2)),
            (EventType::Refunded, IntentKind::Refund, Some(3)),
            (EventType::Returned, IntentKind::Refund, Some(3)),
            (EventType::MeansRevoked, IntentKind::Preauth, Some(4)),
            (EventType::Created, IntentKind::Payment, None),
            (EventType::Captured, IntentKind::Deposit, None),
            (EventType::Transferred, IntentKind::Withdrawal, None),
        ];
        for (event, intent, number) in rows {
            assert_eq!(event.webhook_type(intent).map(WebhookType::number), number, "{event:?} of {intent:?}");
        }
    }
}
