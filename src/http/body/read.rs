//! Reading a DTO: bytes to tree, tree to the value its shape wants, value to DTO. Every refusal names the field.

use std::cell::Cell;

use poem_openapi::types::ParseFromJSON;
use serde_json::{Map, Number, Value};

use super::BodyError;
use super::json::{self, Json};
use super::shape::{Id, Shape, Shapes};

/// Reads a DTO from the bytes of a JSON document.
///
/// # Errors
/// [`BodyError::Syntax`], [`BodyError::Twice`] and [`BodyError::Shape`].
pub fn read<T: ParseFromJSON + 'static>(bytes: &[u8]) -> Result<T, BodyError> {
    let syntax = |text| BodyError::Syntax { text };
    let text = json::text(bytes).map_err(syntax)?;
    let tree = json::parse(&text).map_err(syntax)?;
    let shapes = Shapes::of::<T>();
    let folded = fold(&shapes, shapes.root, &tree, &mut Vec::new())?;
    T::parse_from_json(Some(folded)).or_else(|_| {
        // Only now a second copy is made: the DTO's own checks do not say where they failed.
        let folded = fold(&shapes, shapes.root, &tree, &mut Vec::new())?;
        let probes = BLAME_BYTES_MAX / text.len().max(1);
        Err(blame::<T>(&shapes, folded, probes))
    })
}

/// How much may be parsed over again to find a refused field. A body of the largest size gets 64 tries, an ordinary one
/// all it can need; when they are used up, the field's surroundings are named.
const BLAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A step into a document.
#[derive(Clone)]
enum Step {
    Key(String),
    At(usize),
}

/// `invoiceData.lineItems[1].totalGross`.
fn show(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::At(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn wrong(path: &[Step], text: impl Into<String>) -> BodyError {
    BodyError::Shape { field: show(path), text: text.into() }
}

/// The value as the DTO reads it: known names in the schema's spelling, enums by name, decimals as text.
fn fold(shapes: &Shapes, shape: Id, json: &Json, path: &mut Vec<Step>) -> Result<Value, BodyError> {
    let expected = |what: &str| wrong(path, format!("must be {what}, found {}", json.kind()));
    match (shapes.get(shape), json) {
        // Whether null is fine is the field's business; inside lists and maps it is the type's.
        (_, Json::Null) => Ok(Value::Null),
        (Shape::Any, json) => plain(json, path),
        (Shape::Object { .. }, Json::Object(members)) => fold_object(shapes, shape, members, path),
        (Shape::Object { .. }, _) => Err(expected("an object")),
        (Shape::List(of), Json::List(items)) => {
            let each = items.iter().enumerate();
            let each = each.map(|(at, item)| inside(path, Step::At(at), |path| fold(shapes, *of, item, path)));
            each.collect::<Result<_, _>>().map(Value::Array)
        }
        (Shape::List(_), _) => Err(expected("an array")),
        (Shape::Choice(choices), Json::Text(name)) => {
            let known = choices.iter().find(|choice| choice.name.eq_ignore_ascii_case(name));
            let names = || choices.iter().map(|choice| choice.name.as_str()).collect::<Vec<_>>().join(", ");
            known
                .map(|choice| Value::from(choice.name.as_str()))
                .ok_or_else(|| wrong(path, format!("must be one of {}", names())))
        }
        (Shape::Choice(choices), Json::Number(number)) => {
            let code = number.parse::<i64>().ok();
            let known = choices.iter().find(|choice| choice.code.is_some() && choice.code == code);
            known
                .map(|choice| Value::from(choice.name.as_str()))
                .ok_or_else(|| wrong(path, format!("{} is not a number of this enum", short(number))))
        }
        (Shape::Choice(_), _) => Err(expected("a name or number of the enum")),
        (Shape::Decimal, Json::Number(number)) => Ok(Value::from(*number)),
        (Shape::Decimal, _) => Err(expected("a number")),
        (Shape::Integer, Json::Number(number)) => whole(number).ok_or_else(|| expected_whole(number, path)),
        (Shape::Integer, _) => Err(expected("a whole number")),
        (Shape::Number, Json::Number(number)) => any_number(number, path),
        (Shape::Number, _) => Err(expected("a number")),
        (Shape::Text, Json::Text(text)) => no_nul(text, path).map(Value::from),
        (Shape::Text, _) => Err(expected("a string")),
        (Shape::Flag, Json::Bool(flag)) => Ok(Value::Bool(*flag)),
        (Shape::Flag, _) => Err(expected("true or false")),
    }
}

fn fold_object(
    shapes: &Shapes,
    shape: Id,
    members: &[(String, Json)],
    path: &mut Vec<Step>,
) -> Result<Value, BodyError> {
    let Shape::Object { fields, rest } = shapes.get(shape) else { return Ok(Value::Null) };
    let mut folded = Map::new();
    for (key, json) in members {
        let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case(key));
        let (name, of) = match (field, rest) {
            (Some(field), _) => (field.name, field.shape),
            (None, Some(of)) => (no_nul(key, path)?, *of),
            // What we do not know may belong to a newer version of the contract.
            (None, None) => continue,
        };
        let step = Step::Key(name.to_owned());
        if field.is_some() && folded.contains_key(name) {
            return Err(BodyError::Twice { field: inside(path, step, |path| show(path)) });
        }
        let value = inside(path, step, |path| match (field, json) {
            (Some(field), Json::Null) if field.required => Err(wrong(path, "is required, found null")),
            _ => fold(shapes, of, json, path),
        })?;
        folded.insert(name.to_owned(), value);
    }
    match fields.iter().find(|field| field.required && !folded.contains_key(field.name)) {
        Some(missing) => inside(path, Step::Key(missing.name.to_owned()), |path| Err(wrong(path, "is required"))),
        None => Ok(Value::Object(folded)),
    }
}

/// A free-form value as it came.
fn plain(json: &Json, path: &mut Vec<Step>) -> Result<Value, BodyError> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => any_number(number, path)?,
        Json::Text(text) => Value::from(no_nul(text, path)?),
        Json::List(items) => {
            let each = items.iter().enumerate();
            Value::Array(
                each.map(|(at, item)| inside(path, Step::At(at), |path| plain(item, path)))
                    .collect::<Result<_, _>>()?,
            )
        }
        Json::Object(members) => {
            let mut map = Map::new();
            for (key, json) in members {
                no_nul(key, path)?;
                let value = inside(path, Step::Key(key.clone()), |path| plain(json, path))?;
                map.insert(key.clone(), value);
            }
            Value::Object(map)
        }
    })
}

fn inside<R>(path: &mut Vec<Step>, step: Step, then: impl FnOnce(&mut Vec<Step>) -> R) -> R {
    path.push(step);
    let result = then(path);
    path.pop();
    result
}

/// PostgreSQL cannot store U+0000 in a text, so no text of ours may contain it.
fn no_nul<'a>(text: &'a str, path: &[Step]) -> Result<&'a str, BodyError> {
    match text.contains('\0') {
        true => Err(wrong(path, "must not contain the character U+0000")),
        false => Ok(text),
    }
}

fn whole(number: &str) -> Option<Value> {
    number.parse::<i64>().map(Value::from).or_else(|_| number.parse::<u64>().map(Value::from)).ok()
}

fn expected_whole(number: &str, path: &[Step]) -> BodyError {
    wrong(path, format!("must be a whole number in range, found {}", short(number)))
}

fn any_number(number: &str, path: &[Step]) -> Result<Value, BodyError> {
    let read = serde_json::from_str::<Number>(number);
    read.map(Value::Number).map_err(|_| wrong(path, format!("{} is out of range", short(number))))
}

/// The start of a caller's text, fit for a message.
fn short(text: &str) -> String {
    /// Enough to recognise what was sent.
    const SHOWN_MAX: usize = 100;
    match text.chars().count() > SHOWN_MAX {
        true => text.chars().take(SHOWN_MAX).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Finds the field that a DTO's own parsing refused, whose message names none.
///
/// Parsing goes in the schema's order and stops at the first refusal. So a nonsense value put in place of a member changes
/// the outcome if that member stands before the refused one or is it, and changes nothing if it stands behind: the refused
/// member is the last one that matters.
fn blame<T: ParseFromJSON>(shapes: &Shapes, root: Value, probes: usize) -> BodyError {
    let outcome = |value: Value| T::parse_from_json(Some(value)).err().map(|error| error.into_message());
    let mut suspect = Suspect { root, refusal: None, path: Vec::new(), probes: Cell::new(probes) };
    suspect.refusal = outcome(suspect.root.clone());
    let refusal = suspect.refusal.clone().unwrap_or_default();
    // A validator names its field and looks at it as a whole: going deeper would blame the field's last member.
    let reason = readable(&refusal);
    let validated = reason.strip_prefix("field `").and_then(|rest| rest.split_once("` verification failed. "));
    let mut shape = shapes.root;
    while let Some((step, inner)) = suspect.step(shapes, shape, &outcome) {
        let named = matches!((&step, validated), (Step::Key(key), Some((name, _))) if key == name);
        suspect.path.push(step);
        shape = inner;
        if named {
            break;
        }
    }
    wrong(
        &suspect.path,
        match validated {
            Some((_, rule)) => broken_rule(rule),
            None => short(&reason),
        },
    )
}

struct Suspect {
    root: Value,
    refusal: Option<String>,
    path: Vec<Step>,
    /// Tries that are left.
    probes: Cell<usize>,
}

impl Suspect {
    /// The member of the value at `path` that is to blame, with its shape.
    fn step(&self, shapes: &Shapes, shape: Id, outcome: &impl Fn(Value) -> Option<String>) -> Option<(Step, Id)> {
        let matters = |step: &Step| {
            self.probes.set(self.probes.get().saturating_sub(1));
            self.probes.get() > 0 && self.with_nonsense(step).is_some_and(|value| outcome(value) != self.refusal)
        };
        let here = find(&self.root, &self.path)?;
        let found = match (shapes.get(shape), here) {
            (Shape::Object { fields, rest }, Value::Object(members)) => {
                let known = fields.iter().rev().filter(|field| members.contains_key(field.name));
                let mut known = known.map(|field| (Step::Key(field.name.to_owned()), field.shape));
                known.find(|(step, _)| matters(step)).or_else(|| {
                    let free = members.keys().filter(|key| !fields.iter().any(|field| field.name == *key));
                    let keys: Vec<_> = free.map(|key| Step::Key(key.clone())).collect();
                    Some((last_that(&keys, matters)?, (*rest)?))
                })
            }
            (Shape::List(of), Value::Array(items)) => {
                let steps: Vec<_> = (0..items.len()).map(Step::At).collect();
                Some((last_that(&steps, matters)?, *of))
            }
            _ => None,
        };
        // A search that was cut short says nothing.
        found.filter(|_| self.probes.get() > 0)
    }

    fn with_nonsense(&self, step: &Step) -> Option<Value> {
        let mut root = self.root.clone();
        let mut place = &mut root;
        for step in self.path.iter().chain([step]) {
            place = match step {
                Step::Key(key) => place.get_mut(key)?,
                Step::At(index) => place.get_mut(index)?,
            };
        }
        *place = serde_json::json!([{ "\u{1}": "\u{1}" }]);
        Some(root)
    }
}

fn find<'a>(root: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(root, |place, step| match step {
        Step::Key(key) => place.get(key),
        Step::At(index) => place.get(index),
    })
}

/// The last step that matters, where all before it do too. Members of a list or map may be many: halving keeps this cheap.
fn last_that(steps: &[Step], matters: impl Fn(&Step) -> bool) -> Option<Step> {
    let count = steps.partition_point(matters);
    steps[..count].last().cloned()
}

/// A validator's rule in words: `maxLength(3)` becomes `must not be longer than 3 characters`.
fn broken_rule(rule: &str) -> String {
    let (name, bound) = rule.trim_end_matches(')').split_once('(').unwrap_or((rule, ""));
    match name {
        "maxLength" => format!("must not be longer than {bound} characters"),
        "minLength" => format!("must be at least {bound} characters long"),
        "pattern" => format!("must match {bound}"),
        "maxItems" => format!("must not have more than {bound} items"),
        "minItems" => format!("must have at least {bound} items"),
        "maxProperties" => format!("must not have more than {bound} members"),
        "minProperties" => format!("must have at least {bound} members"),
        "maximum" => format!("must not be above the maximum ({bound})"),
        "minimum" => format!("must not be below the minimum ({bound})"),
        "uniqueItems" => "must not have an item twice".to_owned(),
        _ => format!("breaks the rule {}", short(rule)),
    }
}

/// The core of a parse message: without the chain of type names around it, and without the caller's whole value.
fn readable(message: &str) -> String {
    let message = message.split(" (occurred while parsing ").next().unwrap_or(message);
    match message.strip_prefix("failed to parse \"").and_then(|rest| rest.split_once("\": ")) {
        Some((_, reason)) => reason.to_owned(),
        None => match message.split_once("\", found ") {
            Some((_, found)) => format!("has the wrong form, found {}", short(found.trim_end_matches('.'))),
            None => message.to_owned(),
        },
    }
}
