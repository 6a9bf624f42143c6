//! The measuring: builds the binaries as they are deployed, starts each against stand-ins without delay, and counts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::read::DeflateEncoder;
use sandbox::functions::{self, FUNCTIONS};
use sandbox::stand_ins::{AGENT_ID, SeenCall, StandIns, Vendor};
use serde_json::{Value, json};

use crate::Trouble;
use crate::process::Process;

/// How much is done for a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Processes started for init and first invoke.
    pub(crate) starts: usize,
    /// Warm invokes of one process.
    pub(crate) invokes: usize,
}

/// What a function costs.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) zipped_mb: f64,
    /// Median from start to the first request for an event.
    pub(crate) init_ms: f64,
    /// Median of the first invoke.
    pub(crate) first_ms: f64,
    pub(crate) warm_p50_ms: f64,
    pub(crate) warm_p99_ms: f64,
    pub(crate) cpu_s_per_1000: f64,
    pub(crate) peak_memory_mb: f64,
    /// To Graph and Genesys Cloud, per warm invoke.
    pub(crate) upstream_calls: f64,
    /// To Secrets Manager and token endpoints, per warm invoke.
    pub(crate) secret_and_token_calls: f64,
}

/// Measures the floor and then every function.
pub(crate) async fn all(effort: Effort) -> Result<Vec<Figures>, Trouble> {
    let names = ["floor"].into_iter().chain(FUNCTIONS.iter().copied());
    let binaries = binaries()?;
    let mut all = Vec::new();
    for name in names {
        let binary = binaries.get(name).ok_or_else(|| Trouble(format!("There is no binary called {name}.")))?;
        all.push(one(name, binary, effort).await?);
    }
    Ok(all)
}

fn binaries() -> Result<BTreeMap<String, PathBuf>, Trouble> {
    functions::build_with(&["floor"], &["--release"]).map_err(|error| Trouble(error.to_string()))
}

async fn one(name: &str, binary: &Path, effort: Effort) -> Result<Figures, Trouble> {
    let stand_ins = StandIns::start([0; 4]).await.map_err(|error| Trouble(error.to_string()))?;
    // The rate of a real org is not what is measured here.
    stand_ins.world.directory().genesys_rate_per_minute = u32::MAX;

    let (mut inits, mut firsts) = (Vec::new(), Vec::new());
    for index in 0..effort.starts {
        let mut process = Process::start(binary, &stand_ins).await?;
        let (took, answer) = process.runtime_api.invoke(event(name, &format!("first-{index}"))).await?;
        check(name, &answer)?;
        inits.push(process.init);
        firsts.push(took);
    }

    let mut process = Process::start(binary, &stand_ins).await?;
    for index in 0..20 {
        process.runtime_api.invoke(event(name, &format!("warm-up-{index}"))).await?;
        process.runtime_api.ready().await?;
    }
    let (cpu_before, calls_before) = (process.cpu()?, stand_ins.world.calls().len());
    let mut warm = Vec::new();
    for index in 0..effort.invokes {
        let (took, answer) = process.runtime_api.invoke(event(name, &format!("warm-{index}"))).await?;
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

/// The function's own event with a conversation that is new; the floor takes the largest.
fn event(name: &str, conversation: &str) -> String {
    let body = json!({
        "user": AGENT_ID, "toAddress": "+447700900123", "agentName": "Kim", "conversationId": conversation,
        "joinUrl": "https://teams.microsoft.com/l/meetup-join/19%3ameeting_abc%40thread.v2/0",
    });
    let text = match name {
        "create-meeting" => include_str!("../../events/create-meeting.json"),
        "send-sms" => include_str!("../../events/send-sms.json"),
        _ => include_str!("../../events/escalate.json"),
    };
    let mut event: Value = serde_json::from_str(text).unwrap_or_default();
    event["body"] = body.to_string().into();
    event.to_string()
}

/// A figure for something that did not work would say nothing.
fn check(name: &str, answer: &Value) -> Result<(), Trouble> {
    let body = answer["body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok()).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or_default();
    if name == "floor" || matches!(code, "created" | "accepted") {
        return Ok(());
    }
    Err(Trouble(format!("{name} answered {code}: {}", body["message"])))
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
fn percentile(durations: &mut [Duration], percent: usize) -> f64 {
    durations.sort_unstable();
    let index = (durations.len() * percent / 100).min(durations.len().saturating_sub(1));
    durations.get(index).map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
}
