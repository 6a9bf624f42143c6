//! The local AWS: ministack in a process of its own, with the bundle deployed to it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::{Trouble, root, workshop};

/// The region that everything is deployed to.
pub const REGION: &str = "eu-central-1";

/// The stack's name; the functions' names begin with it.
pub const STACK: &str = "teams-bridge";

/// How long ministack may take to start. It takes some seconds, more on a busy machine.
const START: Duration = Duration::from_secs(90);

/// A running local AWS. It ends when this is dropped, or when this process ends in whatever way.
#[derive(Debug)]
pub struct Cloud {
    /// Where its API is.
    pub endpoint: String,
    /// Its port.
    pub port: u16,
    interpreter: PathBuf,
    /// Where its own log goes.
    pub log: PathBuf,
    // Its standard input is what keeps it alive.
    process: Child,
}

/// What was deployed.
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
    /// The HTTP API's id.
    pub api: String,
}

#[derive(Serialize)]
struct Order<'a> {
    template: PathBuf,
    endpoint: &'a str,
    stack: &'a str,
    parameters: &'a BTreeMap<String, String>,
    bootstraps: &'a BTreeMap<String, PathBuf>,
}

impl Cloud {
    /// Starts ministack on a port of this machine.
    ///
    /// # Errors
    /// The port is taken, or ministack does not start.
    pub async fn start(interpreter: &Path, port: u16) -> Result<Self, Trouble> {
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|_| port_taken(port))?);
        let endpoint = format!("http://127.0.0.1:{port}");
        let home = workshop().join(format!("cloud-{port}"));
        fs::create_dir_all(&home).map_err(|error| Trouble::from("The local cloud's folder cannot be made", error))?;
        let log = home.join("ministack.log");
        let log_file =
            File::create(&log).map_err(|error| Trouble::from("The local cloud's log cannot be made", error))?;
        let errors = log_file
            .try_clone()
            .map_err(|error| Trouble::from("The local cloud's log cannot be made", error))?;
        let mut command = Command::new(interpreter);
        command
            .arg(root().join("tests/sandbox/local_cloud.py"))
            .env_clear()
            // The functions inherit all of this, so nothing of the developer's own environment goes in.
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_ENABLED", "0")
            // Each function's role is enforced: a call that the template's policies do not allow is denied.
            .env("AUTH", "true")
            .env("MINISTACK_REGION", REGION)
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("LOG_LEVEL", "WARNING")
            .stdin(Stdio::piped())
            .stdout(log_file)
            .stderr(errors)
            .process_group(0);
        let process = command
            .spawn()
            .map_err(|error| Trouble::from("The local cloud could not be started", error))?;
        let mut cloud = Self {
            endpoint,
            port,
            interpreter: interpreter.to_owned(),
            log,
            process,
        };
        cloud.wait_until_ready().await?;
        Ok(cloud)
    }

    async fn wait_until_ready(&mut self) -> Result<(), Trouble> {
        let client = reqwest::Client::new();
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(Trouble(format!(
                    "The local cloud ended at once ({status}); see {}.",
                    self.log.display()
                )));
            }
            if client
                .get(format!("{}/_ministack/health", self.endpoint))
                .send()
                .await
                .is_ok()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Trouble(format!(
            "The local cloud did not start in time; see {}.",
            self.log.display()
        )))
    }

    /// Deploys `infra/template.yaml` with these binaries.
    ///
    /// # Errors
    /// When the stack cannot be created; the reason is CloudFormation's.
    pub async fn deploy(
        &self,
        parameters: &BTreeMap<String, String>,
        bootstraps: &BTreeMap<String, PathBuf>,
    ) -> Result<Deployment, Trouble> {
        let order = Order {
            template: root().join("infra/template.yaml"),
            endpoint: &self.endpoint,
            stack: STACK,
            parameters,
            bootstraps,
        };
        let failed = |error: &dyn std::fmt::Display| Trouble::from("The bundle could not be deployed", error);
        let order = serde_json::to_vec(&order).map_err(|error| failed(&error))?;
        let mut deployer = Command::new(&self.interpreter)
            .arg(root().join("tests/sandbox/deploy.py"))
            .env("AWS_DEFAULT_REGION", REGION)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        if let Some(mut input) = deployer.stdin.take() {
            input.write_all(&order).await.map_err(|error| failed(&error))?;
        }
        let output = deployer.wait_with_output().await.map_err(|error| failed(&error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(&said.trim().lines().last().unwrap_or("no reason was given")));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
    }

    /// A client for its Secrets Manager.
    #[must_use]
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("test", "test", None, None, "sandbox"))
            .endpoint_url(&self.endpoint)
            .build();
        aws_sdk_secretsmanager::Client::from_conf(config)
    }

    /// Puts a value into a secret.
    ///
    /// # Errors
    /// When there is no such secret.
    pub async fn put_secret(&self, id: &str, value: &serde_json::Value) -> Result<(), Trouble> {
        let put = self
            .secrets_manager()
            .put_secret_value()
            .secret_id(id)
            .secret_string(value.to_string());
        put.send()
            .await
            .map_err(|error| Trouble::from("A secret could not be stored", error))?;
        Ok(())
    }

    /// Ends it, and with it every function that it started.
    pub async fn stop(mut self) {
        drop(self.process.stdin.take());
        let _ = tokio::time::timeout(Duration::from_secs(10), self.process.wait()).await;
    }
}

/// The sentence for a port that somebody else has.
#[must_use]
pub fn port_taken(port: u16) -> Trouble {
    Trouble(format!(
        "Port {port} is taken by another program. End it, or choose other ports: `cargo sandbox --port 5600` takes 5600 to \
         5604."
    ))
}
