//! The whole sandbox: stand-ins, local cloud, the deployed bundle, and its secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_action_runner::Settings;
use serde_json::{Value, json};

use crate::cloud::{Cli, Cloud, Deployment, REGION, check_port};
use crate::genesys_event::GenesysEvent;
use crate::stand_ins::{
    AGENT_ID, API_AUDIENCE, CALLER_APP, OPEN_MESSAGING_INTEGRATION, SMS_NUMBER, StandIns, TENANT, Vendor, Wish, World,
};
use crate::{PYTHON, Trouble, env_file, functions};

/// The partner event source of the Genesys Cloud org. On AWS its name begins with `aws.partner/`; nobody but a partner may
/// put events under such a name, here neither.
/// The parameter of Systems Manager that the subscriptions lie in.
const SUBSCRIPTIONS_PARAMETER: &str = "/sandbox/subscriptions";

/// The bucket that the map of presences lies in.
const SETTINGS_BUCKET: &str = "sandbox-settings";
const PRESENCE_MAP_KEY: &str = "presence/map.json";

const EVENT_SOURCE: &str = "sandbox.genesys/cloud/6b0f8f0e-0a39-4f0f-8a0b-3f4d1f7c2e10/bridge";

/// The event bus that all of Graph's events are published to. It is the customer's own, so it is not in the template.
pub const EVENT_BUS: &str = "sandbox";

/// The ports of this machine that the sandbox takes.
#[derive(Debug, Clone, Copy)]
pub enum Ports {
    /// Five in a row from this one on: cloud, control panel, Entra, Graph, Genesys Cloud.
    From(u16),
    /// Any ports that are free.
    Any,
}

/// The bundle, deployed and ready for requests.
#[derive(Debug)]
pub struct Sandbox {
    /// The stand-ins' world: the vendors' state and faults.
    pub world: Arc<World>,
    /// Origin of the control panel.
    pub control: String,
    /// The local AWS that everything is deployed to.
    pub cloud: Cloud,
    /// The stack that was deployed to it.
    pub deployment: Deployment,
    /// The parameters that the template was deployed with.
    pub parameters: BTreeMap<String, String>,
    entra: String,
    client: reqwest::Client,
}

/// An answer of the deployed API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The JSON of the body.
    pub body: Value,
    /// How long the caller waited.
    pub took: Duration,
}

impl Answer {
    /// A text field of the body; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// Whether the body's `ok` is true.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.body["ok"] == true
    }
}

impl Sandbox {
    /// Builds the functions, starts everything and deploys. Reports through `progress` the steps that take a while.
    ///
    /// # Errors
    /// What is missing on this machine, or went wrong.
    pub async fn start(ports: Ports, progress: impl Fn(&str)) -> Result<Self, Trouble> {
        Self::start_with(ports, functions::build, &[], progress).await
    }

    /// As [`Self::start`], with binaries that somebody else has built, and with parameters of the template that shall not
    /// be the sandbox's own.
    ///
    /// # Errors
    /// What is missing on this machine, or went wrong.
    pub async fn start_with(
        ports: Ports,
        build: impl FnOnce(&dyn Fn(&str)) -> Result<BTreeMap<String, PathBuf>, Trouble>,
        other_parameters: &[(&str, &str)],
        progress: impl Fn(&str),
    ) -> Result<Self, Trouble> {
        let stand_in_ports = match ports {
            Ports::From(first) => {
                check_port(first)?;
                [1, 2, 3, 4].map(|offset| first.saturating_add(offset))
            }
            Ports::Any => [0; 4],
        };
        let mut stand_ins = StandIns::start(stand_in_ports).await?;
        let interpreter = PYTHON.interpreter(&progress)?;
        progress("building the functions");
        let binaries = build(&progress)?;
        progress("starting the local cloud");
        let cloud_port = match ports {
            Ports::From(first) => first,
            Ports::Any => free_port()?,
        };
        let cloud = Cloud::start(&interpreter, cloud_port).await?;
        put_settings(&cloud.cli()).await?;
        progress("deploying infra/template.yaml");
        let mut parameters = parameters(&stand_ins);
        parameters.extend(other_parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let deployment = cloud.deploy(&parameters, &binaries).await?;
        let world = stand_ins.world.clone();
        let sandbox = Self {
            world,
            control: stand_ins.control.clone(),
            cloud,
            deployment,
            parameters,
            entra: stand_ins.entra.clone(),
            client: direct()?,
        };
        sandbox.store_secret(Vendor::Entra).await?;
        sandbox.store_secret(Vendor::Genesys).await?;
        sandbox.cloud.put_secret(sandbox.output("NotificationKeysSecret"), &notification_keys()?).await?;
        let (keeper, aws) = (sandbox.secret_keeper(), sandbox.cloud.cli());
        tokio::spawn(async move {
            while let Some(wish) = stand_ins.wishes.recv().await {
                let _ = match wish {
                    Wish::StoreSecret(vendor) => keeper.store(vendor).await,
                    Wish::SendEvent(event) => put_events(&aws, &[event]).await,
                };
            }
        });
        Ok(sandbox)
    }

    /// Stores the credential that a vendor takes now, as an administrator does after a rotation.
    ///
    /// # Errors
    /// When Secrets Manager does not take it.
    pub async fn store_secret(&self, vendor: Vendor) -> Result<(), Trouble> {
        self.secret_keeper().store(vendor).await
    }

    /// Puts another private key beside the certificate that notifications are encrypted for, as somebody who mixes two up does.
    ///
    /// # Errors
    /// When the secret cannot be read or stored.
    pub async fn spoil_notification_keys(&self) -> Result<(), Trouble> {
        let id = self.output("NotificationKeysSecret");
        let read = self.cloud.secrets_manager().get_secret_value().secret_id(id).send().await;
        let read = read.map_err(|error| Trouble::from("A secret could not be read", error))?;
        let keys = serde_json::from_str(read.secret_string().unwrap_or_default());
        let mut keys: Value = keys.map_err(|error| Trouble::from("A secret is no JSON", error))?;
        let other = notification_keys()?;
        keys["certificates"][0]["private_key_pem"] = other["certificates"][0]["private_key_pem"].clone();
        self.cloud.put_secret(id, &keys).await
    }

    fn secret_keeper(&self) -> SecretKeeper {
        SecretKeeper {
            world: self.world.clone(),
            client: self.cloud.secrets_manager(),
            entra_secret: self.output("EntraSecret").to_owned(),
            genesys_secret: self.output("GenesysSecret").to_owned(),
        }
    }

    /// An output of the template.
    #[must_use]
    pub fn output(&self, name: &str) -> &str {
        self.deployment.outputs.get(name).map_or("", String::as_str)
    }

    /// The URL of a deployed route on this machine, and the header that names the API.
    #[must_use]
    pub fn route(&self, path: &str) -> (String, String) {
        let host = format!("{}.execute-api.localhost:{}", self.deployment.api, self.cloud.port);
        (format!("{}{path}", self.cloud.endpoint), host)
    }

    /// The settings of the data actions that an administrator makes in Genesys Cloud: the bridge's URL, and the
    /// caller's credentials.
    #[must_use]
    pub fn integration(&self) -> Settings {
        let secret = self.world.directory().apps.get(CALLER_APP).and_then(|app| app.secrets.last().cloned());
        let credentials = [
            ("login_url", self.entra.clone()),
            ("tenant_id", TENANT.into()),
            ("client_id", CALLER_APP.into()),
            ("client_secret", secret.unwrap_or_default()),
            ("scope", format!("{API_AUDIENCE}/.default")),
        ];
        let (_, host) = self.route("");
        Settings {
            bridge: format!("http://{host}"),
            credentials: credentials.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// The token request that Genesys Cloud's customAuth action makes, answered by the Entra stand-in.
    ///
    /// # Errors
    /// When Entra gives none.
    pub async fn caller_token(&self) -> Result<String, Trouble> {
        let secret = self.world.directory().apps.get(CALLER_APP).and_then(|app| app.secrets.last().cloned());
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CALLER_APP),
            ("client_secret", secret.as_deref().unwrap_or_default()),
            ("scope", &format!("{API_AUDIENCE}/.default")),
        ];
        let url = format!("{}/{TENANT}/oauth2/v2.0/token", self.entra);
        let failed = |error: reqwest::Error| Trouble::from("The caller got no token", error);
        let answer: Value =
            self.client.post(url).form(&form).send().await.map_err(failed)?.json().await.map_err(failed)?;
        match answer["access_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(Trouble(format!("The caller got no token: {}", answer["error_description"]))),
        }
    }

    /// The same request as a command line.
    #[must_use]
    pub fn caller_token_command(&self) -> String {
        let secret = self.world.directory().apps.get(CALLER_APP).and_then(|app| app.secrets.last().cloned());
        format!(
            "curl -s {}/{TENANT}/oauth2/v2.0/token -d grant_type=client_credentials -d client_id={CALLER_APP} \
             --data-urlencode 'client_secret={}' -d scope={API_AUDIENCE}/.default",
            self.entra,
            secret.unwrap_or_default(),
        )
    }

    /// Sends a request as Genesys Cloud's data action does, with this token or without any.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, path: &str, token: Option<&str>, body: impl Into<String>) -> Result<Answer, Trouble> {
        let (url, host) = self.route(path);
        let mut request = self
            .client
            .post(url)
            .header("host", host)
            .header("content-type", "application/json")
            .timeout(Duration::from_secs(60))
            .body(body.into());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let started = Instant::now();
        let failed = |error: reqwest::Error| Trouble::from("The deployed API did not answer", error);
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
        let headers = headers.collect();
        let text = response.text().await.map_err(failed)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, headers, body, took: started.elapsed() })
    }

    /// Invokes the function that renews subscriptions, as its schedule does; the local AWS has no schedules.
    ///
    /// # Errors
    /// When the function cannot be invoked.
    pub async fn look_after_subscriptions(&self) -> Result<(), Trouble> {
        let tick = include_str!("../../events/renew-subscriptions.json");
        let invoke = json!({"FunctionName": self.output("RenewSubscriptions"), "Payload": tick});
        self.cloud.cli().call("lambda", "invoke", &[invoke]).await.map(drop)
    }

    /// Hands events to Amazon EventBridge as Genesys Cloud's integration does.
    ///
    /// # Errors
    /// When EventBridge does not take them.
    pub async fn send_genesys_events(&self, events: &[GenesysEvent]) -> Result<(), Trouble> {
        put_events(&self.cloud.cli(), events).await
    }

    /// Writes [`Self::integration`] into the folder of this sandbox, where `cargo data-action` finds it. Gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_integration_file(&self) -> Result<PathBuf, Trouble> {
        let path = self.cloud.folder().join("integration.json");
        let failed =
            |error: &dyn std::fmt::Display| Trouble::from("The integration's file could not be written", error);
        let text = serde_json::to_string_pretty(&self.integration()).map_err(|error| failed(&error))?;
        std::fs::write(&path, text).map_err(|error| failed(&error))?;
        Ok(path)
    }

    /// Writes `.env` into the folder of this sandbox: [`Self::environment`] for `cargo lambda watch`. Gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_env_file(&self) -> Result<PathBuf, Trouble> {
        let path = self.cloud.folder().join(".env");
        let environment = self.environment();
        let text = env_file::text(environment.iter().map(|(name, value)| (*name, value.as_str())))?;
        let written = std::fs::write(&path, text);
        written
            .and_then(|()| path.canonicalize())
            .map_err(|error| Trouble::from("The .env file could not be written", error))
    }

    /// The environment in which the functions run against this sandbox, without its local Lambda.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        let parameter = |name: &str| self.parameters.get(name).cloned().unwrap_or_default();
        BTreeMap::from([
            ("AWS_ENDPOINT_URL", self.cloud.endpoint.clone()),
            ("AWS_REGION", REGION.into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("ENTRA_SECRET_ID", self.output("EntraSecret").into()),
            ("ENTRA_LOGIN_URL", parameter("EntraLoginUrl")),
            ("GRAPH_URL", parameter("GraphUrl")),
            ("DEFAULT_ORGANIZER", parameter("DefaultOrganizer")),
            ("GENESYS_SECRET_ID", self.output("GenesysSecret").into()),
            ("GENESYS_DOMAIN", parameter("GenesysDomain")),
            ("GENESYS_LOGIN_URL", parameter("GenesysLoginUrl")),
            ("GENESYS_API_URL", parameter("GenesysApiUrl")),
            ("STATE_TABLE", self.output("StateTable").into()),
            ("SMS_FROM", parameter("SmsFrom")),
            ("SMS_COUNTRY", parameter("SmsCountry")),
            ("SMS_BRAND", parameter("SmsBrand")),
            ("PRESENCE_MODE", parameter("PresenceMode")),
            ("WEBHOOK_SECRET_ID", self.output("WebhookSecret").into()),
            ("NOTIFICATION_QUEUE_URL", self.output("NotificationQueue").into()),
            ("NOTIFICATION_DEAD_LETTER_QUEUE_URL", self.output("NotificationDeadLetterQueue").into()),
            ("LIFECYCLE_QUEUE_URL", self.output("LifecycleQueue").into()),
            ("NOTIFICATION_KEYS_SECRET_ID", self.output("NotificationKeysSecret").into()),
            ("SUBSCRIPTIONS", subscriptions().to_string()),
            ("WEBHOOK_URL", self.output("NotificationsUrl").trim_end_matches("/graph/notifications").into()),
            // `cargo lambda watch` has no authorizer, so there are no roles to check.
            ("REQUIRE_ROLES", "false".into()),
        ])
    }
}

/// Puts the settings that are in parameters and objects where the stack's parameters say.
async fn put_settings(aws: &Cli) -> Result<(), Trouble> {
    let subscriptions =
        json!({"Name": SUBSCRIPTIONS_PARAMETER, "Type": "String", "Value": subscriptions().to_string()});
    aws.call("ssm", "put_parameter", &[subscriptions]).await?;
    let bucket = json!({"Bucket": SETTINGS_BUCKET, "CreateBucketConfiguration": {"LocationConstraint": REGION}});
    aws.call("s3", "create_bucket", &[bucket]).await?;
    let map = json!({"Bucket": SETTINGS_BUCKET, "Key": PRESENCE_MAP_KEY, "Body": json!({"Break": "BeRightBack"}).to_string()});
    aws.call("s3", "put_object", &[map]).await?;
    Ok(())
}

async fn put_events(aws: &Cli, events: &[GenesysEvent]) -> Result<(), Trouble> {
    let entry = |event: &GenesysEvent| {
        json!({
            "EventBusName": EVENT_SOURCE, "Source": EVENT_SOURCE,
            "DetailType": event.detail_type, "Detail": event.detail.to_string(),
        })
    };
    // EventBridge takes ten at a time.
    let calls: Vec<_> =
        events.chunks(10).map(|ten| json!({"Entries": ten.iter().map(entry).collect::<Vec<_>>()})).collect();
    let answers = aws.call("events", "put_events", &calls).await?;
    match answers.iter().find(|answer| answer["FailedEntryCount"] != 0) {
        None => Ok(()),
        Some(answer) => Err(Trouble(format!("EventBridge did not take an event: {answer}"))),
    }
}

/// Stores the credentials that a vendor accepts.
struct SecretKeeper {
    world: Arc<World>,
    client: aws_sdk_secretsmanager::Client,
    entra_secret: String,
    genesys_secret: String,
}

impl SecretKeeper {
    async fn store(&self, vendor: Vendor) -> Result<(), Trouble> {
        let (id, credential) = match vendor {
            Vendor::Entra => (&self.entra_secret, self.world.directory().entra_credential()),
            Vendor::Genesys => (&self.genesys_secret, self.world.directory().genesys_credential()),
            Vendor::Graph | Vendor::Teams | Vendor::Aws => return Ok(()),
        };
        let put = self.client.put_secret_value().secret_id(id).secret_string(credential.to_string());
        put.send().await.map_err(|error| Trouble::from("A secret could not be stored", error))?;
        Ok(())
    }
}

/// An HTTP client without a proxy: everything is on this machine.
pub(crate) fn direct() -> Result<reqwest::Client, Trouble> {
    let client = reqwest::Client::builder().no_proxy().build();
    client.map_err(|error| Trouble::from("There is no HTTP client", error))
}

/// A certificate with its key for encrypted notifications, as the secret holds it.
fn notification_keys() -> Result<Value, Trouble> {
    let failed = |error: rcgen::Error| Trouble::from("No key can be made", error);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).map_err(failed)?;
    let certificate = rcgen::CertificateParams::new(["sandbox".into()]).map_err(failed)?;
    let pem = certificate.self_signed(&key).map_err(failed)?.pem();
    Ok(json!({"certificates": [{"id": "sandbox", "certificate_pem": pem, "private_key_pem": key.serialize_pem()}]}))
}

/// The subscriptions to Microsoft Graph: the agent's chats, with their content, and the agent's inbox.
fn subscriptions() -> Value {
    json!([
        {"resource": format!("/users/{AGENT_ID}/chats/getAllMessages"), "changeTypes": "created,updated,deleted",
         "rich": true},
        {"resource": format!("/users/{AGENT_ID}/mailFolders('inbox')/messages"), "changeTypes": "created"},
    ])
}

/// The parameters that the template is deployed with.
fn parameters(stand_ins: &StandIns) -> BTreeMap<String, String> {
    let parameters = json!({
        "JwtIssuer": format!("{}/{TENANT}/v2.0", stand_ins.entra),
        "JwtAudience": API_AUDIENCE,
        "EntraLoginUrl": stand_ins.entra,
        "GraphUrl": format!("{}/v1.0", stand_ins.graph),
        "DefaultOrganizer": "bridge@contoso.com",
        "GenesysDomain": "mypurecloud.com",
        "GenesysLoginUrl": stand_ins.genesys,
        "GenesysApiUrl": stand_ins.genesys,
        "SmsFrom": SMS_NUMBER,
        "SmsCountry": "GB",
        "SmsBrand": "Contoso",
        "GenesysEventSource": EVENT_SOURCE,
        "SubscriptionsParameter": SUBSCRIPTIONS_PARAMETER,
        "PresenceMapParameter": format!("s3://{SETTINGS_BUCKET}/{PRESENCE_MAP_KEY}"),
        "OpenMessagingIntegrationId": OPEN_MESSAGING_INTEGRATION,
        "EventBusName": EVENT_BUS,
    });
    serde_json::from_value(parameters).unwrap_or_default()
}

fn free_port() -> Result<u16, Trouble> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| Trouble::from("No port is free", error))
}
