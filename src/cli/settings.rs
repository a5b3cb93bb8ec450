//! Changing what was set up: a tenant's settings, a connection's, and keys.

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::args::setting;
use super::door::{Door, date, print, query, text};

#[derive(Debug, PartialEq, Eq, Args)]
pub struct TenantSet {
    /// Id of the tenant.
    #[arg(long, value_name = "ID")]
    tenant: Uuid,
    /// What changes.
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub struct ConnectionSet {
    /// Id of the connection.
    #[arg(long, value_name = "ID")]
    id: Uuid,
    /// A setting that changes; an empty value takes it away.
    #[arg(long = "set", required = true, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Change them although open transactions stay behind with the old account, or the provider refuses them or cannot be
    /// asked.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, PartialEq, Eq, Args)]
#[group(id = "callers", required = true, multiple = false)]
struct Callers {
    /// Callers are told that the credentials are wrong.
    #[arg(long)]
    tell: bool,
    /// They are not told, whatever is proved.
    #[arg(long)]
    hold: bool,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub struct ConnectionRefused {
    /// Id of the connection.
    #[arg(long, value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    callers: Callers,
}

#[derive(Debug, PartialEq, Eq, Args)]
#[group(id = "which", required = true, multiple = false)]
pub struct WhichKey {
    /// Id of the key, as `key list` shows it.
    #[arg(long, value_name = "ID")]
    id: Option<Uuid>,
    /// How the key begins, as `key list` shows it.
    #[arg(long, value_name = "HINT")]
    key_hint: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Args)]
pub struct KeySet {
    #[command(flatten)]
    which: WhichKey,
    /// Bodies of successes: camel or pascal for names, name or number for enums; or default.
    #[arg(long, value_name = "CASE,ENUMS")]
    answers: Option<String>,
    /// Bodies of errors.
    #[arg(long, value_name = "CASE,ENUMS")]
    errors: Option<String>,
    /// Notices of what is made with the key.
    #[arg(long, value_name = "CASE,ENUMS")]
    notices: Option<String>,
}

impl WhichKey {
    /// The path of the key in the admin API.
    fn path(&self) -> String {
        let which = match (&self.id, &self.key_hint) {
            (Some(id), _) => id.to_string(),
            (None, hint) => hint.clone().unwrap_or_default(),
        };
        let segment: String = url::form_urlencoded::byte_serialize(which.as_bytes()).collect();
        format!("/admin/keys/{}", segment.replace('+', "%20"))
    }
}

fn object(set: Vec<(String, String)>) -> anyhow::Result<Map<String, Value>> {
    let mut settings = Map::new();
    for (key, value) in set {
        if settings.insert(key.clone(), value.into()).is_some() {
            bail!("{key}=… is given twice");
        }
    }
    Ok(settings)
}

pub(super) async fn tenant_set(door: &Door, json: bool, TenantSet { tenant, set }: TenantSet) -> anyhow::Result<()> {
    let wish = json!({ "settings": object(set)? });
    let now = door.post(&format!("/admin/tenants/{tenant}/settings"), &wish).await?;
    if json {
        println!("{now}");
        return Ok(());
    }
    for (key, value) in now["settings"].as_object().into_iter().flatten() {
        println!("{key}: {}", value.as_str().unwrap_or_default());
    }
    Ok(())
}

pub(super) async fn connection_set(
    door: &Door,
    json: bool,
    ConnectionSet { id, set, force }: ConnectionSet,
) -> anyhow::Result<()> {
    let wish = json!({ "settings": object(set)?, "force": force });
    let now = door.post(&format!("/admin/connections/{id}/settings"), &wish).await?;
    if json {
        println!("{now}");
        return Ok(());
    }
    let version = now["version"].as_i64().unwrap_or_default();
    match (now["changed"] == true, now["accepted"] == true) {
        (true, true) => println!("The provider accepts the settings; they are in force as version {version}."),
        (true, false) => {
            println!("The settings are in force as version {version}, although the provider did not accept them.")
        }
        (false, _) => println!("Nothing has changed, and the provider accepts the settings (version {version})."),
    }
    Ok(())
}

pub(super) async fn connection_refused(
    door: &Door,
    json: bool,
    ConnectionRefused { id, callers }: ConnectionRefused,
) -> anyhow::Result<()> {
    let wish = json!({ "callers": if callers.tell { "tell" } else { "hold" } });
    let now = door.post(&format!("/admin/connections/{id}/refused"), &wish).await?;
    if json {
        println!("{now}");
        return Ok(());
    }
    let times = now["refusals"].as_i64().unwrap_or_default();
    let what = if callers.tell { "are told" } else { "are not told" };
    println!("Refused {times} times in a row; callers {what}, until the provider accepts the account again.");
    Ok(())
}

pub(super) async fn key_list(door: &Door, json: bool, tenant: Uuid) -> anyhow::Result<()> {
    let list = door.get(&query("/admin/keys", &[("tenant", Some(tenant.to_string()))])).await?;
    if json {
        println!("{list}");
        return Ok(());
    }
    for key in list["keys"].as_array().into_iter().flatten() {
        let style = ["answers", "errors", "notices"].into_iter().filter_map(|part| {
            let spelled = key[part].as_str()?;
            Some(format!("  {part} {spelled}"))
        });
        let style: String = style.collect();
        let gone = key["revoked_at_ms"].as_i64().map_or(String::new(), |at| format!("  revoked {}", date(at)));
        let since = date(key["created_at_ms"].as_i64().unwrap_or_default());
        println!("{}  {}…  {}  {since}{style}{gone}", text(key, "id"), text(key, "hint"), text(key, "contract"));
    }
    Ok(())
}

pub(super) async fn key_set(door: &Door, json: bool, set: KeySet) -> anyhow::Result<()> {
    let KeySet { which, answers, errors, notices } = set;
    if answers.is_none() && errors.is_none() && notices.is_none() {
        bail!("nothing changes: give --answers, --errors or --notices");
    }
    let wish = json!({ "answers": answers, "errors": errors, "notices": notices });
    let now = door.post(&which.path(), &wish).await?;
    if json {
        println!("{now}");
        return Ok(());
    }
    for part in ["answers", "errors", "notices"] {
        println!("{part}: {}", now[part].as_str().unwrap_or("default"));
    }
    Ok(())
}

pub(super) async fn key_revoke(door: &Door, json: bool, which: &WhichKey) -> anyhow::Result<()> {
    let gone = door.post(&format!("{}/revoke", which.path()), &json!({})).await?;
    print(json, &gone, &[("revoked", "id")]);
    Ok(())
}
