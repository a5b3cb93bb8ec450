use std::ffi::OsString;

use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Header, Reply, Request, Wire};

use super::*;

fn config(folder: &tempfile::TempDir) -> Config {
    let settings = [
        ("RIALTO_LISTEN", "127.0.0.1:0"),
        ("RIALTO_ADMIN_LISTEN", "127.0.0.1:0"),
        ("RIALTO_TIME_SCALE", "50"),
        ("RIALTO_DATA_DIR", folder.path().to_str().expect("UTF-8")),
    ];
    Config::parse("", settings.map(|(name, value)| (OsString::from(name), OsString::from(value)))).expect("good")
}

async fn get(url: String, key: Option<&Secret>) -> Reply {
    let guard = Guard::new(demo::SUBNETS.to_vec());
    let wire = HttpWire::new(Clock::default(), guard, WireOptions::default()).expect("a wire");
    let headers = key.map(|key| ("x-admin-key", Header::Secret(key.clone()))).into_iter().collect();
    let now = Clock::default().now();
    let deadlines = Deadlines { send_by: now.plus(REQUESTS_WITHIN), answer_by: now.plus(REQUESTS_WITHIN) };
    let method = rialto_adapters::port::Method::Get;
    wire.send(Request { method, url, headers, body: Vec::new(), scrub: &[] }, deadlines).await.expect("an answer")
}

#[tokio::test]
async fn the_doors_are_where_they_are_said_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(&folder);
    let app = App::start(&config, AppParts::of(&config)).await.expect("a server");
    let main = format!("http://{}", app.address);
    let admin = format!("http://{}", app.admin_address.expect("an address of its own"));
    let rows = [
        (&main, "/health/live", 200),
        (&main, "/health/ready", 200),
        (&main, "/metrics", 404),
        (&main, "/docs", 308),
        (&main, "/docs/", 200),
        (&main, "/docs/docs.js", 200),
        (&main, "/openapi/nothing.json", 404),
        (&main, "/admin/tenants", 404),
        (&main, "/hooks/nobody", 405),
        (&main, "/", 404),
        (&main, "/%", 404),
        (&admin, "/health/ready", 200),
        (&admin, "/metrics", 200),
        (&admin, "/openapi/admin.json", 200),
        (&admin, "/docs/", 200),
        (&admin, "/admin/tenants", 401),
        (&admin, "/hooks/nobody", 404),
    ];
    for (base, path, expected) in rows {
        let reply = get(format!("{base}{path}"), None).await;
        assert_eq!(reply.status, expected, "{base}{path} {}", String::from_utf8_lossy(&reply.body));
    }
    assert_eq!(get(format!("{admin}/admin/tenants"), Some(&app.operator_key)).await.status, 200);

    let Err(error) = App::start(&config, AppParts::of(&config)).await else { panic!("two servers in one folder") };
    assert!(error.to_string().contains(&admin) && error.to_string().contains("RIALTO_DATA_DIR"), "{error}");
    app.stop().await;
    App::start(&config, AppParts::of(&config)).await.expect("it starts again").stop().await;
}

#[tokio::test]
async fn in_the_demo_everything_is_on_one_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&folder);
    config.admin_listen = None;
    let app = App::start(&config, AppParts::demo(&config)).await.expect("a server");
    assert_eq!(app.admin_address, None);
    let url = format!("http://{}/admin/tenants", app.address);
    assert_eq!(get(url, Some(&app.operator_key)).await.status, 200);
    let first = std::fs::read(demo::file(&config)).expect("demo.json");
    config.listen = app.address;
    app.stop().await;

    // A second start changes nothing; what was lost is made anew.
    App::start(&config, AppParts::demo(&config)).await.expect("it starts again").stop().await;
    assert_eq!(std::fs::read(demo::file(&config)).expect("demo.json"), first);
    std::fs::remove_file(demo::file(&config)).expect("demo.json");
    let app = App::start(&config, AppParts::demo(&config)).await.expect("it starts again");
    let known: demo::Demo = serde_json::from_slice(&first).expect("JSON");
    let again = app.demo.clone().expect("a demo");
    assert_eq!((&again.connections, &again.base_url), (&known.connections, &known.base_url));
    assert_ne!(again.billwerk, known.billwerk, "a key cannot be read back from its hash");
    app.stop().await;

    config.listen = "0.0.0.0:0".parse().expect("an address");
    let Err(error) = App::start(&config, AppParts::demo(&config)).await else { panic!("a demo for everybody") };
    assert!(error.to_string().contains("127.0.0.1:8080"), "{error}");
}

#[tokio::test]
async fn metrics_are_open_on_this_machine_and_take_a_key_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&folder);
    config.admin_listen = Some("0.0.0.0:0".parse().expect("an address"));
    config.admin_on_main = true;
    let app = App::start(&config, AppParts::of(&config)).await.expect("a server");
    let admin = format!("http://127.0.0.1:{}/metrics", app.admin_address.expect("an address of its own").port());
    let main = format!("http://{}/metrics", app.address);
    let reader = crate::store::operators::Operator {
        id: app.engine.clock.new_id(),
        name: "prometheus".to_owned(),
        right: crate::store::operators::Right::Read,
        created_at: app.engine.clock.now(),
        revoked_at: None,
    };
    let key = Secret::new("a-key-that-may-only-look");
    let mut unit = crate::store::Unit::new("test");
    crate::store::operators::add(&mut unit, &reader, crate::store::hash_token(key.expose()));
    app.engine.store.run(unit).await.expect("a database").expect("a new name");
    // What stands before a loopback address may be the world's proxy.
    for url in [&admin, &main] {
        assert_eq!(get(url.clone(), None).await.status, 401, "{url}");
        assert_eq!(get(url.clone(), Some(&Secret::new("wrong"))).await.status, 401, "{url}");
        assert_eq!(get(url.clone(), Some(&app.operator_key)).await.status, 200, "{url}");
        assert_eq!(get(url.clone(), Some(&key)).await.status, 200, "{url}");
    }
    app.stop().await;
}

#[test]
fn no_two_owners_claim_one_path() {
    assert_eq!(paths().expect("documents").clashes(), Vec::<String>::new());
}
