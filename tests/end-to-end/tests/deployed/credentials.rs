//! Tokens that expire, secrets that change, credentials and permissions that are refused.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{AGENT_ID, App, BRIDGE_APP, UploadedCertificate, Vendor, World};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{alone, conversation, meeting_of, number, text, user, works};

#[test]
fn expired_tokens_are_replaced_without_anybody_noticing() {
    alone(async |sandbox| {
        assert!(works(sandbox).await);
        sandbox.world.expire_tokens();
        assert!(works(sandbox).await);
    });
}

#[test]
fn rotated_secrets_need_no_redeployment() {
    alone(async |sandbox| {
        assert!(works(sandbox).await);
        sandbox.world.directory().rotate_entra_secret();
        sandbox.world.directory().rotate_genesys_secret();
        sandbox.store_secret(Vendor::Entra).await.unwrap();
        sandbox.store_secret(Vendor::Genesys).await.unwrap();
        sandbox.world.expire_tokens();
        assert!(works(sandbox).await);
    });
}

#[test]
fn a_refused_credential_is_named_with_its_remedy() {
    alone(async |sandbox| {
        sandbox.world.directory().rotate_entra_secret();
        sandbox.world.expire_tokens();
        let answer = meeting_of(sandbox, AGENT_ID, "auto").await;
        assert_eq!((answer.status, answer.text("code")), (200, "entraRefused"));
        assert!(answer.text("message").contains("AADSTS7000222"), "{}", answer.body);

        sandbox.world.directory().rotate_genesys_secret();
        let answer = text(sandbox, &conversation(), &number(), false).await;
        assert_eq!((answer.text("code"), answer.text("status")), ("genesysRefused", "failed"));

        sandbox.store_secret(Vendor::Entra).await.unwrap();
        sandbox.store_secret(Vendor::Genesys).await.unwrap();
        assert!(works(sandbox).await);
    });
}

#[test]
fn a_certificate_does_in_place_of_a_secret() {
    alone(async |sandbox| {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(["bridge".into()]).unwrap().self_signed(&key).unwrap();
        let app = |change: &dyn Fn(&mut App)| change(sandbox.world.directory().apps.get_mut(BRIDGE_APP).unwrap());
        let uploaded = UploadedCertificate {
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der())),
            public_key_pem: key.public_key_pem(),
        };
        app(&|app| {
            app.expired_secrets.append(&mut app.secrets);
            app.certificates.push(uploaded.clone());
        });
        let mut credential = sandbox.world.directory().entra_credential();
        credential.as_object_mut().unwrap().remove("client_secret");
        credential["certificate_pem"] = certificate.pem().into();
        credential["private_key_pem"] = key.serialize_pem().into();
        sandbox.cloud.put_secret(sandbox.output("EntraSecret"), &credential).await.unwrap();
        sandbox.world.expire_tokens();
        let answer = meeting_of(sandbox, AGENT_ID, "auto").await;
        assert!(answer.ok(), "{}", answer.body);

        // Back to a secret, for every function: a certificate that nobody removes would still open the door.
        sandbox.world.directory().rotate_entra_secret();
        app(&|app| app.certificates.clear());
        sandbox.store_secret(Vendor::Entra).await.unwrap();
        sandbox.world.expire_tokens();
        assert!(works(sandbox).await);
    });
}

#[test]
fn a_missing_permission_is_named() {
    alone(async |sandbox| {
        let permissions = |world: &World| world.directory().apps[BRIDGE_APP].permissions.clone();
        let all = permissions(&sandbox.world);
        for permission in ["OnlineMeetings.ReadWrite.All", "User.ReadBasic.All"] {
            let set = |permissions| {
                sandbox.world.directory().apps.get_mut(BRIDGE_APP).unwrap().permissions = permissions;
            };
            set(all.iter().filter(|name| *name != permission).cloned().collect());
            let agent = user(sandbox, |_| {});
            let answer = meeting_of(sandbox, &agent.upn, "auto").await;
            assert_eq!(answer.text("code"), "permissionMissing", "{}", answer.body);
            assert!(answer.text("message").contains(permission), "{}", answer.body);
            set(all.clone());
        }
        sandbox.world.directory().genesys_may_send = false;
        let answer = text(sandbox, &conversation(), &number(), false).await;
        assert_eq!(answer.text("code"), "permissionMissing");
        assert!(answer.text("message").contains("conversation:message:create"), "{}", answer.body);
        sandbox.world.directory().genesys_may_send = true;
    });
}

#[test]
fn an_outage_of_entra_is_503() {
    alone(async |sandbox| {
        sandbox.world.expire_tokens();
        sandbox.world.faults.add(Fault::at(Vendor::Entra, BRIDGE_APP).times(0).status(503));
        let answer = meeting_of(sandbox, AGENT_ID, "auto").await;
        assert_eq!(
            (answer.status, answer.text("code"), &answer.body["retryable"]),
            (503, "entraUnavailable", &json!(true))
        );
    });
}
