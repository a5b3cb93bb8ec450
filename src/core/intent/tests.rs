use super::*;
use proptest::prelude::*;
use rialto_adapters::port::{Reason, Stage};

const STATES: &[State] = &[
    State::Created,
    State::Submitted,
    State::Pending(Stage::Sent),
    State::Unknown,
    State::Authorised,
    State::Succeeded,
    State::Declined(Reason::Rejected),
    State::Expired,
    State::Cancelled,
];

fn cell(change: IntentChange) -> String {
    let mut text = change.state.map_or("–", IntentState::as_str).to_owned();
    if change.late {
        text += ", late";
    }
    if change.give_back {
        text += ", give back";
    }
    text
}

/// Intents are rows, news of a deciding transaction are columns: good with a contract that books late money, good with
/// one that gives it back, good with the second card of one session, and the bad ends.
fn check(kinds: &[(IntentKind, Kind)], table: &str) {
    for row in table.lines().map(str::trim).filter(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let state = IntentState::parse(cells[0]).expect("a state");
        for (kind, of) in kinds.iter().copied() {
            let good = News::of(of, State::good(of));
            let columns = [
                (good, LatePolicy::Book),
                (good, LatePolicy::GiveBack),
                (News { same_session: true, ..good }, LatePolicy::GiveBack),
                (News::of(of, State::Declined(Reason::Rejected)), LatePolicy::Book),
                (News::of(of, State::Expired), LatePolicy::Book),
                (News::of(of, State::Cancelled), LatePolicy::Book),
            ];
            assert_eq!(cells.len(), columns.len() + 1, "columns of {row}");
            for ((news, late), expected) in columns.into_iter().zip(&cells[1..]) {
                let change = learn(kind, state, news, late);
                assert_eq!(cell(change), *expected, "{kind:?} {state:?} by {news:?} under {late:?}");
            }
        }
    }
}

#[test]
fn a_reservation() {
    check(
        &[(IntentKind::Preauth, Kind::Preauth)],
        "
        | now       | good, booked | good, given back | same session    | declined | expired | cancelled |
        |-----------|--------------|------------------|-----------------|----------|---------|-----------|
        | open      | done         | done             | done            | refused  | expired | cancelled |
        | done      | –            | –                | –               | –        | expired | cancelled |
        | refused   | done, late   | –, late, give back | done          | –        | –       | –         |
        | expired   | done, late   | –, late, give back | –, late, give back | –     | –       | –         |
        | cancelled | done, late   | –, late, give back | –, late, give back | –     | –       | –         |
        ",
    );
}

#[test]
fn money_that_comes_in() {
    check(
        &[
            (IntentKind::Preauth, Kind::Charge),
            (IntentKind::Payment, Kind::Charge),
            (IntentKind::Payment, Kind::Capture),
            (IntentKind::Deposit, Kind::Charge),
        ],
        "
        | now       | good, booked | good, given back | same session    | declined | expired | cancelled |
        |-----------|--------------|------------------|-----------------|----------|---------|-----------|
        | open      | done         | done             | done            | refused  | expired | cancelled |
        | done      | –            | –                | –               | –        | –       | –         |
        | refused   | done, late   | –, late, give back | done          | –        | –       | –         |
        | expired   | done, late   | –, late, give back | –, late, give back | –     | –       | –         |
        | cancelled | done, late   | –, late, give back | –, late, give back | –     | –       | –         |
        ",
    );
}

#[test]
fn money_that_went_out_is_told_whatever_the_contract() {
    check(
        &[(IntentKind::Refund, Kind::Refund), (IntentKind::Withdrawal, Kind::Payout)],
        "
        | now       | good, booked | good, given back | same session | declined | expired | cancelled |
        |-----------|--------------|------------------|--------------|----------|---------|-----------|
        | open      | done         | done             | done         | refused  | expired | cancelled |
        | done      | –            | –                | –            | –        | –       | –         |
        | refused   | done, late   | done, late       | done         | –        | –       | –         |
        | expired   | done, late   | done, late       | done, late   | –        | –       | –         |
        | cancelled | done, late   | done, late       | done, late   | –        | –       | –         |
        ",
    );
}

#[test]
fn stored_means_move_no_money() {
    check(
        &[(IntentKind::Preauth, Kind::StoreMeans)],
        "
        | now       | good, booked | good, given back | same session | declined | expired | cancelled |
        |-----------|--------------|------------------|--------------|----------|---------|-----------|
        | open      | done         | done             | done         | refused  | expired | cancelled |
        | done      | –            | –                | –            | –        | –       | –         |
        | refused   | done, late   | –, late          | done         | –        | –       | –         |
        | expired   | done, late   | –, late          | –, late      | –        | –       | –         |
        | cancelled | done, late   | –, late          | –, late      | –        | –       | –         |
        ",
    );
}

/// Everything the tables above do not name changes nothing.
#[test]
fn the_rest_of_the_table_is_empty() {
    let decides = |kind, of| {
        matches!(
            (kind, of),
            (IntentKind::Preauth, Kind::Preauth | Kind::Charge | Kind::StoreMeans)
                | (IntentKind::Payment, Kind::Charge | Kind::Capture)
                | (IntentKind::Deposit, Kind::Charge)
                | (IntentKind::Refund, Kind::Refund)
                | (IntentKind::Withdrawal, Kind::Payout)
        )
    };
    for kind in IntentKind::ALL.iter().copied() {
        for of in Kind::ALL.iter().copied() {
            for state in IntentState::ALL.iter().copied() {
                for new in STATES.iter().copied() {
                    for late in [LatePolicy::Book, LatePolicy::GiveBack] {
                        let change = learn(kind, state, News::of(of, new), late);
                        if !decides(kind, of) || new.is_open() {
                            assert_eq!(change, IntentChange::NONE, "{kind:?} {state:?} by {of:?} {new:?}");
                        }
                        let waiting = News { others_open: true, ..News::of(of, new) };
                        if state == IntentState::Open && !new.is_good(of) {
                            let change = learn(kind, state, waiting, late);
                            assert_eq!(change, IntentChange::NONE, "{kind:?} with others open, {of:?} {new:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_preauth_is_cancelled_when_the_whole_has_gone_back() {
    let gone = IntentState::Closed(ClosedBy::Cancelled);
    for of in [Kind::Release, Kind::Refund] {
        for kind in IntentKind::ALL.iter().copied() {
            for state in IntentState::ALL.iter().copied() {
                for new in STATES.iter().copied() {
                    let news = News { whole: true, ..News::of(of, new) };
                    let change = learn(kind, state, news, LatePolicy::GiveBack);
                    if kind == IntentKind::Preauth {
                        let closes = state == IntentState::Done && new == State::Succeeded;
                        assert_eq!(change.state, closes.then_some(gone), "{state:?} by {of:?} {new:?}");
                    }
                }
            }
        }
    }
    let part = News::of(Kind::Release, State::Succeeded);
    assert_eq!(learn(IntentKind::Preauth, IntentState::Done, part, LatePolicy::Book), IntentChange::NONE);
}

#[test]
fn what_clock_and_cancel_may_close() {
    use IntentState::{Closed, Done, Open, Refused};
    let pending = State::Pending(Stage::AwaitingPayer);
    let declined = State::Declined(Reason::Rejected);
    type Row<'a> = (IntentKind, IntentState, &'a [(Kind, State)], bool);
    let rows: &[Row] = &[
        (IntentKind::Payment, Open, &[], true),
        (IntentKind::Payment, Open, &[(Kind::Charge, State::Created)], true),
        (IntentKind::Payment, Open, &[(Kind::Charge, pending)], true),
        (IntentKind::Payment, Open, &[(Kind::Charge, declined)], true),
        (IntentKind::Payment, Open, &[(Kind::Charge, State::Submitted)], false),
        (IntentKind::Payment, Open, &[(Kind::Charge, State::Unknown)], false),
        (IntentKind::Payment, Open, &[(Kind::Charge, declined), (Kind::Charge, State::Unknown)], false),
        (IntentKind::Payment, Open, &[(Kind::Charge, State::Succeeded)], false),
        (IntentKind::Payment, Done, &[(Kind::Charge, State::Succeeded)], false),
        (IntentKind::Payment, Refused, &[(Kind::Charge, declined)], false),
        (IntentKind::Payment, Closed(ClosedBy::Expired), &[], false),
        (IntentKind::Preauth, Open, &[(Kind::Preauth, State::Authorised)], false),
        (IntentKind::Preauth, Done, &[(Kind::Preauth, State::Authorised)], true),
        (IntentKind::Preauth, Done, &[(Kind::Preauth, State::Authorised), (Kind::Capture, State::Created)], false),
        (IntentKind::Preauth, Done, &[(Kind::Preauth, State::Authorised), (Kind::Capture, State::Unknown)], false),
        (IntentKind::Preauth, Done, &[(Kind::Preauth, State::Authorised), (Kind::Capture, State::Succeeded)], false),
        (IntentKind::Preauth, Done, &[(Kind::Preauth, State::Authorised), (Kind::Capture, declined)], true),
        (IntentKind::Preauth, Done, &[(Kind::Preauth, State::Authorised), (Kind::Release, State::Unknown)], false),
        (IntentKind::Preauth, Done, &[(Kind::Charge, State::Succeeded)], false),
        (IntentKind::Preauth, Done, &[(Kind::StoreMeans, State::Succeeded)], true),
    ];
    for (kind, state, transactions, expected) in rows {
        assert_eq!(may_close(*kind, *state, transactions), *expected, "{kind:?} {state:?} {transactions:?}");
    }
}

#[test]
fn what_each_contract_does_with_late_money() {
    let rows = [
        ("billwerk", LatePolicy::GiveBack),
        ("platform", LatePolicy::GiveBack),
        ("external", LatePolicy::Book),
        ("pix", LatePolicy::Book),
        ("a contract that is not listed", LatePolicy::GiveBack),
    ];
    for (contract, policy) in rows {
        assert_eq!(LatePolicy::of(contract), policy, "{contract}");
    }
}

#[test]
fn names_come_back() {
    for kind in IntentKind::ALL {
        assert_eq!(IntentKind::parse(kind.as_str()), Some(*kind));
    }
    for state in IntentState::ALL {
        assert_eq!(IntentState::parse(state.as_str()), Some(*state));
    }
    assert_eq!(IntentState::parse("closed"), None);
}

proptest! {
    /// The arrows of the design, and no other: Open to every end; Done to Closed for a preauth; back to Done by money.
    #[test]
    fn only_the_arrows_of_the_design(
        kind in proptest::sample::select(IntentKind::ALL),
        state in proptest::sample::select(IntentState::ALL),
        of in proptest::sample::select(Kind::ALL),
        new in proptest::sample::select(STATES),
        (whole, others_open, same_session, books) in any::<(bool, bool, bool, bool)>(),
    ) {
        let late = if books { LatePolicy::Book } else { LatePolicy::GiveBack };
        let change = learn(kind, state, News { kind: of, state: new, whole, others_open, same_session }, late);
        let allowed = match (state, change.state) {
            (_, None) | (IntentState::Open, Some(_)) => true,
            (IntentState::Done, Some(next)) => {
                kind == IntentKind::Preauth && matches!(next, IntentState::Closed(_))
            }
            (IntentState::Refused | IntentState::Closed(_), Some(next)) => {
                next == IntentState::Done && new.is_good(of)
            }
        };
        prop_assert!(allowed, "{:?} -> {:?}", state, change);
        prop_assert_ne!(change.state, Some(state));
        prop_assert!(!change.give_back || (change.late && change.state.is_none()));
    }
}
