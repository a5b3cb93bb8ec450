use super::*;
use proptest::prelude::*;

fn ok(result: Result<Counters, CountersError>) -> Counters {
    result.expect("allowed")
}

fn booked(result: Result<Booked, CountersError>) -> Booked {
    result.expect("allowed")
}

#[test]
fn a_capture_and_a_release_share_the_reservation() {
    let held = ok(Counters::new(1000).reserve(Verb::Capture, 600));
    assert_eq!((held.available_to_capture(), held.available_to_release()), (400, 400));
    assert_eq!(held.reserve(Verb::Release, 401), Err(CountersError::TooMuch { available: 400 }));
    let both = ok(held.reserve(Verb::Release, 400));
    assert_eq!(both.available_to_capture(), 0);
    let part = booked(both.confirm(Verb::Capture, 600, 500));
    assert_eq!((part.excess, part.counters.available_to_capture()), (0, 100));
    let freed = ok(part.counters.free(Verb::Release, 400));
    assert_eq!(freed.available_to_capture(), 500);
}

#[test]
fn the_exact_remainder_can_be_refunded_and_no_more() {
    let mut taken = Counters::new(1000);
    for part in [300, 300] {
        taken = booked(ok(taken.reserve(Verb::Refund, part)).confirm(Verb::Refund, part, part)).counters;
    }
    assert_eq!(taken.reserve(Verb::Refund, 401), Err(CountersError::TooMuch { available: 400 }));
    let all = booked(ok(taken.reserve(Verb::Refund, 400)).confirm(Verb::Refund, 400, 400)).counters;
    assert!(all.is_wholly_refunded());
    assert_eq!(all.reserve(Verb::Refund, 1), Err(CountersError::TooMuch { available: 0 }));
}

#[test]
fn what_comes_from_outside_is_always_booked() {
    let taken = ok(Counters::new(1000).reserve(Verb::Refund, 400));
    let back = booked(taken.book_outside(Outside::Chargeback, 1000));
    // The refund under way may still go out: that is how 400 more than there was leave.
    assert_eq!((back.excess, back.counters.available_to_refund()), (400, 0));
    let sent = booked(back.counters.confirm(Verb::Refund, 400, 400));
    assert_eq!((sent.excess, sent.counters.available_to_refund()), (400, 0));
    let reversed = booked(sent.counters.book_outside(Outside::ChargebackReversed, 1000));
    assert_eq!((reversed.excess, reversed.counters.available_to_refund()), (0, 600));
    let again = booked(reversed.counters.book_outside(Outside::ChargebackReversed, 5));
    assert_eq!((again.excess, again.counters.charged_back), (5, 0));
    let portal = booked(reversed.counters.book_outside(Outside::Refund, 700));
    assert_eq!((portal.excess, portal.counters.refunded), (100, 1100));
    let released = booked(Counters::new(1000).book_outside(Outside::Release, 1000)).counters;
    assert!(released.is_wholly_released());
    assert!(!booked(released.book_outside(Outside::Capture, 1)).counters.is_wholly_released());
}

#[test]
fn reservations_that_are_not_there() {
    let taken = ok(Counters::new(1000).reserve(Verb::Refund, 400));
    let rows = [
        (taken.free(Verb::Refund, 401), CountersError::NotReserved),
        (taken.free(Verb::Capture, 1), CountersError::NotReserved),
        (taken.free(Verb::Refund, 0), CountersError::NotPositive),
        (taken.reserve(Verb::Refund, 0), CountersError::NotPositive),
        (taken.reserve(Verb::Refund, -1), CountersError::NotPositive),
        (taken.reserve(Verb::Capture, i64::MAX), CountersError::TooMuch { available: 1000 }),
    ];
    for (result, expected) in rows {
        assert_eq!(result, Err(expected));
    }
    assert_eq!(taken.confirm(Verb::Refund, 400, -1), Err(CountersError::NotPositive));
    assert_eq!(taken.book_outside(Outside::Chargeback, 0), Err(CountersError::NotPositive));
    assert_eq!(Counters::new(-5).available_to_refund(), 0);
}

#[derive(Clone, Debug)]
enum Move {
    Reserve(Verb, i64),
    /// Of the n-th open child: all of it, or this much of it.
    Confirm(usize, i64),
    Free(usize),
    Outside(Outside, i64),
}

const OUTSIDE: &[Outside] =
    &[Outside::Capture, Outside::Release, Outside::Refund, Outside::Chargeback, Outside::ChargebackReversed];

fn any_move(outside: bool) -> BoxedStrategy<Move> {
    let verb = || proptest::sample::select(Verb::ALL);
    let amount = || prop_oneof![9 => 1i64..400, 1 => proptest::sample::select(&[-1, 0, 1000, i64::MAX, i64::MIN][..])];
    let ours = prop_oneof![
        4 => (verb(), amount()).prop_map(|(verb, amount)| Move::Reserve(verb, amount)),
        2 => (0usize..4, 0i64..400).prop_map(|(child, amount)| Move::Confirm(child, amount)),
        1 => (0usize..4).prop_map(Move::Free),
    ];
    let theirs = (proptest::sample::select(OUTSIDE), amount()).prop_map(|(what, amount)| Move::Outside(what, amount));
    if outside { prop_oneof![4 => ours, 1 => theirs].boxed() } else { ours.boxed() }
}

/// Plays the moves as the store does, with the open children beside the counters.
struct Book {
    counters: Counters,
    open: Vec<(Verb, i64)>,
}

impl Book {
    fn play(&mut self, step: &Move) -> Result<(), TestCaseError> {
        match step {
            Move::Reserve(verb, asked) => {
                let before = self.counters;
                if let Ok(counters) = before.reserve(*verb, *asked) {
                    prop_assert!(*asked > 0 && *asked <= before.available(*verb));
                    prop_assert_eq!(counters.available(*verb), before.available(*verb) - asked);
                    self.counters = counters;
                    self.open.push((*verb, *asked));
                }
            }
            Move::Confirm(child, confirmed) => {
                if let Some((verb, asked)) = self.take(*child) {
                    let confirmed = (*confirmed).min(asked);
                    let done = self.counters.confirm(verb, asked, confirmed);
                    self.counters =
                        done.map(|booked| booked.counters).map_err(|e| TestCaseError::fail(e.to_string()))?;
                }
            }
            Move::Free(child) => {
                if let Some((verb, asked)) = self.take(*child) {
                    let freed = self.counters.free(verb, asked);
                    self.counters = freed.map_err(|e| TestCaseError::fail(e.to_string()))?;
                }
            }
            Move::Outside(what, amount) => {
                let result = self.counters.book_outside(*what, *amount);
                prop_assert_eq!(result.is_ok(), *amount > 0, "what has happened is booked");
                if let Ok(booked) = result {
                    prop_assert!(booked.excess >= 0);
                    self.counters = booked.counters;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, child: usize) -> Option<(Verb, i64)> {
        (child < self.open.len()).then(|| self.open.swap_remove(child))
    }

    fn reserved(&self, verb: Verb) -> i64 {
        self.open.iter().filter(|(of, _)| *of == verb).map(|(_, asked)| asked).sum()
    }
}

proptest! {
    #[test]
    fn our_verbs_never_take_more_than_came_in(moves in proptest::collection::vec(any_move(false), 0..60)) {
        let mut book = Book { counters: Counters::new(1000), open: Vec::new() };
        for step in &moves {
            book.play(step)?;
            let c = book.counters;
            prop_assert!(c.captured + c.captured_reserved + c.released + c.released_reserved <= c.total);
            prop_assert!(c.refunded + c.refunded_reserved + c.charged_back <= c.total);
        }
    }

    #[test]
    fn reservations_are_exactly_what_is_open(moves in proptest::collection::vec(any_move(true), 0..60)) {
        let mut book = Book { counters: Counters::new(1000), open: Vec::new() };
        for step in &moves {
            book.play(step)?;
            let c = book.counters;
            prop_assert_eq!(c.captured_reserved, book.reserved(Verb::Capture));
            prop_assert_eq!(c.released_reserved, book.reserved(Verb::Release));
            prop_assert_eq!(c.refunded_reserved, book.reserved(Verb::Refund));
            prop_assert!([c.captured, c.released, c.refunded, c.charged_back].iter().all(|counter| *counter >= 0));
            prop_assert!(c.available_to_refund() >= 0 && c.available_to_capture() >= 0);
        }
    }
}
