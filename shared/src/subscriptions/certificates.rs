//! The certificates that Graph encrypts notifications with.

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

use crate::graph::subscriptions::EncryptionCertificate;
use crate::notification::NOTIFICATION_KEYS;
use crate::secrets::{Credential, Secret};
use crate::startup::Startup;

/// The most characters of a certificate's id that Graph takes.
const MAX_LABEL_CHARACTERS: usize = 128;

/// The certificates, without their private keys. New subscriptions get the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates(Vec<EncryptionCertificate>);

impl Certificates {
    /// The secret in `NOTIFICATION_KEYS_SECRET_ID`, else in `WEBHOOK_SECRET_ID`.
    pub fn secret_from_startup(startup: &mut Startup<'_>) -> Option<Secret<Self>> {
        Secret::from_startup(startup, &NOTIFICATION_KEYS)
    }

    /// The certificate for new subscriptions.
    #[must_use]
    pub fn newest(&self) -> Option<&EncryptionCertificate> {
        self.0.last()
    }
}

impl Credential for Certificates {
    const EXPECTED: &'static str =
        r#"{"certificates": [{"id", "certificate_pem", "private_key_pem"}]}, the newest certificate last"#;

    fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
        let entries = json["certificates"].as_array().filter(|entries| !entries.is_empty());
        let mut certificates: Vec<EncryptionCertificate> = Vec::new();
        for (place, entry) in (1..).zip(entries.ok_or("`certificates` is missing or empty")?) {
            let field = |name: &str| entry[name].as_str().map(str::trim).filter(|text| !text.is_empty());
            let id = field("id").filter(|id| id.chars().count() <= MAX_LABEL_CHARACTERS);
            let id = id.ok_or_else(|| format!("certificate {place}: `id` is missing or longer than 128 characters"))?;
            if certificates.iter().any(|other| other.id == id) {
                return Err(format!("certificate {place}: its `id` is the same as that of another certificate"));
            }
            let pem = field("certificate_pem").and_then(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok());
            let der = pem.ok_or_else(|| format!("certificate {place}: `certificate_pem` is not a PEM certificate"))?;
            certificates.push(EncryptionCertificate { id: id.to_owned(), der_base64: BASE64_STANDARD.encode(der) });
        }
        Ok(Self(certificates))
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_certificate_is_the_one_and_goes_out_without_its_armour() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        let entry = |id: &str| serde_json::json!({"id": id, "certificate_pem": pem, "private_key_pem": "secret"});
        let parse = |entries: Value| Certificates::parse(&serde_json::json!({"certificates": entries}).to_string());
        let certificates = parse(Value::Array(vec![entry("old"), entry("new")])).unwrap();
        let newest = certificates.newest().unwrap();
        assert_eq!(newest.id, "new");
        let armour: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(newest.der_base64, armour);
        assert!(!format!("{certificates:?}").contains("secret"));
        for entries in [
            Value::Null,
            Value::Array(vec![]),
            Value::Array(vec![entry("a"), entry("a")]),
            Value::Array(vec![entry("")]),
            serde_json::json!([{"id": "a", "certificate_pem": "secret"}]),
        ] {
            let problem = parse(entries).unwrap_err();
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
