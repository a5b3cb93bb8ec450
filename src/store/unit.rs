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

/// A step as the writer executes it: SQL text, values, and what it means that no row was affected.
#[derive(Debug)]
pub(in crate::store) struct Prepared {
    pub(in crate::store) statement: Statement,
    pub(in crate::store) if_none: Option<Refusal>,
}

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

    /// Any conflict is an unexpected error.
    pub(in crate::store) fn insert(&mut self, statement: InsertStatement) {
        self.steps.push(Step::Insert(statement));
    }

    /// Refuses the whole unit if a row under one of the table's unique keys is there already.
    pub(in crate::store) fn claim(&mut self, statement: InsertStatement, refusal: Refusal) {
        self.steps.push(Step::Claim(statement, refusal));
    }

    /// Leaves a row that is there already as it is.
    pub(in crate::store) fn insert_or_ignore(&mut self, statement: InsertStatement) {
        self.steps.push(Step::InsertOrIgnore(statement));
    }

    /// Refuses the whole unit if no row is affected.
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
        self.steps.into_iter().map(|step| step.prepare(backend)).collect()
    }
}

impl Step {
    fn prepare(self, backend: DbBackend) -> Prepared {
        match self {
            Step::Insert(statement) => Prepared { statement: backend.build(&statement), if_none: None },
            Step::Claim(statement, refusal) => {
                Prepared { statement: backend.build(&ignoring(statement)), if_none: Some(refusal) }
            }
            Step::InsertOrIgnore(statement) => {
                Prepared { statement: backend.build(&ignoring(statement)), if_none: None }
            }
            Step::Must(statement, refusal) => Prepared { statement: backend.build(&statement), if_none: Some(refusal) },
            Step::Update(statement) => Prepared { statement: backend.build(&statement), if_none: None },
            Step::Delete(statement) => Prepared { statement: backend.build(&statement), if_none: None },
        }
    }
}

fn ignoring(mut statement: InsertStatement) -> InsertStatement {
    statement.on_conflict(OnConflict::new().do_nothing().to_owned());
    statement
}
