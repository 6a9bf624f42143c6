//! The certificate that a subscriber wants resource data encrypted for, and the encryption, as Microsoft's page "Set up
//! change notifications that include resource data" describes it.
//!
//! No code is shared with the bridge, so the bridge must decrypt what other code has encrypted.

use std::fmt;
use std::fmt::Write;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::{digest, hmac, rand};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

/// The key of one item: AES-256, its first half the initialisation vector as well, and the key of the signature.
const KEY: usize = 32;

/// A certificate, under the id that its owner gave it.
#[derive(Clone)]
pub(in crate::stand_ins) struct Certificate {
    pub(super) id: String,
    /// The SHA-1 of its DER form, in hexadecimal.
    thumbprint: String,
    key: std::sync::Arc<OaepPublicEncryptingKey>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, thumbprint, .. } = self;
        f.debug_struct("Certificate").field("id", id).field("thumbprint", thumbprint).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads a certificate: base64 of its DER form in one line, an RSA key of 2,048 to 4,096 bits.
    ///
    /// # Errors
    /// The problem with the certificate.
    pub(super) fn read(text: &str, id: &str) -> Result<Self, &'static str> {
        if id.is_empty() || id.chars().count() > 128 {
            return Err("encryptionCertificateId must have between 1 and 128 characters.");
        }
        let der =
            BASE64_STANDARD.decode(text).map_err(|_| "encryptionCertificate is not base64 of a DER certificate.")?;
        let certificate = rustls_pki_types::CertificateDer::from(der.as_slice());
        let parsed = webpki::EndEntityCert::try_from(&certificate);
        let parsed = parsed.map_err(|_| "encryptionCertificate is not an X.509 certificate.")?;
        let key = PublicEncryptingKey::from_der(&parsed.subject_public_key_info());
        let key = key.map_err(|_| "encryptionCertificate has no RSA key.")?;
        if !(2048..=4096).contains(&key.key_size_bits()) {
            return Err("encryptionCertificate must have an RSA key of 2048 to 4096 bits.");
        }
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| "encryptionCertificate cannot be encrypted for.")?;
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
        let mut thumbprint = String::new();
        for byte in digest.as_ref() {
            // Writing into a text does not fail.
            let _ = write!(thumbprint, "{byte:02X}");
        }
        Ok(Self { id: id.to_owned(), thumbprint, key: key.into() })
    }

    /// The `encryptedContent` of a resource.
    pub(in crate::stand_ins) fn encrypt(&self, resource: &Value) -> Option<Value> {
        self.try_encrypt(resource.to_string().into_bytes()).ok()
    }

    fn try_encrypt(&self, mut data: Vec<u8>) -> Result<Value, Unspecified> {
        let mut key = [0; KEY];
        rand::fill(&mut key)?;
        let mut wrapped = vec![0; self.key.ciphertext_size()];
        let wrapped = self.key.encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut wrapped, None)?;
        let vector: [u8; 16] = key.first_chunk().copied().ok_or(Unspecified)?;
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key)?)?;
        cipher.less_safe_encrypt(&mut data, EncryptionContext::Iv128(FixedLength::from(&vector)))?;
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &data);
        Ok(json!({
            "data": BASE64_STANDARD.encode(&data),
            "dataKey": BASE64_STANDARD.encode(&*wrapped),
            "dataSignature": BASE64_STANDARD.encode(signature),
            "encryptionCertificateId": self.id,
            "encryptionCertificateThumbprint": self.thumbprint,
        }))
    }
}
