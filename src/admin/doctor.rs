//! `GET /admin/doctor`: whether all is well, as the running server sees it.

use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use serde_json::json;

use super::auth::MayRead;
use super::dto::{ANSWER, usual};
use super::error::Refused;
use super::{Group, Tag};
use crate::flow::Engine;
use crate::flow::doctor::{Check, Grade};
use crate::http::body::Body;
use crate::http::spec::Example;

pub(super) struct Doctor;

#[OpenApi(prefix_path = "/admin", tag = "Tag::Look")]
impl Doctor {
    /// Check whether all is well
    ///
    /// The database, its schema and a write; clocks; whether what is sealed opens; each adapter's checker with its vendor's
    /// sample; each connection, by asking the provider; each receiver; and what lies there unattended. Takes some
    /// seconds, and changes nothing. Right: read.
    #[oai(path = "/doctor", method = "get", operation_id = "doctor")]
    async fn doctor(&self, _by: MayRead, engine: Data<&Engine>) -> Result<Body<Diagnosis>, Refused> {
        Ok(Body(Diagnosis::of(engine.examine().await)))
    }
}

/// What was found.
#[derive(Clone, Debug, Object)]
pub struct Diagnosis {
    /// No check failed.
    pub well: bool,
    pub checks: Vec<CheckItem>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Object)]
pub struct CheckItem {
    /// `database`, `connection`, …
    pub what: String,
    /// Which one, where there are several.
    #[oai(skip_serializing_if_is_none)]
    pub of: Option<String>,
    /// `ok`, `warn` – to be looked at in working hours – or `fail`.
    pub grade: String,
    pub found: String,
    /// What to do.
    #[oai(skip_serializing_if_is_none)]
    pub advice: Option<String>,
}

impl Diagnosis {
    pub fn of(checks: Vec<Check>) -> Diagnosis {
        let well = checks.iter().all(|check| check.grade != Grade::Fail);
        Diagnosis { well, checks: checks.into_iter().map(CheckItem::from).collect() }
    }
}

impl From<Check> for CheckItem {
    fn from(check: Check) -> CheckItem {
        CheckItem {
            what: check.what.to_owned(),
            of: check.of,
            grade: check.grade.as_str().to_owned(),
            found: check.found,
            advice: check.advice,
        }
    }
}

impl Group for Doctor {
    fn examples() -> Vec<Example> {
        let value = json!({
            "well": true,
            "checks": [
                { "what": "database", "grade": "ok", "found": "PostgreSQL 16.2 (synchronous_commit=on)" },
                {
                    "what": "certificate",
                    "of": "https://shop.example",
                    "grade": "warn",
                    "found": "it expires in 12 days",
                    "advice": "tell whoever runs that server to renew it"
                }
            ]
        });
        vec![usual("doctor", ANSWER, value)]
    }
}
