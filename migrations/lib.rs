//! The database schema, one file per change, for SQLite and PostgreSQL alike.
//!
//! Whoever runs [`Migrator`] gives it one transaction for everything that is pending, on both databases: a start that is
//! killed half-way leaves the old schema. Both databases therefore see only statements that a transaction allows.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m20261120_000000_model;
mod m20261120_000001_leases;
mod m20261120_000002_sandbox_psp;
mod m20261121_000000_operators;
mod m20261121_000001_settings;
mod m20261121_000003_explain;
mod m20261121_000004_means;
mod m20261121_000005_observe;
mod m20261121_000006_pix_simulator;
mod m20261121_000007_budgets;
mod m20261121_000008_bookings;

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261120_000000_model::Migration),
            Box::new(m20261120_000001_leases::Migration),
            Box::new(m20261120_000002_sandbox_psp::Migration),
            Box::new(m20261121_000000_operators::Migration),
            Box::new(m20261121_000001_settings::Migration),
            Box::new(m20261121_000003_explain::Migration),
            Box::new(m20261121_000004_means::Migration),
            Box::new(m20261121_000005_observe::Migration),
            Box::new(m20261121_000006_pix_simulator::Migration),
            Box::new(m20261121_000007_budgets::Migration),
            Box::new(m20261121_000008_bookings::Migration),
        ]
    }
}
