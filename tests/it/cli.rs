//! The command line, as a person and as a program uses it.

use std::path::Path;
use std::process::{Output, Stdio};

use rialto::store::testing::{MASTER_KEYS, fresh_url};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::ask::Asker;
use crate::billwerk::{Billwerk, fresh};
use crate::process::Place;
use crate::receiver::PATIENCE;
use crate::server::on_each_database;

/// Runs the program in a folder with nothing but these settings, and waits for its end.
pub async fn rialto(folder: &Path, settings: &[(&str, &str)], line: &[&str]) -> Output {
    let running = Command::new(env!("CARGO_BIN_EXE_rialto"))
        .args(line)
        .current_dir(folder)
        .env_clear()
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, running).await.expect("it ends by itself").expect("it starts")
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a command prints with `--json`, and nothing else.
fn object(output: &Output, keys: &[&str]) -> Value {
    assert!(output.status.success(), "{}", err(output));
    let text = out(output);
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    let object: Value = serde_json::from_str(&text).expect("JSON");
    let has: Vec<&String> = object.as_object().expect("an object").keys().collect();
    assert_eq!(has, keys, "{text}");
    assert!(object.as_object().expect("an object").values().all(|value| value.as_str().is_some_and(|v| !v.is_empty())));
    object
}

/// Sets a tenant up from nothing, by three commands; answers its key.
async fn set_up(folder: &Path, settings: &[(&str, &str)]) -> String {
    let run = async |line: &[&str]| rialto(folder, settings, line).await;
    let tenant = run(&["tenant", "add", "--name", "Shop", "--sandbox", "--json"]).await;
    let tenant = object(&tenant, &["app_id", "app_secret", "id"]);
    let tenant = tenant["id"].as_str().expect("a text");
    let line = ["--json", "connection", "add", "--tenant", tenant, "--adapter", "sandbox", "--test"];
    let connection = run(&[line.as_slice(), &["--set", "api_key=a", "--set", "webhook_secret=b"]].concat()).await;
    let connection = object(&connection, &["hook_url", "id"]);
    let hook = connection["hook_url"].as_str().expect("a text");
    let connection = connection["id"].as_str().expect("a text");
    assert!(hook.ends_with(&format!("/hooks/{connection}")), "{hook}");
    let line = ["key", "add", "--tenant", tenant, "--contract", "billwerk", "--connection", connection, "--json"];
    let key = object(&run(&line).await, &["key"]);
    let list = run(&["tenant", "list", "--json"]).await;
    let list: Value = serde_json::from_str(&out(&list)).expect("JSON");
    let listed = list["tenants"].as_array().expect("a list").iter().any(|listed| listed["id"] == tenant);
    assert!(listed, "{list}");

    // The same for people.
    let text = out(&run(&["tenant", "add", "--name", "Other"]).await);
    assert!(text.contains("tenant: ") && text.contains("app secret: as_"), "{text}");
    let wrong: &[(&[&str], &str)] = &[
        (&["tenant", "add", "--name", " "], "name: "),
        (
            &["connection", "add", "--tenant", tenant, "--adapter", "visa", "--test"],
            "adapter: unknown; this build speaks sandbox",
        ),
        (&["connection", "add", "--tenant", tenant, "--adapter", "sandbox", "--test"], "api_key: is required: "),
        (
            &[
                "connection",
                "add",
                "--tenant",
                tenant,
                "--adapter",
                "sandbox",
                "--set",
                "api_key=a",
                "--set",
                "webhook_secret=b",
            ],
            "test connections",
        ),
        (
            &["connection", "add", "--tenant", tenant, "--adapter", "sandbox", "--test", "--set", "colour=red"],
            "colour: unknown setting",
        ),
        (
            &[
                "connection",
                "add",
                "--tenant",
                tenant,
                "--adapter",
                "sandbox",
                "--test",
                "--set",
                "api_key=a",
                "--set",
                "api_key=b",
            ],
            "twice",
        ),
        (&["connection", "add", "--tenant", connection, "--adapter", "sandbox", "--test"], "there is no tenant"),
        (
            &["key", "add", "--tenant", tenant, "--contract", "visa", "--connection", connection],
            "contract: must be one of: billwerk",
        ),
        (
            &["key", "add", "--tenant", tenant, "--contract", "billwerk", "--connection", tenant],
            "there is no connection",
        ),
    ];
    for (line, expected) in wrong {
        let output = run(line).await;
        assert_eq!(output.status.code(), Some(1), "{line:?}: {}", out(&output));
        assert!(err(&output).starts_with("error: ") && err(&output).contains(expected), "{line:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{line:?}");
    }
    key["key"].as_str().expect("a text").to_owned()
}

/// A sign-up by direct debit: enough to see that a key works.
async fn works(url: &str, key: &str) {
    let bw = Billwerk::new(url, key, "http://127.0.0.1:9/hook");
    let mut body = bw.preauth(&fresh("a"), &fresh("ag"), "10.00");
    body["paymentMeansReference"] =
        json!({"role": "Debit", "initialBearer": {"Holder": "Ada", "IBAN": "DE89370400440532013000"}});
    let (status, answer) = bw.post("/api/Preauth", &body).await;
    assert_eq!((status, &answer["status"]), (200, &json!("Succeeded")), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_set_up_before_a_server_runs_and_beside_one() {
    on_each_database(async |kind| {
        let place = Place::new(kind).await;
        let data_dir = place.data_dir().to_string_lossy().into_owned();
        let settings = [
            ("RIALTO_DATA_DIR", data_dir.as_str()),
            ("RIALTO_DATABASE_URL", place.database.url.as_str()),
            ("RIALTO_MASTER_KEYS", MASTER_KEYS),
            ("RIALTO_LISTEN", place.address.as_str()),
        ];
        let before = set_up(place.folder.path(), &settings).await;
        let mut process = place.start(&[]).await;
        let beside = set_up(place.folder.path(), &settings).await;
        assert_ne!(before, beside);
        let url = format!("http://{}", place.address);
        for key in [&before, &beside] {
            works(&url, key).await;
        }
        let run = async |more: &[(&str, &str)], line: &[&str]| {
            rialto(place.folder.path(), &[&settings, more].concat(), line).await
        };
        let wrong_key = run(&[("RIALTO_ADMIN_KEY", "a-key-of-somebody-else-altogether")], &["tenant", "list"]).await;
        assert!(err(&wrong_key).contains("set RIALTO_ADMIN_KEY"), "{}", err(&wrong_key));
        for line in [&["serve"][..], &["serve", "--demo"], &["migrate"]] {
            let second = run(&[("RIALTO_LISTEN", "127.0.0.1:0"), ("RIALTO_ADMIN_LISTEN", "127.0.0.1:0")], line).await;
            assert_eq!(second.status.code(), Some(1), "{line:?}");
            assert!(err(&second).contains("a server runs in") && err(&second).contains("process"), "{}", err(&second));
        }
        assert!(!process.has_ended(), "the first one goes on");
        assert_eq!(Asker::new().get(&format!("{url}/health/ready")).await.status, 200);
        process.kill().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_database_is_brought_up_to_date() {
    on_each_database(async |kind| {
        let (folder, database) = (tempfile::tempdir().expect("a folder"), fresh_url(kind));
        let settings = [("RIALTO_DATABASE_URL", database.url.as_str()), ("RIALTO_MASTER_KEYS", MASTER_KEYS)];
        for _ in 0..2 {
            let output = rialto(folder.path(), &settings, &["migrate"]).await;
            assert!(output.status.success(), "{}", err(&output));
            assert_eq!(out(&output), "The database schema is up to date.\n");
        }
        let output = rialto(folder.path(), &settings, &["migrate", "--json"]).await;
        assert_eq!(out(&output), "{\"schema\":\"up to date\"}\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_and_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = async |settings: &[(&str, &str)], line: &[&str]| rialto(folder.path(), settings, line).await;
    let help = run(&[], &["--help"]).await;
    assert!(help.status.success());
    for word in [
        "serve --demo",
        "migrate",
        "tenant add",
        "connection add",
        "key add",
        "attention",
        "resolve",
        "replay",
        "openapi",
        "RIALTO_",
        "rialto.toml",
    ] {
        assert!(out(&help).contains(word), "{word}: {}", out(&help));
    }
    for line in [
        &["serve", "--help"][..],
        &["tenant", "add", "--help"],
        &["connection", "add", "--help"],
        &["key", "add", "--help"],
    ] {
        let help = run(&[], line).await;
        assert!(help.status.success() && out(&help).contains("--"), "{line:?}: {}", err(&help));
    }
    assert!(out(&run(&[], &["--version"]).await).starts_with("rialto "));

    // Line, settings, exit code, and what the text must say.
    type Row = (&'static [&'static str], &'static [(&'static str, &'static str)], i32, &'static [&'static str]);
    let rows: &[Row] = &[
        (&[], &[], 2, &["Usage"]),
        (&["serv"], &[], 2, &["serve"]),
        (&["tenant", "add"], &[], 2, &["--name"]),
        (&["connection", "add", "--tenant", "7", "--adapter", "sandbox"], &[], 2, &["--tenant"]),
        (&["serve"], &[("RIALTO_LISTN", "127.0.0.1:1")], 1, &["RIALTO_LISTN", "did you mean RIALTO_LISTEN?"]),
        (&["migrate"], &[("RIALTO_BANANA", "1")], 1, &["RIALTO_BANANA", "is not a setting"]),
        (&["serve"], &[("RIALTO_LISTEN", "everywhere")], 1, &["RIALTO_LISTEN", "write 127.0.0.1:8080"]),
        (&["serve"], &[("RIALTO_DATABASE_URL", "mysql://u:hunter2@db/x")], 1, &["RIALTO_DATABASE_URL", "sqlite:PATH"]),
        (&["serve"], &[("RIALTO_LISTEN", "0.0.0.0:0")], 1, &["RIALTO_PUBLIC_URL"]),
        (&["serve", "--config", "nowhere.toml"], &[], 1, &["nowhere.toml"]),
        (
            &["serve", "--demo"],
            &[("RIALTO_LISTEN", "0.0.0.0:0"), ("RIALTO_PUBLIC_URL", "https://pay.example.com")],
            1,
            &["--demo", "RIALTO_LISTEN", "127.0.0.1:8080"],
        ),
        (
            &["serve", "--demo"],
            &[("RIALTO_LISTEN", "127.0.0.1:0"), ("RIALTO_ADMIN_LISTEN", "[::]:0")],
            1,
            &["--demo", "RIALTO_ADMIN_LISTEN"],
        ),
        (&["serve"], &[("RIALTO_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")], 1, &["RIALTO_MASTER_KEYS"]),
        (
            &["migrate"],
            &[("RIALTO_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x"), ("RIALTO_MASTER_KEYS", MASTER_KEYS)],
            1,
            &["database"],
        ),
        (&["openapi", "visa"], &[], 1, &["visa", "billwerk"]),
    ];
    for (line, settings, code, words) in rows {
        let output = run(settings, line).await;
        assert_eq!(output.status.code(), Some(*code), "{line:?}: {} {}", out(&output), err(&output));
        for word in *words {
            assert!(err(&output).contains(word), "{line:?}, {word}: {}", err(&output));
        }
        assert!(!err(&output).contains("hunter2"), "{line:?} tells a password: {}", err(&output));
        assert_eq!(out(&output), "", "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_are_printed_and_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("RIALTO_WRONG", "the documents depend on no setting")];
    let run = async |line: &[&str]| rialto(folder.path(), &settings, line).await;
    let committed = include_str!("../../openapi/billwerk.json");
    assert!(out(&run(&["openapi", "billwerk"]).await) == committed);
    let list = out(&run(&["openapi"]).await);
    assert!(list.contains("billwerk") && list.contains("admin"), "{list}");
    assert!(run(&["openapi", "--out", "written/here"]).await.status.success());
    let written = std::fs::read_to_string(folder.path().join("written/here/billwerk.json")).expect("it is written");
    assert!(written == committed);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_asked_to_end_ends() {
    let place = Place::new("sqlite").await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_rialto"))
        .arg("serve")
        .current_dir(place.folder.path())
        .env_clear()
        .env("RIALTO_LISTEN", &place.address)
        .env("RIALTO_ADMIN_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let url = format!("http://{}/health/ready", place.address);
    let ready = async {
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("it becomes ready");
    for file in ["rialto.db", "master.key", "admin.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = std::fs::metadata(place.data_dir().join(file)).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o077, 0, "{file} is for its owner only");
    }
    let pid = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("a kill command").success());
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("a child of ours");
    assert_eq!(ended.code(), Some(0));
}
