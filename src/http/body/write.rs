//! Writing a DTO: along its shape, in the style a contract or a receiver wants.

use poem_openapi::types::ToJSON;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::shape::{Field, Id, Shape, Shapes};

/// How the names of fields are spelled. Keys of free maps are never touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// As the schema spells them.
    #[default]
    Camel,
    /// With a capital first letter: `errorCode` becomes `ErrorCode`.
    Pascal,
}

/// How the values of a [`contract_enum!`](crate::contract_enum) are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enums {
    #[default]
    Name,
    Number,
}

/// How a body is written. Null fields are left out in every style.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub case: Case,
    pub enums: Enums,
    /// Leaves out optional fields that are `0`, `false` or the enum value numbered 0.
    pub omit_defaults: bool,
}

/// The JSON text of a DTO in a style.
pub fn render<T: ToJSON + 'static>(value: &T, style: Style) -> Vec<u8> {
    let shapes = Shapes::of::<T>();
    let json = value.to_json().unwrap_or_default();
    let writer = Writer { shapes: &shapes, shape: shapes.root, value: &json, style };
    serde_json::to_vec(&writer).expect("a JSON value with string keys can be written to memory")
}

#[derive(Clone, Copy)]
struct Writer<'a> {
    shapes: &'a Shapes,
    shape: Id,
    value: &'a Value,
    style: Style,
}

impl Writer<'_> {
    fn omits(&self, field: &Field, value: &Value) -> bool {
        let zero = || match (self.shapes.get(field.shape), value) {
            (_, Value::Bool(flag)) => !flag,
            (_, Value::Number(number)) => is_zero(&number.to_string()),
            (Shape::Decimal, Value::String(text)) => is_zero(text),
            (Shape::Choice(choices), Value::String(name)) => {
                choices.iter().any(|choice| choice.name == *name && choice.code == Some(0))
            }
            _ => false,
        };
        value.is_null() || (self.style.omit_defaults && !field.required && zero())
    }
}

/// Whether the text of a number means zero: `0`, `-0.00`, `0e7`.
fn is_zero(text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'))
}

fn pascal(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

impl Serialize for Writer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inner = |shape: Id, value| Writer { shape, value, ..*self };
        match (self.shapes.get(self.shape), self.value) {
            (Shape::Object { fields, rest }, Value::Object(members)) => {
                let mut map = serializer.serialize_map(None)?;
                for field in fields {
                    let Some(value) = members.get(field.name).filter(|value| !self.omits(field, value)) else {
                        continue;
                    };
                    match self.style.case {
                        Case::Camel => map.serialize_key(field.name)?,
                        Case::Pascal => map.serialize_key(&pascal(field.name))?,
                    }
                    map.serialize_value(&inner(field.shape, value))?;
                }
                if let Some(rest) = rest {
                    let known = |key: &str| fields.iter().any(|field| field.name == key);
                    for (key, value) in members.iter().filter(|(key, _)| !known(key)) {
                        map.serialize_entry(key, &inner(*rest, value))?;
                    }
                }
                map.end()
            }
            (Shape::List(of), Value::Array(items)) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&inner(*of, item))?;
                }
                list.end()
            }
            (Shape::Choice(choices), Value::String(name)) if self.style.enums == Enums::Number => {
                match choices.iter().find(|choice| choice.name == *name).and_then(|choice| choice.code) {
                    Some(code) => serializer.serialize_i64(code),
                    None => serializer.serialize_str(name),
                }
            }
            (Shape::Decimal, Value::String(text)) => match RawValue::from_string(text.clone()) {
                Ok(number) => number.serialize(serializer),
                Err(_) => serializer.serialize_str(text),
            },
            (_, value) => value.serialize(serializer),
        }
    }
}
