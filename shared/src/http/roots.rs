//! The authorities that outbound TLS trusts: Mozilla's roots, which are compiled in, and those that `SSL_CERT_FILE`
//! adds.
//!
//! A company that inspects the traffic leaving its network signs every connection with an authority of its own. One
//! file names it for Microsoft, Genesys Cloud and AWS alike, because all three are called with the same client.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::config::{Environment, Setting};

/// The variable that names a PEM file of further authorities. OpenSSL and the AWS SDKs know it by the same name.
const VARIABLE: &str = "SSL_CERT_FILE";

/// Mozilla's roots, compiled in. To read the system's would cost every cold start 2 ms.
pub(super) fn compiled_in() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() }
}

/// Mozilla's roots and those of `SSL_CERT_FILE`, where it is set. A file that cannot be used is noted as a problem.
pub(super) fn of(env: &mut Environment) -> RootCertStore {
    let mut roots = compiled_in();
    if let Setting::Set(path) = env.optional::<PathBuf>(VARIABLE)
        && let Err(problem) = add(&mut roots, &path)
    {
        env.problem(format!("{VARIABLE}: {problem}"));
    }
    roots
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let shown = path.display();
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates = certificates.map_err(|error| format!("the file {shown} cannot be read as PEM ({error})"))?;
    // A bundle of an operating system may hold certificates too old to be understood; the others count.
    let (added, ignored) = roots.add_parsable_certificates(certificates);
    if ignored > 0 {
        tracing::warn!(
            added,
            ignored,
            "the file that {VARIABLE} names holds certificates that cannot be used, and they are ignored"
        );
    }
    if added > 0 {
        return Ok(());
    }
    Err(format!("the file {shown} holds no certificate of an authority; expected PEM, -----BEGIN CERTIFICATE-----"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;

    use aws_config::Region;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls_pki_types::PrivatePkcs8KeyDer;

    use super::*;
    use crate::http::HttpClient;

    /// A file that is gone when this is dropped.
    struct File(PathBuf);

    impl File {
        fn of(name: &str, content: &str) -> Self {
            let path = std::env::temp_dir().join(format!("bridge-roots-{}-{name}.pem", std::process::id()));
            std::fs::write(&path, content).unwrap();
            Self(path)
        }

        fn environment(&self) -> Environment {
            Environment::of([(VARIABLE, self.0.to_str().unwrap())])
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
    }

    /// A server on this machine with a certificate of that authority, which answers every request alike.
    fn server(authority: &CertifiedIssuer<'static, KeyPair>) -> String {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let session = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(session, socket);
                let mut request = [0; 16 * 1024];
                if stream.read(&mut request).is_ok() {
                    let body = r#"{"Name": "entra", "SecretString": "of no consequence"}"#;
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                    let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    let _ = stream.flush();
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn every_outbound_client_trusts_the_file_and_none_without_it() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority = authority();
        let url = server(&authority);
        let file = File::of("authority", &authority.pem());
        for (mut env, trusted) in [(file.environment(), true), (Environment::of([(VARIABLE, "")]), false)] {
            let http = HttpClient::from_env(&mut env).unwrap();
            let answer = http.get(url.parse().unwrap()).send().await;
            assert_eq!(answer.is_ok(), trusted, "Microsoft Graph, Genesys Cloud and Amazon S3: {answer:?}");

            let aws = aws_config::SdkConfig::builder()
                .behavior_version(aws_config::BehaviorVersion::latest())
                .http_client(crate::aws::client(http.connections()))
                .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                    aws_credential_types::Credentials::new("id", "key", None, None, "test"),
                ))
                .region(Region::new("eu-central-1"))
                .endpoint_url(&url)
                .retry_config(aws_config::retry::RetryConfig::disabled())
                .build();
            let secrets = aws_sdk_secretsmanager::Client::new(&aws);
            let secret = secrets.get_secret_value().secret_id("entra").send().await;
            assert_eq!(secret.is_ok(), trusted, "the AWS SDK");
        }
    }

    #[test]
    fn the_file_adds_to_what_is_compiled_in() {
        let file = File::of("two", &format!("A company's own\n{}{}", authority().pem(), authority().pem()));
        let mozilla = compiled_in().len();
        assert!(mozilla > 100);
        assert_eq!(of(&mut file.environment()).len(), mozilla + 2);
        assert_eq!(of(&mut Environment::of([(VARIABLE, "")])).len(), mozilla);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_variable() {
        let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let key = KeyPair::generate().unwrap().serialize_pem();
        let unfinished = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        for (name, content, expected) in [
            ("missing", None, "cannot be read as PEM"),
            ("empty", Some(""), "holds no certificate"),
            ("key", Some(key.as_str()), "holds no certificate"),
            ("garbled", Some(garbled), "holds no certificate"),
            ("unfinished", Some(unfinished), "cannot be read as PEM"),
        ] {
            let file = File::of(name, content.unwrap_or_default());
            if content.is_none() {
                std::fs::remove_file(&file.0).unwrap();
            }
            let mut env = file.environment();
            let roots = of(&mut env);
            let error = env.finish(Some(roots)).unwrap_err().to_string();
            let start = format!("SSL_CERT_FILE: the file {} ", file.0.display());
            assert!(error.contains(&start) && error.contains(expected), "{name}: {error}");
        }
    }
}
