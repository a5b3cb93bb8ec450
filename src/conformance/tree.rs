//! A JSON document as it was written, owned: numbers keep their text, members their order, and are found in any letter
//! case.

use std::fmt;

use crate::http::body::{Json, parse};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Strictly as JSON is defined; the error says what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Tree, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        parse(text).map(Tree::from)
    }

    pub fn text(text: impl Into<String>) -> Tree {
        Tree::Text(text.into())
    }

    /// A number with just these digits.
    pub fn number(digits: impl Into<String>) -> Tree {
        Tree::Number(digits.into())
    }

    pub fn object<const N: usize>(members: [(&str, Tree); N]) -> Tree {
        Tree::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The member of this name, in any letter case; null is as good as absent.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        let Tree::Object(members) = self else { return None };
        let found = members.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).filter(|value| **value != Tree::Null)
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) => Some(text),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::List(_) | Tree::Object(_) => None,
        }
    }

    /// The items of a list, nothing for anything else.
    pub fn items(&self) -> &[Tree] {
        match self {
            Tree::List(items) => items,
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::Object(_) => &[],
        }
    }

    /// The members of an object, nothing for anything else.
    pub fn members(&self) -> &[(String, Tree)] {
        match self {
            Tree::Object(members) => members,
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::List(_) => &[],
        }
    }

    pub fn is_object(&self) -> bool {
        matches!(self, Tree::Object(_))
    }

    /// `a string`: for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Tree::Null => "null",
            Tree::Bool(_) => "a boolean",
            Tree::Number(_) => "a number",
            Tree::Text(_) => "a string",
            Tree::List(_) => "an array",
            Tree::Object(_) => "an object",
        }
    }

    /// The same with a member set, added at the end where there is none.
    #[must_use]
    pub fn with(mut self, name: &str, value: Tree) -> Tree {
        if let Tree::Object(members) = &mut self {
            match members.iter_mut().find(|(have, _)| have == name) {
                Some(member) => member.1 = value,
                None => members.push((name.to_owned(), value)),
            }
        }
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Tree {
        if let Tree::Object(members) = &mut self {
            members.retain(|(have, _)| have != name);
        }
        self
    }

    /// The same with other member names; those inside of a free map are left as they are.
    #[must_use]
    pub fn renamed(self, free: &str, rename: &impl Fn(&str) -> String) -> Tree {
        match self {
            Tree::Object(members) => {
                let each = members.into_iter().map(|(name, value)| {
                    let value = if name == free { value } else { value.renamed(free, rename) };
                    (rename(&name), value)
                });
                Tree::Object(each.collect())
            }
            Tree::List(items) => Tree::List(items.into_iter().map(|item| item.renamed(free, rename)).collect()),
            same @ (Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_)) => same,
        }
    }
}

impl From<Json<'_>> for Tree {
    fn from(json: Json<'_>) -> Tree {
        match json {
            Json::Null => Tree::Null,
            Json::Bool(flag) => Tree::Bool(flag),
            Json::Number(digits) => Tree::Number(digits.to_owned()),
            Json::Text(text) => Tree::Text(text),
            Json::List(items) => Tree::List(items.into_iter().map(Tree::from).collect()),
            Json::Object(members) => {
                Tree::Object(members.into_iter().map(|(name, value)| (name, Tree::from(value))).collect())
            }
        }
    }
}

/// As JSON, without a blank that need not be there.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A text always has a JSON form.
        let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
        match self {
            Tree::Null => f.write_str("null"),
            Tree::Bool(flag) => write!(f, "{flag}"),
            Tree::Number(digits) => f.write_str(digits),
            Tree::Text(text) => f.write_str(&quoted(text)),
            Tree::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Tree::Object(members) => {
                f.write_str("{")?;
                for (at, (name, value)) in members.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", quoted(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        for text in [r#"{"a":1.50,"B":[1e2,null,"x\"y",true],"c":{}}"#, "[]", "\"ü\"", "-0"] {
            assert_eq!(Tree::read(text.as_bytes()).expect("JSON").to_string(), text);
        }
        for bad in ["", "{\"a\":1,}", "{\"a\":", "<html>", "\u{feff}{}"] {
            assert!(Tree::read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Tree::read(&[0xff]).is_err());
    }

    #[test]
    fn members_are_found_and_changed() {
        let tree = Tree::read(br#"{"a":1,"free":{"Keep":"x"},"inner":{"b":[{"c":2}]},"n":null}"#).expect("JSON");
        assert_eq!(tree.get("A"), Some(&Tree::number("1")));
        assert_eq!(tree.get("n"), None);
        let upper = tree.clone().renamed("free", &|name: &str| name.to_uppercase());
        assert_eq!(upper.to_string(), r#"{"A":1,"FREE":{"Keep":"x"},"INNER":{"B":[{"C":2}]},"N":null}"#);
        let changed = tree.with("a", Tree::text("y")).with("z", Tree::Bool(true)).without("inner").without("free");
        assert_eq!(changed.to_string(), r#"{"a":"y","n":null,"z":true}"#);
    }
}
