//! The closed list of what waits for a person. An alert never changes anything by itself.

/// Why a person should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alert {
    NewsOfUnsent,
    UnrecognisedWord,
    Conflict,
    /// Exact amounts, or a second success: nothing was booked.
    AmountConflict,
    /// As-told amounts: booked and marked.
    AmountDiffers,
    CurrencyDiffers,
    LateMoney,
    AbsentButKnown,
    NeedsPerson,
    /// The PSP refuses to give back what we give back by ourselves: late money, or collected money nobody booked.
    GiveBackFailed,
    /// Money went out from outside (chargeback, portal refund) beyond what was there.
    OutsideExceeds,
    /// The first refusal of a row of them.
    AccountRefused,
}

impl Alert {
    /// Every alert, for tables, forms and tests.
    pub const ALL: &'static [Alert] = &[
        Alert::NewsOfUnsent,
        Alert::UnrecognisedWord,
        Alert::Conflict,
        Alert::AmountConflict,
        Alert::AmountDiffers,
        Alert::CurrencyDiffers,
        Alert::LateMoney,
        Alert::AbsentButKnown,
        Alert::NeedsPerson,
        Alert::GiveBackFailed,
        Alert::OutsideExceeds,
        Alert::AccountRefused,
    ];

    /// The stored and published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Alert::NewsOfUnsent => "news_of_unsent",
            Alert::UnrecognisedWord => "unrecognised_word",
            Alert::Conflict => "conflict",
            Alert::AmountConflict => "amount_conflict",
            Alert::AmountDiffers => "amount_differs",
            Alert::CurrencyDiffers => "currency_differs",
            Alert::LateMoney => "late_money",
            Alert::AbsentButKnown => "absent_but_known",
            Alert::NeedsPerson => "needs_person",
            Alert::GiveBackFailed => "give_back_failed",
            Alert::OutsideExceeds => "outside_exceeds",
            Alert::AccountRefused => "account_refused",
        }
    }

    pub fn parse(text: &str) -> Option<Alert> {
        Alert::ALL.iter().copied().find(|alert| alert.as_str() == text)
    }

    /// What a person reads beside the transaction.
    pub fn text(self) -> &'static str {
        match self {
            Alert::NewsOfUnsent => "the PSP reports on a transaction that we have not sent",
            Alert::UnrecognisedWord => {
                "the PSP used a word that its adapter does not know for this kind of transaction"
            }
            Alert::Conflict => "the PSP contradicts what it said before; nothing was changed",
            Alert::AmountConflict => {
                "the PSP confirms another amount than was asked or confirmed before; it was not booked"
            }
            Alert::AmountDiffers => "another amount than asked for arrived; it was booked as told",
            Alert::CurrencyDiffers => "the PSP confirms another currency than was asked for; nothing was booked",
            Alert::LateMoney => "money moved after the transaction had ended without it",
            Alert::AbsentButKnown => "the PSP has never heard of a transaction on which it reported before",
            Alert::NeedsPerson => "whether this happened cannot be found out by machine; ask the PSP and resolve it",
            Alert::GiveBackFailed => {
                "the PSP refused to give money back that is not the merchant's; give it back by hand"
            }
            Alert::OutsideExceeds => "more was taken back at the PSP than was there to take; it was booked",
            Alert::AccountRefused => {
                "the PSP refuses the account of this connection; look at its settings and, at the PSP, at the account"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_are_one_each() {
        for alert in Alert::ALL {
            assert_eq!(Alert::parse(alert.as_str()), Some(*alert));
            assert!(!alert.text().is_empty());
        }
        assert_eq!(Alert::parse("gossip"), None);
    }
}
