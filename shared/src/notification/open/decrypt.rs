//! Decrypts the content of a rich notification, which Graph encrypts for one of the bridge's certificates.
//!
//! Graph makes a new symmetric key for every item, encrypts the resource with it, signs the ciphertext with it, and
//! encrypts the key itself with the certificate's public key. The service uses that one key as cipher key,
//! initialization vector and signature key.
//!
//! <https://learn.microsoft.com/graph/change-notifications-with-resource-data#decrypting-resource-data-from-change-notifications>

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::notification::EncryptedContent;
use crate::secrets::Credential;

/// The bytes of the symmetric key.
const KEY_LENGTH: usize = 32;

/// The bytes of an AES block. The first half of the key is the initialization vector.
const BLOCK_LENGTH: usize = 16;

/// Why a content could not be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// The secret holds no key under the certificate's label. It may be the key of an older certificate that was taken
    /// out too early, or of a newer one that this process has not read yet.
    #[error("there is no private key for the certificate `{0}`")]
    UnknownCertificate(String),
    /// The content was not encrypted for this key, was changed on the way, or is no encrypted content.
    #[error("the content is not what Microsoft Graph encrypted for the certificate ({0})")]
    NotGenuine(&'static str),
}

/// The private keys of the certificates that subscriptions have been given, by their labels.
pub struct DecryptionKeys(HashMap<String, Key>);

struct Key {
    private: OaepPrivateDecryptingKey,
    /// Whether the key belongs to the certificate beside it. When that certificate cannot be read, it is taken to.
    fits: bool,
    /// Kept only to tell whether the secret, read again, holds something new.
    pem: SecretString,
}

impl fmt::Debug for DecryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DecryptionKeys").field(&self.0.keys()).finish()
    }
}

#[derive(Deserialize)]
struct Stored {
    certificates: Vec<StoredKey>,
}

#[derive(Deserialize)]
struct StoredKey {
    id: String,
    #[serde(default)]
    certificate_pem: String,
    private_key_pem: SecretString,
}

impl Credential for DecryptionKeys {
    const EXPECTED: &'static str = r#"{"certificates": [{"id", "certificate_pem", "private_key_pem"}]}, the keys in PKCS #8 ("BEGIN PRIVATE KEY")"#;

    fn parse(text: &str) -> Result<Self, String> {
        // serde's own message would repeat parts of the secret.
        let stored: Stored = serde_json::from_str(text)
            .map_err(|_| "it is not JSON with `certificates`, each with `id` and `private_key_pem`")?;
        if stored.certificates.is_empty() {
            return Err("`certificates` is empty".into());
        }
        let keys = stored.certificates.into_iter().map(|StoredKey { id, certificate_pem, private_key_pem: pem }| {
            let (private, public) = private_key(&pem).ok_or_else(|| {
                format!(
                    "`private_key_pem` of `{id}` is not an unencrypted RSA key of 2048 to 4096 bits in PKCS #8 form"
                )
            })?;
            let fits = certified(&certificate_pem).is_none_or(|certified| certified == public);
            Ok((id, Key { private, fits, pem }))
        });
        keys.collect::<Result<_, _>>().map(Self)
    }

    fn is_same(&self, other: &Self) -> bool {
        let pem = |key: &Key| key.pem.expose_secret().to_owned();
        self.0.len() == other.0.len()
            && self.0.iter().all(|(id, key)| other.0.get(id).is_some_and(|theirs| pem(theirs) == pem(key)))
    }
}

/// A private key, and its public half in the form that certificates have.
fn private_key(pem: &SecretString) -> Option<(OaepPrivateDecryptingKey, Vec<u8>)> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes()).ok()?;
    let key = PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der()).ok()?;
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&key.public_key()).ok()?.as_ref().to_vec();
    Some((OaepPrivateDecryptingKey::new(key).ok()?, public))
}

/// The public key in a certificate; `None` when it cannot be read.
fn certified(pem: &str) -> Option<Vec<u8>> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let certificate = webpki::EndEntityCert::try_from(&der).ok()?;
    Some(certificate.subject_public_key_info().as_ref().to_vec())
}

impl DecryptionKeys {
    /// The labels of the certificates whose private key does not belong to them.
    pub(crate) fn misfits(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, key)| !key.fits).map(|(label, _)| label.as_str())
    }

    /// Decrypts the resource, as JSON. The signature is checked first.
    ///
    /// # Errors
    /// [`DecryptError`]
    pub fn decrypt(&self, content: &EncryptedContent) -> Result<Vec<u8>, DecryptError> {
        let label = &content.encryption_certificate_id;
        let private = &self.0.get(label).ok_or_else(|| DecryptError::UnknownCertificate(label.clone()))?.private;
        let decoded = |text: &str, name| BASE64_STANDARD.decode(text).map_err(|_| DecryptError::NotGenuine(name));
        let data_key = decoded(&content.data_key, "dataKey is not base64")?;
        let mut data = decoded(&content.data, "data is not base64")?;
        let signature = decoded(&content.data_signature, "dataSignature is not base64")?;

        let mut key = vec![0; private.min_output_size()];
        let key: [u8; KEY_LENGTH] = private
            .decrypt(&OAEP_SHA1_MGF1SHA1, &data_key, &mut key, None)
            .ok()
            .and_then(|key| (&*key).try_into().ok())
            .ok_or(DecryptError::NotGenuine("dataKey was not encrypted for this certificate"))?;
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &data, &signature)
            .map_err(|_| DecryptError::NotGenuine("dataSignature does not match"))?;
        let length =
            decrypted(&key, &mut data).ok_or(DecryptError::NotGenuine("data is not padded as it should be"))?;
        data.truncate(length);
        Ok(data)
    }
}

/// Decrypts in place. Returns the length of the plain text, without its padding.
fn decrypted(key: &[u8; KEY_LENGTH], data: &mut [u8]) -> Option<usize> {
    let initial: [u8; BLOCK_LENGTH] = key.first_chunk().copied()?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let plain = key.decrypt(data, DecryptionContext::Iv128(FixedLength::from(initial))).ok()?;
    Some(plain.len())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::cipher::{EncryptionContext, PaddedBlockEncryptingKey};
    use aws_lc_rs::encoding::Pkcs8V1Der;
    use aws_lc_rs::rsa::{KeySize, OaepPublicEncryptingKey};
    use serde_json::json;

    use super::*;

    struct Certificate {
        public: OaepPublicEncryptingKey,
        pem: String,
    }

    fn certificate() -> Certificate {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&private).unwrap();
        let body = BASE64_STANDARD.encode(der.as_ref());
        Certificate {
            public: OaepPublicEncryptingKey::new(private.public_key()).unwrap(),
            pem: format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
        }
    }

    fn keys(certificates: &[(&str, &Certificate)]) -> DecryptionKeys {
        let entries: Vec<_> = certificates
            .iter()
            .map(|(id, certificate)| json!({"id": id, "certificate_pem": "", "private_key_pem": certificate.pem}))
            .collect();
        DecryptionKeys::parse(&json!({"certificates": entries}).to_string()).unwrap()
    }

    /// The recipe of the documentation, forwards.
    fn encrypt(certificate: &Certificate, label: &str, text: &str) -> EncryptedContent {
        let key: [u8; KEY_LENGTH] = std::array::from_fn(|_| fastrand::u8(..));
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key).unwrap()).unwrap();
        let mut data = text.as_bytes().to_vec();
        let initial = FixedLength::from(*key.first_chunk::<BLOCK_LENGTH>().unwrap());
        cipher.less_safe_encrypt(&mut data, EncryptionContext::Iv128(initial)).unwrap();
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &data);
        let mut data_key = vec![0; certificate.public.ciphertext_size()];
        certificate.public.encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut data_key, None).unwrap();
        EncryptedContent {
            data: BASE64_STANDARD.encode(&data),
            data_key: BASE64_STANDARD.encode(&data_key),
            data_signature: BASE64_STANDARD.encode(signature.as_ref()),
            encryption_certificate_id: label.into(),
            encryption_certificate_thumbprint: String::new(),
        }
    }

    #[test]
    fn what_was_encrypted_for_any_of_the_certificates_comes_out() {
        let (old, new) = (certificate(), certificate());
        let keys = keys(&[("old", &old), ("new", &new)]);
        for (certificate, label) in [(&old, "old"), (&new, "new")] {
            for text in ["", "{}", "0123456789abcdef", r#"{"body":{"content":"<p>Grüße 🎉</p>"}}"#] {
                let content = encrypt(certificate, label, text);
                assert_eq!(keys.decrypt(&content).unwrap(), text.as_bytes(), "{label}");
            }
        }
    }

    #[test]
    fn what_was_changed_or_was_for_somebody_else_stays_closed() {
        let (ours, theirs) = (certificate(), certificate());
        let keys = keys(&[("ours", &ours)]);
        let genuine = encrypt(&ours, "ours", r#"{"id":"1"}"#);
        let error = |content: EncryptedContent| keys.decrypt(&content).unwrap_err();
        let unknown = EncryptedContent { encryption_certificate_id: "other".into(), ..genuine.clone() };
        assert_eq!(error(unknown), DecryptError::UnknownCertificate("other".into()));
        let not_genuine = |content| assert!(matches!(error(content), DecryptError::NotGenuine(_)));
        not_genuine(encrypt(&theirs, "ours", "{}"));
        let other = encrypt(&ours, "ours", r#"{"id":"2"}"#);
        not_genuine(EncryptedContent { data: other.data.clone(), ..genuine.clone() });
        not_genuine(EncryptedContent { data_key: other.data_key.clone(), ..genuine.clone() });
        not_genuine(EncryptedContent { data_signature: other.data_signature, ..genuine.clone() });
        for broken in ["", "!", "AAAA"] {
            not_genuine(EncryptedContent { data: broken.into(), ..genuine.clone() });
            not_genuine(EncryptedContent { data_key: broken.into(), ..genuine.clone() });
            not_genuine(EncryptedContent { data_signature: broken.into(), ..genuine.clone() });
        }
    }

    #[test]
    fn a_key_that_is_another_certificate_s_is_found_at_once() {
        let ours = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let theirs = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&ours).unwrap().pem();
        let entry = |id: &str, certificate: &str, key: &rcgen::KeyPair| json!({"id": id, "certificate_pem": certificate, "private_key_pem": key.serialize_pem()});
        let entries = [
            entry("fits", &certificate, &ours),
            entry("another's", &certificate, &theirs),
            entry("without", "", &theirs),
            entry("unreadable", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &theirs),
        ];
        let keys = DecryptionKeys::parse(&json!({"certificates": entries}).to_string()).unwrap();
        assert_eq!(keys.misfits().collect::<Vec<_>>(), ["another's"]);
    }

    #[test]
    fn a_secret_that_is_none_is_told_without_its_text() {
        for (text, problem) in [
            ("x", "it is not JSON"),
            ("{}", "it is not JSON with `certificates`"),
            (r#"{"certificates":[]}"#, "`certificates` is empty"),
            (r#"{"certificates":[{"id":"a","private_key_pem":"secret-text"}]}"#, "`private_key_pem` of `a`"),
        ] {
            let error = DecryptionKeys::parse(text).unwrap_err();
            assert!(error.starts_with(problem) && !error.contains("secret-text"), "{error}");
        }
        let (one, two) = (certificate(), certificate());
        assert!(keys(&[("a", &one)]).is_same(&keys(&[("a", &one)])));
        assert!(!keys(&[("a", &one)]).is_same(&keys(&[("a", &two)])));
        assert!(!keys(&[("a", &one)]).is_same(&keys(&[("a", &one), ("b", &two)])));
    }
}
