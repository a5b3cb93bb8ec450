use std::path::PathBuf;

use super::contract::{self, Created, ErrorReply, Item, Minor, Notice};
use super::{Pientegra, encode, notice};
use crate::port::conformance::{NOW, Saying, Suite, Vocabulary, fake};
use crate::port::notice::{NoticeSecrets, RawNotice, Verification};
use crate::port::reference::OurReference;
use crate::port::secret::Secret;
use crate::port::time::Timestamp;
use crate::port::wire::{Reply, Request};

const ID: &str = "01927b3c-9c1f-7a3a-9c4f-8a3e1f8b1c00";

#[test]
fn pientegra_conforms() {
    let suite = Suite {
        adapter: &Pientegra,
        cases: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/pientegra/cases")),
        settings: vec![
            ("base_url", "https://api.pientegra.example/api/v1/"),
            ("api_key", "sk_live_shop_1f2e3d4c5b6a7988"),
            ("webhook_secret", SECRET),
        ],
        vocabularies: vec![
            Vocabulary { name: "status of an intent", documented: contract::intent::ALL, says: says_intent },
            Vocabulary { name: "status of a withdrawal", documented: contract::withdrawal::ALL, says: says_withdrawal },
            Vocabulary { name: "type of event", documented: contract::event::ALL, says: says_type },
            Vocabulary { name: "error of a refusal", documented: REFUSALS, says: says_error },
        ],
        echo,
        sign: Some(sign),
        signs_time: true,
    };
    suite.run();
}

/// The errors that are a decision; the others leave it open whether something was done, or speak of the key.
const REFUSALS: &[&str] = &[
    contract::error::UNAUTHORIZED,
    contract::error::AMOUNT_BELOW_MIN,
    contract::error::AMOUNT_ABOVE_MAX,
    contract::error::VALIDATION_FAILED,
    contract::error::KEY_REQUIRED,
    contract::error::NO_AVAILABLE_ACCOUNT,
];

fn sign(secret: &Secret, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
    let signature = notice::SIGNATURE.sign(secret, body, at);
    vec![(notice::SIGNATURE.header.to_owned(), signature), (notice::EVENT_ID_HEADER.to_owned(), ID.to_owned())]
}

fn json(status: u16, body: &impl serde::Serialize) -> Reply {
    fake::json(status, serde_json::to_vec(body).expect("plain data"))
}

fn item(status: &str) -> Item {
    Item {
        intent_id: Some(ID.to_owned()),
        status: Some(status.to_owned()),
        amount: Some(Minor(100_000)),
        currency: Some("TRY".to_owned()),
        ..Item::default()
    }
}

fn says_intent(word: &str) -> Saying {
    const CALL: &str = r#"{"lookup": {"kind": "charge", "theirs": "01927b3c-9c1f-7a3a-9c4f-8a3e1f8b1c00"}}"#;
    Saying::Reply { call: CALL, reply: json(200, &item(word)) }
}

fn says_withdrawal(word: &str) -> Saying {
    const CALL: &str = r#"{"lookup": {"kind": "payout", "theirs": "01927b3c-9c1f-7a3a-9c4f-8a3e1f8b1c00"}}"#;
    Saying::Reply { call: CALL, reply: json(200, &item(word)) }
}

fn says_error(word: &str) -> Saying {
    let status = if word == contract::error::UNAUTHORIZED { 401 } else { 400 };
    let answer = ErrorReply { error: word.to_owned(), message: None };
    Saying::Reply { call: r#"{"charge": {"amount": "10.00 TRY"}}"#, reply: json(status, &answer) }
}

fn says_type(word: &str) -> Saying {
    let about = Item { id: Some(ID.to_owned()), intent_id: None, status: None, ..item("") };
    let notice = Notice {
        event_id: ID.to_owned(),
        event_type: word.to_owned(),
        occurred_at: Some("2026-04-28T13:00:00.000Z".to_owned()),
        intent: Some(about.clone()),
        withdrawal: Some(about),
        payload: None,
        data: None,
    };
    Saying::Notice { body: serde_json::to_vec(&notice).expect("plain data") }
}

/// Accepts an instruction with the amount that stands in it; of a withdrawal the real one repeats none.
fn echo(request: &Request) -> Reply {
    let told: serde_json::Value = serde_json::from_slice(&request.body).expect("our own JSON");
    let minor = told["amount"].as_str().and_then(|text| text.parse().ok()).expect("a text of digits");
    let id = Some(ID.to_owned());
    let (intent_id, withdrawal_id) = if request.url.ends_with(contract::DEPOSITS) { (id, None) } else { (None, id) };
    let currency = told["currency"].as_str().map(str::to_owned);
    json(201, &Created { intent_id, withdrawal_id, amount: Some(Minor(minor)), currency, ..Created::default() })
}

const SECRET: &str = "whsec_test_4f1c2b7a9d3e4c5f8a6b7c8d9e0f1a2b";
const GOOD: &str =
    r#"{"eventId":"evt_01","type":"intent.succeeded","data":{"id":"int_01","amount":"12345","currency":"TRY"}}"#;

#[test]
fn signatures_as_pientegra_makes_them() {
    let rows = [
        (
            "ok",
            "t=1730131200001,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131201001,
            true,
        ),
        (
            "two_v1_second_matches",
            "t=1730131200001,v1=b8d9152ede3c49e3f31c59d723501517b67c196a4bf11f1c9a4a033e6a77dd4f,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131201001,
            true,
        ),
        (
            "unknown_scheme_ignored",
            "t=1730131200001,v0=deadbeef,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be,v2=abc",
            GOOD,
            1730131201001,
            true,
        ),
        (
            "spaces_after_comma",
            "t=1730131200001, v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131201001,
            true,
        ),
        (
            "exact_tolerance",
            "t=1730131200001,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131500001,
            true,
        ),
        (
            "past_tolerance",
            "t=1730131200001,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131500002,
            false,
        ),
        (
            "future_beyond_tolerance",
            "t=1730131200001,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730130900000,
            false,
        ),
        (
            "body_reserialized",
            "t=1730131200001,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            "{\"eventId\": \"evt_01\", \"type\": \"intent.succeeded\", \"data\": {\"id\": \"int_01\", \"amount\": \"12345\", \"currency\": \"TRY\"}}",
            1730131201001,
            false,
        ),
        (
            "t_changed",
            "t=1730131200002,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131201001,
            false,
        ),
        (
            "t_in_seconds_unsigned_trick",
            "t=1730131200,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131201001,
            false,
        ),
        (
            "wrong_secret",
            "t=1730131200001,v1=b8d9152ede3c49e3f31c59d723501517b67c196a4bf11f1c9a4a033e6a77dd4f",
            GOOD,
            1730131201001,
            false,
        ),
        (
            "uppercase_hex",
            "t=1730131200001,v1=1C1E8A00F4F8D9D8E27C67DA175D3B62A3428882157F1D492EAEDDA96002B8BE",
            GOOD,
            1730131201001,
            true,
        ),
        (
            "truncated_sig",
            "t=1730131200001,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8",
            GOOD,
            1730131201001,
            false,
        ),
        ("no_v1", "t=1730131200001", GOOD, 1730131201001, false),
        (
            "t_not_number",
            "t=abc,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131201001,
            false,
        ),
        (
            "t_negative",
            "t=-1,v1=1c1e8a00f4f8d9d8e27c67da175d3b62a3428882157f1d492eaedda96002b8be",
            GOOD,
            1730131201001,
            false,
        ),
        ("empty_header", "", GOOD, 1730131201001, false),
        ("garbage", "hello", GOOD, 1730131201001, false),
    ];
    let secrets = NoticeSecrets(vec![Secret::new("whsec_older"), Secret::new(SECRET)]);
    for (name, header, body, now, expected) in rows {
        let headers = vec![(notice::SIGNATURE.header.to_owned(), header.to_owned())];
        let raw = RawNotice { path: String::new(), headers, body: body.as_bytes().to_vec() };
        let verified = matches!(notice::verify(&secrets, &raw, Timestamp(now)), Verification::Verified(_));
        assert_eq!(verified, expected, "{name}");
    }
}

#[test]
fn bodies_are_signed_byte_for_byte() {
    let rows = [
        (
            1730131200002,
            "{\n  \"eventId\": \"evt_02\",\n  \"type\": \"intent.failed\"\n}\n",
            "t=1730131200002,v1=bdbf444e279e2c91b869bf5c5eb19f6a84bd5fba50ce3a95f2e3b9f16da32539",
        ),
        (
            1730131200003,
            "{\"name\":\"José Çelik İstanbul ₺\"}",
            "t=1730131200003,v1=cf763baf544f8d0d3946c391b1532a3c7f41bcc1190bc2e549d5abf30d95cd2a",
        ),
        (
            1730131200004,
            "{\"name\":\"Jos\\u00e9 \\u00c7elik \\u0130stanbul \\u20ba\"}",
            "t=1730131200004,v1=a2922c639b7ed72d7e96d364491628cfc4a6b86041cc2ccf04a9a74b1427b886",
        ),
        (
            1730131200005,
            "{\"a\":1,\"b\":2}",
            "t=1730131200005,v1=4be81366ce0585755015199aa49754557c4a5252c071d2f2634e84f19f8e8c2c",
        ),
        (
            1730131200006,
            "{\"b\":2,\"a\":1}",
            "t=1730131200006,v1=861960ede97614ce21a500e9efaca660bf876dc55fed0ba20c47dc4d43456f4a",
        ),
        (
            1730131200008,
            "1730131200000.{\"a\":1}",
            "t=1730131200008,v1=5534b3e94a93487265d671c3dfc4b2b437087a980a6b206ef36662f0476634f1",
        ),
        (
            1730131200009,
            "{\"a\":1}\r\n",
            "t=1730131200009,v1=0eb02233cbe4b762a2ac5e6a14994d3afb1508759de3a353f0d40f7e63548ab2",
        ),
    ];
    for (at, body, header) in rows {
        assert_eq!(notice::SIGNATURE.sign(&Secret::new(SECRET), body.as_bytes(), Timestamp(at)), header);
    }
}

#[test]
fn amounts_are_whole_and_written_as_texts() {
    let rows = [
        (r#""100000""#, Some(100_000)),
        (r#""0""#, Some(0)),
        ("100000", Some(100_000)),
        (r#""9223372036854775807""#, Some(i64::MAX)),
        (r#""9223372036854775808""#, None),
        ("9223372036854775808", None),
        (r#""1000.00""#, None),
        ("1000.0", None),
        ("1e3", None),
        ("-1", None),
        (r#""-1""#, None),
        (r#""+1""#, None),
        (r#""""#, None),
        (r#"" 1""#, None),
        ("true", None),
        ("[]", None),
    ];
    for (text, expected) in rows {
        assert_eq!(serde_json::from_str::<Minor>(text).ok().map(|minor| minor.0), expected, "{text}");
    }
    assert_eq!(serde_json::to_string(&Minor(250_050)).expect("a text"), r#""250050""#);
}

#[test]
fn times_and_keys_have_their_forms() {
    assert_eq!(encode::iso(Timestamp(1_777_379_400_000)), "2026-04-28T12:30:00.000Z");
    assert_eq!(encode::iso(NOW.plus(std::time::Duration::from_millis(7))), "2023-11-14T22:13:20.007Z");
    assert_eq!(encode::uuid_text(&OurReference("01927b3c9c1f7a3a9c4f8a3e1f8b1c00".to_owned())), ID);
    assert_eq!(encode::uuid_text(&OurReference("é".to_owned())), "é");
}
