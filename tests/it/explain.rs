//! One story of anything that was asked for, from any name it has.

use rialto::store::testing::MASTER_KEYS;
use rialto_adapters::port::{Secret, Timestamp};
use rialto_adapters::sandbox::notice::SIGNATURE;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::ask::{Asker, Reply};
use crate::billwerk::{Billwerk, fresh};
use crate::process::Place;
use crate::receiver::Receiver;
use crate::server::{Server, on_each_database, stored};

async fn ask(server: &Server, reference: &str) -> Reply {
    let reference: String = url::form_urlencoded::byte_serialize(reference.as_bytes()).collect();
    server.operator(&format!("/admin/explain?reference={reference}")).await
}

async fn explained(server: &Server, reference: &str) -> Value {
    let reply = ask(server, reference).await;
    assert_eq!(reply.status, 200, "{reference}: {}", reply.text);
    reply.json()
}

/// The story of a name of one thing, without the moment at which it was told.
async fn story(server: &Server, reference: &str) -> Value {
    let mut answer = explained(server, reference).await;
    assert!(answer["story"].is_object(), "{reference} names one thing: {answer}");
    assert_eq!((&answer["candidates"], &answer["notices"], &answer["hints"]), (&json!([]), &json!([]), &json!([])));
    let story = answer["story"].as_object_mut().expect("an object");
    story.remove("told_at_ms");
    Value::Object(story.clone())
}

fn found(answer: &Value) -> Vec<&str> {
    let looked = answer["looked"].as_array().expect("a list");
    let hits = looked.iter().filter(|looked| looked["count"].as_i64() != Some(0));
    hits.map(|looked| looked["name"].as_str().expect("a text")).collect()
}

fn actors(story: &Value) -> Vec<&str> {
    story["lines"].as_array().expect("lines").iter().map(|line| line["actor"].as_str().expect("a text")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_of_a_payment_tells_its_story() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let (id, customer) = (fresh("b"), fresh("customer"));
        let mut request = bw.payment(&id, &agreement, "30.22");
        request["payerData"]["externalCustomerId"] = json!(customer);
        let (status, body) = bw.post("/api/Payment", &request).await;
        assert_eq!((status, &body["status"]), (200, &json!("Pending")), "{body}");
        bw.get_until(&format!("/api/Payment/{id}"), "Succeeded", |(_, body)| body["status"] == "Succeeded").await;
        server.quiet().await;

        let (intent, transactions) = stored(server.store(), "billwerk", "payment", &id).await.expect("it is stored");
        let charge = &transactions[0];
        let movements = server.store().movements(intent.tenant_id, charge.id).await.expect("a database");
        let events = server.store().events_of(intent.tenant_id, intent.id).await.expect("a database");
        let deliveries = server.store().deliveries_about(intent.tenant_id, intent.id).await.expect("a database");
        // The sandbox tells no end-to-end id, and of this charge there is no notice.
        let scheme = "E12345678202611201030abcDEF12345";
        server.database().execute(&format!(
            "UPDATE transactions SET scheme_reference = '{scheme}' WHERE our_reference = '{}'",
            charge.ours
        ));

        let told = story(&server, &id).await;
        let rows: Vec<(&str, String)> = vec![
            ("intent_id", intent.id.to_string()),
            ("transaction_id", charge.id.to_string()),
            ("delivery_id", deliveries[0].id.to_string()),
            ("event_id", events.last().expect("an event").id.to_string()),
            ("caller_id", id.clone()),
            ("customer", customer),
            ("our_reference", charge.ours.to_string()),
            ("psp_reference", charge.theirs.clone().expect("the PSP has named it")),
            ("scheme_reference", scheme.to_owned()),
            ("movement", movements[0].movement.clone()),
            ("trace", intent.trace.clone().expect("every request has one")),
        ];
        for (name, reference) in &rows {
            assert_eq!(story(&server, reference).await, told, "by {name}");
            assert_eq!(found(&explained(&server, reference).await), [*name]);
        }

        assert_eq!(
            actors(&told),
            ["caller", "to_psp", "rialto", "to_psp", "from_psp", "money", "rialto", "to_caller"],
            "{told:#}"
        );
        let part = &told["parts"][0];
        assert_eq!((&part["caller_id"], &part["state"], &part["asked"]), (&json!(id), &json!("done"), &json!(true)));
        assert_eq!(part["agreement"], json!(agreement));
        let piece = &part["transactions"][0];
        assert_eq!(
            (&piece["state"], &piece["confirmed_minor"], &piece["left_minor"]),
            (&json!("succeeded"), &json!(3022), &json!(3022))
        );
        assert_eq!((&told["waits"], &told["next"], &told["alerts"]), (&json!([]), &json!([]), &json!([])));
        assert!(told["lines"].as_array().expect("lines").iter().all(|line| line.get("full").is_none()));

        // In other letters and with what a hand adds, it is found too, and the answer says so.
        for written in
            [format!(" {id}"), format!("\"{id}\""), id.to_uppercase(), format!("{}/api/Payment/{id}", bw.url)]
        {
            let answer = explained(&server, &written).await;
            assert_eq!(answer["reference"], json!(id), "{written}");
            assert!(answer["hints"][0].as_str().is_some_and(|hint| hint.contains("nothing is called")), "{answer}");
            assert!(answer["story"].is_object(), "{written}");
        }
        // An agreement has the sign-up too.
        let answer = explained(&server, &agreement).await;
        let kinds: Vec<&str> =
            answer["candidates"].as_array().expect("a list").iter().filter_map(|c| c["kind"].as_str()).collect();
        assert_eq!(kinds, ["payment", "preauth"], "the newest first: {answer:#}");
        assert_eq!(found(&answer), ["caller_agreement"]);
        let full = server.operator(&format!("/admin/explain?full=true&reference={id}")).await.json();
        let calls = full["story"]["lines"].as_array().expect("lines").iter().filter_map(|line| line["full"].as_str());
        let calls: Vec<&str> = calls.collect();
        assert_eq!(calls.len(), 2);
        assert!(calls[0].contains("POST ") && calls[0].contains("authorization: ***"), "{}", calls[0]);
        assert!(calls.iter().all(|text| !text.contains("key-")), "no secret: {calls:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_told_with_what_it_stands_on() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = fresh("ag");
        let preauth = bw.sign_up(&agreement, "25.00").await;
        let (capture, refunds) = (fresh("b"), [fresh("c"), fresh("c")]);
        bw.post("/api/Payment", &bw.capture(&capture, &preauth, &agreement, "20.00")).await;
        bw.get_until(&format!("/api/Payment/{capture}"), "Succeeded", |(_, body)| body["status"] == "Succeeded").await;
        for refund in &refunds {
            bw.post("/api/Refund", &bw.refund(refund, &capture, "4.00")).await;
            bw.get_until(&format!("/api/Refund/{refund}"), "Succeeded", |(_, body)| body["status"] == "Succeeded")
                .await;
        }
        server.quiet().await;
        let told = story(&server, &refunds[1]).await;
        let parts = told["parts"].as_array().expect("parts");
        let labels: Vec<(&str, bool)> =
            parts.iter().map(|p| (p["label"].as_str().expect("a text"), p["asked"] == json!(true))).collect();
        assert_eq!(labels, [("preauth", false), ("payment", false), ("refund 1", false), ("refund 2", true)]);
        let ids: Vec<&Value> = parts.iter().map(|part| &part["caller_id"]).collect();
        assert_eq!(ids, [&json!(preauth), &json!(capture), &json!(refunds[0]), &json!(refunds[1])]);
        let times: Vec<i64> =
            told["lines"].as_array().expect("lines").iter().map(|l| l["at_ms"].as_i64().expect("a time")).collect();
        assert!(times.is_sorted(), "{times:?}");
        let released = parts[0]["transactions"].as_array().expect("a list").iter().find(|t| t["kind"] == "release");
        assert_eq!(released.map(|release| &release["asked_minor"]), Some(&json!(500)));
        let figures = &parts[1]["transactions"][0];
        assert_eq!((&figures["refunded_minor"], &figures["left_minor"]), (&json!(800), &json!(1200)));
        // The notice of the sign-up belongs to the same family, and so does everything else in it.
        let notices = server.store().notices_of(server.tenant, server.connection).await.expect("a database");
        let mut by_notice = story(&server, &notices[0].id.to_string()).await;
        let mut by_preauth = story(&server, &preauth).await;
        for told in [&mut by_notice, &mut by_preauth] {
            assert_eq!(told["parts"][0]["asked"], json!(true));
            told["parts"] = json!(null);
        }
        assert_eq!(by_notice, by_preauth);
        assert_eq!(by_preauth["lines"], told["lines"]);
        let next = &told["next"][0]["what"];
        assert!(next.as_str().is_some_and(|next| next.contains("the preauth expires")), "{next}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_have_is_listed_and_what_nobody_has_says_where_it_was_looked_for() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let (bw, stranger) = (server.billwerk(), server.another_tenant().await);
        let id = fresh("same");
        for (caller, amount) in [(&bw, "1.00"), (&stranger, "2.00")] {
            let agreement = server.agreement(caller).await;
            let (status, body) = caller.post("/api/Payment", &caller.payment(&id, &agreement, amount)).await;
            assert_eq!(status, 200, "{body}");
        }
        let answer = explained(&server, &id).await;
        assert!(answer.get("story").is_none());
        let candidates = answer["candidates"].as_array().expect("a list");
        let lines: Vec<(&str, &str)> = candidates
            .iter()
            .map(|c| (c["tenant"].as_str().expect("a text"), c["amount"].as_str().expect("a text")))
            .collect();
        assert_eq!(lines, [("Stranger", "2.00 EUR"), ("Test", "1.00 EUR")], "each with its tenant: {answer:#}");
        for candidate in candidates {
            let told = story(&server, candidate["id"].as_str().expect("an id")).await;
            assert_eq!(told["tenant"], candidate["tenant"], "the operator sees both");
        }

        let answer = explained(&server, "nobody-1").await;
        assert_eq!(found(&answer), Vec::<&str>::new());
        assert_eq!(answer["looked"].as_array().map(Vec::len), Some(15));
        assert_eq!((&answer["candidates"], answer.get("story")), (&json!([]), None));
        // What the name looks like is told.
        let theirs = candidates[0]["id"].as_str().expect("an id");
        let theirs = story(&server, theirs).await["parts"][0]["transactions"][0]["psp_reference"].clone();
        let theirs = theirs.as_str().expect("a name");
        for (name, hint) in [
            (format!("{theirs}0"), "an id of the PSP sandbox (chg_…)"),
            (server.connection.to_string(), "the id of a connection of tenant Test"),
            (server.tenant.to_string(), "the id of a tenant of tenant Test"),
            ("sk_test_0123456789".to_owned(), "looks like a key"),
        ] {
            let answer = explained(&server, &name).await;
            assert!(answer["hints"].to_string().contains(hint), "{name}: {answer}");
        }

        for (query, status) in [
            ("?reference=", 422),
            ("?reference=%20", 422),
            ("?reference=a%00b", 422),
            ("", 400),
            (&*format!("?reference={}", "x".repeat(257)), 422),
        ] {
            assert_eq!(server.operator(&format!("/admin/explain{query}")).await.status, status, "{query}");
        }
        for reference in ["%F0%9F%92%A9", "';--", "%25", "a%0Ab"] {
            assert_eq!(
                server.operator(&format!("/admin/explain?reference={reference}")).await.status,
                200,
                "{reference}"
            );
        }
        let reply = Asker::new().get(&format!("{}/admin/explain?reference={id}", server.url)).await;
        assert_eq!(reply.status, 401);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_of_something_unknown_is_found_by_its_id_and_by_what_it_names() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let settings = server.store().settings(server.tenant, server.connection, 1).await.expect("settings");
        let secret: Secret = settings.secret("webhook_secret");
        let (theirs, ours) = (fresh("chg"), "0".repeat(25));
        let body = json!({
            "id": "ntc_1", "created_at": 1, "type": "transaction.updated",
            "transaction": {
                "id": theirs, "kind": "charge", "state": "succeeded", "reference": ours,
                "amount": 1999, "currency": "EUR", "occurred_at": 1
            }
        })
        .to_string();
        let now: Timestamp = server.store().clock().now();
        let signature = SIGNATURE.sign(&secret, body.as_bytes(), now);
        let url = format!("{}/hooks/{}", server.url, server.connection);
        let reply = Asker::new().ask("POST", &url, &[(SIGNATURE.header, &signature)], body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        server
            .until("parked", async || explained(&server, &theirs).await["notices"][0]["state"] == json!("parked"))
            .await;
        let by_name = explained(&server, &theirs).await;
        let notice = by_name["notices"][0].clone();
        assert_eq!((&notice["tenant"], &notice["adapter"]), (&json!("Test"), &json!("sandbox")));
        let text = notice["text"].as_str().expect("a text");
        assert!(text.contains(&format!("theirs {theirs}")) && text.contains(&format!("ours {ours}")), "{text}");
        assert!(by_name["candidates"] == json!([]) && by_name.get("story").is_none());
        let by_id = explained(&server, notice["id"].as_str().expect("an id")).await;
        assert_eq!(found(&by_id), ["notice_id"]);
        assert_eq!(by_id["notices"][0]["text"], notice["text"]);
    })
    .await;
}

/// The text without what differs between any two runs: ids, keys, times.
fn normalised(text: &str, names: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (name, word) in names {
        text = text.replace(name, word);
    }
    let line = |line: &str| {
        if line.starts_with("began ") {
            return "began TIME".to_owned();
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let digits = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
        let plain = words.iter().enumerate().map(|(at, word)| match words.get(at + 1) {
            Some(&"s") if word.starts_with('+') => "+T",
            Some(unit) if unit.starts_with("ms") && digits(word) => "T",
            Some(_) | None => word,
        });
        plain.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_reads_as_in_the_golden_file_beside_a_server_and_alone() {
    on_each_database(async |kind| {
        let (place, receiver) = (Place::new(kind).await, Receiver::start().await);
        let process = place.start(&[("RIALTO_TIME_SCALE", "50".to_owned())]).await;
        let demo = place.demo();
        let token = demo["billwerk"]["token"].as_str().expect("a token").to_owned();
        let bw = Billwerk::new(&format!("http://{}", place.address), &token, &receiver.url);
        let (agreement, id) = (fresh("ag"), fresh("b"));
        bw.sign_up(&agreement, "1.00").await;
        bw.post("/api/Payment", &bw.payment(&id, &agreement, "30.22")).await;
        bw.get_until(&format!("/api/Payment/{id}"), "Succeeded", |(_, body)| body["status"] == "Succeeded").await;
        receiver
            .wait_for("the news of the payment", |got| got.iter().any(|got| got["TransactionId"] == json!(id)))
            .await;

        let run = async |line: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_rialto"))
                .args(line)
                .current_dir(place.folder.path())
                .env_clear()
                .env("RIALTO_LISTEN", &place.address)
                .env("RIALTO_DATABASE_URL", &place.database.url)
                .env("RIALTO_DATA_DIR", place.data_dir())
                .env("RIALTO_MASTER_KEYS", MASTER_KEYS)
                .output()
                .await
                .expect("it starts");
            assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        // The receiver's answer is written down a moment after it was given.
        let mut beside = run(&["explain", &id]).await;
        let deadline = tokio::time::Instant::now() + crate::receiver::PATIENCE;
        while beside.contains("is told (attempt") {
            assert!(tokio::time::Instant::now() < deadline, "{beside}");
            beside = run(&["explain", &id]).await;
        }
        let json: Value = serde_json::from_str(&run(&["explain", &id, "--json"]).await).expect("JSON");
        process.kill().await;
        assert_eq!(run(&["explain", &id]).await, beside, "the same without a server");

        assert!(beside.lines().count() <= 40, "one screen: {beside}");
        assert!(beside.lines().all(|line| line.chars().count() <= 120), "no line is too wide: {beside}");
        let piece = &json["story"]["parts"][0]["transactions"][0];
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (ours, theirs) = (text(&piece["our_reference"]), text(&piece["psp_reference"]));
        let hint = text(&json["story"]["parts"][0]["key_hint"]);
        let host = receiver.url.trim_start_matches("http://").trim_end_matches("/hook").to_owned();
        let names = [
            (id.as_str(), "PAYMENT"),
            (agreement.as_str(), "AGREEMENT"),
            (ours.as_str(), "OURS"),
            (theirs.as_str(), "THEIRS"),
            (hint.as_str(), "KEY"),
            (host.as_str(), "RECEIVER"),
        ];
        let told = normalised(&beside, &names);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/explain_22.txt");
        if std::env::var("RIALTO_BLESS").is_ok_and(|value| value == "1") {
            std::fs::write(path, &told).expect("it can be written");
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(told, golden, "RIALTO_BLESS=1 writes {path} anew");
    })
    .await;
}
