//! From bytes to a tree that has lost nothing: numbers as text, every key as often as it came.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting read. Each level is scanned once more for its parent, so this also bounds the work per byte.
const DEPTH_MAX: usize = 32;

/// A JSON value as it was written.
#[derive(Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
    List(Vec<Json<'a>>),
    Object(Vec<(String, Json<'a>)>),
}

impl Json<'_> {
    /// `a string`: for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::List(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// The document as text: no byte order mark, no trailing commas. The error says what is wrong.
pub fn text(bytes: &[u8]) -> Result<String, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut bytes = bytes.to_vec();
    blank_trailing_commas(&mut bytes);
    String::from_utf8(bytes).map_err(|_| "the body is not UTF-8".to_owned())
}

/// Reads a whole document. The error says what is wrong and where.
pub fn parse(text: &str) -> Result<Json<'_>, String> {
    if text.trim_ascii().is_empty() {
        return Err("the body is empty".to_owned());
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|e| e.to_string())?;
    tree(raw, 0)
}

fn tree(raw: &RawValue, depth: usize) -> Result<Json<'_>, String> {
    if depth > DEPTH_MAX {
        return Err(format!("nested more than {DEPTH_MAX} levels deep"));
    }
    let text = raw.get();
    let bad = |e: serde_json::Error| e.to_string();
    match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(bad)?;
            let inner = members.into_iter().map(|(key, raw)| Ok((key, tree(raw, depth + 1)?)));
            Ok(Json::Object(inner.collect::<Result<_, String>>()?))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
            Ok(Json::List(items.into_iter().map(|raw| tree(raw, depth + 1)).collect::<Result<_, _>>()?))
        }
        Some(b'"') => serde_json::from_str(text).map(Json::Text).map_err(bad),
        Some(b't') => Ok(Json::Bool(true)),
        Some(b'f') => Ok(Json::Bool(false)),
        Some(b'n') => Ok(Json::Null),
        _ => Ok(Json::Number(text)),
    }
}

/// An object's members in order, repeated keys included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Overwrites a comma that stands directly before `}` or `]` with a blank, so that positions in error messages stay true.
/// `[,]`, `{,}` and `[1,,]` are left to the parser, which refuses them.
fn blank_trailing_commas(bytes: &mut [u8]) {
    let (mut in_string, mut escaped) = (false, false);
    // Where the last comma stands, while nothing but white space followed it.
    let mut comma: Option<usize> = None;
    // The significant byte before that comma: one that ends a value, or the comma is not a trailing one.
    let (mut before_comma, mut last) = (0, 0);
    for at in 0..bytes.len() {
        let byte = bytes[at];
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b',' => (comma, before_comma) = (Some(at), last),
            b'}' | b']' => {
                if let Some(comma) = comma.take()
                    && !matches!(before_comma, 0 | b',' | b'[' | b'{' | b':')
                {
                    bytes[comma] = b' ';
                }
            }
            b'"' => (in_string, comma) = (true, None),
            _ => comma = None,
        }
        last = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blanked(source: &str) -> String {
        text(source.as_bytes()).expect("UTF-8")
    }

    #[test]
    fn trailing_commas_are_blanked_and_no_others() {
        for (source, expected) in [
            (r#"{"a":1,}"#, r#"{"a":1 }"#),
            (r#"[1, 2 ,  ]"#, r#"[1, 2    ]"#),
            ("{\"a\":[1,],\n}", "{\"a\":[1 ] \n}"),
            (r#"{"a":",}","b":"\",]",}"#, r#"{"a":",}","b":"\",]" }"#),
            (r#"{"a":"\\",}"#, r#"{"a":"\\" }"#),
            (r#"[[],]"#, r#"[[] ]"#),
            ("\u{feff}[true,]", "[true ]"),
        ] {
            assert_eq!(blanked(source), expected);
            assert!(parse(expected).is_ok(), "{expected}");
        }
        for bad in
            ["[,]", "{,}", "[1,,]", r#"{"a":,}"#, "[1,", r#"{"a":1,,}"#, ",", "1,", "[,,]", "", "  ", "nul", "[1] x"]
        {
            assert!(parse(&blanked(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_keep_their_text_and_keys_their_number() {
        let tree = parse(r#"{"a":1.50,"A":[1e2,null,"x",true],"a":{}}"#).expect("JSON");
        let list = vec![Json::Number("1e2"), Json::Null, Json::Text("x".to_owned()), Json::Bool(true)];
        let expected = [("a", Json::Number("1.50")), ("A", Json::List(list)), ("a", Json::Object(vec![]))];
        assert_eq!(tree, Json::Object(expected.map(|(k, v)| (k.to_owned(), v)).into()));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        for depth in [DEPTH_MAX + 2, 130, 100_000] {
            assert!(parse(&nested(depth)).is_err(), "{depth}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(text) = text(&bytes) {
                let _ = parse(&text);
            }
        }

        #[test]
        fn json_like_text_is_read_as_serde_reads_it(source in r#"[\[\]{}:,"a1.e\\ \-tnu]{0,24}"#) {
            // What a strict parser accepts must never be changed by the comma rule.
            if serde_json::from_str::<serde_json::Value>(&source).is_ok() {
                prop_assert_eq!(blanked(&source), source.clone());
                prop_assert!(parse(&source).is_ok());
            } else {
                let _ = parse(&blanked(&source));
            }
        }
    }
}
