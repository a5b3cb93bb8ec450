//! The case files: short, because everything a case does not say has a default.
//!
//! A call: `{"call": {"charge": {"amount": "19.99 EUR", "means": {"stored": "tok_1"}}}}`, with `store_means`, `preauth`,
//! `capture`, `release`, `charge`, `payout`, `refund`, `close`, `lookup`, `probe`, `balance` or `feed`; a reply case adds
//! `"replies": [{"status": 200, "body": {…}}, {"fault": "answer_timeout"}]`. A notice: `{"body": {…}, "headers": {…}, "now":
//! ms, "secret": "…"}`; without headers the suite signs it as the PSP would. A body is pasted as it is, byte for byte; one
//! that is not JSON is given as a JSON string.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::NOW;
use crate::port::instruction::{
    Capture, Charge, Close, Destination, Instruction, Kind, Means, Parent, Payer, Payout, Preauth, Refund, Release,
    StoreMeans,
};
use crate::port::manifest::{Manifest, MethodName};
use crate::port::money::{Currency, Money};
use crate::port::outcome::{Fault, FaultCause};
use crate::port::reference::{OurReference, References};
use crate::port::secret::Secret;
use crate::port::time::Timestamp;
use crate::port::wire::Reply;

/// One of the calls an adapter takes.
#[derive(Clone, Debug)]
pub enum Call {
    Submit(Instruction),
    Lookup(Kind, References),
    Probe,
    Balance,
    Feed(Option<String>),
}

/// A case of `encode/` or `reply/`.
pub struct CallCase {
    /// Folder and file: `encode/charge_card`.
    pub name: String,
    pub expected: PathBuf,
    pub settings: BTreeMap<String, String>,
    pub call: Call,
    /// The method where the file names one; follow-up instructions carry none.
    pub method: Option<MethodName>,
    pub replies: Vec<Result<Reply, Fault>>,
}

/// A case of `notice/`.
pub struct NoticeCase {
    pub name: String,
    pub expected: PathBuf,
    pub path: String,
    /// `None`: signed by the suite.
    pub headers: Option<Vec<(String, String)>>,
    pub body: Vec<u8>,
    pub now: Timestamp,
    pub secret: Option<Secret>,
}

/// All cases of an adapter.
pub struct Cases {
    pub encode: Vec<CallCase>,
    pub reply: Vec<CallCase>,
    pub notice: Vec<NoticeCase>,
    /// Expectations without a case, left behind by one that was renamed or removed.
    pub orphans: Vec<PathBuf>,
}

impl Cases {
    /// Reads a `cases` folder. Errors name the file.
    pub fn load(folder: &Path, manifest: &Manifest) -> Result<Cases, String> {
        let mut cases = Cases { encode: Vec::new(), reply: Vec::new(), notice: Vec::new(), orphans: Vec::new() };
        for (part, files) in ["encode", "reply", "notice"].map(|part| (part, folder.join(part))) {
            for path in json_files(&files, &mut cases.orphans)? {
                let name = format!("{part}/{}", path.file_stem().unwrap_or_default().to_string_lossy());
                match part {
                    "encode" => cases.encode.push(call_case(name, &path, manifest)?),
                    "reply" => cases.reply.push(call_case(name, &path, manifest)?),
                    _ => cases.notice.push(notice_case(name, &path)?),
                }
            }
        }
        Ok(cases)
    }
}

/// The case files of a folder by name; texts without one go to `orphans`. A folder that is not there is empty.
fn json_files(folder: &Path, orphans: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>, String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|why| format!("{}: {why}", folder.display()))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => files.push(path),
            Some("txt") if !path.with_extension("json").exists() => orphans.push(path),
            Some("txt") => {}
            _ => return Err(format!("{}: a case is a .json file with a .txt next to it", path.display())),
        }
    }
    files.sort();
    Ok(files)
}

/// A short call as in a case file (`{"charge": {}}`), for the vocabularies of a suite.
pub fn call_of(text: &str, manifest: &Manifest) -> Result<Call, String> {
    let call: CallDto = serde_json::from_str(text).map_err(|why| format!("{text}: {why}"))?;
    Ok(call.into_call(manifest)?.0)
}

/// The same instruction for another amount; of a follow-up the parent has the same amount.
pub fn with_amount(instruction: &Instruction, amount: Money) -> Instruction {
    let mut changed = instruction.clone();
    match &mut changed {
        Instruction::Preauth(i) => i.amount = amount,
        Instruction::Charge(i) => i.amount = amount,
        Instruction::Payout(i) => i.amount = amount,
        Instruction::Capture(i) => (i.amount, i.of.amount) = (amount, amount),
        Instruction::Release(i) => (i.amount, i.of.amount) = (amount, amount),
        Instruction::Refund(i) => (i.amount, i.of.amount) = (amount, amount),
        Instruction::StoreMeans(_) | Instruction::Close(_) => {}
    }
    changed
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    serde_json::from_str(&text).map_err(|why| format!("{}: {why}", path.display()))
}

fn call_case(name: String, path: &Path, manifest: &Manifest) -> Result<CallCase, String> {
    let file: CallFile = read(path)?;
    let (call, method) = file.call.into_call(manifest).map_err(|why| format!("{name}: {why}"))?;
    let replies = file.replies.into_iter().map(ReplyDto::into_reply).collect::<Result<_, String>>();
    let replies = replies.map_err(|why| format!("{name}: {why}"))?;
    Ok(CallCase { name, expected: path.with_extension("txt"), settings: file.settings, call, method, replies })
}

fn notice_case(name: String, path: &Path) -> Result<NoticeCase, String> {
    let file: NoticeFile = read(path)?;
    let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
    Ok(NoticeCase {
        expected: path.with_extension("txt"),
        path: file.path,
        headers: file.headers.map(|headers| headers.into_iter().map(lower).collect()),
        body: bytes(file.body.as_deref()).map_err(|why| format!("{name}: {why}"))?,
        now: file.now.map_or(NOW, Timestamp),
        secret: file.secret.map(Secret::new),
        name,
    })
}

/// The bytes of a pasted body: a JSON string stands for its text, any other JSON for itself.
fn bytes(body: Option<&RawValue>) -> Result<Vec<u8>, String> {
    match body.map(RawValue::get) {
        None => Ok(Vec::new()),
        Some(text) if text.starts_with('"') => {
            serde_json::from_str::<String>(text).map(String::into_bytes).map_err(|why| why.to_string())
        }
        Some(text) => Ok(text.as_bytes().to_vec()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallFile {
    call: CallDto,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    replies: Vec<ReplyDto>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeFile {
    #[serde(default)]
    path: String,
    headers: Option<BTreeMap<String, String>>,
    body: Option<Box<RawValue>>,
    now: Option<i64>,
    secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyDto {
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
    /// Instead of a status: the name of a fault's cause.
    fault: Option<String>,
}

impl ReplyDto {
    fn into_reply(self) -> Result<Result<Reply, Fault>, String> {
        match (self.status, self.fault) {
            (Some(status), None) => {
                let headers =
                    self.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
                Ok(Ok(Reply { status, headers, body: bytes(self.body.as_deref())? }))
            }
            (None, Some(cause)) => fault(&cause).map(Err),
            (Some(_), Some(_)) | (None, None) => Err("a reply has a status or a fault".to_owned()),
        }
    }
}

/// A fault as the wire would classify it.
fn fault(cause: &str) -> Result<Fault, String> {
    let not_sent = [
        FaultCause::AddressDenied,
        FaultCause::NameNotFound,
        FaultCause::ConnectionRefused,
        FaultCause::ConnectTimeout,
        FaultCause::TlsRefused,
        FaultCause::NotAttempted,
    ];
    let unknown = [FaultCause::ConnectionLost, FaultCause::AnswerTimeout, FaultCause::AnswerCut];
    if let Some(found) = not_sent.into_iter().find(|known| known.as_str() == cause) {
        return Ok(Fault::not_sent(found, "as recorded"));
    }
    let found = unknown.into_iter().find(|known| known.as_str() == cause);
    found.map(|found| Fault::unknown(found, "as recorded")).ok_or_else(|| format!("no such fault: {cause}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum CallDto {
    StoreMeans(Fields),
    Preauth(Fields),
    Capture(Fields),
    Release(Fields),
    Charge(Fields),
    Payout(Fields),
    Refund(Fields),
    Close(Fields),
    Lookup(LookupDto),
    Probe {},
    Balance {},
    Feed { cursor: Option<String> },
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    reference: Option<String>,
    method: Option<String>,
    amount: Option<String>,
    currency: Option<String>,
    /// Of a `store_means`: what the caller means to take.
    expected: Option<String>,
    means: MeansDto,
    payer: PayerDto,
    return_url: Option<String>,
    description: Option<String>,
    store_means: bool,
    expires_at: Option<i64>,
    of: Option<ParentDto>,
    destination: Option<DestinationDto>,
    /// Of a `close`: the kind of the transaction it ends.
    kind: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MeansDto {
    #[default]
    AskPayer,
    Given(BTreeMap<String, String>),
    Stored(String),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PayerDto {
    customer: Option<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    document: Option<String>,
    country: Option<String>,
    language: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParentDto {
    ours: Option<String>,
    theirs: Option<String>,
    amount: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationDto {
    kind: String,
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LookupDto {
    kind: Option<String>,
    ours: Option<String>,
    theirs: Option<String>,
    scheme: Option<String>,
    parent_ours: Option<String>,
    parent_theirs: Option<String>,
}

impl CallDto {
    /// The call, and the method its file names.
    fn into_call(self, manifest: &Manifest) -> Result<(Call, Option<MethodName>), String> {
        let (kind, fields) = match self {
            CallDto::Probe {} => return Ok((Call::Probe, None)),
            CallDto::Balance {} => return Ok((Call::Balance, None)),
            CallDto::Feed { cursor } => return Ok((Call::Feed(cursor), None)),
            CallDto::Lookup(lookup) => return Ok((lookup.into_call()?, None)),
            CallDto::Close(fields) => return fields.into_close(manifest).map(|call| (call, None)),
            CallDto::StoreMeans(fields) => (Kind::StoreMeans, fields),
            CallDto::Preauth(fields) => (Kind::Preauth, fields),
            CallDto::Capture(fields) => (Kind::Capture, fields),
            CallDto::Release(fields) => (Kind::Release, fields),
            CallDto::Charge(fields) => (Kind::Charge, fields),
            CallDto::Payout(fields) => (Kind::Payout, fields),
            CallDto::Refund(fields) => (Kind::Refund, fields),
        };
        let named = fields.method.as_deref().map(|name| MethodName::parse(name).ok_or(format!("no method {name}")));
        let named = named.transpose()?;
        let first = manifest.capabilities.iter().find(|line| line.kind == kind).map(|line| line.method);
        let method = named.or(first).unwrap_or(MethodName::Card);
        let instruction = fields.into_instruction(kind, method, manifest)?;
        let carries = matches!(kind, Kind::StoreMeans | Kind::Preauth | Kind::Charge | Kind::Payout);
        Ok((Call::Submit(instruction), if carries { Some(method) } else { named }))
    }
}

/// `r…1` for a transaction, `r…2` for its parent.
fn reference(given: Option<String>, manifest: &Manifest, unique: u128) -> OurReference {
    given.map_or_else(|| manifest.reference.mint(unique), OurReference)
}

fn known_kind(name: Option<&str>) -> Result<Kind, String> {
    name.map_or(Ok(Kind::Charge), |name| Kind::parse(name).ok_or(format!("no kind {name}")))
}

/// `19.99 EUR`.
fn money(text: &str) -> Result<Money, String> {
    let (number, code) = text.split_once(' ').ok_or_else(|| format!("not an amount with a currency: {text}"))?;
    let currency = Currency::parse(code).ok_or_else(|| format!("no currency {code}"))?;
    Money::parse_major(number, currency).map_err(|why| format!("{text}: {why}"))
}

impl LookupDto {
    fn into_call(self) -> Result<Call, String> {
        let references = References {
            ours: self.ours.map(OurReference),
            theirs: self.theirs,
            scheme: self.scheme,
            parent_ours: self.parent_ours.map(OurReference),
            parent_theirs: self.parent_theirs,
        };
        Ok(Call::Lookup(known_kind(self.kind.as_deref())?, references))
    }
}

impl Fields {
    fn into_close(self, manifest: &Manifest) -> Result<Call, String> {
        let of = self.of.unwrap_or(ParentDto { ours: None, theirs: None, amount: None });
        let kind = known_kind(self.kind.as_deref())?;
        Ok(Call::Submit(Instruction::Close(Close { of: reference(of.ours, manifest, 1), theirs: of.theirs, kind })))
    }

    fn into_instruction(self, kind: Kind, method: MethodName, manifest: &Manifest) -> Result<Instruction, String> {
        let amount = money(self.amount.as_deref().unwrap_or("19.99 EUR"))?;
        let reference = self::reference(self.reference, manifest, 1);
        let of = self.of.unwrap_or(ParentDto { ours: None, theirs: None, amount: None });
        let of = Parent {
            ours: self::reference(of.ours, manifest, 2),
            theirs: of.theirs,
            amount: of.amount.as_deref().map_or(Ok(amount), money)?,
        };
        let means = match self.means {
            MeansDto::AskPayer => Means::AskPayer,
            MeansDto::Given(bearer) => Means::Given(bearer),
            MeansDto::Stored(token) => Means::Stored(Secret::new(token)),
        };
        let PayerDto { customer, name, email, phone, document, country, language } = self.payer;
        let payer = Payer { customer, name, email, phone, document, country, language };
        let return_url = self.return_url.unwrap_or_else(|| "https://shop.example/return".to_owned());
        let description = self.description.unwrap_or_else(|| "Order 1".to_owned());
        let destination = self.destination.map_or(Destination { kind: String::new(), value: String::new() }, |d| {
            Destination { kind: d.kind, value: d.value }
        });
        let code = self.currency.as_deref().unwrap_or("EUR");
        let currency = Currency::parse(code).ok_or_else(|| format!("no currency {code}"))?;
        Ok(match kind {
            Kind::StoreMeans => Instruction::StoreMeans(StoreMeans {
                reference,
                method,
                currency,
                expected: self.expected.as_deref().map(money).transpose()?,
                means,
                payer,
                return_url,
                description,
            }),
            Kind::Preauth => Instruction::Preauth(Preauth {
                reference,
                method,
                amount,
                means,
                payer,
                return_url,
                description,
                store_means: self.store_means,
            }),
            Kind::Capture => Instruction::Capture(Capture { reference, of, amount, description }),
            Kind::Release => Instruction::Release(Release { reference, of, amount }),
            Kind::Charge => Instruction::Charge(Charge {
                reference,
                method,
                amount,
                means,
                payer,
                return_url,
                description,
                expires_at: self.expires_at.map(Timestamp),
            }),
            Kind::Payout => {
                Instruction::Payout(Payout { reference, method, amount, destination, payee: payer, description })
            }
            Kind::Refund => Instruction::Refund(Refund { reference, of, amount, description }),
        })
    }
}
