//! The way to the admin API. Every command is one request to it: over HTTP where a server runs in the data directory, else
//! to the same endpoint inside this process, so that both say the same.

use std::time::Duration;

use anyhow::{Context as _, bail};
use poem::endpoint::BoxEndpoint;
use poem::{Endpoint as _, EndpointExt as _, Response};
use rialto_adapters::port::notice::hex;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Header, Method, Request, Secret, Wire as _};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::admin::{self, OperatorKey, Problems};
use crate::app::lock::{Lock, Presence, Taken};
use crate::app::{engine_alone, open};
use crate::clock::Clock;
use crate::config::Config;
use crate::flow::Engine;
use crate::http::error::mapped;
use crate::store::hash_token;
use crate::wire::{Guard, HttpWire, WireOptions};

/// A server that is there answers much sooner.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

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
                let first = Secret::new(hex(&engine.clock.random::<32>()));
                let key = own_key(config, &engine).await?.unwrap_or_else(|| first.clone());
                let service = mapped(admin::service(engine, OperatorKey::new(&first)), Problems);
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

    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.post_text(path, body.to_string()).await
    }

    /// A body whose numbers are to keep their digits.
    pub async fn post_text(&self, path: &str, body: String) -> anyhow::Result<Value> {
        self.ask(Method::Post, path, body).await
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> anyhow::Result<Value> {
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
                "the running server does not know this operator's key: set RIALTO_ADMIN_KEY to the one it was started with, or \
                 to one of `rialto operator add`"
            ),
            (_, Some(field)) => bail!("{field}: {detail}"),
            (_, None) => bail!("{detail}"),
        }
    }

    /// The answer to a GET.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::Get, path, String::new()).await
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

/// The key of the settings, if it is a named operator's: without a server that operator acts all the same, under this
/// name and with this right. Anybody else who may open the data directory acts as the first operator.
async fn own_key(config: &Config, engine: &Engine) -> anyhow::Result<Option<Secret>> {
    let Some(key) = &config.admin_key else { return Ok(None) };
    let known = engine.store.operator_by_key(&hash_token(key.expose())).await?;
    Ok(known.map(|_| key.clone()))
}

/// The object as it came, or its fields one per line.
pub(super) fn print(json: bool, made: &Value, lines: &[(&str, &str)]) {
    if json {
        println!("{made}");
        return;
    }
    for (label, key) in lines {
        println!("{label}: {}", made[key].as_str().unwrap_or_default());
    }
}

/// A text of an object, or nothing.
pub(super) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

/// A path with those parameters that are given.
pub(super) fn query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut written = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        written.append_pair(name, value);
    }
    match written.finish() {
        none if none.is_empty() => path.to_owned(),
        parameters => format!("{path}?{parameters}"),
    }
}

/// A point in time, given in milliseconds, to the second and in UTC.
pub(super) fn date(at_ms: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    let at = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1000)).ok();
    at.and_then(|at| at.format(format).ok()).unwrap_or_else(|| at_ms.to_string())
}

/// Says how much a page did not show.
pub(super) fn left_out(list: &Value, what: &str) {
    if let Some(more) = list["left_out"].as_u64().filter(|more| *more > 0) {
        println!("… and {more} {what}");
    }
}
