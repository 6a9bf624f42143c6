//! Measures: builds the binaries as they are deployed, starts each against stand-ins without delay, and counts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use flate2::Compression;
use flate2::read::DeflateEncoder;
use jiff::Timestamp;
use sandbox::functions;
use sandbox::genesys_event::GenesysEvent;
use sandbox::stand_ins::{
    AGENT_GENESYS_ID, AGENT_ID, CHAT, GenesysUser, NewMessage, SeenCall, Sender, StandIns, SubscriptionSettings, User,
    Vendor,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::Process;
use crate::{Trouble, webhook};

/// How many times each figure is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// The number of processes that are started for init and first invoke.
    pub(crate) starts: usize,
    /// The number of warm invokes of one process.
    pub(crate) invokes: usize,
}

/// The cost of a function.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) zipped_mb: f64,
    /// The median time from start to the first request for an event.
    pub(crate) init_ms: f64,
    /// The median time of the first invoke.
    pub(crate) first_ms: f64,
    pub(crate) warm_p50_ms: f64,
    pub(crate) warm_p99_ms: f64,
    pub(crate) cpu_s_per_1000: f64,
    pub(crate) peak_memory_mb: f64,
    /// The calls to Graph and Genesys Cloud, per warm invoke.
    pub(crate) upstream_calls: f64,
    /// The calls to Secrets Manager and token endpoints, per warm invoke.
    pub(crate) secret_and_token_calls: f64,
}

/// The echo that makes a call, with which functions that make one are compared.
pub(crate) const FLOOR_WITH_CALL: &str = "floor-with-call";

/// The messages of a full batch, as the template sets it.
const BATCH: usize = 1000;

/// The cost of a full batch of presence events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchFigures {
    /// The processor time to coalesce it and to decide about each user, in milliseconds.
    pub(crate) decide_ms: f64,
    /// The same, as a ratio to reading its JSON.
    pub(crate) decide_to_floor: f64,
    /// The most memory that the function had resident while it served such batches, in megabytes.
    pub(crate) peak_memory_mb: f64,
}

/// Measures the floors and then every function.
pub(crate) async fn all(binaries: &Binaries, effort: Effort) -> Result<Vec<Figures>, Trouble> {
    let functions = functions::names().map_err(|error| Trouble(error.to_string()))?;
    let mut all = Vec::new();
    for name in ["floor", FLOOR_WITH_CALL].into_iter().chain(functions.iter().map(String::as_str)) {
        all.push(one(name, binary(binaries, name)?, effort).await?);
    }
    Ok(all)
}

/// Measures full batches of presence events.
pub(crate) async fn batch(binaries: &Binaries) -> Result<BatchFigures, Trouble> {
    let event = presence_batch(BATCH, "ON_QUEUE");
    let [floor_us, decide_us] = steps(binaries, "coalesce", [], &event)?;

    let stand_ins = StandIns::start([0; 4]).await.map_err(|error| Trouble(error.to_string()))?;
    unlimited(&stand_ins);
    for id in (1..BATCH / 2).map(colleague) {
        stand_ins.world.directory().put_user(User::new(&format!("{id}@contoso.com"), &id));
        stand_ins.world.directory().put_genesys_user(GenesysUser::new(&id, &id, &id));
    }
    let mut process = Process::start(binary(binaries, "mirror-presence")?, &stand_ins).await?;
    for _ in 0..3 {
        let (_, answer) = process.runtime_api.invoke(presence_batch(BATCH, "ON_QUEUE")).await?;
        check("mirror-presence", &answer)?;
        process.runtime_api.ready().await?;
    }
    Ok(BatchFigures {
        decide_ms: decide_us / 1000.0,
        decide_to_floor: decide_us / floor_us,
        peak_memory_mb: process.peak_memory_mb()?,
    })
}

/// Switches off the rate limits of a real tenant and org, which are not measured here.
pub(crate) fn unlimited(stand_ins: &StandIns) {
    stand_ins.world.directory().genesys_rate_per_minute = u32::MAX;
    stand_ins.world.set_presence_budget(usize::MAX, Duration::from_secs(1));
    stand_ins.world.set_chat_budget(usize::MAX, usize::MAX);
    let lists = Some(usize::MAX);
    stand_ins.world.set_subscription_limits(SubscriptionSettings { lists, ..SubscriptionSettings::default() });
}

/// The binaries by name.
pub(crate) type Binaries = BTreeMap<String, PathBuf>;

/// The binary of this name.
pub(crate) fn binary<'a>(binaries: &'a Binaries, name: &str) -> Result<&'a Path, Trouble> {
    binaries.get(name).map(PathBuf::as_path).ok_or_else(|| Trouble(format!("There is no binary called {name}.")))
}

/// Builds all binaries that are measured, as they are deployed.
pub(crate) fn build() -> Result<Binaries, Trouble> {
    functions::build_with(&["floor", FLOOR_WITH_CALL, "steps"], &["--release"], &|what| {
        let _ = writeln!(io::stderr(), "{what}");
    })
    .map_err(|error| Trouble(error.to_string()))
}

async fn one(name: &str, binary: &Path, effort: Effort) -> Result<Figures, Trouble> {
    let stand_ins = StandIns::start([0; 4]).await.map_err(|error| Trouble(error.to_string()))?;
    unlimited(&stand_ins);

    let (mut inits, mut firsts) = (Vec::new(), Vec::new());
    for index in 0..effort.starts {
        let mut process = Process::start(binary, &stand_ins).await?;
        let (took, answer) = process.runtime_api.invoke(event(&stand_ins, name, &format!("first-{index}"))?).await?;
        check(name, &answer)?;
        inits.push(process.init);
        firsts.push(took);
    }

    let mut process = Process::start(binary, &stand_ins).await?;
    for index in 0..20 {
        process.runtime_api.invoke(event(&stand_ins, name, &format!("warm-up-{index}"))?).await?;
        process.runtime_api.ready().await?;
    }
    let (cpu_before, calls_before) = (process.cpu()?, stand_ins.world.calls().len());
    let mut warm = Vec::new();
    for index in 0..effort.invokes {
        let (took, answer) = process.runtime_api.invoke(event(&stand_ins, name, &format!("warm-{index}"))?).await?;
        check(name, &answer)?;
        process.runtime_api.ready().await?;
        warm.push(took);
    }
    let cpu = process.cpu()?.saturating_sub(cpu_before);
    let calls = stand_ins.world.calls().split_off(calls_before);
    let per_invoke = |count: usize| count as f64 / effort.invokes as f64;
    let is_credential = |call: &&SeenCall| call.request.contains("GetSecretValue") || call.request.contains("/token");
    let is_upstream = |call: &&SeenCall| matches!(call.vendor, Vendor::Graph | Vendor::Genesys) && !is_credential(call);
    Ok(Figures {
        name: name.to_owned(),
        zipped_mb: zipped_mb(binary)?,
        init_ms: percentile(&mut inits, 50),
        first_ms: percentile(&mut firsts, 50),
        warm_p50_ms: percentile(&mut warm, 50),
        warm_p99_ms: percentile(&mut warm, 99),
        cpu_s_per_1000: cpu.as_secs_f64() * 1000.0 / effort.invokes as f64,
        peak_memory_mb: process.peak_memory_mb()?,
        upstream_calls: per_invoke(calls.iter().filter(is_upstream).count()),
        secret_and_token_calls: per_invoke(calls.iter().filter(is_credential).count()),
    })
}

/// A user of both clouds, under the same id.
fn colleague(number: usize) -> String {
    Uuid::from_u128(number as u128).to_string()
}

/// A batch of events of this presence that are all new, two of each user: the sandbox's agent first, then colleagues.
fn presence_batch(messages: usize, presence: &str) -> String {
    let template: Value = serde_json::from_str(include_str!("../../events/mirror-presence.json")).unwrap_or_default();
    let now = Timestamp::now().to_string();
    let record = |place: usize| {
        let user = if place < 2 { AGENT_GENESYS_ID.to_owned() } else { colleague(place / 2) };
        let event = match place % 2 {
            0 => GenesysEvent::presence(&user, presence, &now),
            _ => GenesysEvent::activity(&user, presence, &now, &now),
        };
        let mut record = template["Records"][0].clone();
        let mut envelope: Value =
            record["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        envelope["detail"] = event.detail;
        record["body"] = envelope.to_string().into();
        record["messageId"] = Uuid::new_v4().to_string().into();
        record
    };
    json!({"Records": (0..messages).map(record).collect::<Vec<_>>()}).to_string()
}

/// The function's own event of `tests/events`, with a request that is new, for users that are not to be looked up. The
/// floor takes the largest.
fn event(stand_ins: &StandIns, name: &str, conversation: &str) -> Result<String, Trouble> {
    match name {
        "mirror-presence" => return Ok(presence_batch(1, changing(conversation))),
        "graph-webhook" => return Ok(webhook::event(conversation)),
        "process-notification" => return chat_notification(stand_ins, conversation),
        _ => {}
    }
    let file = if name.starts_with("floor") { "escalate" } else { name };
    let path = checkout::root().join(format!("tests/events/{file}.json"));
    let failed = |error: &dyn std::fmt::Display| Trouble(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
    let mut event: Value = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    // What comes from a queue or from the clock has no body.
    if let Some(body) = event["body"].as_str() {
        let mut body: Value = serde_json::from_str(body).map_err(|error| failed(&error))?;
        for (field, value) in [("user", AGENT_ID), ("userId", AGENT_GENESYS_ID), ("conversationId", conversation)] {
            if body.get(field).is_some() {
                body[field] = value.into();
            }
        }
        event["body"] = body.to_string().into();
    }
    Ok(event.to_string())
}

/// Another presence than the one of the event before, which Teams would show already: the events are numbered.
fn changing(conversation: &str) -> &'static str {
    if conversation.ends_with(['0', '2', '4', '6', '8']) { "MEAL" } else { "AVAILABLE" }
}

/// The notification of a message that is new, without its content.
fn chat_notification(stand_ins: &StandIns, text: &str) -> Result<String, Trouble> {
    let message = NewMessage::text(Sender::Guest("Kim".into()), text);
    let id = stand_ins.world.write_message(CHAT, message).map_err(|error| Trouble(error.to_string()))?;
    let mut event: Value =
        serde_json::from_str(include_str!("../../events/process-notification.json")).unwrap_or_default();
    let record = &mut event["Records"][0];
    let mut body: Value = record["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    body["resource"] = format!("chats('{CHAT}')/messages('{id}')").into();
    record["body"] = body.to_string().into();
    Ok(event.to_string())
}

/// Checks that an invoke succeeded: the figure of a failed one would say nothing.
pub(crate) fn check(name: &str, answer: &Value) -> Result<(), Trouble> {
    if answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty) || answer["statusCode"] == 202 {
        return Ok(());
    }
    let body = answer["body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok()).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or_default();
    // Nothing had to be done for these, which is cheaper.
    let is_repetition = matches!(code, "existing" | "duplicate" | "unchanged");
    if name.starts_with("floor") || (body["ok"] == true && !is_repetition) {
        return Ok(());
    }
    Err(Trouble(format!("{name} answered {code}: {}", body["message"])))
}

/// Measures single steps without any network, in microseconds and beside their floors, by a program of its own.
pub(crate) fn steps<const N: usize>(
    binaries: &Binaries,
    what: &str,
    environment: impl IntoIterator<Item = (&'static str, String)>,
    input: &str,
) -> Result<[f64; N], Trouble> {
    let failed = |error: io::Error| Trouble(format!("`steps {what}` could not be run: {error}"));
    let mut command = Command::new(binary(binaries, "steps")?);
    command.arg(what).env_clear().envs(environment).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(Trouble(format!("`steps {what}` failed, and says why above: {}", output.status)));
    }
    let micros: Vec<f64> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    micros.try_into().map_err(|_| Trouble(format!("`steps {what}` did not say what it measured.")))
}

/// The size that is uploaded: deflated as `sam deploy` does it.
fn zipped_mb(binary: &Path) -> Result<f64, Trouble> {
    let failed = |error: io::Error| Trouble(format!("{} cannot be read: {error}", binary.display()));
    let mut zipped = DeflateEncoder::new(File::open(binary).map_err(failed)?, Compression::new(6));
    let mut bytes = Vec::new();
    zipped.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes.len() as f64 / 1_000_000.0)
}

/// A percentile in milliseconds.
pub(crate) fn percentile(durations: &mut [Duration], percent: usize) -> f64 {
    durations.sort_unstable();
    let index = (durations.len() * percent / 100).min(durations.len().saturating_sub(1));
    durations.get(index).map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
}
