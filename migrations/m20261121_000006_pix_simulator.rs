//! The PSPs we play over HTTP: what each of them keeps, and what it has yet to do or to tell. One pair of tables for all
//! of them; `psp` says whose a row is.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [records(), jobs()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["simulator_jobs", "simulator_records"] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn records() -> TableCreateStatement {
    Table::create()
        .table("simulator_records")
        .col(ColumnDef::new("psp").text().not_null())
        .col(ColumnDef::new("kind").text().not_null())
        .col(ColumnDef::new("id").text().not_null())
        .col(ColumnDef::new("account").text().not_null())
        // What its maker calls it; nobody else of the account may.
        .col(ColumnDef::new("name").text())
        .col(ColumnDef::new("created_ms").big_integer().not_null())
        .col(ColumnDef::new("updated_ms").big_integer().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("body").text().not_null())
        .primary_key(Index::create().col("psp").col("kind").col("id"))
        .to_owned()
}

fn jobs() -> TableCreateStatement {
    Table::create()
        .table("simulator_jobs")
        .col(ColumnDef::new("id").text().not_null().primary_key())
        .col(ColumnDef::new("psp").text().not_null())
        .col(ColumnDef::new("account").text().not_null())
        .col(ColumnDef::new("subject").text().not_null())
        .col(ColumnDef::new("action").text().not_null())
        .col(ColumnDef::new("body").text().not_null())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("due_ms").big_integer().not_null())
        .col(ColumnDef::new("attempts").integer().not_null())
        // The receiver's last answer; 0 for none.
        .col(ColumnDef::new("status").integer().not_null())
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &'static str, table: &'static str| Index::create().name(name).table(table).col("psp").to_owned();
    vec![
        index("simulator_records_name", "simulator_records").col("kind").col("account").col("name").unique().to_owned(),
        index("simulator_records_updated", "simulator_records").col("kind").col("account").col("updated_ms").to_owned(),
        index("simulator_jobs_due", "simulator_jobs").col("state").col("due_ms").to_owned(),
    ]
}
