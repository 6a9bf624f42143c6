//! The local AWS: ministack in a process of its own, with the bundle deployed to it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use checkout::root;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::sandbox::direct;
use crate::{Trouble, workshop};

/// The region that everything is deployed to.
pub const REGION: &str = "eu-central-1";

/// The stack's name; the functions' names begin with it.
pub const STACK: &str = "teams-bridge";

/// The port of a sandbox that was given none.
pub const USUAL_PORT: u16 = 4566;

/// How long ministack may take to start. It takes some seconds, more on a busy machine.
const START: Duration = Duration::from_secs(90);

/// The age from which on the folder of a local cloud certainly belongs to one that has ended.
const LEFTOVER: Duration = Duration::from_secs(10 * 60);

/// A running local AWS. It ends when this is dropped, or when this process ends in whatever way.
#[derive(Debug)]
pub struct Cloud {
    /// The URL of its API.
    pub endpoint: String,
    /// The port of its API.
    pub port: u16,
    interpreter: PathBuf,
    /// The file that its own log goes to.
    pub log: PathBuf,
    home: PathBuf,
    // Its standard input is what keeps it alive.
    process: Child,
}

/// The stack that was deployed.
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    /// The outputs of the template.
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
        check_port(port)?;
        let endpoint = format!("http://127.0.0.1:{port}");
        remove_leftovers();
        let home = home(port);
        fs::create_dir_all(&home).map_err(|error| Trouble::from("The local cloud's folder cannot be made", error))?;
        let log = home.join("ministack.log");
        let log_file =
            File::create(&log).map_err(|error| Trouble::from("The local cloud's log cannot be made", error))?;
        let errors =
            log_file.try_clone().map_err(|error| Trouble::from("The local cloud's log cannot be made", error))?;
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
            // On AWS, Lambda sets this from the template's LogLevel; the local one does not.
            .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
            .env("LOG_LEVEL", "WARNING")
            .stdin(Stdio::piped())
            .stdout(log_file)
            .stderr(errors)
            .process_group(0);
        let process = command.spawn().map_err(|error| Trouble::from("The local cloud could not be started", error))?;
        let mut cloud = Self { endpoint, port, interpreter: interpreter.to_owned(), log, home, process };
        cloud.wait_until_ready().await?;
        Ok(cloud)
    }

    async fn wait_until_ready(&mut self) -> Result<(), Trouble> {
        let client = direct()?;
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(Trouble(format!("The local cloud ended at once ({status}); see {}.", self.log.display())));
            }
            let health = client.get(format!("{}/_ministack/health", self.endpoint)).send().await;
            if health.is_ok_and(|health| health.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Trouble(format!("The local cloud did not start in time; see {}.", self.log.display())))
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
        let what = "The bundle could not be deployed";
        let order = serde_json::to_vec(&order).map_err(|error| Trouble::from(what, error))?;
        let output = self.cli().run(what, "deploy.py", &[], &order).await?;
        serde_json::from_slice(&output).map_err(|error| Trouble::from(what, error))
    }

    /// The folder where its sandbox keeps the files for other programs. The sandbox on the usual port has a fixed
    /// place; each other one has a folder of its own, so that two at a time neither overwrite nor delete each other's
    /// files.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        if self.port == USUAL_PORT { workshop() } else { home(self.port) }
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
    pub async fn put_secret(&self, id: &str, value: &Value) -> Result<(), Trouble> {
        let put = self.secrets_manager().put_secret_value().secret_id(id).secret_string(value.to_string());
        put.send().await.map_err(|error| Trouble::from("A secret could not be stored", error))?;
        Ok(())
    }

    /// Switches off, or on again, the consumers of a queue, so that its messages can be looked at.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn switch_consumers(&self, queue_url: &str, on: bool) -> Result<(), Trouble> {
        let of = json!({"QueueUrl": queue_url, "AttributeNames": ["QueueArn"]});
        let attributes = self.cli().call("sqs", "get_queue_attributes", &[of]).await?;
        let of = json!({"EventSourceArn": attributes[0]["Attributes"]["QueueArn"]});
        let listed = self.cli().call("lambda", "list_event_source_mappings", &[of]).await?;
        let mappings = listed[0]["EventSourceMappings"].as_array().into_iter().flatten();
        let switches: Vec<_> = mappings.map(|mapping| json!({"UUID": mapping["UUID"], "Enabled": on})).collect();
        if !switches.is_empty() {
            self.cli().call("lambda", "update_event_source_mapping", &switches).await?;
        }
        Ok(())
    }

    /// The number of messages on a queue: those that wait, and those that are being worked on.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn queue_depth(&self, queue_url: &str) -> Result<(u64, u64), Trouble> {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let of = json!({"QueueUrl": queue_url, "AttributeNames": names});
        let answers = self.cli().call("sqs", "get_queue_attributes", &[of]).await?;
        let depth = |name: &str| answers.first()?["Attributes"][name].as_str()?.parse().ok();
        let [waiting, taken] = names.map(depth);
        waiting.zip(taken).ok_or_else(|| Trouble(format!("The queue {queue_url} does not say how much it holds.")))
    }

    /// Gives a function this long for an event, and its queue twice as long until it hands a message to another
    /// instance.
    ///
    /// # Errors
    /// When there is no such function or queue.
    pub async fn set_timeout(&self, function: &str, queue_url: &str, timeout: Duration) -> Result<(), Trouble> {
        let name = format!("{STACK}-{function}");
        let configure = json!({"FunctionName": name, "Timeout": timeout.as_secs()});
        self.cli().call("lambda", "update_function_configuration", &[configure]).await?;
        let attributes = json!({"VisibilityTimeout": (2 * timeout.as_secs()).to_string()});
        let set = json!({"QueueUrl": queue_url, "Attributes": attributes});
        self.cli().call("sqs", "set_queue_attributes", &[set]).await.map(drop)
    }

    /// Gives a function other values of these variables. Its processes end, so that new ones read them.
    ///
    /// # Errors
    /// When there is no such function.
    pub async fn set_variables(&self, function: &str, values: &[(&str, &str)]) -> Result<(), Trouble> {
        let name = format!("{STACK}-{function}");
        let of = json!({"FunctionName": name});
        let mut configured = self.cli().call("lambda", "get_function_configuration", &[of]).await?;
        let variables = configured.first_mut().map(|answer| answer["Environment"]["Variables"].take());
        let mut variables = variables.ok_or_else(|| Trouble(format!("The function {name} has no configuration.")))?;
        for (name, value) in values {
            variables[*name] = (*value).into();
        }
        let configure = json!({"FunctionName": name, "Environment": {"Variables": variables}});
        self.cli().call("lambda", "update_function_configuration", &[configure]).await?;
        self.kill_function(function).map(drop)
    }

    /// The command line for this local AWS.
    #[must_use]
    pub fn cli(&self) -> Cli {
        Cli { interpreter: self.interpreter.clone(), endpoint: self.endpoint.clone() }
    }

    /// Everything that a function has logged.
    ///
    /// # Errors
    /// When it has no log.
    pub async fn logs(&self, function: &str) -> Result<String, Trouble> {
        let group = format!("/aws/lambda/{STACK}-{function}");
        let output = self.cli().run("The logs could not be read", "logs.py", &[&self.endpoint, &group], &[]).await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Kills every function's process in the middle of its work, as a crash would. Returns how many there were.
    ///
    /// # Errors
    /// When this machine's processes cannot be listed.
    pub fn kill_functions(&self) -> Result<usize, Trouble> {
        self.kill("AWS_LAMBDA_FUNCTION_NAME=")
    }

    /// The same for one function.
    ///
    /// # Errors
    /// When this machine's processes cannot be listed.
    pub fn kill_function(&self, function: &str) -> Result<usize, Trouble> {
        self.kill(&format!("AWS_LAMBDA_FUNCTION_NAME={STACK}-{function} "))
    }

    /// Kills the processes whose environment has this text.
    fn kill(&self, which: &str) -> Result<usize, Trouble> {
        let ours = format!("ministack-provided-code-{}/", self.port);
        let mut killed = 0;
        for (pid, described) in processes()? {
            if described.contains(&ours) && described.contains(which) {
                let status = std::process::Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status();
                killed += usize::from(status.is_ok_and(|status| status.success()));
            }
        }
        Ok(killed)
    }

    /// Ends the local cloud, and every function that it started.
    pub async fn stop(mut self) {
        drop(self.process.stdin.take());
        let _ = tokio::time::timeout(Duration::from_secs(10), self.process.wait()).await;
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Calls the local AWS as the AWS CLI does.
#[derive(Debug, Clone)]
pub struct Cli {
    interpreter: PathBuf,
    endpoint: String,
}

impl Cli {
    /// Calls an operation of the local AWS (`put_events` of `events`) once for each set of parameters. Gives the answers.
    ///
    /// # Errors
    /// When one fails.
    pub async fn call(&self, service: &str, operation: &str, parameters: &[Value]) -> Result<Vec<Value>, Trouble> {
        let what = format!("{service} {operation} failed");
        let lines: String = parameters.iter().map(|parameters| format!("{parameters}\n")).collect();
        let output = self.run(&what, "aws.py", &[&self.endpoint, service, operation], lines.as_bytes()).await?;
        let answers = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        answers.map(|line| serde_json::from_slice(line).map_err(|error| Trouble::from(&what, error))).collect()
    }

    /// Runs one of the sandbox's scripts and gives what it prints. `what` says what failed, if it did.
    async fn run(&self, what: &str, script: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Trouble> {
        let failed = |error: io::Error| Trouble::from(what, error);
        let mut process = Command::new(&self.interpreter)
            .arg(root().join("tests/sandbox").join(script))
            .args(arguments)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = process.stdin.take() {
            stdin.write_all(input).await.map_err(failed)?;
        }
        let output = process.wait_with_output().await.map_err(failed)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Trouble::from(what, said.trim().lines().last().unwrap_or("no reason was given")))
    }
}

/// The processes of this machine: id, and command line with environment, a space after each part.
fn processes() -> Result<Vec<(u32, String)>, Trouble> {
    let failed = |error: io::Error| Trouble::from("The processes cannot be listed", error);
    if Path::new("/proc/self/cmdline").exists() {
        let entries = fs::read_dir("/proc").map_err(failed)?.flatten();
        let described = entries.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let mut described = fs::read(entry.path().join("cmdline")).ok()?;
            // Nobody else's may be read.
            described.extend(fs::read(entry.path().join("environ")).unwrap_or_default());
            Some((pid, String::from_utf8_lossy(&described).replace('\0', " ")))
        });
        return Ok(described.collect());
    }
    let arguments = ["-A", "-E", "-ww", "-o", "pid=,command="];
    let listed = std::process::Command::new("ps").args(arguments).output().map_err(failed)?;
    let lines = String::from_utf8_lossy(&listed.stdout);
    let described = lines.lines().filter_map(|line| {
        let (pid, described) = line.trim_start().split_once(' ')?;
        Some((pid.parse().ok()?, format!("{described} ")))
    });
    Ok(described.collect())
}

/// The folder of the local cloud on this port, which goes when it does.
fn home(port: u16) -> PathBuf {
    workshop().join(format!("cloud-{port}"))
}

/// Removes the folders that local clouds left behind: each holds a copy of the functions.
fn remove_leftovers() {
    let is_old = |entry: &fs::DirEntry| {
        let changed = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age > LEFTOVER)
    };
    for entry in fs::read_dir(workshop()).into_iter().flatten().flatten() {
        let port = entry.file_name().to_str().and_then(|name| name.strip_prefix("cloud-")?.parse::<u16>().ok());
        let unused = port.is_some_and(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        if unused && is_old(&entry) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a port can be taken.
///
/// # Errors
/// When another program has the port.
pub fn check_port(port: u16) -> Result<(), Trouble> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).map_err(|_| port_taken(port))
}

/// The sentence for a port that another program has.
#[must_use]
pub fn port_taken(port: u16) -> Trouble {
    Trouble(format!(
        "Port {port} is taken by another program. End it, or choose other ports: `cargo sandbox --port 5600` takes 5600 to \
         5604."
    ))
}
