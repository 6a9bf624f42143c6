//! App roles: Entra ID puts them into the caller's token, and API Gateway verifies it.

use super::event::HttpEvent;
use crate::error::{Code, Error};

/// Accepts a request whose token carries all these roles, spelled exactly so.
///
/// # Errors
/// `unauthorized` without verified claims, `roleMissing` naming the first missing role.
pub(super) fn check(event: &HttpEvent, required: &[&str]) -> Result<(), Error> {
    let jwt = event.request_context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
    let claims = &jwt
        .ok_or_else(|| {
            Error::new(
                Code::UNAUTHORIZED,
                "The request carries no token that API Gateway has verified. Send an Entra ID access token for the \
                 bridge's audience as `Authorization: Bearer`. (On a laptop, REQUIRE_ROLES=false lets requests pass.)",
            )
        })?
        .claims;
    let granted: Vec<&str> = claims.roles.as_deref().map(|roles| in_claim(roles).collect()).unwrap_or_default();
    match required.iter().find(|role| !granted.contains(role)) {
        None => Ok(()),
        Some(role) => Err(Error::new(
            Code::ROLE_MISSING,
            format!(
                "The caller's app lacks the app role {role}. Assign it in Entra ID under Enterprise applications, with \
                 admin consent, and fetch a new token."
            ),
        )),
    }
}

/// The roles in the claim, which API Gateway writes as `[a b]`.
fn in_claim(claim: &str) -> impl Iterator<Item = &str> {
    let inner = claim.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(claim);
    inner.split_whitespace()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(authorizer: serde_json::Value) -> HttpEvent {
        let http = json!({"method": "POST"});
        serde_json::from_value(json!({"requestContext": {"http": http, "authorizer": authorizer}})).unwrap()
    }

    fn with_roles(claim: &str) -> HttpEvent {
        event(json!({"jwt": {"claims": {"roles": claim}, "scopes": null}}))
    }

    #[test]
    fn all_roles_must_be_there_to_the_letter() {
        let required = ["Meetings.Create", "Sms.Send"];
        assert!(check(&with_roles("[Meetings.Create Sms.Send]"), &required).is_ok());
        assert!(check(&with_roles("[Sms.Send Presence.Write Meetings.Create]"), &required).is_ok());
        assert!(check(&with_roles("Sms.Send"), &["Sms.Send"]).is_ok());
        for claim in [
            "[Meetings.Create]",
            "[meetings.create sms.send]",
            "[Meetings.CreateX Sms.Send]",
            "[XMeetings.Create Sms.Send]",
            "Meetings.Create,Sms.Send",
            "[]",
            "",
        ] {
            assert_eq!(check(&with_roles(claim), &required).unwrap_err().code, Code::ROLE_MISSING, "{claim}");
        }
    }

    #[test]
    fn the_missing_role_is_named() {
        let error = check(&with_roles("[Meetings.Create]"), &["Meetings.Create", "Sms.Send"]).unwrap_err();
        assert!(error.message.contains("Sms.Send"), "{}", error.message);
    }

    #[test]
    fn without_verified_claims_nobody_passes() {
        for authorizer in [json!(null), json!({}), json!({"lambda": {"roles": "[Sms.Send]"}})] {
            assert_eq!(check(&event(authorizer), &["Sms.Send"]).unwrap_err().code, Code::UNAUTHORIZED);
        }
        let no_roles = event(json!({"jwt": {"claims": {"sub": "x"}}}));
        assert_eq!(check(&no_roles, &["Sms.Send"]).unwrap_err().code, Code::ROLE_MISSING);
    }
}
