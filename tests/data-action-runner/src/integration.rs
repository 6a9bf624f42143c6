//! A *Web Services Data Actions* integration, and what happens when one of its actions is executed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use python_packages::Trouble;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url, redirect};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::action::Action;
use crate::engine::Engine;
use crate::failure::{Cause, Failure};
use crate::response;
use crate::trace::Trace;

/// The Genesys Cloud organization and user that every request says it comes from.
const ORGANIZATION: &str = "6b0f8f0e-0a39-4f0f-8a0b-3f4d1f7c2e10";
const USER: &str = "7a3b0c5e-1d2f-4e6a-8b9c-0a1b2c3d4e5f";

/// What Java's URIs, and so Genesys Cloud's, cannot hold unless it is encoded.
const NOT_IN_A_URL: &[char] = &[' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}', '\n', '\r', '\t'];

/// An integration: its credentials, its customAuth action, and the token that this got last.
#[derive(Debug)]
pub struct Integration {
    engine: Arc<Engine>,
    credentials: BTreeMap<String, String>,
    auth: Option<Action>,
    token: Mutex<Option<Value>>,
    client: Client,
}

/// One execution of an action.
#[derive(Debug)]
pub struct Execution {
    /// The output, or the failure as the author sees it.
    pub outcome: Result<Value, Failure>,
    /// The steps as an administrator sees them.
    pub trace: Trace,
    /// How long it took.
    pub took: Duration,
}

impl Integration {
    /// An integration with these credential fields, and with a customAuth action if their type is *User Defined
    /// (OAuth)*.
    ///
    /// # Errors
    /// There is no HTTP client.
    pub fn new(
        engine: Arc<Engine>,
        credentials: BTreeMap<String, String>,
        auth: Option<Action>,
    ) -> Result<Self, Trouble> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(LocalNames))
            .build()
            .map_err(|error| Trouble::from("There is no HTTP client", error))?;
        Ok(Self { engine, credentials, auth, token: Mutex::default(), client })
    }

    /// Executes an action with this input.
    pub async fn execute(&self, action: &Action, input: &Value) -> Execution {
        let started = Instant::now();
        let correlation_id = Uuid::new_v4();
        let mut trace = Trace::default();
        trace.note("Input", pretty(input));
        let outcome = self.run(action, input, correlation_id, &mut trace).await;
        let outcome = outcome.map_err(|cause| {
            trace.note("Failed", cause.to_string());
            Failure::of(&cause, correlation_id)
        });
        Execution { outcome, trace, took: started.elapsed() }
    }

    async fn run(&self, action: &Action, input: &Value, id: Uuid, trace: &mut Trace) -> Result<Value, Cause> {
        response::check(action.contract.input.input_schema.as_ref(), input)
            .map_err(|wrong| Cause::Processing(format!("The input breaks its contract. {wrong}")))?;
        let mut variables = json!({"input": input});
        // With *User Defined (OAuth)* the credentials are documented for the customAuth action alone.
        if self.auth.is_none() {
            variables["credentials"] = json!(self.credentials);
        }
        // A template sees the fields of the input, and all of it as JSON text.
        variables["input"]["rawRequest"] = input.to_string().into();
        let (token, cached) = self.token(id, trace).await?;
        variables["authResponse"] = token;
        let mut answer = self.request(action, &variables, id, trace).await;
        if cached && matches!(answer, Err(Cause::Refused { .. })) {
            trace.note("Again with a new token", "because the request failed with a cached one");
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
            variables["authResponse"] = self.token(id, trace).await?.0;
            answer = self.request(action, &variables, id, trace).await;
        }
        let output = self.output(action, &answer?, &mut variables, trace)?;
        response::check(action.contract.output.success_schema.as_ref(), &output)
            .map_err(|wrong| Cause::Processing(format!("The output breaks its contract. {wrong}")))?;
        Ok(output)
    }

    /// The result of the customAuth action, and whether it is a cached one.
    async fn token(&self, id: Uuid, trace: &mut Trace) -> Result<(Value, bool), Cause> {
        let Some(auth) = &self.auth else {
            return Ok((Value::Null, false));
        };
        let cached = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(token) = cached {
            trace.note("Token", "a cached one");
            return Ok((token, true));
        }
        // Its steps are full of secrets. Of them only the names of what is missing are shown.
        let mut hidden = Trace::default();
        let mut variables = json!({"input": {"rawRequest": "{}"}, "credentials": self.credentials});
        let token = async {
            let answer = self.request(auth, &variables, id, &mut hidden).await?;
            self.output(auth, &answer, &mut variables, &mut hidden)
        };
        let token = token.await.map_err(|cause| Cause::NoToken(Box::new(cause)));
        for missing in hidden.shown("Unresolved") {
            trace.note("Unresolved", format!("{missing}, by the action {}", auth.name));
        }
        let token = token?;
        trace.note("Token", format!("a new one, by the action {}", auth.name));
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok((token, false))
    }

    /// Renders the request, sends it, and gives the JSON text that came back.
    async fn request(&self, action: &Action, variables: &Value, id: Uuid, trace: &mut Trace) -> Result<String, Cause> {
        let request = &action.config.request;
        let url = self.render(&request.request_url_template, "URL", variables, trace)?;
        let method = request.request_type.to_uppercase();
        let mut shown = format!("{method} {url}\n");
        let mut headers = HeaderMap::new();
        for (name, template) in &request.headers {
            let value = self.render(template, name, variables, trace)?;
            // A way to say that the body has a length, and no header of the request.
            if name.eq_ignore_ascii_case("transfer-encoding") {
                continue;
            }
            let secret = name.eq_ignore_ascii_case("authorization");
            shown += &format!("{name}: {}\n", if secret { "(not shown)" } else { &value });
            set(&mut headers, name, &value)?;
        }
        for (name, value) in [
            ("ININ-Correlation-Id", id.to_string().as_str()),
            ("ININ-Organization-Id", ORGANIZATION),
            ("ININ-Home-Organization-Id", ORGANIZATION),
            ("ININ-User-Id", USER),
        ] {
            shown += &format!("{name}: {value}\n");
            set(&mut headers, name, value)?;
        }
        let body = match method.as_str() {
            "GET" => String::new(),
            _ => self.render(&request.request_template, "body", variables, trace)?,
        };
        shown += &format!("\n{body}");
        trace.note("Request", shown);

        let wrong_url = |why: &dyn std::fmt::Display| Cause::Processing(format!("The URL {url} is none: {why}"));
        if let Some(character) = url.chars().find(|character| NOT_IN_A_URL.contains(character)) {
            return Err(wrong_url(&format!("{character:?} must be encoded, with $esc.uriEncode(…)")));
        }
        let address = Url::parse(&url).map_err(|error| wrong_url(&error))?;
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Cause::Processing(format!("{method} is no method of HTTP.")))?;
        let timeout = Duration::from_secs(action.config.timeout_seconds);
        let started = Instant::now();
        let sent = self.client.request(method, address).headers(headers).timeout(timeout).body(body).send();
        let failed = |error: reqwest::Error| {
            if error.is_timeout() { Cause::TimedOut(timeout) } else { Cause::Unreachable(root_of(&error)) }
        };
        let response = sent.await.map_err(failed)?;
        let status = response.status();
        let body = response.text().await.map_err(failed)?;
        trace.note("Response", format!("HTTP {status} after {} ms\n{body}", started.elapsed().as_millis()));
        if !status.is_success() {
            return Err(Cause::Refused { status: status.as_u16(), body });
        }
        match serde_json::from_str::<&serde_json::value::RawValue>(&body) {
            Ok(_) => Ok(body),
            Err(_) => Err(Cause::NotJson { body }),
        }
    }

    /// Makes the output of an answer.
    fn output(&self, action: &Action, answer: &str, variables: &mut Value, trace: &mut Trace) -> Result<Value, Cause> {
        let parsed: Value = serde_json::from_str(answer).map_err(|_| Cause::NotJson { body: answer.to_owned() })?;
        let mapped = response::translate(&self.engine, &action.config.response, &parsed).map_err(Cause::Processing)?;
        if !mapped.is_empty() {
            let lines: Vec<String> =
                mapped.iter().map(|(name, text)| format!("{name} = {}", text.as_str().unwrap_or_default())).collect();
            trace.note("Translation map", lines.join("\n"));
        }
        if let Some(variables) = variables.as_object_mut() {
            variables.insert("rawResult".into(), answer.into());
            variables.extend(mapped);
        }
        let text = self.render(&action.config.response.success_template, "success template", variables, trace)?;
        serde_json::from_str(&text)
            .map_err(|error| Cause::Processing(format!("The success template makes no JSON ({error}): {text}")))
    }

    fn render(&self, template: &str, what: &str, variables: &Value, trace: &mut Trace) -> Result<String, Cause> {
        let rendered = self.engine.render(template, variables);
        let rendered =
            rendered.map_err(|error| Cause::Processing(format!("Velocity cannot render the {what}: {error}")))?;
        if !rendered.unresolved.is_empty() {
            let text = format!("{} in the {what}, left as it stands", rendered.unresolved.join(", "));
            trace.note("Unresolved", text);
        }
        Ok(rendered.text)
    }
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Cause> {
    let wrong = |_| Cause::Processing(format!("The header {name} cannot be sent: its value is none, or its name."));
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(()))?;
    headers.insert(name.clone(), HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong(()))?);
    Ok(())
}

/// What is at the bottom of an error: reqwest's own text is only where it happened.
fn root_of(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Names that end in `.localhost` are this machine, which not every system knows.
struct LocalNames;

impl Resolve for LocalNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") {
                let here: Addrs = Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
                return Ok(here);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}
