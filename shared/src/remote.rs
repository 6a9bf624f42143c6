//! A remote for tests of clients: it expects certain calls, and fails the test readably at any other.

use std::time::Duration;

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use serde_json::{Value, json};
use wiremock::matchers::{any, header, method, path};
use wiremock::{Mock, MockBuilder, MockServer, Request, ResponseTemplate};

use crate::auth::entra::Entra;
use crate::auth::genesys::Login;
use crate::auth::{Authorized, Issuer};
use crate::http::{Deadline, HttpClient, RequestContext};
use crate::secrets::Secret;

/// A server that fails the test when it gets an unexpected request.
pub(crate) struct Remote(pub(crate) MockServer);

impl Remote {
    pub(crate) async fn start() -> Self {
        let server = MockServer::start().await;
        let unexpected = |request: &Request| {
            let text = format!("nobody expects {} {}", request.method, request.url.path());
            ResponseTemplate::new(599).set_body_string(text)
        };
        Mock::given(any())
            .respond_with(unexpected)
            .with_priority(255)
            .expect(0)
            .named("any other")
            .mount(&server)
            .await;
        Self(server)
    }

    pub(crate) fn uri(&self) -> String {
        self.0.uri()
    }

    /// Expects this mock to be called this many times, in the order in which mocks are set.
    pub(crate) async fn expect(&self, mock: MockBuilder, times: u64, response: ResponseTemplate) {
        mock.respond_with(response).up_to_n_times(times).expect(times).mount(&self.0).await;
    }

    /// Expects one call and answers with JSON.
    pub(crate) async fn once(&self, verb: &str, at: &str, status: u16, body: Value) {
        self.expect(Mock::given(method(verb)).and(path(at)), 1, ResponseTemplate::new(status).set_body_json(body))
            .await;
    }

    /// Expects Secrets Manager to be asked for a secret that holds this text.
    pub(crate) async fn secret(&self, text: &str, times: u64) {
        let read = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
        let body = json!({"ARN": "arn:test", "Name": "test", "SecretString": text});
        self.expect(read, times, ResponseTemplate::new(200).set_body_json(body)).await;
    }

    /// An SDK client that talks to this server.
    pub(crate) fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(self.uri())
            .retry_config(RetryConfig::disabled())
            .build();
        aws_sdk_secretsmanager::Client::from_conf(config)
    }

    /// The bodies of the requests at this path, in the order they came.
    pub(crate) async fn bodies(&self, at: &str) -> Vec<String> {
        let requests = self.0.received_requests().await.unwrap();
        let at_path = requests.iter().filter(|request| request.url.path() == at);
        at_path.map(|request| String::from_utf8(request.body.clone()).unwrap()).collect()
    }
}

impl Remote {
    /// The HTTP client and the token for a client under test; Secrets Manager and Entra are here too.
    pub(crate) async fn entra(&self) -> Authorized {
        self.secret(r#"{"tenant_id":"t","client_id":"c","client_secret":"s"}"#, 1).await;
        let token = json!({"access_token": "graph-token", "expires_in": 3599});
        self.once("POST", "/t/oauth2/v2.0/token", 200, token).await;
        let secret = Secret::new(self.secrets_manager(), "bridge/entra".into());
        let http = HttpClient::new().unwrap();
        let entra = Entra::new(http.clone(), self.uri().parse().unwrap(), &self.uri(), secret);
        Authorized::new(http, Issuer::Entra(entra))
    }

    /// The HTTP client and the token for a client under test of Genesys Cloud; Secrets Manager and the login host are
    /// here too.
    pub(crate) async fn genesys(&self) -> Authorized {
        self.secret(r#"{"client_id":"c","client_secret":"s"}"#, 1).await;
        self.once("POST", "/oauth/token", 200, json!({"access_token": "gc-token", "expires_in": 86399})).await;
        let secret = Secret::new(self.secrets_manager(), "bridge/genesys".into());
        let http = HttpClient::new().unwrap();
        let login = Login::new(http.clone(), self.uri().parse().unwrap(), secret);
        Authorized::new(http, Issuer::Genesys(login))
    }
}

/// The context of a request with this many seconds left.
pub(crate) fn context(seconds: u64) -> RequestContext {
    RequestContext::new("r-1", Deadline::after(Duration::from_secs(seconds)))
}
