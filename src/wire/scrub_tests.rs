use proptest::prelude::*;

use super::*;

#[test]
fn bodies() {
    let table: &[(&str, &str)] = &[
        // JSON keeps its text: digits, order, white space.
        (r#"{"amount": 1.10, "n": 12345678901234567.89}"#, r#"{"amount": 1.10, "n": 12345678901234567.89}"#),
        (r#"{"iban":"DE00","amount":1}"#, r#"{"iban":"***","amount":1}"#),
        (r#"{"IBAN" : "DE00" , "x":[{"Payer_Iban":1}]}"#, r#"{"IBAN":"***" , "x":[{"Payer_Iban":"***"}]}"#),
        (r#"{"special":{"a":["q",{"b":"}"}]},"after":1}"#, r#"{"special":"***","after":1}"#),
        (r#"{"special":null,"cvc":123}"#, r#"{"special":null,"cvc":"***"}"#),
        (r#"{"ib\u0061n":"DE00"}"#, r#"{"ib\u0061n":"***"}"#),
        (r#"{"a":"say \"iban\": x","iban":"\"}"}"#, r#"{"a":"say \"iban\": x","iban":"***"}"#),
        (r#"{"inner":"{\"iban\":\"DE00\"}"}"#, r#"{"inner":"{\"iban\":\"***\"}"}"#),
        (r#"{"go":"https://psp.example/p?token=abc&x=1"}"#, r#"{"go":"https://psp.example/p?token=***&x=1"}"#),
        // Cut and broken.
        (r#"{"iban":"DE0012"#, r#"{"iban":"***""#),
        (r#"{"iban":{"x":"y""#, r#"{"iban":"***""#),
        (r#"{"iban"#, r#"{"iban"#),
        (r#"{"iban":"#, r#"{"iban":"***""#),
        ("{{{]]", "{{{]]"),
        ("[\u{1f600}\"\u{1f600}", "[\u{1f600}\"\u{1f600}"),
        // Forms.
        ("iban=DE00&amount=1", "iban=***&amount=1"),
        ("payer%5Biban%5D=DE00&payer[document]=1&x", "payer%5Biban%5D=***&payer[document]=***&x"),
        ("a=%7B%22iban%22%3A%22DE00%22%7D", "a=%7B%22iban%22%3A%22***%22%7D"),
        // Anything else.
        ("<p>IBAN: DE00, name</p>", "<p>IBAN: ***, name</p>"),
        ("<iban>DE00</iban><b>x</b>", "<iban>***</iban><b>x</b>"),
        ("Authorization: Bearer abc\nx: y", "Authorization: ***\nx: y"),
        ("<a token='abc' b=c>", "<a token='***' b=c>"),
        ("502 Bad Gateway", "502 Bad Gateway"),
        ("", ""),
    ];
    for (text, expected) in table {
        let mut scrubber = Scrubber::new(&["Special"]);
        let found = scrubber.text(text, false);
        assert_eq!(scrubber.finish(&found), *expected, "{text}");
    }
}

#[test]
fn addresses() {
    let table = [
        ("https://psp.example/v1/x", "https://psp.example/v1/x"),
        ("https://user:pw@psp.example/v1", "https://psp.example/v1"),
        (
            "https://psp.example/?api_key=abc&a=1#access_token=x",
            "https://psp.example/?api_key=***&a=1#access_token=***",
        ),
        ("not an address", "not an address"),
    ];
    for (text, expected) in table {
        assert_eq!(Scrubber::default().url(text), expected);
    }
}

#[test]
fn card_numbers() {
    let table = [
        ("4111111111111111", "411111******1111"),
        (r#"{"n":4111111111111111,"m":"5555-5555-5555-4444"}"#, r#"{"n":411111******1111,"m":"5555-55**-****-4444"}"#),
        ("4111 1111 1111 1111 12/30 123", "4111 11** **** 1111 12/30 123"),
        ("378282246310005", "378282*****0005"),
        ("4111111111111112", "4111111111111112"),
        ("1700000000000", "1700000000000"),
        ("2026-11-06 10:49", "2026-11-06 10:49"),
        ("E00038166201907261559y6j6mt9l0pi", "E00038166201907261559y6j6mt9l0pi"),
        ("411111111111111141111111111111114111", "411111111111111141111111111111114111"),
        ("é4111111111111111é", "é411111******1111é"),
    ];
    for (text, expected) in table {
        assert_eq!(mask_card_numbers(text), expected, "{text}");
    }
}

#[test]
fn a_credential_is_known_in_every_spelling() {
    let mut scrubber = Scrubber::default();
    scrubber.learn_credential("Bearer sk/live+1234");
    // user:pass/word1
    scrubber.learn_credential("Basic dXNlcjpwYXNzL3dvcmQx");
    let told = r#"no sk/live+1234, no sk%2Flive%2B1234, no pass/word1, no dXNlcjpwYXNzL3dvcmQx, but user"#;
    assert_eq!(scrubber.finish(told), "no ***, no ***, no ***, no ***, but user");
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".{0,200}", pieces in proptest::collection::vec("[\"{}\\[\\]:,\\\\= &<>a]|iban|null", 0..40)) {
        for text in [text, pieces.concat()] {
            for is_form in [false, true] {
                let mut scrubber = Scrubber::new(&["a"]);
                let found = scrubber.text(&text, is_form);
                scrubber.finish(&found);
                scrubber.url(&text);
            }
        }
    }
}
