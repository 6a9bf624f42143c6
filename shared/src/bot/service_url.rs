//! The address of the connector that an activity came from, and that answers to it go to, with the bot's token.

use crate::config::BaseUrl;
use crate::teams::{ServiceHosts, ServiceUrl, ServiceUrlError};

/// A service URL that the Bot Framework has signed. Only the check of a token makes it, so no other address can be
/// taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedServiceUrl(BaseUrl);

impl SignedServiceUrl {
    /// The signed URL, if the activity shows the same. The case of the host and a slash at the end do not count; the
    /// path does, because it names the region and the tenant.
    pub(super) fn of(signed: &str, shown: &str) -> Option<Self> {
        let (signed, shown) = (read(signed)?, read(shown)?);
        (signed == shown).then_some(Self(signed))
    }

    /// The URL, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.0
    }

    /// The URL as one that may see the bot's token, if its host is on the list. The signature proves who posted the
    /// activity; the list says where the token may go.
    ///
    /// # Errors
    /// [`ServiceUrlError::NotListed`]
    pub fn admitted_by(&self, hosts: &ServiceHosts) -> Result<ServiceUrl, ServiceUrlError> {
        hosts.admit(self.0.join([]).as_str())
    }
}

/// A URL of nothing but scheme, host, port and path, and of no other scheme than `https` (`http` for this machine).
fn read(text: &str) -> Option<BaseUrl> {
    let base: BaseUrl = text.parse().ok()?;
    let url = base.join([]);
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && url.query().is_none() && url.fragment().is_none()).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_case_of_the_host_and_the_last_slash_may_differ() {
        let tenant = "22222222-0000-4000-8000-000000000002";
        let signed = format!("https://smba.trafficmanager.net/emea/{tenant}/");
        for shown in [
            signed.clone(),
            format!("https://smba.trafficmanager.net/emea/{tenant}"),
            format!("HTTPS://SMBA.TrafficManager.net:443/emea/{tenant}/"),
        ] {
            let url = SignedServiceUrl::of(&signed, &shown).unwrap();
            assert_eq!(url.base().join([]).as_str(), format!("https://smba.trafficmanager.net/emea/{tenant}"));
        }
        for shown in [
            "",
            "smba.trafficmanager.net/emea",
            "https://smba.trafficmanager.net/",
            "https://smba.trafficmanager.net/emea/",
            "https://smba.evil.trafficmanager.net/",
            &format!("https://smba.evil.trafficmanager.net/emea/{tenant}/"),
            &format!("https://smba.trafficmanager.net.evil.example/emea/{tenant}/"),
            &format!("https://smba.trafficmanager.net./emea/{tenant}/"),
            &format!("https://smba.trafficmanager.net:8443/emea/{tenant}/"),
            &format!("https://smba.trafficmanager.net@evil.example/emea/{tenant}/"),
            &format!("https://user@smba.trafficmanager.net/emea/{tenant}/"),
            &format!("https://user:word@smba.trafficmanager.net/emea/{tenant}/"),
            &format!("http://smba.trafficmanager.net/emea/{tenant}/"),
            &format!("https://smba.trafficmanager.net/EMEA/{tenant}/"),
            &format!("https://smba.trafficmanager.net/emea/{tenant}/?to=elsewhere"),
            &format!("https://smba.trafficmanager.net/emea/{tenant}/#elsewhere"),
            &format!("https://smba.trafficmanager.net/emea//{tenant}/"),
            &format!("https://smba.trafficmanager.net/emea/{tenant}/../"),
        ] {
            assert_eq!(SignedServiceUrl::of(&signed, shown), None, "{shown}");
        }
    }

    #[test]
    fn a_signed_url_sees_the_token_only_if_its_host_is_listed() {
        let hosts: ServiceHosts = "smba.trafficmanager.net".parse().unwrap();
        let signed = |url: &str| SignedServiceUrl::of(url, url).unwrap().admitted_by(&hosts);
        let url = signed("https://smba.trafficmanager.net/emea/t/").unwrap();
        assert_eq!(url.as_str(), "https://smba.trafficmanager.net/emea/t");
        assert_eq!(signed("https://smba.evil.trafficmanager.net/emea/t/"), Err(ServiceUrlError::NotListed));
    }

    #[test]
    fn what_is_no_plain_address_is_not_taken_even_when_it_is_signed() {
        for url in
            ["http://smba.trafficmanager.net/", "https://user@smba.trafficmanager.net/", "https://a.example/?b", "x"]
        {
            assert_eq!(SignedServiceUrl::of(url, url), None, "{url}");
        }
    }
}
