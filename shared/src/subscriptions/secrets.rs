//! What subscriptions are made with: the client state that each notification repeats, and the certificates that
//! notifications are encrypted with.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::graph::subscriptions::EncryptionCertificate;
use crate::secrets::Credential;
use crate::store::hash;

/// Longest client state and longest certificate id that Graph takes.
const MAX_CHARS: usize = 128;

/// The client state.
pub struct ClientState(SecretString);

impl fmt::Debug for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientState")
    }
}

impl ClientState {
    /// What Graph is given.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// By what it is told from another one without being kept itself.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hash(&["client state", self.0.expose_secret()])
    }
}

impl Credential for ClientState {
    const EXPECTED: &'static str = r#"{"client_state"}, a random text of at most 128 characters"#;

    fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
        let state = json["client_state"].as_str().map(str::trim).filter(|state| !state.is_empty());
        let state = state.ok_or("`client_state` is missing")?;
        if state.chars().count() > MAX_CHARS {
            return Err("`client_state` is longer than 128 characters".into());
        }
        Ok(Self(state.into()))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

/// The certificates, without their private keys. The last of them is the one that subscriptions are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates(Vec<EncryptionCertificate>);

impl Certificates {
    /// The one that subscriptions are given.
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
            let id = field("id").filter(|id| id.chars().count() <= MAX_CHARS);
            let id = id.ok_or_else(|| format!("certificate {place}: `id` is missing or longer than 128 characters"))?;
            if certificates.iter().any(|other| other.id == id) {
                return Err(format!("certificate {place}: its `id` is that of another"));
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
    fn a_client_state_is_told_by_its_fingerprint_and_never_shown() {
        let state = ClientState::parse(r#"{"client_state": " s3cret "}"#).unwrap();
        let other = ClientState::parse(r#"{"client_state": "s3cret2"}"#).unwrap();
        assert_eq!(state.secret().expose_secret(), "s3cret");
        assert_ne!(state.fingerprint(), other.fingerprint());
        assert!(!state.fingerprint().contains("s3cret") && !format!("{state:?}").contains("s3cret"));
        for text in ["", "{}", r#"{"client_state": ""}"#, &format!(r#"{{"client_state": "{}"}}"#, "x".repeat(129))] {
            assert!(ClientState::parse(text).is_err(), "{text}");
        }
    }

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
