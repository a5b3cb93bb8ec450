use super::*;
use proptest::prelude::*;
use rialto_adapters::port::Currency;

fn eur(minor: i64) -> Option<Money> {
    Some(Money::new(minor, Currency::EUR))
}

fn view(kind: Kind, state: State) -> View {
    View {
        kind,
        state,
        asked: if kind == Kind::StoreMeans { None } else { eur(1000) },
        confirmed: None,
        amount_rule: AmountRule::Exact,
        state_at_psp: None,
        ended_unknown: false,
        capture_open_or_done: false,
    }
}

fn says(verdict: Verdict) -> Learned {
    Learned::Said { verdict, amount: None, occurred_at: None }
}

fn says_at(verdict: Verdict, at: i64) -> Learned {
    Learned::Said { verdict, amount: None, occurred_at: Some(Timestamp(at)) }
}

fn says_amount(verdict: Verdict, amount: Option<Money>) -> Learned {
    Learned::Said { verdict, amount, occurred_at: None }
}

fn good_verdict(kind: Kind) -> Verdict {
    if kind == Kind::Preauth { Verdict::Authorised } else { Verdict::Succeeded }
}

fn other_verdict(kind: Kind) -> Verdict {
    if kind == Kind::Preauth { Verdict::Succeeded } else { Verdict::Authorised }
}

/// A step as the design's cells write it.
fn cell(kind: Kind, step: &Step) -> String {
    let mut text = match step.state {
        Some(state) if state.is_good(kind) => "good".to_owned(),
        Some(State::Declined(Reason::NotSent)) => "not_sent".to_owned(),
        Some(State::Declined(Reason::NotReceived)) => "not_received".to_owned(),
        Some(state) => state.name().to_owned(),
        None => step.standing.as_str().to_owned(),
    };
    if step.late {
        text += ", late";
    }
    if let Some(alert) = step.alert {
        text += " + ";
        text += match alert {
            Alert::NewsOfUnsent => "unsent!",
            Alert::UnrecognisedWord => "word!",
            Alert::Conflict | Alert::LateMoney => "!",
            Alert::AbsentButKnown => "known!",
            Alert::NeedsPerson => "person!",
            Alert::AmountConflict
            | Alert::AmountDiffers
            | Alert::CurrencyDiffers
            | Alert::GiveBackFailed
            | Alert::OutsideExceeds
            | Alert::AccountRefused => alert.as_str(),
        };
    }
    if step.look_up {
        text += " + look up";
    }
    if step.resend {
        text += " + resend";
    }
    text
}

/// Reads a row of a table and compares it cell by cell.
fn check_row(kind: Kind, now: &View, row: &str, columns: &[Learned]) {
    let mut cells = row.trim().trim_matches('|').split('|').map(str::trim);
    let name = cells.next().expect("a row has a name");
    let expected: Vec<&str> = cells.collect();
    assert_eq!(expected.len(), columns.len(), "columns of row {name}");
    for (learned, expected) in columns.iter().zip(expected) {
        let step = step(now, learned);
        assert_eq!(cell(kind, &step), expected, "{kind:?}, row {name}, learned {learned:?}");
        assert_eq!(step.state.is_some(), step.standing == Standing::Applied, "{kind:?}, row {name}, {learned:?}");
        assert_ne!(step.state, Some(now.state), "a new state is another one: {kind:?}, row {name}, {learned:?}");
    }
}

/// The rows of a table as (view, text), for a kind. Authorised is a Preauth's only, Succeeded is everybody else's.
fn rows(kind: Kind, table: &str) -> Vec<(View, &str)> {
    let lines = table.lines().map(str::trim).filter(|line| line.starts_with('|')).skip(2);
    let mut rows = Vec::new();
    for line in lines {
        let name: &str = line.trim_matches('|').split('|').next().map(str::trim).expect("a name");
        let plain = |state| Some(view(kind, state));
        let unsure = |state| Some(View { ended_unknown: true, ..view(kind, state) });
        let now = match name {
            "Created" => plain(State::Created),
            "Created, once unknown" => unsure(State::Created),
            "Submitted" => plain(State::Submitted),
            "Submitted, once unknown" => unsure(State::Submitted),
            "Pending" => plain(State::Pending(Stage::AwaitingPayer)),
            "Unknown" => unsure(State::Unknown),
            "Authorised" => (kind == Kind::Preauth).then(|| view(kind, State::Authorised)),
            "Authorised, capture" => {
                (kind == Kind::Preauth).then(|| View { capture_open_or_done: true, ..view(kind, State::Authorised) })
            }
            "Succeeded" => (kind != Kind::Preauth).then(|| view(kind, State::Succeeded)),
            "Declined" => plain(State::Declined(Reason::Rejected)),
            "Expired" => plain(State::Expired),
            "Cancelled" => plain(State::Cancelled),
            other => panic!("no such row: {other}"),
        };
        rows.extend(now.map(|now| (now, line)));
    }
    rows
}

/// The verdicts: the columns Pending to Unrecognised of the design's table, cell by cell, and a verdict of the other
/// family. A word with `!` is an alert, `!` alone the one that the cell names.
const VERDICTS: &str = "
| now \\ learned         | Pending           | good           | Declined               | Expired                | Cancelled              | Unrecognised    | other family    |
|-------------------------|-------------------|----------------|------------------------|------------------------|------------------------|-----------------|-----------------|
| Created                 | pending + unsent! | good + unsent! | declined + unsent!     | expired + unsent!      | cancelled + unsent!    | ignored + word! | ignored + word! |
| Created, once unknown   | pending + unsent! | good + unsent! | declined + unsent!     | expired + unsent!      | cancelled + unsent!    | ignored + word! | ignored + word! |
| Submitted               | pending           | good           | declined               | expired                | cancelled              | unknown + word! | unknown + word! |
| Submitted, once unknown | pending           | good           | declined               | expired                | cancelled              | unknown + word! | unknown + word! |
| Pending                 | same              | good           | declined               | expired                | cancelled              | same + word!    | same + word!    |
| Unknown                 | pending           | good           | declined               | expired                | cancelled              | same + word!    | same + word!    |
| Authorised              | ignored           | duplicate      | conflict + !           | expired                | cancelled              | ignored + word! | ignored + word! |
| Authorised, capture     | ignored           | duplicate      | conflict + !           | conflict + !           | conflict + !           | ignored + word! | ignored + word! |
| Succeeded               | ignored           | duplicate      | conflict + ! + look up | conflict + ! + look up | conflict + ! + look up | ignored + word! | ignored + word! |
| Declined                | ignored           | good, late + ! | duplicate              | ignored                | ignored                | ignored + word! | ignored + word! |
| Expired                 | ignored           | good, late + ! | ignored                | duplicate              | duplicate              | ignored + word! | ignored + word! |
| Cancelled               | ignored           | good, late + ! | ignored                | duplicate              | duplicate              | ignored + word! | ignored + word! |
";

/// What our own asking and sending found, without a resend being possible. `ignored` is the design's `–`: it cannot be,
/// and does nothing – but an unknown attempt on Created makes it Unknown, because then something may have left. ABSENT
/// stands for the answer to a believed absence, which depends on the kind.
const FOUND: &str = "
| now \\ learned         | not sent, may retry | not sent | unknown | absent, believed | absent, not yet | cannot ask        | never sent | intent closed | impossible |
|-------------------------|---------------------|----------|---------|------------------|-----------------|-------------------|------------|---------------|------------|
| Created                 | ignored             | ignored  | unknown | ignored          | ignored         | ignored           | not_sent   | cancelled     | declined   |
| Created, once unknown   | ignored             | ignored  | unknown | ignored          | ignored         | ignored           | unknown    | unknown       | unknown    |
| Submitted               | created             | not_sent | unknown | ABSENT           | same            | unknown + person! | ignored    | ignored       | declined   |
| Submitted, once unknown | unknown             | unknown  | unknown | ABSENT           | same            | unknown + person! | ignored    | ignored       | unknown    |
| Pending                 | same                | same     | same    | same + known!    | same            | same              | ignored    | ignored       | ignored    |
| Unknown                 | same                | same     | same    | ABSENT           | same            | same + person!    | ignored    | ignored       | ignored    |
| Authorised              | ignored             | ignored  | same    | same + known!    | same            | same              | ignored    | ignored       | ignored    |
| Authorised, capture     | ignored             | ignored  | same    | same + known!    | same            | same              | ignored    | ignored       | ignored    |
| Succeeded               | ignored             | ignored  | ignored | ignored + known! | ignored         | ignored           | ignored    | ignored       | ignored    |
| Declined                | ignored             | ignored  | ignored | ignored          | ignored         | ignored           | ignored    | ignored       | ignored    |
| Expired                 | ignored             | ignored  | ignored | ignored          | ignored         | ignored           | ignored    | ignored       | ignored    |
| Cancelled               | ignored             | ignored  | ignored | ignored          | ignored         | ignored           | ignored    | ignored       | ignored    |
";

/// The two answers that may send again, where the PSP is idempotent and its window is open: the same for every kind.
const RESEND: &str = "
| now \\ learned         | absent, believed  | cannot ask       |
|-------------------------|-------------------|------------------|
| Created                 | ignored           | ignored          |
| Created, once unknown   | ignored           | ignored          |
| Submitted               | unknown + resend  | unknown + resend |
| Submitted, once unknown | unknown + resend  | unknown + resend |
| Pending                 | same + known!     | same             |
| Unknown                 | same + resend     | same + resend    |
| Authorised              | same + known!     | same             |
| Authorised, capture     | same + known!     | same             |
| Succeeded               | ignored + known!  | ignored          |
| Declined                | ignored           | ignored          |
| Expired                 | ignored           | ignored          |
| Cancelled               | ignored           | ignored          |
";

/// A deposit that had expired is under review after all (Pientegra's LATE_ARRIVAL): kept, told to a person, and asked for
/// until it is decided. What the PSP says of the time before the end is not that.
#[test]
fn a_review_after_the_end_is_watched() {
    let review = |at: Option<i64>| Learned::Said {
        verdict: Verdict::Pending(Stage::InReview),
        amount: None,
        occurred_at: at.map(Timestamp),
    };
    for end in [State::Expired, State::Cancelled] {
        let now = View { state_at_psp: Some(Timestamp(10)), ..view(Kind::Charge, end) };
        for at in [None, Some(10), Some(11)] {
            let step = step(&now, &review(at));
            assert_eq!((cell(Kind::Charge, &step).as_str(), step.watch), ("ignored + !", true), "{at:?}");
        }
        let before = step(&now, &review(Some(9)));
        assert_eq!((cell(Kind::Charge, &before).as_str(), before.watch), ("ignored", false));
    }
    let declined = step(&view(Kind::Charge, State::Declined(Reason::Rejected)), &review(None));
    assert!(!declined.watch, "a no is a no");
}

#[test]
fn every_verdict_in_every_state() {
    for kind in Kind::ALL.iter().copied() {
        let columns = [
            says(Verdict::Pending(Stage::AwaitingPayer)),
            says(good_verdict(kind)),
            says(Verdict::Declined(Reason::Rejected)),
            says(Verdict::Expired),
            says(Verdict::Cancelled),
            says(Verdict::Unrecognised("WEIRD".to_owned())),
            says(other_verdict(kind)),
        ];
        for (now, row) in rows(kind, VERDICTS) {
            check_row(kind, &now, row, &columns);
        }
    }
}

#[test]
fn everything_we_find_ourselves_in_every_state() {
    let columns = [
        Learned::NotSent { may_retry: true },
        Learned::NotSent { may_retry: false },
        Learned::Unknown,
        Learned::Absent { resend: false },
        Learned::AbsentNotYet,
        Learned::CannotAsk { resend: false },
        Learned::NeverSent,
        Learned::IntentClosed,
        Learned::Impossible(Reason::MeansInvalid),
    ];
    for kind in Kind::ALL.iter().copied() {
        let sends_money_out = kind == Kind::Payout || kind == Kind::Refund;
        for (now, row) in rows(kind, FOUND) {
            let absent = match (sends_money_out, now.state) {
                (true, State::Unknown) => "same + person!",
                (true, _) => "unknown + person!",
                (false, _) => "not_received",
            };
            check_row(kind, &now, &row.replace("ABSENT", absent), &columns);
        }
    }
}

#[test]
fn sending_again_is_for_the_doubtful_only() {
    let columns = [Learned::Absent { resend: true }, Learned::CannotAsk { resend: true }];
    for kind in Kind::ALL.iter().copied() {
        for (now, row) in rows(kind, RESEND) {
            check_row(kind, &now, row, &columns);
        }
    }
}

#[test]
fn stages_move_forward_only() {
    for (i, known) in Stage::ALL.iter().enumerate() {
        for (j, told) in Stage::ALL.iter().enumerate() {
            let now = view(Kind::Payout, State::Pending(*known));
            let moved = step(&now, &says(Verdict::Pending(*told)));
            assert_eq!(moved.state, (j > i).then_some(State::Pending(*told)), "{known:?} then {told:?}");
        }
    }
}

/// What is already set at PSP time 100, what comes, and what it does if it happened at 99 (older), at 100, and without
/// a time.
#[test]
fn an_older_report_never_moves_it() {
    let pending = Verdict::Pending(Stage::Sent);
    let declined = Verdict::Declined(Reason::Rejected);
    let (success, expired, cancelled) = (Verdict::Succeeded, Verdict::Expired, Verdict::Cancelled);
    let in_review = State::Pending(Stage::InReview);
    let lost = State::Declined(Reason::Fraud);
    let settled = "conflict + ! + look up";
    let rows: &[(State, &Verdict, &str, &str)] = &[
        (in_review, &pending, "ignored", "pending"),
        (in_review, &success, "conflict + !", "good"),
        (in_review, &declined, "ignored", "declined"),
        (in_review, &expired, "ignored", "expired"),
        (State::Succeeded, &success, "duplicate", "duplicate"),
        (State::Succeeded, &declined, "ignored", settled),
        (State::Succeeded, &expired, "ignored", settled),
        (State::Succeeded, &cancelled, "ignored", settled),
        (lost, &success, settled, "good, late + !"),
        (lost, &declined, "duplicate", "duplicate"),
        (lost, &expired, "ignored", "ignored"),
        (State::Expired, &success, "ignored", "good, late + !"),
        (State::Cancelled, &success, "ignored", "good, late + !"),
        (State::Expired, &cancelled, "duplicate", "duplicate"),
        // These were not set by a PSP's word: nothing can be older.
        (State::Created, &success, "good + unsent!", "good + unsent!"),
        (State::Submitted, &success, "good", "good"),
        (State::Unknown, &declined, "declined", "declined"),
    ];
    let kind = Kind::Charge;
    for (state, verdict, when_older, otherwise) in rows {
        let timed = View { state_at_psp: Some(Timestamp(100)), ..view(kind, *state) };
        let untimed = view(kind, *state);
        let told = |now: &View, learned: &Learned| cell(kind, &step(now, learned));
        assert_eq!(told(&timed, &says_at((*verdict).clone(), 99)), *when_older, "{state:?}, older {verdict:?}");
        assert_eq!(told(&timed, &says_at((*verdict).clone(), 100)), *otherwise, "{state:?}, same time {verdict:?}");
        assert_eq!(told(&timed, &says_at((*verdict).clone(), 101)), *otherwise, "{state:?}, newer {verdict:?}");
        assert_eq!(told(&timed, &says((*verdict).clone())), *otherwise, "{state:?}, no time {verdict:?}");
        assert_eq!(told(&untimed, &says_at((*verdict).clone(), 1)), *otherwise, "{state:?} without time, {verdict:?}");
    }
    let held = View { state_at_psp: Some(Timestamp(100)), ..view(Kind::Preauth, State::Authorised) };
    for verdict in [Verdict::Declined(Reason::Rejected), Verdict::Expired, Verdict::Cancelled] {
        assert_eq!(step(&held, &says_at(verdict, 99)), Step::stay(Standing::Ignored));
    }
}

#[test]
fn amounts() {
    let usd = Some(Money::new(1000, Currency::USD));
    // Rule, told, what it does, what is confirmed, marked. Asked: 10.00 EUR.
    type Row = (AmountRule, Option<Money>, &'static str, Option<Money>, bool);
    let rows: &[Row] = &[
        (AmountRule::Exact, eur(1000), "good", eur(1000), false),
        (AmountRule::Exact, None, "good", eur(1000), false),
        (AmountRule::Exact, eur(999), "conflict + amount_conflict", None, false),
        (AmountRule::Exact, eur(1001), "conflict + amount_conflict", None, false),
        (AmountRule::Exact, usd, "conflict + currency_differs", None, false),
        (AmountRule::AsTold, eur(1000), "good", eur(1000), false),
        (AmountRule::AsTold, None, "good", None, false),
        (AmountRule::AsTold, eur(990), "good", eur(990), true),
        (AmountRule::AsTold, eur(1010), "good", eur(1010), true),
        (AmountRule::AsTold, eur(989), "good + amount_differs", eur(989), true),
        (AmountRule::AsTold, eur(1011), "good + amount_differs", eur(1011), true),
        (AmountRule::AsTold, eur(i64::MAX), "good + amount_differs", eur(i64::MAX), true),
        (AmountRule::AsTold, eur(0), "conflict + amount_conflict", None, false),
        (AmountRule::AsTold, eur(i64::MIN), "conflict + amount_conflict", None, false),
        (AmountRule::AsTold, usd, "conflict + currency_differs", None, false),
    ];
    for kind in [Kind::Charge, Kind::Preauth, Kind::Refund] {
        for (rule, told, expected, confirmed, marked) in rows {
            let now = View { amount_rule: *rule, ..view(kind, State::Submitted) };
            let learned = says_amount(good_verdict(kind), *told);
            let first = step(&now, &learned);
            let shown = (cell(kind, &first), first.confirmed, first.marked);
            assert_eq!(shown, ((*expected).to_owned(), *confirmed, *marked), "{kind:?} {rule:?} {told:?}");
            // The same rules hold for money that comes late; its own alert is the graver one.
            let ended = View { state: State::Expired, ..now };
            let late = step(&ended, &learned);
            assert_eq!((late.confirmed, late.marked, late.late), (*confirmed, *marked, first.state.is_some()));
        }
    }
}

#[test]
fn a_second_success_with_another_amount_is_a_conflict() {
    let done = |rule, confirmed| View { amount_rule: rule, confirmed, ..view(Kind::Charge, State::Succeeded) };
    let usd = Some(Money::new(900, Currency::USD));
    let rows = [
        (done(AmountRule::AsTold, eur(900)), eur(900), "duplicate", None),
        (done(AmountRule::AsTold, eur(900)), None, "duplicate", None),
        (done(AmountRule::AsTold, eur(900)), eur(1000), "conflict + amount_conflict", None),
        (done(AmountRule::AsTold, eur(900)), usd, "conflict + currency_differs", None),
        (done(AmountRule::Exact, eur(1000)), eur(999), "conflict + amount_conflict", None),
        // The first one named no amount: the second brings it.
        (done(AmountRule::AsTold, None), eur(900), "duplicate + amount_differs", eur(900)),
        (done(AmountRule::AsTold, None), usd, "conflict + currency_differs", None),
    ];
    for (now, told, expected, confirmed) in rows {
        let again = step(&now, &says_amount(Verdict::Succeeded, told));
        assert_eq!((cell(Kind::Charge, &again), again.confirmed), (expected.to_owned(), confirmed), "{now:?} {told:?}");
    }
}

#[test]
fn amounts_are_judged_on_success_only() {
    let now = view(Kind::Charge, State::Submitted);
    let usd = Some(Money::new(7, Currency::USD));
    for verdict in [Verdict::Pending(Stage::Sent), Verdict::Declined(Reason::Fraud), Verdict::Expired] {
        let told = step(&now, &says_amount(verdict, usd));
        assert_eq!((told.standing, told.alert, told.confirmed), (Standing::Applied, None, None));
    }
    let stored = step(&view(Kind::StoreMeans, State::Submitted), &says_amount(Verdict::Succeeded, usd));
    assert_eq!((stored.state, stored.confirmed, stored.alert), (Some(State::Succeeded), None, None));
}

fn any_kind() -> impl Strategy<Value = Kind> {
    proptest::sample::select(Kind::ALL)
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        proptest::sample::select(Stage::ALL).prop_map(Verdict::Pending),
        Just(Verdict::Authorised),
        Just(Verdict::Succeeded),
        proptest::sample::select(Reason::ALL).prop_map(Verdict::Declined),
        Just(Verdict::Expired),
        Just(Verdict::Cancelled),
        Just(Verdict::Unrecognised("?".to_owned())),
    ]
}

fn any_learned() -> impl Strategy<Value = Learned> {
    let amount = proptest::option::of(prop_oneof![4 => Just(1000), 1 => -5i64..2000]).prop_map(|m| m.and_then(eur));
    let said = (any_verdict(), amount, proptest::option::of((0i64..6).prop_map(Timestamp)))
        .prop_map(|(verdict, amount, occurred_at)| Learned::Said { verdict, amount, occurred_at });
    prop_oneof![
        6 => said,
        1 => any::<bool>().prop_map(|may_retry| Learned::NotSent { may_retry }),
        1 => Just(Learned::Unknown),
        1 => any::<bool>().prop_map(|resend| Learned::Absent { resend }),
        1 => Just(Learned::AbsentNotYet),
        1 => any::<bool>().prop_map(|resend| Learned::CannotAsk { resend }),
        1 => Just(Learned::NeverSent),
        1 => Just(Learned::IntentClosed),
        1 => proptest::sample::select(Reason::ALL).prop_map(Learned::Impossible),
    ]
}

fn any_start() -> impl Strategy<Value = View> {
    let states = vec![State::Created, State::Submitted, State::Unknown, State::Pending(Stage::CreatedThere)];
    let rules = vec![AmountRule::Exact, AmountRule::AsTold];
    (any_kind(), proptest::sample::select(states), proptest::sample::select(rules), any::<bool>()).prop_map(
        |(kind, state, amount_rule, capture_open_or_done)| View {
            amount_rule,
            capture_open_or_done,
            ended_unknown: state == State::Unknown,
            ..view(kind, state)
        },
    )
}

/// Every fact in turn, as `apply` does it.
fn fold(start: &View, facts: &[Learned]) -> View {
    facts.iter().fold(start.clone(), |now, fact| now.after(fact, &step(&now, fact)))
}

/// A life as a PSP tells it with its own times – stages, an end, for a Preauth perhaps a second end – in order, and as it
/// arrives: shuffled, with repeats.
fn a_told_life() -> impl Strategy<Value = (Kind, Vec<Learned>, Vec<Learned>)> {
    let kinds = prop_oneof![1 => Just(Kind::Preauth), 1 => any_kind()];
    let end = prop_oneof![
        2 => Just(None),
        1 => prop_oneof![Just(Verdict::Declined(Reason::Rejected)), Just(Verdict::Expired), Just(Verdict::Cancelled)]
            .prop_map(Some),
    ];
    let lapse = proptest::option::of(prop_oneof![Just(Verdict::Expired), Just(Verdict::Cancelled)]);
    (kinds, 0..=Stage::ALL.len(), end, lapse, 0usize..4).prop_flat_map(|(kind, stages, bad_end, lapse, repeats)| {
        let mut life: Vec<Verdict> = Stage::ALL[..stages].iter().copied().map(Verdict::Pending).collect();
        let held = kind == Kind::Preauth && bad_end.is_none();
        life.push(bad_end.unwrap_or_else(|| good_verdict(kind)));
        life.extend(lapse.filter(|_| held));
        let told: Vec<Learned> = life.into_iter().zip(1..).map(|(verdict, at)| says_at(verdict, at)).collect();
        let arrived: Vec<Learned> = told.iter().cycle().take(told.len() + repeats).cloned().collect();
        (Just(kind), Just(told), Just(arrived).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn what_was_good_is_never_lost(start in any_start(), facts in proptest::collection::vec(any_learned(), 1..12)) {
        let mut now = start;
        for fact in &facts {
            let step = step(&now, fact);
            if let Some(next) = step.state && now.state.is_good(now.kind) {
                // The one way: a reservation that the PSP says has ended, with nothing taken from it.
                prop_assert_eq!(now.state, State::Authorised);
                prop_assert!(!now.capture_open_or_done);
                prop_assert!(matches!(next, State::Expired | State::Cancelled));
                let said = matches!(fact, Learned::Said { verdict: Verdict::Expired | Verdict::Cancelled, .. });
                prop_assert!(said, "{:?} by {:?}", now, fact);
            }
            now = now.after(fact, &step);
        }
    }

    #[test]
    fn nothing_ends_badly_without_a_word_or_a_proof(
        start in any_start(), facts in proptest::collection::vec(any_learned(), 1..12)
    ) {
        let mut now = start;
        for fact in &facts {
            let step = step(&now, fact);
            if let Some(end) = step.state.filter(|state| state.is_bad()) {
                let allowed = match fact {
                    Learned::Said { verdict, .. } => match verdict {
                        Verdict::Declined(reason) => end == State::Declined(*reason),
                        Verdict::Expired => end == State::Expired,
                        Verdict::Cancelled => end == State::Cancelled,
                        Verdict::Pending(_)
                        | Verdict::Authorised
                        | Verdict::Succeeded
                        | Verdict::Unrecognised(_) => false,
                    },
                    Learned::Absent { resend } => {
                        !resend && now.kind != Kind::Payout && now.kind != Kind::Refund
                            && matches!(now.state, State::Submitted | State::Unknown)
                    }
                    Learned::NotSent { may_retry } => {
                        !may_retry && !now.ended_unknown && now.state == State::Submitted
                    }
                    Learned::NeverSent | Learned::IntentClosed => {
                        !now.ended_unknown && now.state == State::Created
                    }
                    Learned::Impossible(reason) => {
                        !now.ended_unknown
                            && matches!(now.state, State::Created | State::Submitted)
                            && end == State::Declined(*reason)
                    }
                    Learned::Unknown | Learned::AbsentNotYet | Learned::CannotAsk { .. } => false,
                };
                prop_assert!(allowed, "{:?} by {:?}", now, fact);
            }
            now = now.after(fact, &step);
        }
    }

    #[test]
    fn good_is_said_by_the_psp_only(
        start in any_start(), facts in proptest::collection::vec(any_learned(), 1..12)
    ) {
        let mut now = start;
        for fact in &facts {
            let step = step(&now, fact);
            if step.state.is_some_and(|state| matches!(state, State::Authorised | State::Succeeded)) {
                let said = matches!(fact, Learned::Said { verdict, .. } if *verdict == good_verdict(now.kind));
                prop_assert!(said, "{:?} by {:?}", now, fact);
            }
            // What may have happened is not sent once more without the PSP's own guard against twice.
            if now.ended_unknown || now.state == State::Unknown {
                prop_assert_ne!(step.state, Some(State::Created));
            }
            let guarded = matches!(fact, Learned::Absent { resend: true } | Learned::CannotAsk { resend: true });
            prop_assert!(!step.resend || guarded);
            now = now.after(fact, &step);
        }
    }

    #[test]
    fn the_same_fact_twice_changes_nothing_more(
        start in any_start(), facts in proptest::collection::vec(any_learned(), 1..8)
    ) {
        let before = fold(&start, &facts);
        let last = facts.last().expect("at least one");
        let again = step(&before, last);
        prop_assert_eq!(again.state, None, "{:?} again on {:?}", last, before);
        prop_assert_eq!(again.confirmed.or(before.confirmed), before.confirmed);
        prop_assert!(!again.late);
    }

    #[test]
    fn the_order_of_arrival_of_timed_facts_does_not_matter((kind, told, arrived) in a_told_life()) {
        let start = view(kind, State::Submitted);
        let by_time = fold(&start, &told);
        let by_arrival = fold(&start, &arrived);
        prop_assert_eq!(by_arrival.state, by_time.state);
        // A reservation that has lapsed need not have been seen while it held.
        if by_time.state.is_good(kind) {
            prop_assert_eq!(by_arrival.confirmed, by_time.confirmed);
        }
    }
}
