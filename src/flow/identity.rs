//! Who is calling: a key of one tenant for one contract.

use std::sync::Arc;

use uuid::Uuid;

use super::{Engine, FlowError};
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
        let Some((key, connection)) = self.store.key_by_hash(&hash_token(token)).await? else { return Ok(None) };
        if key.contract != contract {
            return Ok(None);
        }
        let (tenant_id, key_id, contract) = (key.tenant_id, key.id, key.contract);
        Ok(Some(Caller { tenant_id, key_id, contract, connection, trace: None }))
    }
}
