//! Settings that are too large for a function's 4 KB of environment.
//!
//! For any setting `X`, the variable `X_PARAMETER` may name the place of its text: a parameter of Systems Manager
//! (`/name`, up to 8 KB), or an object in S3 (`s3://bucket/key`, as large as it needs to be).
//!
//! The requests are signed with `aws-sigv4` and sent by our own client, as for the media bucket: two SDKs would be
//! larger than everything else in the function.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody};
use serde::Deserialize;
use serde_json::json;

use crate::aws::signer::{Signer, settings};
use crate::config::{Environment, Origin, Setting};
use crate::http::retry::Repeat;
use crate::http::{Call, HttpClient, RequestContext};
use crate::telemetry::Upstream;

/// The ending of a variable that names the place of a setting.
const SUFFIX: &str = "_PARAMETER";

/// The largest text that is read, in bytes: some thousand subscriptions.
const MAX_SETTING_BYTES: usize = 1024 * 1024;

/// The place of a setting's text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Location {
    /// A parameter of AWS Systems Manager, by its name.
    Parameter(String),
    /// An object in S3.
    Object { bucket: String, key: String },
}

impl Location {
    /// The permission that the function's role needs to read it.
    const fn permission(&self) -> &'static str {
        match self {
            Self::Parameter(_) => "ssm:GetParameter",
            Self::Object { .. } => "s3:GetObject",
        }
    }
}

impl FromStr for Location {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Characters that need no encoding in a path, so that the path is signed as it is sent.
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
        let object = text.strip_prefix("s3://").and_then(|object| object.split_once('/'));
        match object {
            Some((bucket, key)) if is_name(bucket) && is_name(key) => {
                Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            None if text.starts_with('/') && is_name(text) => Ok(Self::Parameter(text.to_owned())),
            _ => Err("expected a parameter's name that begins with /, or s3:// with a bucket and a key, of letters, \
                      digits and ._-/"),
        }
    }
}

/// Why a setting's text could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParameterError {
    /// The name is wrong, or nothing was created under it.
    #[error("nothing is there; create it in the function's region, with the text that the setting would have")]
    Missing,
    /// The function's role lacks a permission.
    #[error(
        "the function's role may not read it; it needs {0} on it, which the stack's parameter of this name gives, and \
         kms:Decrypt where a key of your own encrypts it. Amazon S3 says the same of an object that is not there"
    )]
    Denied(&'static str),
    /// AWS did not answer, or its answer holds no text.
    #[error("it could not be read ({0}); it is read again with the next request")]
    Unavailable(String),
}

/// A setting that was read: its name, and its text or the reason why it has none.
pub(crate) type SettingRead = (String, Result<String, ParameterError>);

/// The settings whose texts are in parameters and objects.
pub(crate) struct Parameters {
    http: HttpClient,
    credentials: SharedCredentialsProvider,
    region: String,
    /// The endpoint of AWS, where it is not the region's.
    endpoint: Option<String>,
    located: Vec<(String, Location)>,
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters").field("located", &self.located).finish_non_exhaustive()
    }
}

impl Parameters {
    /// The settings that have a variable naming the place of their text. `None` when there are none, or one is wrong,
    /// which is noted. AWS is not called yet.
    pub(crate) async fn named_by(
        env: &mut Environment,
        aws: impl AsyncFnOnce(&HttpClient) -> SdkConfig,
    ) -> Option<Self> {
        let mut located = Vec::new();
        let mut all_good = true;
        for variable in env.names_ending(SUFFIX) {
            let setting = variable.trim_end_matches(SUFFIX).to_owned();
            let location = env.optional::<Location>(&variable);
            if matches!(location, Setting::Set(_)) && matches!(env.optional::<String>(&setting), Setting::Set(_)) {
                env.problem(format!("{setting} and {variable} are both set; leave one of them empty"));
                all_good = false;
            }
            match location {
                Setting::Set(location) => located.push((setting, location)),
                Setting::Unset => {}
                Setting::Wrong => {
                    env.withhold(&setting);
                    all_good = false;
                }
            }
        }
        if located.is_empty() || !all_good {
            return None;
        }
        let http = HttpClient::from_env(env)?;
        let aws = aws(&http).await;
        let made = || {
            let region = aws.region().ok_or("AWS_REGION is not set")?.to_string();
            let credentials = aws.credentials_provider().ok_or("there are no AWS credentials")?;
            Ok(Self { http, credentials, region, endpoint: aws.endpoint_url().map(str::to_owned), located })
        };
        made().map_err(|problem: String| env.problem(problem)).ok()
    }

    /// Reads all of the settings at the same time.
    pub(crate) async fn read(&self, cx: &RequestContext) -> Vec<SettingRead> {
        let read = |(setting, location): &(String, Location)| {
            let (setting, location) = (setting.clone(), location.clone());
            async move {
                let text = self.text(cx, &location).await;
                (setting, text)
            }
        };
        futures_util::future::join_all(self.located.iter().map(read)).await
    }

    async fn text(&self, cx: &RequestContext, location: &Location) -> Result<String, ParameterError> {
        let unavailable = ParameterError::Unavailable;
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| unavailable(format!("no AWS credentials: {error}")))?;
        let (service, method, body) = match location {
            Location::Parameter(name) => ("ssm", "POST", json!({"Name": name, "WithDecryption": true}).to_string()),
            Location::Object { .. } => ("s3", "GET", String::new()),
        };
        let url = self.url(location).map_err(unavailable)?;
        let headers: &[(&str, &str)] = match location {
            Location::Parameter(_) => {
                &[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.GetParameter")]
            }
            Location::Object { .. } => &[],
        };
        let mut settings = settings();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let signer = Signer { credentials, region: &self.region, service, time: SystemTime::now() };
        let signed =
            signer.sign(method, &url, headers, SignableBody::Bytes(body.as_bytes()), settings).map_err(unavailable)?;
        let mut request = if method == "GET" { self.http.get(url) } else { self.http.post(url).body(body) };
        for (name, value) in headers.iter().copied().chain(signed.headers()) {
            request = request.header(name, value);
        }
        let call = Call {
            upstream: Upstream::Settings,
            operation: "read settings",
            repeat: Repeat::Always,
            remote_id_header: "x-amz-request-id",
            max_answer_bytes: MAX_SETTING_BYTES,
            request,
        };
        let reply = self.http.send(cx, &call, None).await.map_err(|error| unavailable(error.to_string()))?;
        let status = reply.status.as_u16();
        let said = String::from_utf8_lossy(&reply.body);
        match (location, status) {
            (Location::Object { .. }, 200) => {
                String::from_utf8(reply.body).map_err(|_| unavailable("the object is no UTF-8 text".into()))
            }
            (Location::Parameter(_), 200) => {
                let answer = reply.json::<ParameterAnswer>();
                answer
                    .map(|answer| answer.parameter.value)
                    .map_err(|_| unavailable("an answer of another shape".into()))
            }
            (Location::Object { .. }, 404) => Err(ParameterError::Missing),
            (Location::Parameter(_), 400) if said.contains("ParameterNotFound") => Err(ParameterError::Missing),
            (Location::Parameter(_), 400) if said.contains("AccessDenied") => {
                Err(ParameterError::Denied(location.permission()))
            }
            (_, 403) => Err(ParameterError::Denied(location.permission())),
            _ => Err(unavailable(format!("HTTP {status}"))),
        }
    }

    fn url(&self, location: &Location) -> Result<reqwest::Url, String> {
        let region = &self.region;
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let parsed = |origin: &str| origin.parse::<Origin>().map_err(|error| format!("AWS_ENDPOINT_URL: {error}"));
        match (location, &self.endpoint) {
            (Location::Parameter(_), None) => Ok(parsed(&format!("https://ssm.{region}.{suffix}"))?.join([])),
            (Location::Parameter(_), Some(endpoint)) => Ok(parsed(endpoint)?.join([])),
            (Location::Object { bucket, key }, endpoint) => {
                // The bucket's name is in the path, because one with a dot would make a host without a certificate.
                let origin = endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.{suffix}"));
                Ok(parsed(&origin)?.join([bucket.as_str()].into_iter().chain(key.split('/'))))
            }
        }
    }
}

/// The answer of Systems Manager:
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ParameterAnswer {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use serde_json::Value;
    use wiremock::matchers::{body_json, header, header_regex, method, path};
    use wiremock::{Mock, MockBuilder, ResponseTemplate};

    use super::*;
    use crate::remote::{Remote, context};

    fn aws(endpoint: &str) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKID", "secret", None, None, "test",
            )))
            .endpoint_url(endpoint)
            .build()
    }

    async fn parameters(endpoint: &str, variables: &[(&str, &str)]) -> Result<Option<Parameters>, String> {
        let mut env = Environment::of(variables.iter().copied());
        let parameters = Parameters::named_by(&mut env, async |_: &HttpClient| aws(endpoint)).await;
        env.finish(Some(parameters)).map_err(|error| error.to_string())
    }

    fn parameter() -> MockBuilder {
        let signed = "^AWS4-HMAC-SHA256 Credential=AKID/[0-9]{8}/eu-central-1/ssm/aws4_request, \
                      SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target, ";
        Mock::given(method("POST"))
            .and(header("x-amz-target", "AmazonSSM.GetParameter"))
            .and(header_regex("authorization", signed))
            .and(body_json(json!({"Name": "/bridge/users", "WithDecryption": true})))
    }

    fn object() -> MockBuilder {
        Mock::given(method("GET"))
            .and(path("/settings/bridge/subscriptions.json"))
            .and(header_regex("authorization", "/s3/"))
    }

    #[tokio::test]
    async fn a_setting_is_read_from_where_its_variable_says() {
        let remote = Remote::start().await;
        let answer = json!({"Parameter": {"Name": "/bridge/users", "Value": "u1,u2", "Version": 3}});
        remote.expect(parameter(), 1, ResponseTemplate::new(200).set_body_json(answer)).await;
        remote.expect(object(), 1, ResponseTemplate::new(200).set_body_string("[]")).await;
        let variables = [
            ("PRESENCE_USERS_PARAMETER", "/bridge/users"),
            ("SUBSCRIPTIONS_PARAMETER", "s3://settings/bridge/subscriptions.json"),
            ("PRESENCE_MAP_PARAMETER", ""),
        ];
        let parameters = parameters(&remote.uri(), &variables).await.unwrap().unwrap();
        let mut read = parameters.read(&context(10)).await;
        read.sort_by(|one, other| one.0.cmp(&other.0));
        let expected = [("PRESENCE_USERS", "u1,u2"), ("SUBSCRIPTIONS", "[]")];
        assert_eq!(read, expected.map(|(name, text)| (name.to_owned(), Ok(text.to_owned()))));
    }

    #[tokio::test]
    async fn a_failure_names_its_remedy() {
        let refused = |kind: &str| json!({"__type": kind, "message": "…"});
        let cases: [(u16, Value, &str); 4] = [
            (400, refused("ParameterNotFound"), "nothing is there"),
            (400, refused("AccessDeniedException"), "ssm:GetParameter"),
            (400, refused("ValidationException"), "HTTP 400"),
            (200, json!({}), "another shape"),
        ];
        for (status, body, expected) in cases {
            let remote = Remote::start().await;
            remote.expect(parameter(), 1, ResponseTemplate::new(status).set_body_json(body)).await;
            let variables = [("PRESENCE_USERS_PARAMETER", "/bridge/users")];
            let parameters = parameters(&remote.uri(), &variables).await.unwrap().unwrap();
            let error = parameters.read(&context(10)).await.remove(0).1.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        for (status, expected) in [(404, "nothing is there"), (403, "s3:GetObject"), (301, "HTTP 301")] {
            let remote = Remote::start().await;
            remote.expect(object(), 1, ResponseTemplate::new(status)).await;
            let variables = [("SUBSCRIPTIONS_PARAMETER", "s3://settings/bridge/subscriptions.json")];
            let parameters = parameters(&remote.uri(), &variables).await.unwrap().unwrap();
            let error = parameters.read(&context(10)).await.remove(0).1.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_is_named_and_none_costs_nothing() {
        for bad in ["bridge/users", "s3://bucket", "s3:///key", "/a b", "arn:aws:ssm:eu-central-1:1:parameter/x"] {
            let error = parameters("http://127.0.0.1:1", &[("PRESENCE_USERS_PARAMETER", bad)]).await.unwrap_err();
            assert!(error.contains("PRESENCE_USERS_PARAMETER: expected"), "{error}");
        }
        let both = [("SUBSCRIPTIONS", "[]"), ("SUBSCRIPTIONS_PARAMETER", "/bridge/subscriptions")];
        assert!(parameters("http://127.0.0.1:1", &both).await.unwrap_err().contains("are both set"));
        let mut env = Environment::of([("SUBSCRIPTIONS", "[]"), ("SUBSCRIPTIONS_PARAMETER", " ")]);
        let none = Parameters::named_by(&mut env, async |_: &HttpClient| unreachable!("AWS is not asked for")).await;
        assert!(none.is_none());
    }
}
