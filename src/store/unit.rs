//! A unit of work is a value: statements in order, and what each of them must achieve.
//!
//! Nobody holds a database transaction across an await on anything else. A flow builds a unit, the writer executes it,
//! alone or together with others. Being a value it can be executed again when an attempt came to nothing.

use sea_orm::sea_query::{DeleteStatement, InsertStatement, OnConflict, UpdateStatement};
use sea_orm::{DbBackend, Statement};

/// Why a unit did nothing. Expected, and so a result and never an error: the caller decides what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key is claimed by an earlier request.
    KeyTaken,
    /// The row is no longer in the state the caller saw.
    Stale,
    /// A counter has too little left.
    Short,
    /// Somebody else holds it at the moment.
    Held,
    /// The very same thing is stored already.
    Duplicate,
    /// The row does not exist.
    Missing,
}

/// Statements that happen together or not at all. Clone it to run it again.
#[derive(Clone, Debug)]
pub struct Unit {
    name: &'static str,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Insert(InsertStatement),
    Claim(InsertStatement, Refusal),
    InsertOrIgnore(InsertStatement),
    Must(UpdateStatement, Refusal),
    Update(UpdateStatement),
    Delete(DeleteStatement),
}

/// Statements that go to the database in one call, and what it means that one of them affected no row.
#[derive(Debug)]
pub(in crate::store) struct Prepared {
    pub(in crate::store) statement: Statement,
    /// How many rows are affected where all went as wanted, and the refusal where fewer were.
    pub(in crate::store) wanted: Option<(u64, Refusal)>,
}

/// Statements in one call. SQLite's driver hands each call to a thread and back, which costs more than the statement
/// itself; beyond a few the gain is small, and every length is another text among the prepared statements.
const TOGETHER_MAX: usize = 8;

impl Unit {
    /// `name` appears in the log when the unit fails.
    pub fn new(name: &'static str) -> Unit {
        Unit { name, steps: Vec::new() }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// One row. Any conflict is an unexpected error.
    pub(in crate::store) fn insert(&mut self, statement: InsertStatement) {
        self.steps.push(Step::Insert(statement));
    }

    /// One row. Refuses the whole unit if a row under one of the table's unique keys is there already.
    pub(in crate::store) fn claim(&mut self, statement: InsertStatement, refusal: Refusal) {
        self.steps.push(Step::Claim(statement, refusal));
    }

    /// Leaves a row that is there already as it is.
    pub(in crate::store) fn insert_or_ignore(&mut self, statement: InsertStatement) {
        self.steps.push(Step::InsertOrIgnore(statement));
    }

    /// An update of one row, by its key. Refuses the whole unit if it is not affected.
    pub(in crate::store) fn must(&mut self, statement: UpdateStatement, refusal: Refusal) {
        self.steps.push(Step::Must(statement, refusal));
    }

    /// May affect any number of rows.
    pub(in crate::store) fn update(&mut self, statement: UpdateStatement) {
        self.steps.push(Step::Update(statement));
    }

    /// May affect any number of rows.
    pub(in crate::store) fn delete(&mut self, statement: DeleteStatement) {
        self.steps.push(Step::Delete(statement));
    }

    /// The steps as SQL. Done by the caller's task, so that the one writer only executes.
    pub(in crate::store) fn prepare(self, backend: DbBackend) -> Vec<Prepared> {
        // PostgreSQL takes one statement with parameters in a call.
        let together = if backend == DbBackend::Sqlite { TOGETHER_MAX } else { 1 };
        let mut groups: Vec<Group> = Vec::new();
        for step in self.steps {
            let (statement, effect) = step.built(backend);
            match groups.last_mut() {
                Some(group) if group.takes(effect, together) => group.add(statement, effect),
                Some(_) | None => groups.push(Group::of(statement, effect)),
            }
        }
        groups.into_iter().map(Group::prepared).collect()
    }
}

/// What a statement does to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Any number.
    Any,
    /// One row, or an error.
    One,
    /// One row, or none, which refuses the unit.
    OneOr(Refusal),
    /// The same for a row that later statements may point at: without it they would fail before it is noticed.
    ClaimOr(Refusal),
}

/// Statements of which the number of rows they affect together tells whether each has done what it must.
struct Group {
    statements: Vec<Statement>,
    counted: bool,
    refusal: Option<Refusal>,
    /// Nothing may come behind a claim in the same call.
    closed: bool,
}

impl Group {
    fn of(statement: Statement, effect: Effect) -> Group {
        let mut group = Group { statements: Vec::new(), counted: effect != Effect::Any, refusal: None, closed: false };
        group.add(statement, effect);
        group
    }

    fn takes(&self, effect: Effect, together: usize) -> bool {
        let fits = match effect {
            Effect::Any => !self.counted,
            Effect::One => self.counted,
            // With two kinds of refusal nobody could tell which it was.
            Effect::OneOr(refusal) | Effect::ClaimOr(refusal) => {
                self.counted && self.refusal.is_none_or(|have| have == refusal)
            }
        };
        fits && !self.closed && self.statements.len() < together
    }

    fn add(&mut self, statement: Statement, effect: Effect) {
        self.statements.push(statement);
        if let Effect::OneOr(refusal) | Effect::ClaimOr(refusal) = effect {
            self.refusal = Some(refusal);
        }
        self.closed = matches!(effect, Effect::ClaimOr(_));
    }

    fn prepared(self) -> Prepared {
        let wanted = self.refusal.map(|refusal| (self.statements.len() as u64, refusal));
        let mut statements = self.statements.into_iter();
        // A group is made with its first statement.
        let mut statement = statements.next().expect("a group is never empty");
        for next in statements {
            statement.sql.push_str("; ");
            statement.sql.push_str(&next.sql);
            match (&mut statement.values, next.values) {
                (Some(all), Some(more)) => all.0.extend(more.0),
                (none @ None, more) => *none = more,
                (Some(_), None) => {}
            }
        }
        Prepared { statement, wanted }
    }
}

impl Step {
    fn built(self, backend: DbBackend) -> (Statement, Effect) {
        match self {
            Step::Insert(statement) => (backend.build(&statement), Effect::One),
            Step::Claim(statement, refusal) => (backend.build(&ignoring(statement)), Effect::ClaimOr(refusal)),
            Step::InsertOrIgnore(statement) => (backend.build(&ignoring(statement)), Effect::Any),
            Step::Must(statement, refusal) => (backend.build(&statement), Effect::OneOr(refusal)),
            Step::Update(statement) => (backend.build(&statement), Effect::Any),
            Step::Delete(statement) => (backend.build(&statement), Effect::Any),
        }
    }
}

fn ignoring(mut statement: InsertStatement) -> InsertStatement {
    statement.on_conflict(OnConflict::new().do_nothing().to_owned());
    statement
}
