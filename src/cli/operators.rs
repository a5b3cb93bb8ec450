//! Who may operate this server, and what was done.

use serde_json::json;

use super::args::OperatorCommand;
use super::door::{Door, date, left_out, print, query, text};
use crate::config::Config;

pub async fn operator(config: &Config, json: bool, command: OperatorCommand) -> anyhow::Result<()> {
    let door = Door::find(config).await?;
    match command {
        OperatorCommand::Add { name, right } => {
            let made = door.post("/admin/operators", &json!({ "name": name, "right": right })).await?;
            print(json, &made, &[("key", "key")]);
        }
        OperatorCommand::List => {
            let list = door.get("/admin/operators").await?;
            if json {
                println!("{list}");
                return Ok(());
            }
            for operator in list["operators"].as_array().into_iter().flatten() {
                let gone = match operator["revoked_at_ms"].as_i64() {
                    Some(at) => format!("  revoked {}", date(at)),
                    None => String::new(),
                };
                let since = date(operator["created_at_ms"].as_i64().unwrap_or_default());
                println!("{:<8} {since}  {}{gone}", text(operator, "right"), text(operator, "name"));
            }
        }
        OperatorCommand::Revoke { name } => {
            let segment: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
            let path = format!("/admin/operators/{}/revoke", segment.replace('+', "%20"));
            print(json, &door.post(&path, &json!({})).await?, &[("revoked", "revoked")]);
        }
    }
    Ok(())
}

pub async fn audit(config: &Config, json: bool, tenant: Option<uuid::Uuid>) -> anyhow::Result<()> {
    let path = query("/admin/audit", &[("tenant", tenant.map(|id| id.to_string()))]);
    let list = Door::find(config).await?.get(&path).await?;
    if json {
        println!("{list}");
        return Ok(());
    }
    for entry in list["entries"].as_array().into_iter().flatten() {
        let at = date(entry["at_ms"].as_i64().unwrap_or_default());
        let subject = entry["subject"].as_str().map_or(String::new(), |subject| format!(" {subject}"));
        println!(
            "{at}  {}  {}{subject}: {} - {}",
            text(entry, "actor"),
            text(entry, "action"),
            text(entry, "details"),
            text(entry, "outcome")
        );
    }
    left_out(&list, "older entries");
    Ok(())
}
