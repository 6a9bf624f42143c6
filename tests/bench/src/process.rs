//! One process of a function: its environment, and its cost as the kernel reports it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sandbox::stand_ins::aws::{ENTRA_SECRET, GENESYS_SECRET, WEBHOOK_SECRET};
use sandbox::stand_ins::{OPEN_MESSAGING_INTEGRATION, SMS_NUMBER, StandIns};
use tokio::process::{Child, Command};

use crate::Trouble;
use crate::runtime_api::RuntimeApi;

/// Clock ticks of `/proc/PID/stat` in a second: 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The process of a running function.
pub(crate) struct Process {
    pub(crate) runtime_api: RuntimeApi,
    /// From start to the first request for an event.
    pub(crate) init: Duration,
    child: Child,
}

/// The environment of a function, with the stand-ins for all services that it calls.
pub(crate) fn environment(stand_ins: &StandIns) -> [(&'static str, String); 23] {
    [
        ("AWS_LAMBDA_FUNCTION_NAME", "bench".into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
        ("AWS_REGION", "eu-central-1".into()),
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ("AWS_ENDPOINT_URL", stand_ins.aws.clone()),
        ("ENTRA_SECRET_ID", ENTRA_SECRET.into()),
        ("ENTRA_LOGIN_URL", stand_ins.entra.clone()),
        ("GRAPH_URL", format!("{}/v1.0", stand_ins.graph)),
        ("GENESYS_SECRET_ID", GENESYS_SECRET.into()),
        ("GENESYS_LOGIN_URL", stand_ins.genesys.clone()),
        ("GENESYS_API_URL", stand_ins.genesys.clone()),
        ("STATE_TABLE", "records".into()),
        ("SMS_FROM", SMS_NUMBER.into()),
        ("PRESENCE_REQUESTS_PER_SECOND", "1000000".into()),
        ("SUBSCRIPTIONS", "[]".into()),
        ("WEBHOOK_URL", "https://bridge.example".into()),
        ("WEBHOOK_SECRET_ID", WEBHOOK_SECRET.into()),
        ("OPEN_MESSAGING_INTEGRATION_ID", OPEN_MESSAGING_INTEGRATION.into()),
        ("MEDIA_BUCKET", "media".into()),
        ("NOTIFICATION_QUEUE_URL", format!("{}/000000000000/notifications.fifo", stand_ins.aws)),
        ("NOTIFICATION_DEAD_LETTER_QUEUE_URL", format!("{}/000000000000/dead-letters.fifo", stand_ins.aws)),
    ]
}

impl Process {
    /// Starts a binary against the stand-ins and waits until it is ready.
    pub(crate) async fn start(binary: &Path, stand_ins: &StandIns) -> Result<Self, Trouble> {
        let mut runtime_api = RuntimeApi::start().await?;
        let started = Instant::now();
        let child = Command::new(binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &runtime_api.address)
            .envs(environment(stand_ins))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Trouble(format!("{} could not be started: {error}", binary.display())))?;
        let init = runtime_api.ready().await?.duration_since(started);
        Ok(Self { runtime_api, init, child })
    }

    /// The processor time so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Trouble> {
        let stat = self.proc("stat")?;
        // User and system time are fields 14 and 15; the second is the name in brackets, which may hold anything.
        let (_, fields) = stat.rsplit_once(") ").ok_or_else(not_linux)?;
        let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
    }

    /// The most memory that was resident, in megabytes.
    pub(crate) fn peak_memory_mb(&self) -> Result<f64, Trouble> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.map(|kilobytes| kilobytes * 1024.0 / 1_000_000.0).ok_or_else(not_linux)
    }

    fn proc(&self, file: &str) -> Result<String, Trouble> {
        let pid = self.child.id().ok_or_else(|| Trouble("The function has ended.".into()))?;
        std::fs::read_to_string(format!("/proc/{pid}/{file}")).map_err(|_| not_linux())
    }
}

fn not_linux() -> Trouble {
    Trouble("Memory and processor time are read from /proc: run the benchmark on Linux.".into())
}
