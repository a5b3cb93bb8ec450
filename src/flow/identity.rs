//! Who is calling: a key of one tenant for one contract.

use std::sync::Arc;

use uuid::Uuid;

use super::{Engine, FlowError};
use crate::store::forms::KeyStyle;
use crate::store::hash_token;
use crate::store::tenants::Connection;

/// A caller whose key was found. Everything it may see is its tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub tenant_id: Uuid,
    pub key_id: Uuid,
    pub contract: String,
    /// The key's default connection.
    pub connection: Connection,
    /// How what the key is answered is spelled.
    pub style: KeyStyle,
    /// Hosts the tenant's notices may go to; empty is every public one.
    pub webhook_hosts: Arc<[String]>,
    /// The id of the request, in logs and traces: everything it leads to stands under the same.
    pub trace: Option<Arc<str>>,
}

/// Longest token looked at: ours are 47 characters; a longer one is not worth hashing.
pub const TOKEN_MAX: usize = 200;

impl Engine {
    /// The caller that `token` belongs to, if it is a key for `contract`.
    pub async fn identify(&self, contract: &str, token: &str) -> Result<Option<Caller>, FlowError> {
        if token.is_empty() || token.len() > TOKEN_MAX {
            return Ok(None);
        }
        let Some(found) = self.store.key_by_hash(&hash_token(token)).await? else { return Ok(None) };
        if found.key.contract != contract {
            return Ok(None);
        }
        Ok(Some(Caller {
            tenant_id: found.key.tenant_id,
            key_id: found.key.id,
            contract: found.key.contract,
            connection: found.connection,
            style: found.style,
            webhook_hosts: found.tenant.webhook_hosts.into(),
            trace: None,
        }))
    }
}
