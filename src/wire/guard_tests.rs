use super::*;

fn guard(subnets: &[&str]) -> Guard {
    Guard::new(subnets.iter().map(|net| net.parse().expect("a subnet")).collect())
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Addresses that are not the public internet, one or more of every range.
const SPECIAL: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.0.1",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::10.0.0.1",
    "::8.8.8.8",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:20::1",
    "2001:2::1",
    "2001:db8::1",
    "2002:a00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
];

/// Never, whatever is listed.
const NEVER: &[&str] = &[
    "169.254.169.254",
    "169.254.170.2",
    "169.254.1.1",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "fe80::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:42::42",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "2001:0:1:2:3:4:5601:5601",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00:1450::1",
];

#[test]
fn addresses_by_default() {
    let guard = guard(&[]);
    for (addresses, allowed) in [(SPECIAL, false), (NEVER, false), (PUBLIC, true)] {
        for text in addresses {
            let found = guard.check_address("h", address(text), Reach::Public);
            assert_eq!(found.is_ok(), allowed, "{text}: {found:?}");
            assert!(guard.check_address("h", address(text), Reach::ListedOnly).is_err(), "{text} is not listed");
        }
    }
}

#[test]
fn a_list_opens_everything_but_metadata() {
    let guard = guard(&["0.0.0.0/0", "::/0"]);
    for text in SPECIAL.iter().filter(|text| !["169.254.0.1", "fe80::1", "febf::1"].contains(text)).chain(PUBLIC) {
        for reach in [Reach::Public, Reach::ListedOnly] {
            assert_eq!(guard.check_address("h", address(text), reach), Ok(()), "{text}");
        }
    }
    for text in NEVER.iter().chain(&["169.254.0.1", "febf::1"]) {
        for reach in [Reach::Public, Reach::ListedOnly] {
            let refused = guard.check_address("h", address(text), reach);
            assert_eq!(refused, Err(GuardRefusal::Address("h".to_owned())), "{text}");
        }
    }
}

#[test]
fn urls_without_a_list() {
    let guard = guard(&[]);
    let long = format!("https://hooks.shop.example/{}", "x".repeat(URL_MAX));
    let name = |host: &str| Err(GuardRefusal::Name(host.to_owned()));
    let denied = |host: &str| Err(GuardRefusal::Address(host.to_owned()));
    let table = [
        ("https://hooks.shop.example/psp?a=1", Ok("https://hooks.shop.example/psp?a=1")),
        ("HTTPS://Hooks.Shop.Example", Ok("https://hooks.shop.example/")),
        ("https://shop.example:8443/x", Ok("https://shop.example:8443/x")),
        ("https://shop.example:443/x", Ok("https://shop.example/x")),
        ("https://bücher.example/x", Ok("https://xn--bcher-kva.example/x")),
        (&long, Err(GuardRefusal::TooLong)),
        ("", Err(GuardRefusal::NotAnAddress)),
        ("/relative", Err(GuardRefusal::NotAnAddress)),
        ("https:shop.example", Err(GuardRefusal::NotAnAddress)),
        ("https://", Err(GuardRefusal::NotAnAddress)),
        ("https:///shop.example", Err(GuardRefusal::NotAnAddress)),
        ("https://shop.example:99999", Err(GuardRefusal::NotAnAddress)),
        ("https://exa mple.example", Err(GuardRefusal::Characters)),
        ("https://shop.example\\@10.0.0.1/", Err(GuardRefusal::Characters)),
        ("https://shop.example/\r\nx: y", Err(GuardRefusal::Characters)),
        ("https://shop.example/\u{0}", Err(GuardRefusal::Characters)),
        ("http://shop.example/", Err(GuardRefusal::Scheme)),
        ("ftp://shop.example/", Err(GuardRefusal::Scheme)),
        ("file:///etc/passwd", Err(GuardRefusal::Scheme)),
        ("javascript://shop.example/%0aalert(1)", Err(GuardRefusal::Scheme)),
        ("https://user:pw@shop.example/", Err(GuardRefusal::UserInfo)),
        ("https://@shop.example/", Err(GuardRefusal::UserInfo)),
        ("https://shop.example/#x", Err(GuardRefusal::Fragment)),
        ("https://shop.example:22/", Err(GuardRefusal::Port(22))),
        ("https://shop.example:80/", Err(GuardRefusal::Port(80))),
        ("https://shop.example:6379/", Err(GuardRefusal::Port(6379))),
        ("https://8.8.8.8/", Err(GuardRefusal::Literal)),
        ("https://[2606:4700::1111]/", Err(GuardRefusal::Literal)),
        ("https://127.0.0.1/", denied("127.0.0.1")),
        ("https://2130706433/", denied("127.0.0.1")),
        ("https://0177.0.0.1/", denied("127.0.0.1")),
        ("https://0x7f000001/", denied("127.0.0.1")),
        ("https://0x7f.1/", denied("127.0.0.1")),
        ("https://127.1/", denied("127.0.0.1")),
        ("https://127.0.0.1./", denied("127.0.0.1")),
        ("https://%31%32%37.0.0.1/", denied("127.0.0.1")),
        ("https://１２７.０.０.１/", denied("127.0.0.1")),
        ("https://127。0。0。1/", denied("127.0.0.1")),
        ("https://0/", denied("0.0.0.0")),
        ("https://169.254.169.254/latest/meta-data", denied("169.254.169.254")),
        ("https://[::1]/", denied("::1")),
        ("https://[::ffff:10.0.0.1]/", denied("::ffff:10.0.0.1")),
        ("https://[fd00:ec2::254]/", denied("fd00:ec2::254")),
        ("https://localhost/", name("localhost")),
        ("https://LOCALHOST:8443/", name("localhost")),
        ("https://localhost./", name("localhost.")),
        ("https://shop.example./", name("shop.example.")),
        ("https://app.localhost/", name("app.localhost")),
        ("https://intranet/", name("intranet")),
        ("https://printer.local/", name("printer.local")),
        ("https://localhost.localdomain/", name("localhost.localdomain")),
        ("https://metadata.google.internal/", name("metadata.google.internal")),
        ("https://api.default.svc.cluster.local/", name("api.default.svc.cluster.local")),
        ("https://sandbox.rialto.internal/", name("sandbox.rialto.internal")),
    ];
    for (text, expected) in table {
        let found = guard.check_url(text, &[]);
        let found = found.as_ref().map(Url::as_str);
        assert_eq!(found, expected.as_ref().map(|url| *url), "{text}");
    }
}

#[test]
fn urls_inside_listed_networks() {
    let demo = guard(&["127.0.0.0/8", "::1/128"]);
    let office = guard(&["10.0.0.0/8"]);
    let table = [
        (&demo, "http://127.0.0.1:9000/hook", true),
        (&demo, "http://[::1]:22/hook", true),
        (&demo, "https://127.1/hook", true),
        (&demo, "http://localhost:9000/hook", true),
        (&demo, "http://10.0.0.1/hook", false),
        (&demo, "http://shop.example/hook", false),
        (&demo, "https://shop.example:81/hook", false),
        (&demo, "https://shop.example/hook", true),
        (&demo, "https://intranet/hook", false),
        (&demo, "https://8.8.8.8/", false),
        (&office, "http://10.1.2.3:8080/hook", true),
        (&office, "http://[::ffff:10.1.2.3]:8080/hook", true),
        // Names may lie inside; the dialler decides.
        (&office, "http://billing.corp:8080/hook", true),
        (&office, "http://shop.example/hook", true),
        (&office, "http://localhost/hook", false),
        (&office, "http://169.254.169.254/", false),
        (&office, "http://11.0.0.1/", false),
        (&office, "https://sandbox.rialto.internal/", false),
        (&office, "http://user@10.1.2.3/", false),
    ];
    for (guard, text, allowed) in table {
        let found = guard.check_url(text, &[]);
        assert_eq!(found.is_ok(), allowed, "{text}: {found:?}");
        if let Ok(url) = found {
            let expected = if text.starts_with("https://shop.example/") { Reach::Public } else { Reach::ListedOnly };
            assert_eq!(guard.reach(&url), expected, "{text}");
        }
    }
}

#[test]
fn a_tenants_own_list_of_hosts() {
    let hosts = ["hooks.shop.example".to_owned(), " *.Billwerk.com".to_owned()];
    let table = [
        ("https://hooks.shop.example/x", true),
        ("https://HOOKS.shop.example/x", true),
        ("https://a.billwerk.com/x", true),
        ("https://a.b.billwerk.com/x", true),
        ("https://billwerk.com/x", false),
        ("https://evilbillwerk.com/x", false),
        ("https://.billwerk.com/x", false),
        ("https://billwerk.com.evil.example/x", false),
        ("https://other.example/x", false),
    ];
    for (text, allowed) in table {
        let found = guard(&[]).check_url(text, &hosts);
        assert_eq!(found.is_ok(), allowed, "{text}: {found:?}");
    }
}

#[test]
fn return_urls_may_have_a_fragment() {
    let guard = guard(&[]);
    let table = [
        ("https://shop.example/#/done", true),
        ("http://shop.example/", false),
        ("javascript:alert(1)", false),
        ("data:text/html,x", false),
        ("shop://done", false),
        ("//shop.example/", false),
        ("https://10.0.0.1/", false),
    ];
    for (text, allowed) in table {
        assert_eq!(guard.check_return_url(text).is_ok(), allowed, "{text}");
    }
}

#[tokio::test]
async fn names_when_they_are_dialled() {
    let own = vec![address("127.0.0.1")];
    let denied = Err(Unreachable::Denied(GuardRefusal::Address("localhost".to_owned())));
    assert_eq!(guard(&[]).addresses("localhost", Reach::Public).await, denied);
    assert_eq!(guard(&["127.0.0.0/8"]).addresses("LocalHost.", Reach::ListedOnly).await, Ok(own));
    for name in ["nowhere.invalid", "invalid", "sandbox.rialto.internal"] {
        let found = guard(&["0.0.0.0/0"]).addresses(name, Reach::Public).await;
        assert_eq!(found, Err(Unreachable::NotFound(name.to_owned())));
    }
    // A name that the resolver answers from itself: loopback, whatever the name says.
    let found = guard(&[]).addresses("127.0.0.1", Reach::Public).await;
    assert!(matches!(found, Err(Unreachable::Denied(GuardRefusal::Address(_)))), "{found:?}");
    let found = guard(&[]).addresses("8.8.8.8", Reach::ListedOnly).await;
    assert!(matches!(found, Err(Unreachable::Denied(GuardRefusal::Outside(_)))), "{found:?}");
    assert_eq!(guard(&[]).addresses("8.8.8.8", Reach::Public).await, Ok(vec![address("8.8.8.8")]));
}
