//! Setting up tenants. Every command is one request to the admin API: over HTTP where a server runs in the data directory,
//! else to the same endpoint inside this process, so that both say the same.

use std::time::Duration;

use anyhow::{Context as _, bail};
use poem::endpoint::BoxEndpoint;
use poem::{Endpoint as _, EndpointExt as _, Response};
use rialto_adapters::port::notice::hex;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Header, Method, Request, Secret, Wire as _};
use serde_json::{Map, Value, json};

use super::args::{ConnectionCommand, KeyCommand, TenantCommand};
use crate::admin::{self, OperatorKey, Problems};
use crate::app::lock::{Lock, Presence, Taken};
use crate::app::{engine_alone, open};
use crate::clock::Clock;
use crate::config::Config;
use crate::http::error::mapped;
use crate::wire::{Guard, HttpWire, WireOptions};

/// A server that is there answers much sooner.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

pub async fn tenant(config: &Config, json: bool, command: TenantCommand) -> anyhow::Result<()> {
    let door = Door::find(config).await?;
    match command {
        TenantCommand::Add { name, sandbox } => {
            let made = door.post("/admin/tenants", &json!({ "name": name, "sandbox": sandbox })).await?;
            print(json, &made, &[("tenant", "id"), ("app id", "app_id"), ("app secret", "app_secret")]);
        }
        TenantCommand::List => {
            let list = door.ask(Method::Get, "/admin/tenants", None).await?;
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
    let ConnectionCommand::Add { tenant, adapter, set, test } = command;
    let mut settings = Map::new();
    for (key, value) in set {
        if settings.insert(key.clone(), value.into()).is_some() {
            bail!("--set {key}=… is given twice");
        }
    }
    let wish = json!({ "adapter": adapter, "test": test, "settings": settings });
    let made = Door::find(config).await?.post(&format!("/admin/tenants/{tenant}/connections"), &wish).await?;
    print(json, &made, &[("connection", "id"), ("notices of the provider go to", "hook_url")]);
    Ok(())
}

pub async fn key(config: &Config, json: bool, command: KeyCommand) -> anyhow::Result<()> {
    let KeyCommand::Add { tenant, contract, connection, all_events } = command;
    let wish = json!({ "contract": contract, "connection_id": connection.to_string(), "all_events": all_events });
    let made = Door::find(config).await?.post(&format!("/admin/tenants/{tenant}/keys"), &wish).await?;
    print(json, &made, &[("key", "key")]);
    Ok(())
}

/// The object as it came, or its fields one per line.
fn print(json: bool, made: &Value, lines: &[(&str, &str)]) {
    if json {
        println!("{made}");
        return;
    }
    for (label, key) in lines {
        println!("{label}: {}", made[key].as_str().unwrap_or_default());
    }
}

/// The way to the admin API.
pub(super) struct Door {
    key: Secret,
    place: Place,
}

enum Place {
    Here {
        service: BoxEndpoint<'static, Response>,
        /// Keeps a server from starting meanwhile.
        _lock: Lock,
    },
    There {
        wire: HttpWire,
        base: String,
    },
}

impl Door {
    pub async fn find(config: &Config) -> anyhow::Result<Door> {
        open::data_dir(config)?;
        match Lock::take(&config.data_dir).await? {
            Taken::Ours(lock) => {
                let engine = engine_alone(config).await?;
                let key = Secret::new(hex(&engine.clock.random::<32>()));
                let service = mapped(admin::service(engine, OperatorKey::new(&key)), Problems);
                Ok(Door { key, place: Place::Here { service: service.map_to_response().boxed(), _lock: lock } })
            }
            Taken::Server(Presence { admin, .. }) => {
                let key = open::stored_operator_key(config)?;
                let host =
                    url::Url::parse(&admin).ok().and_then(|url| Some(url.host_str()?.trim_matches(['[', ']']).parse()));
                let Some(Ok(address)) = host else { bail!("the lock file names no address: {admin:?}") };
                let guard = Guard::new(vec![std::net::IpAddr::into(address)]);
                let wire = HttpWire::new(Clock::default(), guard, WireOptions::default())?;
                Ok(Door { key, place: Place::There { wire, base: admin } })
            }
        }
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::Post, path, Some(body)).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let (status, text) = match &self.place {
            Place::Here { service, .. } => self.ask_here(service, method, path, body).await?,
            Place::There { wire, base } => self.ask_there(wire, base, method, path, body).await?,
        };
        let answer: Value = serde_json::from_slice(&text).with_context(|| format!("the server answered {status}"))?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let detail = answer["detail"].as_str().unwrap_or("no reason given");
        match (status, answer["field"].as_str()) {
            (401, _) => bail!(
                "the running server does not know this operator's key: set RIALTO_ADMIN_KEY to the one it was started with"
            ),
            (_, Some(field)) => bail!("{field}: {detail}"),
            (_, None) => bail!("{detail}"),
        }
    }

    async fn ask_here(
        &self,
        service: &BoxEndpoint<'static, Response>,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let method = method.as_str().parse::<poem::http::Method>()?;
        let request = poem::Request::builder().method(method).uri(path.parse()?);
        let request = request.content_type("application/json").header("x-admin-key", self.key.expose()).body(body);
        let response = service.get_response(request).await;
        Ok((response.status().as_u16(), response.into_body().into_vec().await?))
    }

    async fn ask_there(
        &self,
        wire: &HttpWire,
        base: &str,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let headers = vec![
            ("content-type", Header::Plain("application/json".to_owned())),
            ("x-admin-key", Header::Secret(self.key.clone())),
        ];
        let request = Request { method, url: format!("{base}{path}"), headers, body: body.into_bytes(), scrub: &[] };
        let now = Clock::default().now();
        let deadlines = Deadlines { send_by: now.plus(ANSWER_WITHIN), answer_by: now.plus(ANSWER_WITHIN) };
        let reply = wire.send(request, deadlines).await;
        let reply =
            reply.map_err(|fault| anyhow::anyhow!("the running server at {base} gave no answer: {}", fault.text))?;
        Ok((reply.status, reply.body))
    }
}
