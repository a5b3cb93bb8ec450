//! Who may call what, as data that tests walk through: every operation with every kind of credential. An operation without
//! a line here fails a test.

/// What a request brings as proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    None,
    /// Not a token of ours.
    Wrong,
    /// A token of ours under a scheme the contract does not know.
    OtherScheme,
    /// The owner's token as Bearer.
    OwnBearer,
    /// The owner's token as Basic password.
    OwnBasic,
    /// Another tenant's token.
    Foreign,
}

impl Credential {
    pub const ALL: &'static [Credential] = &[
        Credential::None,
        Credential::Wrong,
        Credential::OtherScheme,
        Credential::OwnBearer,
        Credential::OwnBasic,
        Credential::Foreign,
    ];
}

/// What the operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nothing that exists: it makes something of its own.
    Nothing,
    /// A preauthorisation of the owner's that stands and can be captured.
    Preauth,
    /// A succeeded payment of the owner's.
    Payment,
    /// A refund of the owner's.
    Refund,
}

/// An operation and what it acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub operation_id: &'static str,
    pub method: &'static str,
    /// `{id}` is the subject's.
    pub path: &'static str,
    pub subject: Subject,
}

/// All operations.
pub const OPERATIONS: &[Operation] = &[
    Operation { operation_id: "createPreauth", method: "POST", path: "/api/Preauth", subject: Subject::Nothing },
    Operation { operation_id: "getPreauth", method: "GET", path: "/api/Preauth/{id}", subject: Subject::Preauth },
    Operation {
        operation_id: "cancelPreauth",
        method: "POST",
        path: "/api/Preauth/{id}/Cancel",
        subject: Subject::Preauth,
    },
    Operation {
        operation_id: "finalizePreauth",
        method: "POST",
        path: "/api/Preauth/Finalize",
        subject: Subject::Preauth,
    },
    // A capture: `preauthTransactionId` is the subject's.
    Operation { operation_id: "createPayment", method: "POST", path: "/api/Payment", subject: Subject::Preauth },
    Operation { operation_id: "getPayment", method: "GET", path: "/api/Payment/{id}", subject: Subject::Payment },
    // `paymentTransactionId` is the subject's.
    Operation { operation_id: "createRefund", method: "POST", path: "/api/Refund", subject: Subject::Payment },
    Operation { operation_id: "getRefund", method: "GET", path: "/api/Refund/{id}", subject: Subject::Refund },
    Operation {
        operation_id: "getIntegrationInfo",
        method: "GET",
        path: "/api/IntegrationInfo",
        subject: Subject::Nothing,
    },
    Operation { operation_id: "getSettings", method: "GET", path: "/api/Settings", subject: Subject::Nothing },
    // Of the caller's own connection.
    Operation { operation_id: "putSettings", method: "PUT", path: "/api/Settings", subject: Subject::Nothing },
];

/// The status of a request that is right but for its credential. A foreign subject answers like one that does not exist.
pub fn expected(operation: &Operation, credential: Credential) -> u16 {
    match (credential, operation.subject) {
        (Credential::None | Credential::Wrong | Credential::OtherScheme, _) => 401,
        (Credential::OwnBearer | Credential::OwnBasic, _) => 200,
        (Credential::Foreign, Subject::Nothing) => 200,
        (Credential::Foreign, Subject::Preauth | Subject::Payment | Subject::Refund) => 404,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_document_has_its_line() {
        let document: serde_json::Value =
            serde_json::from_str(&crate::contracts::billwerk::spec()).expect("the document is JSON");
        let mut documented = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods") {
                let id = operation["operationId"].as_str().expect("an operation id");
                documented.push((id.to_owned(), method.to_uppercase(), format!("/api{path}")));
            }
        }
        let listed = |o: &Operation| (o.operation_id.to_owned(), o.method.to_owned(), o.path.to_owned());
        let mut listed: Vec<_> = OPERATIONS.iter().map(listed).collect();
        documented.sort();
        listed.sort();
        assert_eq!(documented, listed);
    }
}
