//! Whether all is well, and what is not.

use std::collections::BTreeMap;

use rialto::store::testing::MASTER_KEYS;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::ask::Asker;
use crate::billwerk::fresh;
use crate::process::Place;
use crate::server::{Server, on_each_database, sandbox_settings};

/// The same id with another key, and another id.
const OTHER_KEY: &str = "test:HxARChwdHh8YGRobFBUWFxAREhMMDQ4PCAkKCwQFBgc=";
const OTHER_ID: &str = "new:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What `rialto doctor --json` says: its exit code and its checks.
async fn doctor(place: &Place, more: &[(&str, &str)]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_rialto"))
        .args(["doctor", "--json"])
        .current_dir(place.folder.path())
        .env_clear()
        .env("RIALTO_LISTEN", &place.address)
        .env("RIALTO_DATABASE_URL", &place.database.url)
        .env("RIALTO_DATA_DIR", place.data_dir())
        .env("RIALTO_MASTER_KEYS", MASTER_KEYS)
        .envs(more.iter().copied())
        .output()
        .await
        .expect("it starts");
    let told = serde_json::from_slice(&output.stdout);
    let told: Value = told.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let code = output.status.code().expect("it ends by itself");
    assert_eq!(told["well"], json!(code == 0), "{told}");
    (code, told)
}

/// Grade and text of the checks of one thing.
fn of<'a>(told: &'a Value, what: &str) -> Vec<(&'a str, &'a str)> {
    let checks = told["checks"].as_array().expect("a list").iter().filter(|check| check["what"] == json!(what));
    checks.map(|check| (check["grade"].as_str().expect("a text"), check["found"].as_str().expect("a text"))).collect()
}

fn failed(told: &Value) -> Vec<&Value> {
    told["checks"].as_array().expect("a list").iter().filter(|check| check["grade"] == json!("fail")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_well_says_so_beside_it_and_alone() {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        let process = place.start(&[]).await;
        let bw = place.billwerk();
        bw.sign_up(&fresh("ag"), "5.00").await;
        let (code, beside) = doctor(&place, &[]).await;
        assert_eq!((code, failed(&beside)), (0, Vec::new()), "{beside:#}");
        process.kill().await;
        let (code, alone) = doctor(&place, &[]).await;
        assert_eq!((code, failed(&alone)), (0, Vec::new()), "{alone:#}");
        for told in [&beside, &alone] {
            for what in [
                "settings",
                "folder",
                "disk",
                "files",
                "server",
                "database",
                "schema",
                "writer",
                "clock",
                "keys",
                "adapter",
                "connection",
                "payments",
                "deliveries",
                "notices",
                "workers",
                "leases",
            ] {
                let checks = of(told, what);
                assert!(!checks.is_empty(), "{what} is looked at: {told:#}");
            }
            let product = if kind == "sqlite" { "journal_mode=wal, synchronous=2" } else { "synchronous_commit=" };
            assert!(of(told, "database")[0].1.contains(product), "{told:#}");
            assert_eq!(of(told, "connection")[0], ("ok", "the PSP accepts the settings, for card, direct debit"));
            // Nobody listens where the notices go.
            assert_eq!(of(told, "endpoint")[0].0, "warn", "{told:#}");
        }
        assert!(of(&beside, "server")[0].1.contains("process"), "{beside:#}");
        assert!(of(&alone, "server")[0].1.contains("none runs"), "{alone:#}");
        // A look at one that runs needs an operator's key.
        let process = place.start(&[]).await;
        let (code, told) = doctor(&place, &[("RIALTO_ADMIN_KEY", "a-key-of-somebody-else-altogether")]).await;
        assert_eq!(code, 1);
        assert!(failed(&told)[0]["advice"].to_string().contains("RIALTO_ADMIN_KEY"), "{told:#}");
        process.kill().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_named_with_what_to_do() {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        let process = place.start(&[]).await;
        place.billwerk().sign_up(&fresh("ag"), "5.00").await;
        process.kill().await;

        // Another key under the same id, and an id that is not there.
        for (keys, words) in [(OTHER_KEY, "does not open"), (OTHER_ID, "not in the ring")] {
            let (code, told) = doctor(&place, &[("RIALTO_MASTER_KEYS", keys)]).await;
            assert_eq!(code, 1, "{told:#}");
            let keys = of(&told, "keys");
            assert!(keys.iter().any(|(grade, found)| *grade == "fail" && found.contains(words)), "{told:#}");
            assert!(of(&told, "connection").iter().all(|(grade, _)| *grade == "fail"), "{told:#}");
        }

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = place.data_dir().join("admin.key");
            let mode =
                |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("it is ours");
            mode(0o644);
            let (code, told) = doctor(&place, &[]).await;
            mode(0o600);
            assert_eq!((code, of(&told, "files")[0].0), (1, "fail"));
            assert!(failed(&told)[0]["advice"].to_string().contains("chmod 600"), "{told:#}");
        }

        let (code, told) = doctor(&place, &[("RIALTO_LISTN", "127.0.0.1:1")]).await;
        assert_eq!(code, 1);
        assert!(of(&told, "settings")[0].1.contains("did you mean RIALTO_LISTEN?"), "{told:#}");

        // The newest change of the schema has not been made yet; a look does not make it.
        place
            .database
            .execute("DELETE FROM seaql_migrations WHERE version = (SELECT MAX(version) FROM seaql_migrations)");
        for _ in 0..2 {
            let (code, told) = doctor(&place, &[]).await;
            assert_eq!(code, 1, "{told:#}");
            assert!(of(&told, "database")[0].1.contains("run `rialto migrate`"), "{told:#}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_where_nothing_was_started_is_no_failure_and_stays_as_it_is() {
    let place = Place::new("sqlite").await;
    let (code, told) = doctor(&place, &[]).await;
    assert_eq!((code, of(&told, "folder")[0].0), (0, "warn"), "{told:#}");
    assert!(!place.data_dir().exists(), "a look makes nothing");
    std::fs::create_dir(place.data_dir()).expect("a folder");
    let (code, told) = doctor(&place, &[]).await;
    assert_eq!((code, of(&told, "database")[0]), (0, ("warn", "there is none yet")), "{told:#}");
    assert!(!place.data_dir().join("master.key").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_psp_refuses_is_told_without_its_secrets() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let mut settings: BTreeMap<String, String> = sandbox_settings();
        settings.insert("api_key".to_owned(), format!("invalid-{}", fresh("k")));
        let secret = settings["webhook_secret"].clone();
        let added = server.app.engine.add_connection(server.tenant, "sandbox", true, settings, true).await;
        let bad = added.expect("a connection").id.to_string();
        let reply = server.operator("/admin/doctor").await;
        let told = reply.json();
        assert_eq!((reply.status, &told["well"]), (200, &json!(false)), "{}", reply.text);
        let failed = failed(&told);
        assert_eq!(failed.len(), 1, "{told:#}");
        assert!(failed[0]["of"].as_str().is_some_and(|of| of.contains(&bad) && of.contains("Test")), "{told:#}");
        assert!(failed[0]["found"].to_string().contains("refuses the settings"), "{told:#}");
        assert!(!reply.text.contains("invalid-") && !reply.text.contains(&secret), "{}", reply.text);
        assert_eq!(Asker::new().get(&format!("{}/admin/doctor", server.url)).await.status, 401);
    })
    .await;
}
