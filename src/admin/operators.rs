//! Operators: who may act here, and what they did.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use serde_json::json;

use super::auth::{MayAdminister, MayRead};
use super::dto::{
    ANSWER, AuditItem, AuditList, ID, KeyMade, OperatorGone, OperatorItem, OperatorList, OperatorWish, parse_id, usual,
};
use super::error::Refused;
use super::{Group, Tag, told};
use crate::flow::Engine;
use crate::flow::operate::Act;
use crate::http::body::Body;
use crate::http::spec::{At, Example};

pub(super) struct Operators;

#[OpenApi(prefix_path = "/admin", tag = "Tag::Operators")]
impl Operators {
    /// Add an operator
    ///
    /// A person or a program with a key of its own. The key is shown this once; only its hash is kept. Right: admin.
    #[oai(path = "/operators", method = "post", operation_id = "addOperator")]
    async fn add_operator(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        wish: Body<OperatorWish>,
    ) -> Result<Body<KeyMade>, Refused> {
        let engine = by.engine(&engine);
        let key = engine.add_operator(&wish.0.name, wish.0.right.into()).await;
        let key = told(&engine, Act::new("operator.add", "").on(wish.0.name), key).await?;
        Ok(Body(KeyMade { key: key.expose().to_owned() }))
    }

    /// List operators
    ///
    /// The oldest two hundred, those included whose keys were revoked. Right: read.
    #[oai(path = "/operators", method = "get", operation_id = "listOperators")]
    async fn list_operators(&self, _by: MayRead, engine: Data<&Engine>) -> Result<Body<OperatorList>, Refused> {
        let operators = engine.store.operators().await?;
        Ok(Body(OperatorList { operators: operators.into_iter().map(OperatorItem::from).collect() }))
    }

    /// Revoke an operator's key
    ///
    /// It opens nothing from now on. The name stays taken. Right: admin.
    #[oai(path = "/operators/:name/revoke", method = "post", operation_id = "revokeOperator")]
    async fn revoke_operator(
        &self,
        by: MayAdminister,
        engine: Data<&Engine>,
        /// Name of the operator.
        name: Path<String>,
    ) -> Result<Body<OperatorGone>, Refused> {
        let engine = by.engine(&engine);
        let done = engine.revoke_operator(&name.0).await;
        told(&engine, Act::new("operator.revoke", "").on(&name.0), done).await?;
        Ok(Body(OperatorGone { revoked: name.0 }))
    }

    /// Show what operators did
    ///
    /// The newest two hundred entries, newest first; what callers changed in their settings too. Right: read.
    #[oai(path = "/audit", method = "get", operation_id = "listAudit")]
    async fn audit(
        &self,
        _by: MayRead,
        engine: Data<&Engine>,
        /// Id of a tenant, for what concerns it alone.
        tenant: Query<Option<String>>,
    ) -> Result<Body<AuditList>, Refused> {
        let tenant = tenant.0.map(|id| parse_id("tenant", &id)).transpose()?;
        let (entries, left_out) = engine.store.audit_everywhere(tenant).await?;
        Ok(Body(AuditList { entries: entries.into_iter().map(AuditItem::from).collect(), left_out }))
    }
}

impl Group for Operators {
    fn examples() -> Vec<Example> {
        vec![
            usual("addOperator", At::Request, json!({ "name": "ada", "right": "resolve" })),
            usual("addOperator", ANSWER, json!({ "key": "ok_7c1e…" })),
            usual(
                "listOperators",
                ANSWER,
                json!({ "operators": [{ "name": "ada", "right": "resolve", "created_at_ms": 1_763_640_000_000_i64 }] }),
            ),
            usual("revokeOperator", ANSWER, json!({ "revoked": "ada" })),
            usual(
                "listAudit",
                ANSWER,
                json!({
                    "entries": [{
                        "id": ID,
                        "at_ms": 1_763_640_000_000_i64,
                        "actor": "ada",
                        "action": "resolve",
                        "tenant_id": ID,
                        "subject": ID,
                        "details": "as succeeded: the bank's statement shows it",
                        "outcome": "unknown -> succeeded"
                    }],
                    "left_out": 0
                }),
            ),
        ]
    }
}
