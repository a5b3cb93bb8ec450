//! The last touches of an OpenAPI document that poem-openapi has no place for: version 3.1, the keywords that changed with
//! it, named examples for each operation. The result is committed and compared, so it is the same on every run.

use poem::http::StatusCode;
use serde_json::{Map, Number, Value, json};

/// A named example of a request or of one response of an operation.
#[derive(Clone, Debug)]
pub struct Example {
    pub operation_id: &'static str,
    pub at: At,
    pub name: &'static str,
    pub value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Request,
    Response(StatusCode),
}

#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    #[error("the document is not JSON")]
    Json(#[from] serde_json::Error),
    /// An example for something that is not in the document.
    #[error("example {name}: {operation_id} has no {at:?} with a body")]
    Nowhere { operation_id: &'static str, at: At, name: &'static str },
}

/// Makes the finished document of what `OpenApiService::spec` gives, webhooks included.
///
/// # Errors
/// If an example belongs nowhere: a renamed operation must not lose its examples silently.
pub fn finish(raw: &str, examples: &[Example]) -> Result<String, SpecError> {
    let mut document: Value = serde_json::from_str(raw)?;
    mend(&mut document);
    document["openapi"] = "3.1.0".into();
    for example in examples {
        let Example { operation_id, at, name, .. } = *example;
        let place = place(&mut document, example);
        place.ok_or(SpecError::Nowhere { operation_id, at, name })?;
    }
    order_tags(&mut document, examples);
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Groups stand in the order in which their examples work, not in the alphabet's: what is captured was reserved before.
fn order_tags(document: &mut Value, examples: &[Example]) {
    let place_of = |document: &mut Value, tag: &str| {
        examples.iter().position(|example| {
            let mut operations = operations_mut(document);
            let operation = operations.find(|operation| operation["operationId"] == example.operation_id);
            operation
                .is_some_and(|operation| operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|t| t == tag)))
        })
    };
    let Some(Value::Array(mut tags)) = document.get_mut("tags").map(Value::take) else { return };
    tags.sort_by_cached_key(|tag| place_of(document, tag["name"].as_str().unwrap_or_default()).unwrap_or(usize::MAX));
    document["tags"] = tags.into();
}

/// Puts an example where it belongs; `None` if there is no such place.
fn place(document: &mut Value, example: &Example) -> Option<()> {
    let operation = operations_mut(document).find(|operation| operation["operationId"] == example.operation_id)?;
    let holder = match example.at {
        At::Request => operation.get_mut("requestBody")?,
        At::Response(status) => operation.get_mut("responses")?.get_mut(status.as_str())?,
    };
    let contents = holder.get_mut("content")?.as_object_mut()?;
    for content in contents.values_mut() {
        content["examples"][example.name] = json!({ "value": example.value });
    }
    (!contents.is_empty()).then_some(())
}

fn operations_mut(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let roots = document.as_object_mut().into_iter().flatten();
    let paths = roots.filter(|(key, _)| is_root(key)).filter_map(|(_, paths)| paths.as_object_mut());
    let items = paths.flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    items.flatten().filter(|(key, _)| is_method(key)).map(|(_, operation)| operation)
}

fn is_root(key: &str) -> bool {
    matches!(key, "paths" | "webhooks")
}

fn is_method(key: &str) -> bool {
    matches!(key, "get" | "put" | "post" | "delete" | "options" | "head" | "patch" | "trace")
}

/// Keywords whose values are a caller's data, not schemas.
const DATA: [&str; 5] = ["default", "example", "examples", "enum", "const"];
/// Keywords under which every key is a name, so that a field called `default` is not taken for the keyword.
const NAMES: [&str; 6] = ["properties", "schemas", "responses", "content", "headers", "paths"];

fn mend(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mend),
        Value::Object(map) => {
            mend_media_types(map);
            mend_reference(map);
            mend_decimal(map);
            mend_bounds(map);
            mend_nullable(map);
            mend_security(map);
            for (key, value) in map.iter_mut().filter(|(key, _)| !DATA.contains(&key.as_str())) {
                match value {
                    Value::Object(named) if NAMES.contains(&key.as_str()) => {
                        mend_media_types(named);
                        named.values_mut().for_each(mend);
                    }
                    value => mend(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// JSON is UTF-8 in any case; the parameter only makes generated clients send what others refuse.
fn mend_media_types(map: &mut Map<String, Value>) {
    if map.contains_key("application/json; charset=utf-8") {
        let renamed = std::mem::take(map).into_iter().map(|(key, value)| match key.as_str() {
            "application/json; charset=utf-8" => ("application/json".to_owned(), value),
            _ => (key, value),
        });
        *map = renamed.collect();
    }
}

/// A reference with a description of its own comes as `allOf` of both, beside the description once more. In 3.1 keywords
/// may stand beside `$ref`.
fn mend_reference(map: &mut Map<String, Value>) {
    let Some([reference, patch]) = map.get("allOf").and_then(Value::as_array).map(Vec::as_slice) else { return };
    let (Some(target), Some(patch)) = (reference.get("$ref").cloned(), patch.as_object()) else { return };
    if patch.iter().all(|(key, value)| map.get(key) == Some(value)) {
        map.remove("allOf");
        map.insert("$ref".to_owned(), target);
    }
}

/// An amount's default comes as the text it is kept as.
fn mend_decimal(map: &mut Map<String, Value>) {
    if map.get("type").is_some_and(|t| t == "number") && map.get("format").is_some_and(|f| f == "decimal") {
        for key in ["default", "example"] {
            let text = map.get(key).and_then(Value::as_str);
            if let Some(number) = text.and_then(|text| serde_json::from_str::<Number>(text).ok()) {
                map.insert(key.to_owned(), Value::Number(number));
            }
        }
    }
}

/// In 3.0 a flag beside the bound, in 3.1 the bound itself.
fn mend_bounds(map: &mut Map<String, Value>) {
    for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match map.get(flag) {
            Some(Value::Bool(true)) => {
                map.remove(flag);
                if let Some(number) = map.remove(bound) {
                    map.insert(flag.to_owned(), number);
                }
            }
            Some(Value::Bool(false)) => {
                map.remove(flag);
            }
            _ => {}
        }
    }
}

/// In 3.0 a flag, in 3.1 a type among others.
fn mend_nullable(map: &mut Map<String, Value>) {
    if !map.get("nullable").is_some_and(Value::is_boolean) {
        return;
    }
    if map.remove("nullable") != Some(Value::Bool(true)) {
        return;
    }
    if let Some(Value::Array(choices)) = map.get_mut("enum") {
        choices.push(Value::Null);
    }
    match (map.get("type").cloned(), map.remove("$ref")) {
        (Some(Value::String(of)), _) => {
            map.insert("type".to_owned(), json!([of, "null"]));
        }
        (_, Some(target)) => {
            map.insert("anyOf".to_owned(), json!([{ "$ref": target }, { "type": "null" }]));
        }
        _ => {}
    }
}

/// The schemes of one alternative come from a hash map, in no order.
fn mend_security(map: &mut Map<String, Value>) {
    let alternatives = map.get_mut("security").and_then(Value::as_array_mut).into_iter().flatten();
    for schemes in alternatives.filter_map(Value::as_object_mut) {
        let mut sorted: Vec<_> = std::mem::take(schemes).into_iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        schemes.extend(sorted);
    }
}

/// The error statuses every operation of a contract has to document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Documented {
    pub always: &'static [u16],
    /// Of operations that take a body.
    pub with_body: &'static [u16],
    /// Of operations whose path has a parameter.
    pub with_id: &'static [u16],
}

/// What a finished document lacks, as sentences: for the tests of the contracts.
pub fn complaints(document: &str, documented: Documented) -> Vec<String> {
    let mut document: Value = match serde_json::from_str(document) {
        Ok(document) => document,
        Err(error) => return vec![error.to_string()],
    };
    let mut complaints = Vec::new();
    dangling(&document, &document, &mut complaints);
    for (root, paths) in document.as_object_mut().into_iter().flatten().filter(|(key, _)| is_root(key)) {
        for (path, item) in paths.as_object_mut().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten().filter(|(key, _)| is_method(key)) {
                let name = format!("{method} {path}");
                let wanted = if root == "paths" { documented } else { Documented::default() };
                complain(&name, path, operation, wanted, &mut complaints);
            }
        }
    }
    complaints
}

fn complain(name: &str, path: &str, operation: &Value, documented: Documented, complaints: &mut Vec<String>) {
    for key in ["operationId", "summary"] {
        if operation[key].as_str().is_none_or(str::is_empty) {
            complaints.push(format!("{name}: no {key}"));
        }
    }
    let with_body = if operation.get("requestBody").is_some() { documented.with_body } else { &[] };
    let with_id = if path.contains('{') { documented.with_id } else { &[] };
    for status in documented.always.iter().chain(with_body).chain(with_id) {
        if operation["responses"].get(status.to_string()).is_none() {
            complaints.push(format!("{name}: {status} is not documented"));
        }
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        if response["description"].as_str().is_none_or(str::is_empty) {
            complaints.push(format!("{name}: {status} has no description"));
        }
    }
}

fn dangling(document: &Value, value: &Value, complaints: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| dangling(document, item, complaints)),
        Value::Object(map) => {
            let target = map.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
            if let Some(target) = target.filter(|target| document.pointer(target).is_none()) {
                complaints.push(format!("{target} does not exist"));
            }
            map.values().for_each(|value| dangling(document, value, complaints));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::amount::Amount;
    use crate::http::body::Body;
    use poem_openapi::payload::Json;
    use poem_openapi::{Object, OpenApi, OpenApiService, Webhook};

    fn five() -> Amount {
        Amount::parse("5.25").expect("a number")
    }

    #[derive(Object)]
    struct Inner {
        text: String,
    }

    #[derive(Object)]
    struct Outer {
        #[oai(default = "five")]
        amount: Amount,
        /// The inner one.
        inner: Inner,
        #[oai(nullable)]
        maybe: Option<String>,
        #[oai(nullable)]
        maybe_inner: Option<Inner>,
        #[oai(validator(minimum(value = "0", exclusive)))]
        count: Option<i32>,
        /// A field with the name of a keyword.
        #[oai(nullable)]
        default: Option<i32>,
    }

    struct Api;

    #[OpenApi]
    impl Api {
        /// Makes one.
        #[oai(path = "/one/:id", method = "post", operation_id = "makeOne")]
        async fn make(&self, body: Body<Outer>) -> Json<Outer> {
            Json(body.0)
        }
        #[oai(path = "/two", method = "get")]
        async fn two(&self) {}
    }

    #[Webhook]
    #[expect(dead_code, reason = "a webhook is only documented, nobody calls it")]
    trait Notices {
        /// Something changed.
        #[oai(method = "post", operation_id = "changed")]
        fn changed(&self, body: Body<Inner>);
    }

    fn raw() -> String {
        OpenApiService::new(Api, "t", "1").webhooks::<&dyn Notices>().spec()
    }

    fn example(operation_id: &'static str, at: At) -> Example {
        Example { operation_id, at, name: "small", value: json!({ "amount": 19.99 }) }
    }

    #[test]
    fn keywords_of_3_1() {
        let finished = finish(&raw(), &[]).expect("finished");
        assert_eq!(finished, finish(&raw(), &[]).expect("finished"));
        let document: Value = serde_json::from_str(&finished).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        let properties = &document["components"]["schemas"]["Outer"]["properties"];
        let reference = "#/components/schemas/Inner";
        assert_eq!(properties["amount"], json!({ "type": "number", "format": "decimal", "default": 5.25 }));
        assert_eq!(properties["inner"], json!({ "description": "The inner one.", "$ref": reference }));
        assert_eq!(properties["maybe"], json!({ "type": ["string", "null"] }));
        assert_eq!(properties["maybe_inner"], json!({ "anyOf": [{ "$ref": reference }, { "type": "null" }] }));
        assert_eq!(properties["count"]["exclusiveMinimum"], 0.0);
        assert_eq!(properties["default"]["type"], json!(["integer", "null"]));
        assert!(!finished.contains("charset") && !finished.contains("nullable\":"), "{finished}");
    }

    #[test]
    fn examples_go_where_they_belong_or_nowhere_silently() {
        let ok = At::Response(StatusCode::OK);
        let examples = [example("makeOne", At::Request), example("makeOne", ok), example("changed", At::Request)];
        let document: Value = serde_json::from_str(&finish(&raw(), &examples).expect("finished")).expect("JSON");
        let operation = &document["paths"]["/one/{id}"]["post"];
        for holder in [
            &operation["requestBody"],
            &operation["responses"]["200"],
            &document["webhooks"]["changed"]["post"]["requestBody"],
        ] {
            assert_eq!(holder["content"]["application/json"]["examples"]["small"]["value"]["amount"], 19.99);
        }
        let nowhere = [("makeTwo", At::Request), ("makeOne", At::Response(StatusCode::CONFLICT))];
        for (operation_id, at) in nowhere {
            assert!(finish(&raw(), &[example(operation_id, at)]).is_err(), "{operation_id}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let finished = finish(&raw(), &[]).expect("finished");
        let documented = Documented { always: &[401], with_body: &[413], with_id: &[404] };
        let complaints = complaints(&finished, documented).join("\n");
        for expected in [
            "post /one/{id}: 401 is not documented",
            "post /one/{id}: 413 is not documented",
            "post /one/{id}: 404 is not documented",
            "get /two: no operationId",
            "get /two: no summary",
        ] {
            assert!(complaints.contains(expected), "{expected} in:\n{complaints}");
        }
        assert!(!complaints.contains("get /two: 413") && !complaints.contains("does not exist"), "{complaints}");
        assert!(super::complaints(r##"{"a":{"$ref":"#/b"}}"##, documented)[0].contains("/b"));
    }
}
