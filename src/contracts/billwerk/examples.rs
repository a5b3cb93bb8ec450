//! The examples of the document. In the demo they work when pasted, from top to bottom: the ids are those of billwerk's own
//! examples, and each request names what an earlier one has made. Documents sort them by name, hence the numbers.

use poem::http::StatusCode;
use serde_json::{Value, json};

use super::info;
use crate::http::body::{Style, render};
use crate::http::spec::{At, Example};

const CARD: &str = "20221118-636bd596c10cfc318b1bfabb";
const DEBIT: &str = "20221118-636bd596c10cfc318b1bfabc";
const KEPT: &str = "20221118-636bd596c10cfc318b1bfabd";
const CAPTURE: &str = "20221108-636a91f61c48d9fa186166f8";
const RECURRING: &str = "20221108-636a91f61c48d9fa186166f9";
const REFUND: &str = "20221108-636a92f57267328bc225c62a";
const CARD_AGREEMENT: &str = "636a918ca2500caaf0390a15";
const DEBIT_AGREEMENT: &str = "636a918ca2500caaf0390a16";
/// Nobody listens there: notices are tried again for a while and do no harm.
const HOOK: &str = "http://127.0.0.1:9/PSPWebhooks/ExternalIntegration";
const OURS: &str = "0193a5b2-4c1e-7d3f-8a6b-1f2e3d4c5b6a";
const AT: &str = "2026-11-20T12:00:00.0000000Z";

const OK: At = At::Response(StatusCode::OK);

/// All of them.
pub fn all() -> Vec<Example> {
    let mut all = requests();
    all.extend(answers());
    all.extend(errors());
    all.extend(refusals());
    all
}

fn of(operation_id: &'static str, at: At, name: &'static str, value: Value) -> Example {
    Example { operation_id, at, name, value }
}

fn payer() -> Value {
    json!({
        "externalCustomerId": "C-1000", "firstName": "Ada", "lastName": "Lovelace",
        "emailAddress": "ada@shop.example", "language": "EN", "address": { "city": "London", "country": "GB" }
    })
}

fn requests() -> Vec<Example> {
    let card = json!({
        "transactionId": CARD, "requestedAmount": 25.5, "currency": "EUR", "webhookTarget": HOOK,
        "paymentMeansReference": {
            "role": "CreditCard", "successReturnUrl": "https://shop.example/thanks",
            "errorReturnUrl": "https://shop.example/failed", "abortReturnUrl": "https://shop.example/cart"
        },
        "transactionReferenceText": "Order 1000", "payerData": payer(), "agreementId": CARD_AGREEMENT, "isInitial": true
    });
    let debit = json!({
        "transactionId": DEBIT, "requestedAmount": 25.5, "currency": "EUR", "webhookTarget": HOOK,
        "paymentMeansReference": {
            "role": "Debit", "initialBearer": { "Holder": "Ada Lovelace", "IBAN": "DE89370400440532013000" }
        },
        "transactionReferenceText": "Order 1001", "payerData": payer(), "agreementId": DEBIT_AGREEMENT, "isInitial": true
    });
    let stored = json!({
        "transactionId": KEPT, "requestedAmount": 30, "currency": "EUR", "webhookTarget": HOOK,
        "paymentMeansReference": { "role": "CreditCard" }, "transactionReferenceText": "Upgrade 1000",
        "agreementId": CARD_AGREEMENT, "isInitial": false
    });
    let capture = json!({
        "transactionId": CAPTURE, "preauthTransactionId": CARD, "requestedAmount": 25.5, "currency": "EUR",
        "webhookTarget": HOOK, "paymentMeansReference": { "role": "CreditCard" },
        "transactionReferenceText": "Order 1000", "payerData": payer(), "agreementId": CARD_AGREEMENT
    });
    let recurring = json!({
        "transactionId": RECURRING, "requestedAmount": 25.5, "currency": "EUR", "webhookTarget": HOOK,
        "paymentMeansReference": { "role": "Debit" }, "transactionReferenceText": "Month 2",
        "payerData": payer(), "agreementId": DEBIT_AGREEMENT
    });
    let refund = json!({
        "transactionId": REFUND, "paymentTransactionId": RECURRING, "requestedAmount": 10, "currency": "EUR",
        "webhookTarget": HOOK
    });
    let finalize = json!({
        "transactionId": CARD, "finalizationData": { "pactasTransactionId": CARD, "language": "en" }
    });
    let unchanged = json!({ "merchantSettings": [
        { "keyName": "api_key", "keyValue": "••••••••" }, { "keyName": "webhook_secret", "keyValue": "••••••••" }
    ] });
    let wrapped = json!({ "merchantPspSettings": unchanged });
    vec![
        of("finalizePreauth", At::Request, "back from the page", finalize),
        of("putSettings", At::Request, "1 unchanged", unchanged),
        of("putSettings", At::Request, "2 in the other shape", wrapped),
        of("createPreauth", At::Request, "1 debit", debit),
        of("createPreauth", At::Request, "2 card", card),
        of("createPreauth", At::Request, "3 stored card", stored),
        of("cancelPreauth", At::Request, "cancel", json!({})),
        of("createPayment", At::Request, "1 recurring", recurring),
        of("createPayment", At::Request, "2 capture", capture),
        of("createRefund", At::Request, "partial", refund),
    ]
}

fn answers() -> Vec<Example> {
    let pending = json!({
        "transactionId": CARD, "externalTransactionId": OURS, "pspTransactionId": "sbx_1", "currency": "EUR",
        "requestedAmount": 25.5, "authorizedAmount": 0, "bearer": {},
        "redirectUrl": "http://127.0.0.1:8080/r/5f0c…", "lastUpdated": AT, "status": "Pending"
    });
    let reserved = json!({
        "transactionId": CARD, "externalTransactionId": OURS, "pspTransactionId": "sbx_1", "currency": "EUR",
        "requestedAmount": 25.5, "authorizedAmount": 25.5, "expiresAt": "2026-11-27T12:00:00.0000000Z",
        "bearer": { "CardType": "Visa", "Last4": "4242" }, "lastUpdated": AT, "status": "Succeeded"
    });
    let kept = json!({
        "transactionId": DEBIT, "externalTransactionId": OURS, "pspTransactionId": "sbx_2", "currency": "EUR",
        "requestedAmount": 25.5, "authorizedAmount": 0, "expiresAt": "9999-12-31T23:59:59.0000000Z",
        "bearer": { "Holder": "Ada Lovelace", "MandateReference": "M-1" }, "lastUpdated": AT, "status": "Succeeded"
    });
    let paid = |refunded: Value, left: Value| {
        json!({
            "transactionId": RECURRING, "externalTransactionId": OURS, "pspTransactionId": "sbx_3", "currency": "EUR",
            "requestedAmount": 25.5, "lastUpdated": AT, "status": "Succeeded",
            "payments": [{ "externalItemId": "mv_1", "amount": 25.5, "bookingDate": "2026-11-20" }],
            "chargebacks": [], "refundedAmount": refunded, "refundableAmount": left,
            "bearer": { "Holder": "Ada Lovelace", "MandateReference": "M-1" }
        })
    };
    let refunded = json!({
        "transactionId": REFUND, "externalTransactionId": OURS, "pspTransactionId": "sbx_4", "currency": "EUR",
        "requestedAmount": 10, "lastUpdated": AT, "status": "Succeeded", "refundedAmount": 10,
        "bookingDate": "2026-11-20"
    });
    let cancelled = json!({ "cancellationStatus": "Succeeded", "transactionId": CARD });
    let settings = json!({ "merchantSettings": [
        { "keyName": "api_key", "keyValue": "••••••••9f3c" }, { "keyName": "webhook_secret", "keyValue": "••••••••" }
    ] });
    let valid = json!({
        "isCreditCardValid": true, "isDebitValid": true, "isOnAccountValid": false, "isBlackLabelValid": false,
        "isAutogiroValid": false, "isAvtalegiroValid": false, "isBetalingsserviceValid": false
    });
    let sandbox = rialto_adapters::find("sandbox").map(|adapter| info::of(adapter.manifest()));
    let info = sandbox.and_then(|info| serde_json::from_slice(&render(&info, Style::default())).ok());
    vec![
        of("finalizePreauth", OK, "reserved", reserved.clone()),
        of("getIntegrationInfo", OK, "sandbox", info.unwrap_or_default()),
        of("getSettings", OK, "masked", settings),
        of("putSettings", OK, "accepted", valid),
        of("createPreauth", OK, "card", pending.clone()),
        of("createPreauth", OK, "debit", kept.clone()),
        of("getPreauth", OK, "waiting", pending),
        of("getPreauth", OK, "reserved", reserved),
        of("getPreauth", OK, "kept", kept),
        of("cancelPreauth", OK, "cancelled", cancelled),
        of("createPayment", OK, "succeeded", paid(json!(0), json!(25.5))),
        of("getPayment", OK, "partlyRefunded", paid(json!(10), json!(15.5))),
        of("createRefund", OK, "succeeded", refunded.clone()),
        of("getRefund", OK, "succeeded", refunded),
    ]
}

fn error(code: i64, text: &str) -> Value {
    json!({ "ErrorCode": code, "ErrorMessage": text, "ReceivedAt": AT, "Status": 4 })
}

fn errors() -> Vec<Example> {
    let mut declined = error(9, "insufficient balance");
    declined["PspErrorCode"] = json!("insufficient_balance");
    let at = |status: StatusCode| At::Response(status);
    let differs = error(10, "requestedAmount: differs from the request that was made with this transactionId");
    vec![
        of(
            "createPreauth",
            at(StatusCode::UNPROCESSABLE_ENTITY),
            "amount",
            error(5, "requestedAmount: has more than 2 decimal places, which EUR does not have"),
        ),
        of("createPreauth", at(StatusCode::CONFLICT), "differs", differs.clone()),
        of("createPayment", at(StatusCode::CONFLICT), "differs", differs.clone()),
        of("createPayment", at(StatusCode::UNPROCESSABLE_ENTITY), "declined", declined.clone()),
        of(
            "createPayment",
            at(StatusCode::NOT_FOUND),
            "unknown",
            error(11, "there is no preauthorisation with this id"),
        ),
        of("getPayment", at(StatusCode::UNPROCESSABLE_ENTITY), "declined", declined),
        of("createRefund", at(StatusCode::CONFLICT), "differs", differs),
        of(
            "createRefund",
            at(StatusCode::UNPROCESSABLE_ENTITY),
            "tooMuch",
            error(5, "requestedAmount: is above what can be refunded: 15.50 EUR"),
        ),
    ]
}

/// What every operation of a sort answers alike. Named by hand, because a document without them shows error bodies in
/// names and numbers that nobody sends.
fn refusals() -> Vec<Example> {
    let post = ["createPreauth", "createPayment", "createRefund", "finalizePreauth", "cancelPreauth", "putSettings"];
    let get = ["getPreauth", "getPayment", "getRefund"];
    let tell = ["getIntegrationInfo", "getSettings"];
    let mut all = Vec::new();
    let mut add = |operations: &[&'static str], status: StatusCode, name: &'static str, value: Value| {
        all.extend(operations.iter().map(|operation| of(operation, At::Response(status), name, value.clone())));
    };
    add(
        &post,
        StatusCode::BAD_REQUEST,
        "notJson",
        error(8, "the body is not valid JSON: expected value at line 1 column 1"),
    );
    add(&post, StatusCode::REQUEST_TIMEOUT, "late", error(8, "the body did not arrive in time"));
    add(&post, StatusCode::PAYLOAD_TOO_LARGE, "tooLarge", error(8, "the body is larger than 262144 bytes"));
    add(
        &post,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "notDeclared",
        error(8, "the content type must be application/json"),
    );
    add(&get, StatusCode::BAD_REQUEST, "unreadable", error(8, "id: cannot be read"));
    let mut limit = error(1, "a limit is exceeded");
    limit["PspErrorCode"] = json!("limit_exceeded");
    add(&post[..4], StatusCode::TOO_MANY_REQUESTS, "limit", limit.clone());
    add(&get, StatusCode::TOO_MANY_REQUESTS, "limit", limit);
    let wrong = error(7, "the PSP refuses the account of this connection");
    add(&post[..4], StatusCode::UNAUTHORIZED, "wrongCredentials", wrong.clone());
    add(&get, StatusCode::UNAUTHORIZED, "wrongCredentials", wrong);
    for operations in [post.as_slice(), get.as_slice(), tell.as_slice()] {
        add(operations, StatusCode::UNAUTHORIZED, "noToken", error(15, "no valid token"));
        let not_sent = match operations {
            own if own == tell => error(12, "internal error"),
            _ => error(19, "the PSP could not be reached, and nothing was sent"),
        };
        add(operations, StatusCode::INTERNAL_SERVER_ERROR, "notSent", not_sent);
        add(operations, StatusCode::SERVICE_UNAVAILABLE, "busy", error(12, "too much to do at the moment"));
    }
    for (operations, what) in [
        (["getPreauth", "cancelPreauth", "finalizePreauth"].as_slice(), "preauthorisation"),
        (["getPayment", "createRefund"].as_slice(), "payment"),
        (["getRefund"].as_slice(), "refund"),
    ] {
        add(operations, StatusCode::NOT_FOUND, "unknown", error(11, &format!("there is no {what} with this id")));
    }
    let captured = error(11, "it is captured, or being captured; refund the payment instead");
    add(&["cancelPreauth"], StatusCode::UNPROCESSABLE_ENTITY, "captured", captured);
    let raced = error(11, "the settings were changed at the same time; look at them and try again");
    add(&["putSettings"], StatusCode::CONFLICT, "raced", raced);
    let unknown = error(8, "colour: unknown setting; Sandbox has api_key, webhook_secret");
    add(&["putSettings"], StatusCode::UNPROCESSABLE_ENTITY, "unknownKey", unknown);
    let refused = error(8, "the PSP does not accept these settings: the sandbox does not know this API key");
    add(&["putSettings"], StatusCode::UNPROCESSABLE_ENTITY, "refused", refused);
    add(&["finalizePreauth"], StatusCode::UNPROCESSABLE_ENTITY, "left", error(17, "the payer has cancelled"));
    add(&["getPreauth"], StatusCode::UNPROCESSABLE_ENTITY, "left", error(17, "the payer has cancelled"));
    add(&["getRefund"], StatusCode::UNPROCESSABLE_ENTITY, "rejected", error(18, "the payment was rejected"));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::billwerk::dto::{
        FinalizePreauthRequestDto, PaymentCancellationRequestDto, PaymentRequestDto, PaymentSettingsRequestDto,
        PreauthRequestDto, RefundRequestDto,
    };
    use crate::http::body::{BodyError, read};

    #[test]
    fn the_requests_are_ones_we_take() {
        for example in requests() {
            let bytes = example.value.to_string().into_bytes();
            let read: Result<(), BodyError> = match example.operation_id {
                "createPreauth" => read::<PreauthRequestDto>(&bytes).map(|_| ()),
                "createPayment" => read::<PaymentRequestDto>(&bytes).map(|_| ()),
                "createRefund" => read::<RefundRequestDto>(&bytes).map(|_| ()),
                "finalizePreauth" => read::<FinalizePreauthRequestDto>(&bytes).map(|_| ()),
                "putSettings" => read::<PaymentSettingsRequestDto>(&bytes).map(|_| ()),
                "cancelPreauth" => read::<PaymentCancellationRequestDto>(&bytes).map(|_| ()),
                other => panic!("{other} has no request"),
            };
            assert_eq!(read, Ok(()), "{}", example.name);
        }
    }
}
