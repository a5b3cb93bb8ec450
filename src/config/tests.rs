use super::*;

fn parse(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::parse(file, environment)
}

#[test]
fn without_anything_the_server_is_local() {
    let config = parse("", &[("PATH", "/bin"), ("RIALTO_TEST_POSTGRES", "x"), ("RIALTO_LOG", "")]).expect("defaults");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.admin_listen, ADMIN_LISTEN.to_string().as_str()), (None, "127.0.0.1:8090"));
    assert_eq!(config.database_url.expose(), "sqlite:rialto-data/rialto.db");
    assert_eq!(config.sqlite_file(), Some(PathBuf::from("rialto-data/rialto.db")));
    assert_eq!(config.public_url(config.listen), "http://127.0.0.1:8080");
    assert_eq!((config.time_scale, config.admin_on_main, config.log), (1, false, None));
    assert!(config.allow_subnets.is_empty() && config.admin_key.is_none() && config.master_keys.is_none());
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "
        listen = '127.0.0.1:1'
        time_scale = 7
        admin_on_main = true
        allow_subnets = ['10.0.0.0/8', 'fd00::/8']
        log_format = 'json'
    ";
    let config = parse(file, &[("RIALTO_LISTEN", "127.0.0.1:2"), ("RIALTO_DATA_DIR", "/tmp/a?b%")]).expect("good");
    assert_eq!(config.listen.port(), 2);
    assert_eq!((config.time_scale, config.admin_on_main, config.log_format), (7, true, LogFormat::Json));
    assert_eq!(config.allow_subnets.len(), 2);
    assert_eq!(config.sqlite_file(), Some(PathBuf::from("/tmp/a?b%/rialto.db")));
}

#[test]
fn values_are_read() {
    let check = |name: &str, value: &str, show: fn(&Config) -> String, expected: &str| {
        let config = parse("", &[(name, value)]).unwrap_or_else(|error| panic!("{name}={value}: {error}"));
        assert_eq!(show(&config), expected, "{name}={value}");
    };
    check("RIALTO_LISTEN", "[::1]:80", |c| c.public_url(c.listen), "http://[::1]:80");
    check("RIALTO_PUBLIC_URL", "https://pay.example.com/x/", |c| c.public_url(c.listen), "https://pay.example.com/x");
    check(
        "RIALTO_ALLOW_SUBNETS",
        "10.0.0.0/8, 192.0.2.1",
        |c| format!("{:?}", c.allow_subnets),
        "[10.0.0.0/8, 192.0.2.1/32]",
    );
    check("RIALTO_ADMIN_ON_MAIN", "ON", |c| c.admin_on_main.to_string(), "true");
    check("RIALTO_LOG", "warn,rialto=debug", |c| format!("{:?}", c.log), "Some(\"warn,rialto=debug\")");
    check("RIALTO_DATABASE_URL", "postgres://u:p@h/d", |c| format!("{:?}", c.sqlite_file()), "None");
    check("RIALTO_DATABASE_URL", "sqlite:///a/b.db?x=1", |c| format!("{:?}", c.sqlite_file()), "Some(\"/a/b.db\")");
}

#[test]
fn every_error_names_the_setting_and_says_what_to_write() {
    let rows = [
        ("", "RIALTO_LISTEN", "8080", "write 127.0.0.1:8080"),
        ("", "RIALTO_LISTEN", "0.0.0.0:8080", "RIALTO_PUBLIC_URL: is required"),
        ("", "RIALTO_ADMIN_LISTEN", "127.0.0.1:8080", "another port"),
        ("", "RIALTO_DATABASE_URL", "mysql://root:hunter2@h/d", "write sqlite:PATH"),
        ("", "RIALTO_PUBLIC_URL", "pay.example.com", "write https://pay.example.com"),
        ("", "RIALTO_PUBLIC_URL", "https://a:b@pay.example.com", "write https://pay.example.com"),
        ("", "RIALTO_ADMIN_KEY", "hunter2", "openssl rand -hex 32"),
        ("", "RIALTO_ALLOW_SUBNETS", "10/8", "write 10.0.0.0/8"),
        ("", "RIALTO_ADMIN_ON_MAIN", "maybe", "write true or false"),
        ("", "RIALTO_TIME_SCALE", "0", "write 1"),
        ("", "RIALTO_LOG", "=[", "write info"),
        ("", "RIALTO_LOG_FORMAT", "xml", "write text or json"),
        ("", "RIALTO_LISTN", "x", "RIALTO_LISTN: is not a setting; did you mean RIALTO_LISTEN?"),
        ("", "RIALTO_listen", "x", "did you mean RIALTO_LISTEN?"),
        ("", "RIALTO_COLOUR", "x", "there are RIALTO_LISTEN, RIALTO_ADMIN_LISTEN"),
        ("data_dirs = 'x'", "X", "", "data_dirs in rialto.toml: is not a setting; did you mean data_dir?"),
        ("rialto_listen = 'x'", "X", "", "did you mean listen?"),
        ("[listen]\na = 1", "X", "", "listen in rialto.toml: must be a text"),
        ("time_scale = 1.5", "X", "", "time_scale in rialto.toml"),
        ("admin_key = 'hunter2'\nlisten = ", "X", "", "rialto.toml: line 2 is not valid TOML"),
    ];
    for (file, name, value, expected) in rows {
        let error = parse(file, &[(name, value)]).expect_err(expected).to_string();
        assert!(error.contains(expected), "{file} {name}={value} gave {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let error = parse("colour = 1", &[("RIALTO_TIME_SCALE", "x"), ("RIALTO_LISTEN", "y")]).expect_err("three");
    assert_eq!(error.0.len(), 3, "{error}");
}

#[test]
fn no_secret_is_printed() {
    let secrets = [
        ("RIALTO_DATABASE_URL", "postgres://u:hunter2-hunter2-hunter2@h/d"),
        ("RIALTO_MASTER_KEYS", "a:hunter2"),
        ("RIALTO_ADMIN_KEY", "hunter2-hunter2-hunter2-hunter2"),
    ];
    let config = parse("", &secrets).expect("good");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let error = Config::load(Some(Path::new("/nonexistent/rialto.toml")), []).expect_err("missing");
    assert!(error.to_string().contains("/nonexistent/rialto.toml: cannot be read"), "{error}");
}

#[test]
fn the_readme_has_every_setting() {
    let readme = include_str!("../../README.md");
    for (name, _, _) in NAMES {
        assert!(readme.contains(&format!("| `RIALTO_{name}` |")), "README.md has no row for RIALTO_{name}");
    }
}
