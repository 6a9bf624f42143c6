//! An echo that makes one call to Graph on the way: a POST with a bearer token, its answer read.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).http1_only().no_proxy().build()?;
    let url = format!("{}/floor", std::env::var("GRAPH_URL")?);
    let body = json!({"availability": "Busy", "activity": "Busy", "expirationDuration": "PT480M"});
    let (client, url, body) = (&client, &url, &body);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let token = "a-token-of-the-length-that-an-access-token-has".repeat(30);
        let answer = client.post(url).bearer_auth(token).json(body).send().await?;
        let _ = answer.bytes().await?;
        Ok::<_, Error>(event.payload)
    }))
    .await
}
