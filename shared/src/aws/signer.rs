//! Signs requests to AWS that our own client sends, where the service's SDK would cost more than the call is worth.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningInstructions, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use reqwest::Url;

/// Signs the requests that go to one AWS service at one moment.
pub(crate) struct Signer<'a> {
    /// The credentials to sign with.
    pub credentials: Credentials,
    /// The region of the service.
    pub region: &'a str,
    /// The service by its name in signatures, such as `s3`.
    pub service: &'static str,
    /// The time of the signature.
    pub time: SystemTime,
}

impl Signer<'_> {
    /// The headers or query parameters that sign a request with this method, URL, headers and body.
    ///
    /// # Errors
    /// When the request cannot be signed, with the reason.
    pub(crate) fn sign(
        &self,
        method: &str,
        url: &Url,
        headers: &[(&str, &str)],
        body: SignableBody<'_>,
        settings: SigningSettings,
    ) -> Result<SigningInstructions, String> {
        let unsigned = |error: String| format!("the request cannot be signed: {error}");
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time)
            .settings(settings)
            .build()
            .map_err(|error| unsigned(error.to_string()))?
            .into();
        let request = SignableRequest::new(method, url.as_str(), headers.iter().copied(), body)
            .map_err(|error| unsigned(error.to_string()))?;
        let signed = sign(request, &params).map_err(|error| unsigned(error.to_string()))?;
        Ok(signed.into_parts().0)
    }
}

/// Settings for a path that is signed as it is sent, as S3 wants it.
pub(crate) fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}
