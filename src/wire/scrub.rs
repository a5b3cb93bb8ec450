//! Takes secrets and personal numbers out of a text that is to be stored. Pure.
//!
//! Works on the text and not on a parsed value, so that a cut or broken body is scrubbed too and amounts keep their digits.
//! Two nets: members are replaced by their name, and a value once found to be secret is replaced wherever it turns up.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

pub(super) const MARK: &str = "***";

/// Shorter values turn up by accident; replacing them everywhere would spoil the text and hide nothing.
const KNOWN_MIN: usize = 6;

/// JSON inside a JSON text inside a form: deeper than any PSP nests.
const DEPTH_MAX: u8 = 4;

/// Names as [`plain_name`] makes them. A member whose whole name is one of these is secret.
const NAMES: &[&str] = &[
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    // Addresses of pages that whoever knows them may use.
    "returnurl",
    "redirecturl",
    "document",
    "documentnumber",
    "pan",
    "cvc",
    "cvv",
    "cvc2",
    "cvv2",
    "securitycode",
    "passwd",
    "pwd",
    "taxid",
    "signature",
];

/// A member whose name ends in one of these is secret (`client_secret`, `payerIban`, `x-api-key`).
const NAME_ENDINGS: &[&str] =
    &["password", "token", "secret", "apikey", "iban", "cardnumber", "accountnumber", "cpf", "cnpj", "privatekey"];

/// Letter case, `_` and `-` do not matter: `api_key`, `apiKey` and `X-Api-Key` are one name.
fn plain_name(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Knows which names are secret and collects the values that turned out to be.
#[derive(Default)]
pub(super) struct Scrubber {
    names: Vec<String>,
    /// Longest first, so that a value is replaced before a part of it.
    known: Vec<String>,
}

impl Scrubber {
    pub(super) fn new(names: &[&str]) -> Scrubber {
        Scrubber { names: names.iter().map(|name| plain_name(name)).collect(), known: Vec::new() }
    }

    /// A credential: itself, and what is inside of `Bearer …` and `Basic …`, is replaced from now on wherever it appears.
    pub(super) fn learn_credential(&mut self, value: &str) {
        self.learn(value);
        let Some((_, inner)) = value.split_once(' ') else { return };
        self.learn(inner.trim());
        let decoded = STANDARD.decode(inner.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((user, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) {
            self.learn(user);
            self.learn(password);
        }
    }

    fn learn(&mut self, value: &str) {
        if value.chars().count() < KNOWN_MIN {
            return;
        }
        let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let escaped = serde_json::to_string(value).unwrap_or_default();
        let escaped = escaped.get(1..escaped.len().saturating_sub(1)).unwrap_or_default().to_owned();
        for form in [value.to_owned(), encoded, escaped] {
            if !form.is_empty() && !self.known.contains(&form) {
                self.known.push(form);
            }
        }
        self.known.sort_by_key(|known| std::cmp::Reverse(known.len()));
    }

    pub(super) fn is_secret(&self, name: &str) -> bool {
        let is = |name: &str| {
            let name = plain_name(name);
            NAMES.contains(&name.as_str())
                || NAME_ENDINGS.iter().any(|ending| name.ends_with(ending))
                || self.names.contains(&name)
        };
        is(name) || name.split(['[', ']', '.', ':']).any(|part| !part.is_empty() && is(part))
    }

    /// The last pass over every text: known values and card numbers.
    pub(super) fn finish(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for known in &self.known {
            if text.contains(known.as_str()) {
                text = Cow::Owned(text.replace(known.as_str(), MARK));
            }
        }
        mask_card_numbers(&text)
    }

    /// An address: user name and password go, secret members of the query are replaced.
    pub(super) fn url(&mut self, text: &str) -> String {
        let (address, rest) = match text.find(['?', '#']) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let address = match address.split_once("://") {
            Some((scheme, after)) => {
                let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                format!("{scheme}://{host}{path}")
            }
            None => address.to_owned(),
        };
        // A fragment can carry members like a query does.
        let mut scrubbed = address;
        for part in rest.split_inclusive(['?', '#']) {
            match part.strip_suffix(['?', '#']) {
                Some(members) => {
                    scrubbed.push_str(&self.form(members, 0));
                    scrubbed.push_str(&part[members.len()..]);
                }
                None => scrubbed.push_str(&self.form(part, 0)),
            }
        }
        scrubbed
    }

    /// A body of any text type.
    pub(super) fn text(&mut self, text: &str, is_form: bool) -> String {
        self.nested(text, is_form, 0)
    }

    fn nested(&mut self, text: &str, is_form: bool, depth: u8) -> String {
        let looks_like_form =
            || text.contains('=') && !text.contains(|c: char| c.is_whitespace() || c == '<' || c == '"');
        if depth > DEPTH_MAX {
            MARK.to_owned()
        } else if is_json(text) {
            self.json(text, depth)
        } else if is_form || looks_like_form() {
            self.form(text, depth)
        } else {
            self.prose(text)
        }
    }

    /// `name=value&…`, names perhaps in brackets (`payer[iban]`).
    fn form(&mut self, text: &str, depth: u8) -> String {
        let mut pairs = Vec::new();
        for pair in text.split('&') {
            let Some((raw_name, raw_value)) = pair.split_once('=') else {
                pairs.push(pair.to_owned());
                continue;
            };
            let decoded = form_urlencoded::parse(pair.as_bytes()).next();
            let (name, value) = decoded.unwrap_or((Cow::Borrowed(raw_name), Cow::Borrowed(raw_value)));
            if self.is_secret(&name) {
                self.learn(&value);
                pairs.push(format!("{raw_name}={MARK}"));
            } else if is_json(&value) || is_address(&value) {
                let inner = self.value(&value, depth);
                let inner: String = form_urlencoded::byte_serialize(inner.as_bytes()).collect();
                pairs.push(format!("{raw_name}={inner}"));
            } else {
                pairs.push(pair.to_owned());
            }
        }
        pairs.join("&")
    }

    /// JSON, also cut or broken.
    fn json(&mut self, text: &str, depth: u8) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(quote) = rest.find('"') {
            out.push_str(&rest[..quote]);
            let (token, after) = rest[quote..].split_at(string_length(&rest[quote..]));
            rest = after;
            let value = decode(token);
            let Some(after_colon) = after.trim_start().strip_prefix(':') else {
                let inner = if is_json(&value) || is_address(&value) { Some(self.value(&value, depth)) } else { None };
                match inner.filter(|inner| *inner != value) {
                    Some(inner) => out.push_str(&serde_json::to_string(&inner).unwrap_or_default()),
                    None => out.push_str(token),
                }
                continue;
            };
            out.push_str(token);
            if self.is_secret(&value) {
                let start = after_colon.trim_start();
                let (hidden, after_value) = start.split_at(value_length(start));
                self.learn_leaves(hidden);
                out.push_str(if hidden.trim() == "null" { ":null" } else { ":\"***\"" });
                rest = after_value;
            }
        }
        out.push_str(rest);
        out
    }

    fn value(&mut self, value: &str, depth: u8) -> String {
        if is_json(value) { self.nested(value, false, depth + 1) } else { self.url(value) }
    }

    /// The strings and numbers inside of a hidden value.
    fn learn_leaves(&mut self, mut hidden: &str) {
        if !hidden.starts_with(['{', '[', '"']) {
            self.learn(hidden.trim());
        }
        while let Some(quote) = hidden.find('"') {
            let (token, after) = hidden[quote..].split_at(string_length(&hidden[quote..]));
            if !after.trim_start().starts_with(':') {
                self.learn(&decode(token));
            }
            hidden = after;
        }
    }

    /// HTML, XML, plain text: whatever follows a secret name and one of `= : >`.
    fn prose(&mut self, text: &str) -> String {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let word_length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) =
                rest.split_at(word_length.max(rest.chars().next().map_or(1, char::len_utf8).min(rest.len())));
            let closes_element = out.ends_with("</");
            out.push_str(word);
            rest = after;
            if word_length == 0 || closes_element || !self.is_secret(word) {
                continue;
            }
            let value_start = after.trim_start_matches(['"', '\'', ']']).trim_start();
            let Some(separator) = value_start.chars().next().filter(|c| ['=', ':', '>'].contains(c)) else { continue };
            let value = value_start[1..].trim_start();
            let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
            let value = if quote.is_some() { &value[1..] } else { value };
            let ends = |c: char| match (quote, separator) {
                (Some(quote), _) => c == quote,
                (None, '>') => c == '<',
                (None, '=') => c.is_whitespace() || ['&', ';', '<', ',', '"', '\''].contains(&c),
                (None, _) => ['\n', '\r', ',', ';', '<', '"', '\'', '}'].contains(&c),
            };
            let (hidden, after_value) = value.split_at(value.find(ends).unwrap_or(value.len()));
            self.learn_credential(hidden.trim());
            out.push_str(&after[..after.len() - value.len()]);
            out.push_str(MARK);
            rest = after_value;
        }
        out
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '['])
}

fn is_address(text: &str) -> bool {
    text.contains("://") && text.contains(['?', '@', '#'])
}

/// The length of the string token at the start of `text`, quotes included; all of it where it does not end.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the JSON value at the start of `text`; all of it where it does not end.
fn value_length(text: &str) -> usize {
    if text.starts_with('"') {
        return string_length(text);
    }
    let nested = text.starts_with(['{', '[']);
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => {
                at += string_length(&text[at..]);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 && nested {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// What a string token says; the raw text where it is cut or broken.
fn decode(token: &str) -> String {
    serde_json::from_str(token).unwrap_or_else(|_| token.trim_matches('"').to_owned())
}

/// Digits of a card number: ISO/IEC 7812.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Replaces the middle of every run of digits that can be a card number, also in groups (`4111 1111 1111 1111`); the first
/// six and last four may be kept (PCI DSS 3.4.1).
fn mask_card_numbers(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut hidden = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let groups = digit_groups(bytes, at);
        let last = groups.last().map_or(at + 1, |group| group.end);
        // From the first group on, the longest sequence that is a card number.
        let end = (1..=groups.len()).rev().map(|count| groups[count - 1].end).find(|end| is_card(&bytes[at..*end]));
        match end {
            Some(end) => {
                let digits: Vec<usize> = (at..end).filter(|index| bytes[*index].is_ascii_digit()).collect();
                hidden.extend_from_slice(&digits[6..digits.len() - 4]);
                at = end;
            }
            None => at = groups.first().map_or(last, |group| group.end),
        }
    }
    if hidden.is_empty() {
        return text.to_owned();
    }
    let mut hidden = hidden.into_iter().peekable();
    text.char_indices().map(|(index, c)| if hidden.next_if_eq(&index).is_some() { '*' } else { c }).collect()
}

/// The run of digits at `at` and those that follow it after one space or dash each, as long as a card's groups are.
fn digit_groups(bytes: &[u8], mut at: usize) -> Vec<std::ops::Range<usize>> {
    /// Card groups have four to six digits, the last perhaps three; a date's have two.
    const GROUP_MIN: usize = 3;
    const GROUPS_MAX: usize = 6;
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    while groups.len() < GROUPS_MAX {
        let end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if end - at < GROUP_MIN && !groups.is_empty() {
            break;
        }
        groups.push(at..end);
        let separated = matches!(bytes.get(end), Some(b' ' | b'-'));
        if !separated || !bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            break;
        }
        at = end + 1;
    }
    groups
}

fn is_card(text: &[u8]) -> bool {
    let digits: Vec<u32> =
        text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0')).collect();
    // Payment cards begin with 2 to 6; times in milliseconds, which are as long, with 1.
    if !CARD_DIGITS.contains(&digits.len()) || !(2..=6).contains(&digits[0]) {
        return false;
    }
    let doubled = |(index, digit): (usize, &u32)| match (index % 2, *digit) {
        (0, digit) => digit,
        (_, digit) => digit * 2 - if digit > 4 { 9 } else { 0 },
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
