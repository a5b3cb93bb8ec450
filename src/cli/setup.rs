//! Setting up tenants, their connections and their keys.

use anyhow::bail;
use serde_json::{Map, json};

use super::args::{ConnectionCommand, KeyCommand, TenantCommand};
use super::door::{Door, print};
use super::settings;
use crate::config::Config;

pub async fn tenant(config: &Config, json: bool, command: TenantCommand) -> anyhow::Result<()> {
    let door = Door::find(config).await?;
    match command {
        TenantCommand::Add { name, sandbox } => {
            let made = door.post("/admin/tenants", &json!({ "name": name, "sandbox": sandbox })).await?;
            print(json, &made, &[("tenant", "id"), ("app id", "app_id"), ("app secret", "app_secret")]);
        }
        TenantCommand::Set(set) => settings::tenant_set(&door, json, set).await?,
        TenantCommand::List => {
            let list = door.get("/admin/tenants").await?;
            if json {
                println!("{list}");
                return Ok(());
            }
            for tenant in list["tenants"].as_array().into_iter().flatten() {
                let text = |key: &str| tenant[key].as_str().unwrap_or_default().to_owned();
                let kind = if tenant["sandbox"] == true { "sandbox" } else { "live" };
                println!("{}  {kind:<7}  {}  {}", text("id"), text("app_id"), text("name"));
            }
        }
    }
    Ok(())
}

pub async fn connection(config: &Config, json: bool, command: ConnectionCommand) -> anyhow::Result<()> {
    let door = Door::find(config).await?;
    let (tenant, adapter, set, test) = match command {
        ConnectionCommand::Add { tenant, adapter, set, test } => (tenant, adapter, set, test),
        ConnectionCommand::Set(set) => return settings::connection_set(&door, json, set).await,
        ConnectionCommand::Refused(refused) => return settings::connection_refused(&door, json, refused).await,
    };
    let mut settings = Map::new();
    for (key, value) in set {
        if settings.insert(key.clone(), value.into()).is_some() {
            bail!("--set {key}=… is given twice");
        }
    }
    let wish = json!({ "adapter": adapter, "test": test, "settings": settings });
    let made = door.post(&format!("/admin/tenants/{tenant}/connections"), &wish).await?;
    print(json, &made, &[("connection", "id"), ("notices of the provider go to", "hook_url")]);
    Ok(())
}

pub async fn key(config: &Config, json: bool, command: KeyCommand) -> anyhow::Result<()> {
    let door = Door::find(config).await?;
    let (tenant, contract, connection, all_events) = match command {
        KeyCommand::Add { tenant, contract, connection, all_events } => (tenant, contract, connection, all_events),
        KeyCommand::List { tenant } => return settings::key_list(&door, json, tenant).await,
        KeyCommand::Set(set) => return settings::key_set(&door, json, set).await,
        KeyCommand::Revoke(which) => return settings::key_revoke(&door, json, &which).await,
    };
    let wish = json!({ "contract": contract, "connection_id": connection.to_string(), "all_events": all_events });
    let made = door.post(&format!("/admin/tenants/{tenant}/keys"), &wish).await?;
    print(json, &made, &[("key", "key")]);
    Ok(())
}
