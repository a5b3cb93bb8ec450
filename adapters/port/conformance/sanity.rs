//! Whether a manifest makes sense, and whether every line of it has a case.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::case::Cases;
use super::{Call, Suite, golden};
use crate::port::adapter::Adapter;
use crate::port::instruction::Kind;
use crate::port::manifest::{
    AmountRule, Authenticity, Capability, Currencies, LookupKey, Manifest, SettingField, SettingType,
};
use crate::port::reference::ReferenceRule;

/// What is wrong with a manifest, one text each.
pub fn manifest_faults(adapter: &dyn Adapter) -> Vec<String> {
    let manifest = adapter.manifest();
    let mut faults = Vec::new();
    let mut hold = |right: bool, wrong: String| {
        if !right {
            faults.push(format!("manifest: {wrong}"));
        }
    };
    let named = !manifest.name.is_empty()
        && manifest.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    hold(named, format!("{:?} is not a name of lower-case letters, digits and underscores", manifest.name));
    hold(!manifest.title.is_empty(), "no title".to_owned());
    hold(!manifest.capabilities.is_empty(), "no capability".to_owned());
    hold(manifest.reference.has_room(), "a reference has no room for 128 bits".to_owned());
    hold(!repeats(manifest.reference), "a character of the reference alphabet stands in it twice".to_owned());
    hold(!manifest.answer_within.is_zero(), "no time to answer".to_owned());
    hold((200..300).contains(&manifest.notices.accepted_status), "a notice is accepted with a 2xx".to_owned());
    let asked = !matches!(manifest.lookup.by, LookupKey::Never);
    hold(!asked || !manifest.lookup.pacing.is_empty(), "no pacing of look-ups".to_owned());
    hold(manifest.lookup.pacing.iter().all(|wait| !wait.is_zero()), "look-ups without a wait".to_owned());
    if let Some(budget) = manifest.budget {
        hold(budget.kept_for_lookups < budget.calls, "the budget leaves nothing for instructions".to_owned());
        hold(!budget.per.is_zero(), "a budget per no time".to_owned());
    }
    let secret = adapter.notice_secret_setting().and_then(|key| manifest.setting(key));
    match manifest.notices.authenticity {
        Authenticity::Signed => {
            hold(secret.is_some_and(|field| field.secret), "the notice secret is no secret setting".to_owned());
        }
        Authenticity::NudgeOnly => {
            hold(adapter.notice_secret_setting().is_none(), "unsigned notices have a secret".to_owned());
        }
    }
    for (at, line) in manifest.capabilities.iter().enumerate() {
        capability(manifest, at, line, &mut hold);
    }
    let mut keys = BTreeSet::new();
    for field in manifest.settings {
        hold(keys.insert(field.key), format!("the setting {} is listed twice", field.key));
        setting(field, &mut hold);
    }
    faults
}

fn repeats(rule: ReferenceRule) -> bool {
    rule.alphabet.chars().collect::<BTreeSet<_>>().len() != rule.alphabet.len()
}

fn capability(manifest: &Manifest, at: usize, line: &Capability, hold: &mut impl FnMut(bool, String)) {
    let name = format!("{} {}", line.kind.as_str(), line.method.as_str());
    hold(line.minimum_minor >= 0 && line.minimum_minor <= line.maximum_minor, format!("{name}: minimum and maximum"));
    hold(!line.partial || follows(line.kind), format!("{name}: only a follow-up can be partial"));
    hold((line.kind == Kind::Payout) != line.destinations.is_empty(), format!("{name}: destinations"));
    let parents: &[Kind] = match line.kind {
        Kind::Capture | Kind::Release => &[Kind::Preauth],
        Kind::Refund => &[Kind::Charge, Kind::Capture],
        Kind::StoreMeans | Kind::Preauth | Kind::Charge | Kind::Payout => &[],
    };
    let parent = |other: &&Capability| other.method == line.method && parents.contains(&other.kind);
    let has_parent = parents.is_empty() || manifest.capabilities.iter().any(|other| parent(&other));
    hold(has_parent, format!("{name}: nothing to follow up"));
    if let Currencies::Only(list) = line.currencies {
        hold(!list.is_empty(), format!("{name}: no currency"));
    }
    let same = |other: &Capability| {
        other.kind == line.kind && other.method == line.method && overlap(&other.currencies, &line.currencies)
    };
    let twice = manifest.capabilities[..at].iter().any(same);
    hold(!twice, format!("{name}: two lines for one currency"));
}

fn follows(kind: Kind) -> bool {
    match kind {
        Kind::Capture | Kind::Release | Kind::Refund => true,
        Kind::StoreMeans | Kind::Preauth | Kind::Charge | Kind::Payout => false,
    }
}

fn overlap(one: &Currencies, other: &Currencies) -> bool {
    match (one, other) {
        (Currencies::All, _) | (_, Currencies::All) => true,
        (Currencies::Only(one), Currencies::Only(other)) => one.iter().any(|currency| other.contains(currency)),
    }
}

fn setting(field: &SettingField, hold: &mut impl FnMut(bool, String)) {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    hold(!field.key.is_empty() && plain(field.key), format!("the setting {:?} is not a plain key", field.key));
    hold(!field.label.is_empty() && !field.help.is_empty(), format!("the setting {} has no label or help", field.key));
    // Whoever may set the address may have our secrets sent there.
    let address = field.kind == SettingType::Url;
    hold(!address || field.operator_only, format!("the setting {} is an address, and the operator's", field.key));
    if let SettingType::Choice(choices) = field.kind {
        hold(!choices.is_empty(), format!("the setting {} has no choices", field.key));
    }
}

/// Every manifest line has an encode case, and every request carries a reference by the rule.
pub fn check_coverage(suite: &Suite<'_>, cases: &Cases) -> Vec<String> {
    let manifest = suite.manifest();
    let mut failures = Vec::new();
    for line in manifest.capabilities {
        let covered = cases.encode.iter().any(|case| match &case.call {
            Call::Submit(instruction) => {
                let close = !super::doubt::carries_reference(instruction);
                !close && instruction.kind() == line.kind && case.method.is_none_or(|method| method == line.method)
            }
            Call::Lookup(..) | Call::Probe | Call::Balance | Call::Feed(_) => false,
        });
        if !covered {
            failures.push(format!("{} {}: no encode case", line.kind.as_str(), line.method.as_str()));
        }
    }
    for case in &cases.encode {
        let Call::Submit(instruction) = &case.call else { continue };
        let reference = instruction.reference();
        if !manifest.reference.accepts(&reference.0) {
            failures.push(format!("{}: {reference} is not a reference by the rule", case.name));
        }
        let by_ours = matches!(manifest.lookup.by, LookupKey::Ours);
        for request in golden::requests(suite, case) {
            let text = format!("{}\n{}", request.url, String::from_utf8_lossy(&request.body));
            // A refund may be found among the events of what it refunds.
            let above = super::doubt::parent(instruction).is_some_and(|of| text.contains(&of.ours.0));
            let named = text.contains(&reference.0) || above;
            if by_ours && super::doubt::carries_reference(instruction) && !named {
                failures.push(format!("{}: sent without our reference, by which it is to be found", case.name));
            }
        }
    }
    if !matches!(manifest.lookup.by, LookupKey::Never)
        && !cases.encode.iter().any(|case| matches!(case.call, Call::Lookup(..)))
    {
        failures.push("lookup: no encode case".to_owned());
    }
    failures
}

/// What the adapters can do, as a table in Markdown.
pub fn capability_table(adapters: &[&dyn Adapter]) -> String {
    let mut table = "| adapter | method | kind | currencies | least | most | partial | amount |\n|---|---|---|---|--:|--:|---|---|\n".to_owned();
    for line in
        adapters.iter().flat_map(|adapter| adapter.manifest().capabilities.iter().map(move |line| (adapter, line)))
    {
        let (adapter, line) = line;
        let currencies = match line.currencies {
            Currencies::All => "all".to_owned(),
            Currencies::Only(list) => list.iter().map(|currency| currency.code()).collect::<Vec<_>>().join(" "),
        };
        let amount = match line.amount {
            AmountRule::Exact => "exact",
            AmountRule::AsTold => "as told",
        };
        let partial = match (follows(line.kind), line.partial) {
            (false, _) => "",
            (true, true) => "yes",
            (true, false) => "whole only",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {} | {currencies} | {} | {} | {partial} | {amount} |",
            adapter.manifest().name,
            line.method.as_str(),
            line.kind.as_str(),
            line.minimum_minor,
            line.maximum_minor,
        );
    }
    table
}
