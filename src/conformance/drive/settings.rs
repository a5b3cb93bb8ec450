//! The merchant's settings: shown, put back, and nothing that could break a merchant's account.

use super::info::METHODS;
use super::{Run, Step, Stop};
use crate::conformance::answer::Answer;
use crate::conformance::client::Ask;
use crate::conformance::tree::Tree;

const PATH: &str = "/api/Settings";
/// A key that nobody describes.
const UNKNOWN_KEY: &str = "conformanceProbe";
/// A key with one of these words in its name holds a secret.
const SECRET_WORDS: &[&str] = &["secret", "password", "token", "apikey", "privatekey", "accesskey"];
/// What masks are made of.
const MASK: &[char] = &['*', '•', '●', '…', '.', 'x', 'X', '#'];
/// So many of those in a row are a mask.
const MASK_MIN: usize = 3;

impl Run {
    pub(super) async fn settings(&mut self) -> Step {
        let shown = self.ask(Ask::get(PATH)).await?;
        let pairs = shown.tree().filter(|_| shown.is_ok()).and_then(pairs);
        self.judge("settings.get", &shown, "status 200 with merchantSettings of keyName and keyValue", pairs.is_some());
        let Some(pairs) = pairs else {
            return Err(Stop::Scene("there are no Settings to look at".to_owned()));
        };
        for (_, value) in pairs.iter().filter(|(key, value)| is_secret(key) && !is_masked(value)) {
            self.client.hide(value.as_text().unwrap_or_default());
        }
        self.look_at_settings(&shown, &pairs);

        let put = self.ask(Ask::put(PATH, &body(&pairs))).await?;
        self.judge("settings.put_back", &put, "status 200", put.status() == 200 && put.is_ok());
        if put.is_ok() {
            self.look_at_flags(&put);
        }
        let (shown, pairs) = self.keeps("settings.put_back_keeps", (shown, pairs)).await?;

        let wrapped = Tree::object([("merchantPspSettings", body(&pairs))]);
        let put = self.ask(Ask::put(PATH, &wrapped)).await?;
        self.judge("settings.put_wrapped", &put, "status 200", put.status() == 200 && put.is_ok());
        let (shown, pairs) = self.keeps("settings.put_back_keeps", (shown, pairs)).await?;

        let mut more = pairs.clone();
        more.push((UNKNOWN_KEY.to_owned(), Tree::text("1")));
        let put = self.ask(Ask::put(PATH, &body(&more))).await?;
        let named = put.error().is_some_and(|told| told.message.contains(UNKNOWN_KEY));
        let expected = format!("status 4xx with an error that names {UNKNOWN_KEY}");
        self.judge("settings.unknown_key", &put, &expected, put.is_refusal() && named);
        if !put.is_success() {
            self.keeps("settings.refusal_keeps", (shown, pairs)).await?;
        }
        Ok(())
    }

    fn look_at_settings(&mut self, shown: &Answer, pairs: &[(String, Tree)]) {
        if let Some(described) = self.info.as_ref().map(described) {
            let stray = pairs.iter().find(|(key, _)| !described.iter().any(|known| known.eq_ignore_ascii_case(key)));
            let got = stray.map(|(key, _)| format!("{key}, which is not described")).unwrap_or_default();
            let expected = "only keys of IntegrationInfo's merchantSettings";
            self.judge_as("settings.described", shown, expected, &got, stray.is_none());
        }
        let clear = pairs.iter().find(|(key, value)| is_secret(key) && !is_masked(value));
        let got = clear.map(|(key, _)| format!("{key} is shown")).unwrap_or_default();
        self.judge_as("settings.secrets_masked", shown, "a mask instead of what is secret", &got, clear.is_none());
    }

    fn look_at_flags(&mut self, put: &Answer) {
        let flag = |name: &str| put.get(name).cloned();
        let wrong = METHODS.iter().find(|(_, name)| !matches!(flag(name), None | Some(Tree::Bool(_))));
        let any = METHODS.iter().any(|(_, name)| flag(name).is_some());
        let offers_all_off = self.info.is_none();
        self.judge(
            "settings.put_answer",
            put,
            "booleans isCreditCardValid and its like",
            wrong.is_none() && (any || offers_all_off),
        );
        if let Some(info) = self.info.clone() {
            let offered = METHODS.iter().filter(|(method, _)| info.get(method).is_some());
            let invalid = offered.clone().find(|(_, name)| flag(name) != Some(Tree::Bool(true)));
            let got = invalid.map(|(_, name)| format!("{name} is not true")).unwrap_or_default();
            self.judge_as(
                "settings.valid_as_offered",
                put,
                "true for every method that is offered",
                &got,
                invalid.is_none(),
            );
        }
    }

    /// GET shows what it showed before; what it shows now.
    async fn keeps(&mut self, rule: &'static str, before: (Answer, Pairs)) -> Step<(Answer, Pairs)> {
        let after = self.ask(Ask::get(PATH)).await?;
        let now = after.tree().filter(|_| after.is_ok()).and_then(pairs);
        let same = now.as_deref().map(sorted) == Some(sorted(&before.1));
        self.judge(rule, &after, &format!("the settings as they were before: {}", before.0.told()), same);
        Ok(now.map_or(before, |now| (after, now)))
    }
}

type Pairs = Vec<(String, Tree)>;

/// The settings of an answer.
fn pairs(body: &Tree) -> Option<Pairs> {
    let list = match body.get("merchantSettings") {
        // A list that is empty is left out by some serialisers.
        None => return Some(Vec::new()),
        Some(Tree::List(list)) => list,
        Some(_) => return None,
    };
    let pair = |item: &Tree| {
        let key = item.get("keyName")?.as_text().filter(|key| !key.is_empty())?;
        let value = item.get("keyValue").cloned().unwrap_or(Tree::Null);
        matches!(value, Tree::Null | Tree::Text(_)).then(|| (key.to_owned(), value))
    };
    list.iter().map(pair).collect()
}

fn sorted(pairs: &[(String, Tree)]) -> Vec<(&str, String)> {
    let mut sorted: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.to_string())).collect();
    sorted.sort();
    sorted
}

fn body(pairs: &[(String, Tree)]) -> Tree {
    let item =
        |(key, value): &(String, Tree)| Tree::object([("keyName", Tree::text(key)), ("keyValue", value.clone())]);
    Tree::object([("merchantSettings", Tree::List(pairs.iter().map(item).collect()))])
}

fn described(info: &Tree) -> Vec<String> {
    let settings = info.get("merchantSettings").map(Tree::items).unwrap_or_default();
    settings.iter().filter_map(|setting| setting.get("keyName")?.as_text().map(str::to_owned)).collect()
}

fn is_secret(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| plain.contains(word))
}

/// Nothing, or a run of what masks are made of.
fn is_masked(value: &Tree) -> bool {
    let text = value.as_text().unwrap_or_default();
    let mut run = 0;
    text.is_empty()
        || text.chars().any(|c| {
            run = if MASK.contains(&c) { run + 1 } else { 0 };
            run >= MASK_MIN
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_and_what_is_masked() {
        for (key, secret) in [("api_key", true), ("WebhookSecret", true), ("PrivateKey", true), ("MerchantId", false)] {
            assert_eq!(is_secret(key), secret, "{key}");
        }
        for (value, masked) in [("", true), ("********", true), ("ab••••", true), ("key-1234", false), ("a.b.c", false)]
        {
            assert_eq!(is_masked(&Tree::text(value)), masked, "{value}");
        }
    }

    #[test]
    fn settings_of_an_answer() {
        let pairs = |text: &str| super::pairs(&Tree::read(text.as_bytes()).expect("JSON"));
        let one = pairs(r#"{"MerchantSettings":[{"KeyName":"k","KeyValue":"v"}]}"#).expect("settings");
        assert_eq!(body(&one).to_string(), r#"{"merchantSettings":[{"keyName":"k","keyValue":"v"}]}"#);
        assert_eq!(pairs("{}"), Some(Vec::new()));
        for bad in [r#"{"merchantSettings":{}}"#, r#"{"merchantSettings":[{"keyValue":"v"}]}"#] {
            assert_eq!(pairs(bad), None, "{bad}");
        }
    }
}
