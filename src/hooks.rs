//! What PSPs post to us: `POST /hooks/{connection}` and everything below it. Limited while it streams, verified, stored
//! raw with the verdict, committed, and only then answered.

use poem::http::StatusCode;
use poem::{Endpoint, IntoResponse, Request, Response};
use rialto_adapters::port::{NoticeSecrets, RawNotice, References, Verification};
use uuid::Uuid;

use crate::flow::{Engine, FlowError};
use crate::metrics;
use crate::store::Unit;
use crate::store::inbox::{Notice, NoticeState, NoticeVerdict};
use crate::store::tenants::Connection;
use crate::store::transactions::{self, Namespace};

/// Largest notice taken: PSPs send a few kilobytes.
pub const NOTICE_MAX: usize = 256 * 1024;

/// Longest path behind the connection that is kept.
const PATH_MAX: usize = 500;

/// Headers kept of a notice; the signature is among the first dozens.
const HEADERS_MAX: usize = 64;

/// Forged notices kept per connection and hour: enough to see what they look like, too few to fill the disk.
const REJECTED_KEPT_PER_HOUR: u64 = 20;

/// Headers that are never kept: they could only hold somebody's credentials.
const NEVER_KEPT: &[&str] = &["authorization", "cookie", "proxy-authorization"];

/// What a PSP is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookAnswer {
    /// Stored; the status is the one this PSP expects.
    Stored(u16),
    UnknownConnection,
    NotGenuine,
    TooLarge,
    /// Not stored: the PSP is to send it again.
    Failed,
}

impl HookAnswer {
    pub fn status(self) -> u16 {
        match self {
            HookAnswer::Stored(status) => status,
            HookAnswer::UnknownConnection => 404,
            HookAnswer::NotGenuine => 401,
            HookAnswer::TooLarge => 413,
            HookAnswer::Failed => 503,
        }
    }
}

/// Takes one notice for a connection.
pub async fn receive(engine: &Engine, connection: Uuid, raw: RawNotice) -> HookAnswer {
    match take(engine, connection, raw).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%connection, %error, "notice not stored");
            HookAnswer::Failed
        }
    }
}

async fn take(engine: &Engine, connection: Uuid, raw: RawNotice) -> Result<HookAnswer, FlowError> {
    if raw.body.len() > NOTICE_MAX {
        return Ok(HookAnswer::TooLarge);
    }
    let Some(connection) = engine.store.connection_of_hook(connection).await? else {
        return Ok(HookAnswer::UnknownConnection);
    };
    let adapter = engine.adapter(&connection)?;
    let secrets = match adapter.notice_secret_setting() {
        None => NoticeSecrets::default(),
        Some(key) => {
            let versions = engine.store.settings_of_notices(&connection).await?;
            NoticeSecrets(versions.iter().map(|settings| settings.secret(key)).collect())
        }
    };
    let now = engine.clock.now();
    let mut unit = Unit::new("notice");
    let (verdict, text) = match adapter.verify(&secrets, &raw, now) {
        Verification::Verified(_) => (NoticeVerdict::Verified, None),
        Verification::Nudge(named) => {
            for references in &named {
                look_now(&mut unit, engine, &connection, references);
            }
            (NoticeVerdict::Nudge, None)
        }
        Verification::Rejected(why) => (NoticeVerdict::Rejected, Some(why.to_owned())),
    };
    metrics::NOTICES.add([adapter.manifest().name, verdict.as_str()]);
    let id = engine.clock.new_id();
    tracing::info!(tenant = %connection.tenant_id, connection = %connection.id, notice = %id, verdict = verdict.as_str(), why = text, bytes = raw.body.len(), "notice");
    let (state, next_at) = match verdict {
        NoticeVerdict::Verified => (NoticeState::Waiting, Some(now)),
        NoticeVerdict::Nudge => (NoticeState::Done, None),
        NoticeVerdict::Rejected => (NoticeState::Rejected, None),
    };
    let notice = Notice {
        id,
        tenant_id: connection.tenant_id,
        connection_id: connection.id,
        raw,
        verdict,
        verdict_text: text,
        state,
        state_text: None,
        attempts: 0,
        next_at,
        received_at: now,
    };
    if verdict == NoticeVerdict::Rejected {
        let hour_ago = now.minus(std::time::Duration::from_secs(3600));
        if engine.store.notices_rejected_since(connection.id, hour_ago).await? < REJECTED_KEPT_PER_HOUR {
            engine.store.add_notice(&mut unit, &notice);
            store(engine, unit).await?;
        }
        return Ok(HookAnswer::NotGenuine);
    }
    engine.store.add_notice(&mut unit, &notice);
    store(engine, unit).await?;
    engine.nudges.inbox.notify_one();
    engine.nudges.reconciler.notify_one();
    Ok(HookAnswer::Stored(adapter.manifest().notices.accepted_status))
}

async fn store(engine: &Engine, unit: Unit) -> Result<(), FlowError> {
    match engine.store.run(unit).await? {
        Ok(()) => Ok(()),
        Err(refusal) => Err(FlowError::Broken(format!("a notice was refused: {refusal:?}"))),
    }
}

/// Nothing in an unsigned notice is believed: the transactions it names are looked up.
fn look_now(unit: &mut Unit, engine: &Engine, connection: &Connection, references: &References) {
    let names = [
        (Namespace::Ours, references.ours.as_ref().map(|ours| ours.0.as_str())),
        (Namespace::Theirs, references.theirs.as_deref()),
        (Namespace::Scheme, references.scheme.as_deref()),
    ];
    for (namespace, value) in names {
        if let Some(value) = value {
            transactions::look_now(unit, connection.tenant_id, connection.id, namespace, value, engine.clock.now());
        }
    }
}

/// `POST /hooks/…` as an endpoint; nest it at `/hooks`.
pub struct Hooks {
    engine: Engine,
}

pub fn endpoint(engine: Engine) -> Hooks {
    Hooks { engine }
}

impl Endpoint for Hooks {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        if request.method() != poem::http::Method::POST {
            return Ok(StatusCode::METHOD_NOT_ALLOWED.with_header("allow", "POST").into_response());
        }
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let (connection, rest) = path.split_once('/').unwrap_or((&path, ""));
        let Ok(connection) = Uuid::parse_str(connection) else {
            return Ok(answer(HookAnswer::UnknownConnection));
        };
        let headers = request
            .headers()
            .iter()
            .filter(|(name, _)| !NEVER_KEPT.contains(&name.as_str()))
            .take(HEADERS_MAX)
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let path: String = rest.chars().take(PATH_MAX).collect();
        let body = match request.take_body().into_bytes_limit(NOTICE_MAX).await {
            Ok(body) => body,
            Err(poem::error::ReadBodyError::PayloadTooLarge) => return Ok(answer(HookAnswer::TooLarge)),
            // The sender went away in the middle of it.
            Err(_) => return Ok(StatusCode::BAD_REQUEST.into_response()),
        };
        let raw = RawNotice { path, headers, body: body.to_vec() };
        Ok(answer(receive(&self.engine, connection, raw).await))
    }
}

fn answer(answer: HookAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::OK);
    Response::builder().status(status).finish()
}
