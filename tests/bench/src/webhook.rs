//! The cost of Graph's notifications: by themselves, in the function, and on the local cloud, where Graph's clock runs.

use std::time::{Duration, Instant};

use sandbox::sandbox::{Ports, Sandbox};
use sandbox::stand_ins::StandIns;
use sandbox::stand_ins::aws::CLIENT_STATE;
use serde_json::{Value, json};

use crate::Trouble;
use crate::measure::{Binaries, Effort, binary, percentile, steps};
use crate::process::Process;

/// The number of notifications in a large request.
const MANY: usize = 100;

/// Encrypted content of a rich notification: a chat message of some lines.
pub(crate) const CONTENT_BYTES: usize = 3072;

/// The cost of notifications to the webhook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebhookFigures {
    /// Processor time to read, check and write out one of a hundred, in microseconds, without the SDK.
    pub(crate) item_us: f64,
    /// The same, as a ratio to reading and writing its JSON.
    pub(crate) item_to_floor: f64,
    /// Both figures of a notification that carries its resource.
    pub(crate) rich_item_us: f64,
    pub(crate) rich_item_to_floor: f64,
    /// The function's whole processor time for one of a hundred, in microseconds.
    pub(crate) whole_item_us: f64,
    /// The most memory that the function had resident while it served requests of a hundred rich ones, in megabytes.
    pub(crate) peak_memory_mb: f64,
}

/// How long Graph waits for its answer, on the local cloud, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PostFigures {
    /// A handshake, which needs no queue.
    pub(crate) handshake_p50: f64,
    /// A request of one notification.
    pub(crate) one_p50: f64,
    pub(crate) one_p99: f64,
    /// A request of a hundred.
    pub(crate) many_p50: f64,
    pub(crate) many_p99: f64,
}

/// A request's body: messages of as many chats as there are notifications, new in each run.
fn collection(client_state: &str, count: usize, content_bytes: usize, run: &str) -> String {
    let item = |place: usize| {
        let resource =
            format!("chats('19:{place:036}_7f3c1c3e-5d0e-4c56-8f0a-3c1f2b7b9e11@unq.gbl.spaces')/messages('{run}')");
        let mut item = json!({
            "subscriptionId": "5b1c2a3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "clientState": client_state, "changeType": "created",
            "subscriptionExpirationDateTime": "2026-11-24T05:42:38.9097561+00:00",
            "tenantId": "3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11", "resource": resource,
            "resourceData": {"id": run, "@odata.type": "#Microsoft.Graph.chatMessage", "@odata.id": resource, "@odata.etag": run},
        });
        if content_bytes > 0 {
            item["encryptedContent"] = json!({
                "data": "QUJD".repeat(content_bytes / 4), "dataKey": "QUJD".repeat(86), "dataSignature": "QUJD".repeat(11),
                "encryptionCertificateId": "cert-1", "encryptionCertificateThumbprint": "07B8AF0CA29A74B5D7A3F1D4E5C6B7A8F9E0D1C2",
            });
        }
        item
    };
    let tokens: Vec<String> = if content_bytes > 0 { vec!["eyJ0eXAi".repeat(200)] } else { Vec::new() };
    json!({"value": (0..count).map(item).collect::<Vec<_>>(), "validationTokens": tokens}).to_string()
}

/// The function's event with one notification that is new.
pub(crate) fn event(run: &str) -> String {
    event_of(&collection(CLIENT_STATE, 1, 0, run))
}

fn event_of(body: &str) -> String {
    let text = include_str!("../../events/graph-webhook.json");
    let mut event: Value = serde_json::from_str(text).unwrap_or_default();
    event["body"] = body.into();
    event.to_string()
}

/// Measures the function's own work, and the function with requests of a hundred.
pub(crate) async fn measure(binaries: &Binaries, effort: Effort) -> Result<WebhookFigures, Trouble> {
    let bodies = [0, CONTENT_BYTES].map(|bytes| collection(CLIENT_STATE, MANY, bytes, "1795239758480"));
    let input = json!({"bodies": bodies, "client_state": CLIENT_STATE}).to_string();
    let [floor_us, basic_us, rich_floor_us, rich_us] = steps(binaries, "receive", [], &input)?;

    let stand_ins = StandIns::start([0; 4]).await.map_err(|error| Trouble(error.to_string()))?;
    let mut process = Process::start(binary(binaries, "graph-webhook")?, &stand_ins).await?;
    let requests = effort.invokes.div_ceil(10);
    let mut cpu = Duration::ZERO;
    for (content_bytes, name) in [(0, "basic"), (CONTENT_BYTES, "rich")] {
        let before = process.cpu()?;
        for index in 0..requests {
            let event = event_of(&collection(CLIENT_STATE, MANY, content_bytes, &format!("{name}-{index}")));
            let (_, answer) = process.runtime_api.invoke(event).await?;
            crate::measure::check("graph-webhook", &answer)?;
            process.runtime_api.ready().await?;
        }
        if content_bytes == 0 {
            cpu = process.cpu()?.saturating_sub(before);
        }
    }
    Ok(WebhookFigures {
        item_us: basic_us / MANY as f64,
        item_to_floor: basic_us / floor_us,
        rich_item_us: rich_us / MANY as f64,
        rich_item_to_floor: rich_us / rich_floor_us,
        whole_item_us: cpu.as_secs_f64() * 1_000_000.0 / (requests * MANY) as f64,
        peak_memory_mb: process.peak_memory_mb()?,
    })
}

/// Measures on the local cloud, through its HTTP API and into its queue, as Graph does.
pub(crate) async fn posts(binaries: &Binaries) -> Result<PostFigures, Trouble> {
    let trouble = |error: sandbox::Trouble| Trouble(error.to_string());
    let sandbox = Sandbox::start_with(Ports::Any, |_| Ok(binaries.clone()), &[], |_| {}).await.map_err(trouble)?;
    let secret = json!({"client_state": CLIENT_STATE});
    sandbox.cloud.put_secret(sandbox.output("WebhookSecret"), &secret).await.map_err(trouble)?;
    // What is behind the queue is not what Graph waits for.
    sandbox.cloud.switch_consumers(sandbox.output("NotificationQueue"), false).await.map_err(trouble)?;

    let handshakes = waits(&sandbox, 300, 200, |_| ("/graph/notifications?validationToken=a+b".into(), String::new()));
    let mut handshakes = handshakes.await?;
    let of = |count: usize| {
        move |run: usize| ("/graph/notifications".into(), collection(CLIENT_STATE, count, 0, &format!("{count}-{run}")))
    };
    let (mut one, mut many) = (waits(&sandbox, 500, 202, of(1)).await?, waits(&sandbox, 100, 202, of(MANY)).await?);
    Ok(PostFigures {
        handshake_p50: percentile(&mut handshakes, 50),
        one_p50: percentile(&mut one, 50),
        one_p99: percentile(&mut one, 99),
        many_p50: percentile(&mut many, 50),
        many_p99: percentile(&mut many, 99),
    })
}

/// How long each of these requests is waited for, once all is warm.
async fn waits(
    sandbox: &Sandbox,
    count: usize,
    status: u16,
    request: impl Fn(usize) -> (String, String),
) -> Result<Vec<Duration>, Trouble> {
    let mut waits = Vec::with_capacity(count);
    for run in 0..count + 10 {
        let (path, body) = request(run);
        let started = Instant::now();
        let answer = sandbox.post(&path, None, body).await.map_err(|error| Trouble(error.to_string()))?;
        if answer.status != status {
            return Err(Trouble(format!("graph-webhook answered {} {}", answer.status, answer.body)));
        }
        if run >= 10 {
            waits.push(started.elapsed());
        }
    }
    Ok(waits)
}
