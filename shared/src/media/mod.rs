//! Images and files of messages, kept for a short while where Genesys Cloud can fetch them: in a private bucket, under
//! a random name, by a link that expires.
//!
//! The link is signed with the function's own credentials. Those of a role are temporary, and a link expires with them
//! at the latest, so a life of more than some hours cannot be promised. The bucket's lifecycle rule removes the object
//! after a day, and the bucket encrypts as it is configured to; with a KMS key of its own, the function's role needs
//! `kms:GenerateDataKey` and `kms:Decrypt` on it.
//!
//! Requests are signed with `aws-sigv4`, which every AWS SDK brings, and sent by our own client. That adds 3 kB to the
//! zipped function; `aws-sdk-s3` would add 870 kB, and second versions of two crates.

mod settings;

use std::fmt;
use std::future::Future;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignatureLocation, SigningInstructions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use uuid::Uuid;

pub use settings::{MediaSettings, MediaTypes};

use crate::aws::signer::{Signer, settings};
use crate::config::Origin;
use crate::error::{Code, Error};
use crate::http::retry::Repeat;
use crate::http::{Call, HttpClient, MAX_ANSWER_BYTES, NoReply, RequestContext};
use crate::startup::Startup;
use crate::telemetry::Upstream;

/// The characters that are not encoded in a signed query.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A file to keep. It has no `Debug`, so that its content cannot reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    /// The media type of the file.
    pub content_type: String,
    /// The content of the file.
    pub bytes: Vec<u8>,
    /// The SHA-256 of its content, in lower-case hexadecimal.
    pub sha256: String,
    /// The name that the file is saved by when the link is opened: letters, digits, `-` and one `.`, made by the
    /// bridge.
    pub name: String,
}

/// Why a file could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The bucket did not answer, or is overloaded. A retry may succeed.
    #[error("the media bucket did not accept the file ({0})")]
    Unavailable(String),
    /// The bucket refused the file. A retry cannot help until an administrator has changed something.
    #[error(
        "the media bucket refused it ({0}); look at MEDIA_BUCKET, and whether the function's role has s3:PutObject and \
         s3:GetObject on it, and kms:GenerateDataKey on its key"
    )]
    Refused(String),
}

impl From<MediaError> for Error {
    fn from(error: MediaError) -> Self {
        let message = "An image could not be put into the media bucket. The notification waits in the queue.";
        Self::new(Code::DELIVERY_FAILED, message).because(error)
    }
}

/// A store for images and files.
pub trait MediaStore: Send + Sync {
    /// Keeps the file, and returns a link by which anybody can fetch it for a while.
    fn put(&self, cx: &RequestContext, media: Media) -> impl Future<Output = Result<String, MediaError>> + Send;
}

/// A store in an S3 bucket.
pub struct S3Media {
    http: HttpClient,
    credentials: SharedCredentialsProvider,
    region: String,
    /// The URL of the bucket's objects, to which their keys are appended.
    base: Origin,
    /// The path segments between the origin and the key.
    path: Option<String>,
    life: Duration,
}

impl fmt::Debug for S3Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Media").field("base", &self.base).field("path", &self.path).finish_non_exhaustive()
    }
}

impl S3Media {
    /// A store in this bucket of this region: at the region's S3, or where `AWS_ENDPOINT_URL` says.
    ///
    /// # Errors
    /// When AWS access is not configured; the text names what is missing.
    pub fn new(http: HttpClient, aws: &SdkConfig, settings: &MediaSettings) -> Result<Self, String> {
        let region = aws.region().ok_or("AWS_REGION is not set")?.to_string();
        let credentials = aws.credentials_provider().ok_or("there are no AWS credentials")?;
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let bucket = &settings.bucket;
        let (base, path) = match aws.endpoint_url() {
            Some(endpoint) => (endpoint.parse::<Origin>(), Some(bucket.clone())),
            None => (format!("https://{bucket}.s3.{region}.{suffix}").parse(), None),
        };
        let base = base.map_err(|error| format!("AWS_ENDPOINT_URL: {error}"))?;
        let life = Duration::from_secs(u64::from(settings.link_minutes) * 60);
        Ok(Self { http, credentials, region, base, path, life })
    }

    /// The bucket that these settings name.
    pub fn from_startup(startup: &mut Startup<'_>, settings: &MediaSettings) -> Option<Self> {
        let made = Self::new(startup.http().clone(), startup.aws(), settings);
        made.map_err(|problem| startup.env.problem(problem)).ok()
    }

    async fn credentials(&self) -> Result<Credentials, MediaError> {
        let credentials = self.credentials.provide_credentials().await;
        credentials.map_err(|error| MediaError::Unavailable(format!("no AWS credentials: {error}")))
    }

    /// Opens the connection, so that the first image finds it. A failure is ignored.
    pub async fn warm_up(&self) {
        self.http.connect(self.base.join([])).await;
    }
}

impl MediaStore for S3Media {
    async fn put(&self, cx: &RequestContext, media: Media) -> Result<String, MediaError> {
        let Media { content_type, bytes, sha256, name } = media;
        // A random key: it names no person and no chat, and cannot be guessed.
        let key = Uuid::new_v4().to_string();
        let url = self.base.join(self.path.as_deref().into_iter().chain([key.as_str()]));
        let disposition = format!("attachment; filename=\"{name}\"");
        let headers = [
            ("cache-control", "private, no-store"),
            ("content-disposition", disposition.as_str()),
            ("content-type", content_type.as_str()),
        ];
        let (credentials, region) = (self.credentials().await?, self.region.as_str());
        let signer = Signer { credentials, region, service: "s3", time: SystemTime::now() };
        let mut request = self.http.put(url.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signed_put(&signer, &url, &headers, sha256)?.headers() {
            request = request.header(name, value);
        }
        let call = Call {
            upstream: Upstream::Media,
            operation: "put object",
            // The key is new, so a repetition only writes the same object again.
            repeat: Repeat::Always,
            remote_id_header: "x-amz-request-id",
            max_answer_bytes: MAX_ANSWER_BYTES,
            request: request.body(bytes),
        };
        let reply = match self.http.send(cx, &call, None).await {
            Ok(reply) => reply,
            Err(error @ (NoReply::NotSent(_) | NoReply::Ambiguous(_) | NoReply::TooLarge(_))) => {
                return Err(MediaError::Unavailable(error.to_string()));
            }
        };
        let status = reply.status.as_u16();
        match status {
            200..300 => link(&signer, &url, self.life),
            408 | 429 | 500.. => Err(MediaError::Unavailable(format!("HTTP {status}"))),
            _ => Err(MediaError::Refused(format!("HTTP {status} {}", refusal(&reply.body)))),
        }
    }
}

/// The code in S3's refusal: `<Error><Code>AccessDenied</Code>…`.
fn refusal(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    code.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(60).collect()
}

/// The signed request that puts an object with this hash into the bucket.
fn signed_put(
    signer: &Signer<'_>,
    url: &Url,
    headers: &[(&str, &str)],
    sha256: String,
) -> Result<SigningInstructions, MediaError> {
    let mut settings = settings();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    signer.sign("PUT", url, headers, SignableBody::Precomputed(sha256), settings).map_err(MediaError::Refused)
}

/// The URL by which anybody can fetch the object, for this long.
fn link(signer: &Signer<'_>, url: &Url, life: Duration) -> Result<String, MediaError> {
    let mut settings = settings();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(life);
    let signed = signer.sign("GET", url, &[], SignableBody::UnsignedPayload, settings).map_err(MediaError::Refused)?;
    let pair = |(name, value): &(&str, _)| format!("{name}={}", utf8_percent_encode(AsRef::as_ref(value), UNRESERVED));
    let query = signed.params().iter().map(pair).collect::<Vec<_>>();
    Ok(format!("{url}?{}", query.join("&")))
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use wiremock::matchers::{header, header_exists, method, path_regex};
    use wiremock::{Mock, MockBuilder, ResponseTemplate};

    use super::*;
    use crate::config::Environment;
    use crate::remote::{Remote, context};

    /// The example of the S3 documentation.
    #[test]
    fn a_link_is_signed_as_s3_documents_it() {
        let signer = Signer {
            credentials: Credentials::new(
                "AKIAIOSFODNN7EXAMPLE",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                None,
                None,
                "test",
            ),
            region: "us-east-1",
            service: "s3",
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600),
        };
        let url = "https://examplebucket.s3.amazonaws.com/test.txt".parse().unwrap();
        let link = link(&signer, &url, Duration::from_secs(86400)).unwrap();
        let link: Url = link.parse().unwrap();
        let query = link.query_pairs().into_owned().collect::<std::collections::HashMap<_, _>>();
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert_eq!(query["X-Amz-Signature"], signature);
        assert_eq!(query["X-Amz-Credential"], "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request");
        assert!(link.query().unwrap().contains("%2F20130524%2F"), "{link}");
    }

    fn aws(endpoint: Option<&str>) -> SdkConfig {
        let mut aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKID",
                "secret",
                Some("session/token+".into()),
                None,
                "test",
            )));
        aws.set_endpoint_url(endpoint.map(str::to_owned));
        aws.build()
    }

    fn store(endpoint: Option<&str>) -> S3Media {
        let mut env = Environment::of([("MEDIA_BUCKET", "bridge-media"), ("MEDIA_LINK_MINUTES", "15")]);
        let settings = MediaSettings::read(&mut env).unwrap();
        S3Media::new(HttpClient::new().unwrap(), &aws(endpoint), &settings).unwrap()
    }

    fn media() -> Media {
        let (content_type, bytes, name) = ("image/png".into(), vec![1, 2, 3], "image-1.png".into());
        let sha256 = "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81".into();
        Media { content_type, bytes, sha256, name }
    }

    fn put() -> MockBuilder {
        Mock::given(method("PUT"))
            .and(path_regex("^/bridge-media/[0-9a-f-]{36}$"))
            .and(header("content-type", "image/png"))
            .and(header("content-disposition", "attachment; filename=\"image-1.png\""))
            .and(header("x-amz-content-sha256", media().sha256.as_str()))
            .and(header("x-amz-security-token", "session/token+"))
            .and(header_exists("authorization"))
    }

    #[tokio::test]
    async fn an_image_is_put_under_a_random_name_and_can_be_fetched_for_a_while() {
        let remote = Remote::start().await;
        remote.expect(put(), 1, ResponseTemplate::new(503)).await;
        remote.expect(put(), 1, ResponseTemplate::new(200)).await;
        let link = store(Some(&remote.uri())).put(&context(10), media()).await.unwrap();
        let requests = remote.0.received_requests().await.unwrap();
        let [.., last] = requests.as_slice() else { panic!("no request") };
        assert_eq!(last.body, [1, 2, 3]);
        let (at, query) = link.split_once('?').unwrap();
        assert_eq!(at, format!("{}{}", remote.uri(), last.url.path()));
        for part in ["X-Amz-Expires=900", "X-Amz-Security-Token=session%2Ftoken%2B", "X-Amz-SignedHeaders=host"] {
            assert!(query.contains(part), "{query}");
        }
        let signed = last.headers["authorization"].to_str().unwrap();
        assert!(signed.contains("content-disposition;content-type;host;x-amz-content-sha256;"), "{signed}");
    }

    #[tokio::test]
    async fn whether_it_may_be_tried_again_is_told() {
        let remote = Remote::start().await;
        let denied = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>…</Message></Error>";
        remote.expect(put(), 1, ResponseTemplate::new(403).set_body_string(denied)).await;
        let store = store(Some(&remote.uri()));
        let error = store.put(&context(10), media()).await.unwrap_err();
        assert!(matches!(&error, MediaError::Refused(cause) if cause == "HTTP 403 AccessDenied"), "{error}");
        assert!(error.to_string().contains("s3:PutObject"), "{error}");
        remote.expect(put(), 3, ResponseTemplate::new(503).insert_header("retry-after", "0")).await;
        let error = store.put(&context(10), media()).await.unwrap_err();
        assert!(matches!(error, MediaError::Unavailable(_)), "{error}");
    }

    #[test]
    fn without_an_endpoint_the_bucket_has_a_host_of_its_own() {
        let store = store(None);
        assert_eq!(store.base.join([]).as_str(), "https://bridge-media.s3.eu-central-1.amazonaws.com/");
        assert_eq!(store.path, None);
    }
}
