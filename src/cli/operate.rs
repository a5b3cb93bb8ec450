//! What waits for a person, and what a person says about it.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::args::{NoticeCommand, ResolveArgs};
use super::door::{Door, date, left_out, print, query, text};
use crate::config::Config;

pub async fn attention(config: &Config, json: bool, tenant: Option<Uuid>) -> anyhow::Result<()> {
    let path = query("/admin/attention", &[("tenant", tenant.map(|id| id.to_string()))]);
    let list = Door::find(config).await?.get(&path).await?;
    if json {
        println!("{list}");
        return Ok(());
    }
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        println!("Nothing waits for a person.");
    }
    for item in items {
        let kind = item["kind"].as_str().map_or(String::new(), |kind| format!(" {kind}"));
        let since = date(item["since_ms"].as_i64().unwrap_or_default());
        println!("{since}  {}{kind}  {}", text(item, "what"), text(item, "id"));
        println!("    {} (tenant {})", text(item, "text"), text(item, "tenant_id"));
        for command in item["commands"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            println!("    $ {command}");
        }
    }
    left_out(&list, "younger ones");
    Ok(())
}

pub async fn resolve(config: &Config, json: bool, args: ResolveArgs) -> anyhow::Result<()> {
    let ResolveArgs { transaction, verdict, keep, give_back, reason, amount, currency, why } = args;
    let word = match (verdict, keep, give_back) {
        (Some(verdict), _, _) => verdict,
        (None, true, _) => "keep".to_owned(),
        // The parser holds that one of the three is given.
        (None, false, _) => "give_back".to_owned(),
    };
    let mut wish = Map::new();
    wish.insert("as".to_owned(), word.into());
    wish.insert("why".to_owned(), why.into());
    let given = [("reason", reason), ("currency", currency)];
    wish.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
    // As text: an amount keeps its digits.
    let mut body = Value::Object(wish).to_string();
    if let Some(amount) = amount {
        body.pop();
        body.push_str(&format!(",\"amount\":{}}}", amount.as_str()));
    }
    let done = Door::find(config).await?.post_text(&format!("/admin/transactions/{transaction}/resolve"), body).await?;
    if json {
        println!("{done}");
        return Ok(());
    }
    match (done["before"].as_str(), done["state"].as_str()) {
        (Some(before), Some(now)) if before == now => println!("{transaction}: stays {now}"),
        (Some(before), Some(now)) => println!("{transaction}: {before} -> {now}"),
        _ => println!("{transaction}: settled"),
    }
    for started in done["started"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("started: {started}");
    }
    Ok(())
}

pub async fn notice(config: &Config, json: bool, command: NoticeCommand) -> anyhow::Result<()> {
    let door = Door::find(config).await?;
    match command {
        NoticeCommand::List { state, connection, tenant } => {
            let [connection, tenant] = [connection, tenant].map(|id| id.map(|id| id.to_string()));
            let parameters = [("state", state), ("connection", connection), ("tenant", tenant)];
            let list = door.get(&query("/admin/notices", &parameters)).await?;
            if json {
                println!("{list}");
                return Ok(());
            }
            for notice in list["notices"].as_array().into_iter().flatten() {
                println!("{}", line(notice));
            }
            left_out(&list, "older ones");
        }
        NoticeCommand::Show { notice } => {
            let shown = door.get(&format!("/admin/notices/{notice}")).await?;
            if json {
                println!("{shown}");
                return Ok(());
            }
            println!("{}", line(&shown["notice"]));
            println!("tenant {}", text(&shown["notice"], "tenant_id"));
            for says in shown["says"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                println!("says: {says}");
            }
            println!("\n{}\n{}", text(&shown, "headers"), indented(text(&shown, "body")));
        }
        NoticeCommand::Match { notice, transaction, why } => {
            let wish = json!({ "transaction_id": transaction.to_string(), "why": why });
            let done = door.post(&format!("/admin/notices/{notice}/match"), &wish).await?;
            if json {
                println!("{done}");
                return Ok(());
            }
            println!("{transaction}: {} -> {}", text(&done, "before"), text(&done, "state"));
        }
        NoticeCommand::Drop { notice, why } => {
            let done = door.post(&format!("/admin/notices/{notice}/drop"), &json!({ "why": why })).await?;
            print(json, &done, &[("notice", "id"), ("state", "state")]);
        }
    }
    Ok(())
}

pub async fn replay(config: &Config, json: bool, id: Uuid) -> anyhow::Result<()> {
    let done = Door::find(config).await?.post(&format!("/admin/replay/{id}"), &json!({})).await?;
    if json {
        println!("{done}");
        return Ok(());
    }
    println!("{} {}: {}", text(&done, "what"), text(&done, "id"), text(&done, "state"));
    Ok(())
}

fn line(notice: &Value) -> String {
    let genuine = if notice["genuine"] == true { "" } else { ", not genuine" };
    let why = notice["text"].as_str().map_or(String::new(), |text| format!(": {text}"));
    format!(
        "{}  {}  {}{genuine}  connection {}{why}",
        date(notice["received_at_ms"].as_i64().unwrap_or_default()),
        text(notice, "id"),
        text(notice, "state"),
        text(notice, "connection_id"),
    )
}

/// Longer ones are shown as they came.
const INDENTED_MAX: usize = 4 * 1024;

/// JSON with a line for each member. Works on the text, so that amounts keep their digits and cut bodies are shown too.
fn indented(body: &str) -> String {
    if body.len() > INDENTED_MAX || !body.trim_start().starts_with(['{', '[']) {
        return body.to_owned();
    }
    let (mut out, mut depth, mut quoted, mut escaped) = (String::new(), 0_usize, false, false);
    let mut rest = body.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    while let Some(c) = rest.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|next| next.is_whitespace()).is_some() {}
                match rest.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn json_is_shown_line_by_line_with_its_digits() {
        let rows = [
            (
                r#"{"a":1.10,"b":{"c":"x, \"y\": {"},"d":[],"e":[1, 2]}"#,
                "{\n  \"a\": 1.10,\n  \"b\": {\n    \"c\": \"x, \\\"y\\\": {\"\n  },\n  \"d\": [],\n  \"e\": [\n    1,\n    2\n  ]\n}",
            ),
            (r#"{"cut":"#, "{\n  \"cut\": "),
            ("}}]", "}}]"),
            ("[}}]", "[}\n}\n]"),
            ("a=b&c=d", "a=b&c=d"),
            ("", ""),
        ];
        for (body, expected) in rows {
            assert_eq!(indented(body), expected, "{body}");
        }
    }
}
