//! `/_control/…`: faults to come, accounts, and the notices that were posted. Open to whoever reaches the simulator, which
//! listens for tests and demos only.
//!
//! | | |
//! |---|---|
//! | `POST /_control/faults` | `{"faults": ["lost-after"], "times": 1, "path": "/api/pix"}` or `{"seed": 7, "percent": 20}` |
//! | `GET`, `DELETE /_control/faults` | what is planned; nothing any more |
//! | `PUT /_control/account` | `{"token", "webhook_url", "webhook_secret"}` |
//! | `GET /_control/notices` | the newest, with their states; `?state=dead`, `?subject=…` |
//! | `POST /_control/notices/{id}/replay` | posts it once more |

use poem::http::StatusCode;
use poem::web::{Data, Path, Query};
use poem::{Body, EndpointExt, Response, Route, get, handler, post, put};
use rialto_adapters::port::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::faults::{Faults, Plan, Seed};
use super::{Account, Simulator};
use crate::store::simulator::{self as table, Job, action, state};
use crate::store::{StoreError, Unit};

/// A line of JSON; more is not read.
const BODY_MAX: usize = 64 * 1024;
/// Notices in one list.
const LIST_MAX: u64 = 100;

/// To be nested at `/_control`.
pub fn routes(simulator: &Simulator) -> impl poem::Endpoint<Output = Response> + 'static {
    Route::new()
        .at("/faults", get(planned).post(add_plan).delete(clear))
        .at("/account", put(account))
        .at("/notices", get(notices))
        .at("/notices/:id/replay", post(replay))
        .data(simulator.clone())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanDto {
    #[serde(default)]
    faults: Vec<String>,
    times: Option<u32>,
    path: Option<String>,
    seed: Option<u64>,
    percent: Option<u8>,
}

#[handler]
async fn add_plan(Data(simulator): Data<&Simulator>, body: Body) -> Response {
    let dto: PlanDto = match read(body).await {
        Ok(dto) => dto,
        Err(why) => return refused(&why),
    };
    let faults = match Faults::parse(&dto.faults.join(",")) {
        Ok(faults) => faults,
        Err(why) => return refused(&why.to_string()),
    };
    let mut fits = true;
    simulator.plan(|plans| {
        if let Some(seed) = dto.seed {
            plans.sow(Seed { seed, percent: dto.percent.unwrap_or(100) });
        }
        if !faults.is_empty() {
            fits = plans.add(Plan { faults, times: dto.times, path: dto.path });
        }
    });
    if fits { shown(simulator) } else { refused("there are too many plans") }
}

#[handler]
fn planned(Data(simulator): Data<&Simulator>) -> Response {
    shown(simulator)
}

#[handler]
fn clear(Data(simulator): Data<&Simulator>) -> Response {
    simulator.plan(super::faults::Plans::clear);
    shown(simulator)
}

fn shown(simulator: &Simulator) -> Response {
    let mut value = Value::Null;
    simulator.plan(|plans| {
        let (plans, seed) = plans.all();
        let plans: Vec<Value> = plans
            .iter()
            .map(|plan| json!({"faults": plan.faults.to_string(), "times": plan.times, "path": plan.path}))
            .collect();
        value = json!({"plans": plans, "seed": seed.map(|seed| json!({"seed": seed.seed, "percent": seed.percent}))});
    });
    reply(StatusCode::OK, &value)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountDto {
    token: String,
    #[serde(default)]
    webhook_url: String,
    #[serde(default)]
    webhook_secret: String,
}

#[handler]
async fn account(Data(simulator): Data<&Simulator>, body: Body) -> Response {
    let dto: AccountDto = match read(body).await {
        Ok(dto) => dto,
        Err(why) => return refused(&why),
    };
    if dto.token.is_empty() {
        return refused("token: is missing");
    }
    let account = Account {
        token: Secret::new(dto.token),
        webhook_url: dto.webhook_url,
        webhook_secret: Secret::new(dto.webhook_secret),
    };
    let id = account.id();
    simulator.set_account(account);
    reply(StatusCode::OK, &json!({ "account": id }))
}

#[derive(Deserialize)]
struct Wanted {
    state: Option<String>,
    subject: Option<String>,
}

#[handler]
async fn notices(Data(simulator): Data<&Simulator>, Query(wanted): Query<Wanted>) -> Response {
    let simulator = simulator.clone();
    let found = tokio::spawn(async move {
        let (state, subject) = (wanted.state.as_deref(), wanted.subject.as_deref());
        table::jobs_of(simulator.store(), simulator.name(), state, subject, LIST_MAX).await
    });
    match joined(found.await) {
        Ok(jobs) => {
            let shown: Vec<Value> = jobs.iter().filter(|job| is_notice(job)).map(notice).collect();
            reply(StatusCode::OK, &json!({ "notices": shown }))
        }
        Err(why) => failed(&why),
    }
}

#[handler]
async fn replay(Data(simulator): Data<&Simulator>, Path(id): Path<String>) -> Response {
    let simulator = simulator.clone();
    let done = tokio::spawn(async move {
        let Some(mut job) = table::job(simulator.store(), simulator.name(), &id).await?.filter(is_notice) else {
            return Ok(None);
        };
        job.state = state::OPEN.to_owned();
        (job.attempts, job.due_ms) = (0, simulator.clock().now().0);
        let mut unit = Unit::new("simulator replay");
        table::settle(&mut unit, &job);
        // Nothing in it refuses.
        let _ = simulator.store().run(unit).await?;
        simulator.inner.added.notify_one();
        Ok(Some(notice(&job)))
    });
    match joined(done.await) {
        Ok(Some(notice)) => reply(StatusCode::OK, &notice),
        Ok(None) => reply(StatusCode::NOT_FOUND, &json!({"error": "there is no such notice"})),
        Err(why) => failed(&why),
    }
}

fn is_notice(job: &Job) -> bool {
    matches!(job.action.as_str(), action::NOTICE | action::FORGED)
}

fn notice(job: &Job) -> Value {
    json!({
        "id": job.id,
        "subject": job.subject,
        "forged": job.action == action::FORGED,
        "state": job.state,
        "attempts": job.attempts,
        "status": job.status,
        "due_ms": job.due_ms,
        "body": job.body,
    })
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, String> {
    let bytes = body.into_bytes_limit(BODY_MAX).await.map_err(|why| why.to_string())?;
    serde_json::from_slice(&bytes).map_err(|why| why.to_string())
}

fn joined<T>(done: Result<Result<T, StoreError>, tokio::task::JoinError>) -> Result<T, String> {
    done.map_err(|why| why.to_string())?.map_err(|why| why.to_string())
}

fn refused(why: &str) -> Response {
    reply(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": why }))
}

fn failed(why: &str) -> Response {
    tracing::error!(error = why, "the simulator's control door failed");
    reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "the database does not answer"}))
}

fn reply(status: StatusCode, value: &Value) -> Response {
    Response::builder().status(status).content_type("application/json").body(value.to_string())
}
