//! The addresses that may see the bot's token: an exact list of hosts, and a URL that was held against it.
//!
//! Anyone can register a name under `trafficmanager.net`, where Microsoft's own host is: a comparison of endings would
//! give the token away.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// Microsoft's hosts: the public cloud's, and those of GCC, GCC High and DoD.
pub(crate) const MICROSOFT_HOSTS: &str = "smba.trafficmanager.net,smba.infra.gcc.teams.microsoft.com,\
                                          smba.infra.gov.teams.microsoft.us,smba.infra.dod.teams.microsoft.us";

/// The host that serves tenants of GCC. The public one refuses them by `InvalidBotApiHost`.
const GCC: &str = "https://smba.infra.gcc.teams.microsoft.com/teams/";

/// The hosts that may see the bot's token: `BOT_SERVICE_HOSTS`, exact names with commas between them, each with a port
/// where it is not the scheme's own. Plain HTTP is for a listed host of this machine alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHosts(Vec<Host>);

/// A listed host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    name: String,
    /// The port; `None` is the one of the scheme.
    port: Option<u16>,
}

/// The base of the Bot Connector for one conversation, as a verified activity or a stored reference names it. Its host
/// is on the list: there is no other way to make one, and the token is sent to no other address.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

/// Why a URL may not see the bot's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServiceUrlError {
    /// The text is not a URL.
    #[error("the service URL is not a URL")]
    NotAUrl,
    /// The URL has user information, a query or a fragment, which Microsoft's never have.
    #[error("the service URL has more than scheme, host, port and path")]
    Decorated,
    /// The scheme, host and port are not on the list.
    #[error(
        "the host of the service URL is not one of BOT_SERVICE_HOSTS, so the bot's token is not sent there. If Microsoft \
         has announced the host, add its exact name"
    )]
    NotListed,
}

impl FromStr for ServiceHosts {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hosts = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(Host::parse);
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() { Err(Host::EXPECTED) } else { Ok(Self(hosts)) }
    }
}

impl Host {
    const EXPECTED: &'static str = "expected exact host names with commas between them, such as smba.trafficmanager.net: \
                                    no scheme, no wildcard and no path";

    fn parse(entry: &str) -> Result<Self, &'static str> {
        let url = Url::parse(&format!("https://{entry}")).map_err(|_| Self::EXPECTED)?;
        let name = url.host_str().ok_or(Self::EXPECTED)?.to_owned();
        let is_exact = name.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c));
        // A slash at the end of the entry would be a path that nobody compares.
        let is_bare = !entry.contains('/') && url.path() == "/" && !is_decorated(&url);
        if is_exact && is_bare { Ok(Self { name, port: url.port() }) } else { Err(Self::EXPECTED) }
    }

    /// Whether this is the host of the URL, to the letter.
    fn admits(&self, url: &Url) -> bool {
        let is_secure = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(&self.name));
        let is_port = self.port.is_none_or(|port| url.port_or_known_default() == Some(port));
        let is_own_port = self.port.is_some() || url.port().is_none();
        is_secure && is_port && is_own_port && url.host_str() == Some(self.name.as_str())
    }
}

fn is_decorated(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some()
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl ServiceHosts {
    /// Microsoft's own hosts, of every cloud.
    pub(crate) fn of_microsoft() -> Option<Self> {
        MICROSOFT_HOSTS.parse().ok()
    }

    /// The service URL of an activity whose token was verified and names the same URL, of a stored reference, or of
    /// `BOT_SERVICE_URL`, if its scheme, host and port are exactly those of an entry.
    ///
    /// # Errors
    /// [`ServiceUrlError`]
    pub(crate) fn admit(&self, text: &str) -> Result<ServiceUrl, ServiceUrlError> {
        let url = Url::parse(text).map_err(|_| ServiceUrlError::NotAUrl)?;
        if is_decorated(&url) {
            return Err(ServiceUrlError::Decorated);
        }
        if self.0.iter().any(|host| host.admits(&url)) { Ok(ServiceUrl(url)) } else { Err(ServiceUrlError::NotListed) }
    }

    /// Where the Bot Connector for tenants of GCC is, if it is on the list.
    pub(super) fn gcc(&self) -> Option<ServiceUrl> {
        self.admit(GCC).ok()
    }
}

impl ServiceUrl {
    /// The URL, as a reference stores it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// A call of the connector: the whole path of the base, which may name a region and a tenant, and then these
    /// segments, each percent-encoded.
    pub(super) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // An http(s) URL always has path segments; the other arm cannot be reached and changes nothing.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The host, for a connection that is opened ahead of time.
    pub(super) fn root(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path("");
        url
    }
}

/// The path names a tenant and no person, so it may be logged.
impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceUrl({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> ServiceHosts {
        text.parse().unwrap()
    }

    #[test]
    fn only_an_exact_host_sees_the_token() {
        let hosts = ServiceHosts::of_microsoft().unwrap();
        for good in [
            "https://smba.trafficmanager.net/emea/",
            "https://smba.trafficmanager.net/emea/3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11/",
            "https://SMBA.trafficmanager.NET:443/amer",
            "https://smba.infra.gov.teams.microsoft.us/teams",
        ] {
            assert!(hosts.admit(good).is_ok(), "{good}");
        }
        for bad in [
            "https://smba.evil.trafficmanager.net/",
            "https://evil-smba.trafficmanager.net/",
            "https://smba.trafficmanager.net.evil.example/",
            "https://smba.trafficmanager.net./emea/",
            "https://evil.example/smba.trafficmanager.net/",
            "https://smba.trafficmanager.net:8443/emea/",
            "http://smba.trafficmanager.net/emea/",
            "http://smba.trafficmanager.net:443/emea/",
            "ftp://smba.trafficmanager.net/",
            "https://canary.botapi.skype.com/",
            "https://smbа.trafficmanager.net/",
        ] {
            assert_eq!(hosts.admit(bad), Err(ServiceUrlError::NotListed), "{bad}");
        }
        for bad in [
            "https://smba.trafficmanager.net@evil.example/",
            "https://user:word@smba.trafficmanager.net/",
            "https://smba.trafficmanager.net/emea/?to=evil",
            "https://smba.trafficmanager.net/emea/#x",
        ] {
            assert_eq!(hosts.admit(bad), Err(ServiceUrlError::Decorated), "{bad}");
        }
        for bad in ["", "smba.trafficmanager.net", "https://"] {
            assert_eq!(hosts.admit(bad), Err(ServiceUrlError::NotAUrl), "{bad}");
        }
    }

    #[test]
    fn a_port_is_part_of_a_host_and_plain_http_is_for_this_machine_alone() {
        let listed = hosts("bots.contoso.com:8443, 127.0.0.1:4571,localhost:80,[::1]:4571,cloud.localhost");
        for good in [
            "https://bots.contoso.com:8443/x",
            "http://127.0.0.1:4571/emea/",
            "https://127.0.0.1:4571/emea/",
            "http://localhost/",
            "http://[::1]:4571/",
            "http://cloud.localhost/",
            "https://cloud.localhost/",
        ] {
            assert!(listed.admit(good).is_ok(), "{good}");
        }
        for bad in [
            "https://bots.contoso.com/x",
            "http://bots.contoso.com:8443/x",
            "http://127.0.0.1:4572/emea/",
            "http://127.0.0.2:4571/emea/",
            "https://localhost/",
            "http://cloud.localhost:4571/",
        ] {
            assert_eq!(listed.admit(bad), Err(ServiceUrlError::NotListed), "{bad}");
        }
        for wrong in [
            "",
            " , ",
            "http://smba.trafficmanager.net",
            "https://smba.trafficmanager.net",
            "*.trafficmanager.net",
            "smba.trafficmanager.net/",
            "smba.trafficmanager.net/emea/",
            "user@smba.trafficmanager.net",
            "smba.trafficmanager.net?x",
            "smba.trafficmanager.net:x",
        ] {
            assert!(wrong.parse::<ServiceHosts>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_path_of_the_base_is_kept_and_ids_are_encoded() {
        let base = hosts("smba.trafficmanager.net").admit("https://smba.trafficmanager.net/emea/t-1").unwrap();
        let url = base.join(["v3", "conversations", "19:a@thread.tacv2;messageid=1", "activities", "f:1/../2"]);
        assert_eq!(
            url.as_str(),
            "https://smba.trafficmanager.net/emea/t-1/v3/conversations/19:a@thread.tacv2;messageid=1/activities/f:1%2F..%2F2"
        );
        assert_eq!(base.root().as_str(), "https://smba.trafficmanager.net/");
        assert_eq!(hosts("smba.trafficmanager.net").gcc(), None);
        assert_eq!(ServiceHosts::of_microsoft().unwrap().gcc().unwrap().as_str(), GCC);
    }
}
