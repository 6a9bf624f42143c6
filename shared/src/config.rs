//! Typed settings, read from environment variables.
//!
//! A solutions engineer should not learn of six mistakes in six deployments: every missing or bad variable is collected
//! while the settings are read and reported at once. A reader therefore reads all its variables first and only then
//! builds its struct:
//!
//! ```text
//! let table = env.required::<String>("STATE_TABLE");
//! let country = env.optional::<CountryCode>("SMS_COUNTRY");
//! Some(Settings { table: table?, country: country.unless_wrong()? })
//! ```

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// Where settings are read from, and where the mistakes in them are collected.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// Variables whose value could not be fetched. That problem is noted already.
    withheld: HashSet<String>,
    problems: Vec<String>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        // `vars_os`, because `vars` panics on a variable that is not UTF-8.
        let text = |s: std::ffi::OsString| s.into_string().ok();
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self { variables, ..Self::default() }
    }

    /// An environment of exactly these variables, for a test.
    pub fn of<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, ..Self::default() }
    }

    /// A variable that must be there. `None` means that the mistake has been noted. An empty variable is an absent one,
    /// because an unset template parameter arrives as an empty string.
    pub fn required<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let value = self.optional(name);
        if matches!(value, Setting::Unset) {
            self.problem(format!("{name} is not set"));
        }
        value.set()
    }

    /// A variable that may be absent.
    pub fn optional<T>(&mut self, name: &str) -> Setting<T>
    where
        T: FromStr<Err: Display>,
    {
        if self.withheld.contains(name) {
            return Setting::Wrong;
        }
        let text = self.variables.get(name).map_or("", |value| value.trim());
        if text.is_empty() {
            return Setting::Unset;
        }
        match text.parse() {
            Ok(value) => Setting::Set(value),
            Err(problem) => {
                // The value itself stays out of the message: somebody may have pasted a secret into the wrong box.
                self.problem(format!("{name}: {problem}"));
                Setting::Wrong
            }
        }
    }

    /// A variable that has a default value. `None` when its value is wrong, which has been noted.
    pub fn or<T>(&mut self, name: &str, default: T) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        self.optional(name).or(default)
    }

    /// The names of the variables with this ending, in alphabetical order.
    pub(crate) fn names_ending(&self, suffix: &str) -> Vec<String> {
        let mut names: Vec<_> = self.variables.keys().filter(|name| name.ends_with(suffix)).cloned().collect();
        names.sort();
        names
    }

    /// Sets a variable to this value.
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Marks a variable whose value could not be fetched. The caller notes the reason, so that no reader reports the
    /// variable as missing.
    pub(crate) fn withhold(&mut self, name: &str) {
        self.withheld.insert(name.to_owned());
    }

    /// Notes a problem, once: several readers may read the same variable.
    pub fn problem(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }

    /// Gives the settings, or every mistake that was noted on the way.
    ///
    /// # Errors
    /// [`ConfigError`] when a variable is missing or wrong.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, ConfigError> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => Err(ConfigError { problems: self.problems }),
        }
    }
}

/// An optional setting, after it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting<T> {
    /// The variable has this value.
    Set(T),
    /// The variable is absent or empty.
    Unset,
    /// The variable has a value that cannot be used. The mistake has been noted in the [`Environment`].
    Wrong,
}

impl<T> Setting<T> {
    /// Converts the value, if the setting has one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Setting<U> {
        self.and_then(|value| Some(make(value)))
    }

    /// Converts the value, where the conversion may fail: `make` then notes the mistake and gives `None`.
    pub fn and_then<U>(self, make: impl FnOnce(T) -> Option<U>) -> Setting<U> {
        match self {
            Self::Set(value) => make(value).map_or(Setting::Wrong, Setting::Set),
            Self::Unset => Setting::Unset,
            Self::Wrong => Setting::Wrong,
        }
    }

    /// The value, or this default when it is unset. `None` when it is wrong.
    pub fn or(self, default: T) -> Option<T> {
        self.or_else(|| Some(default))
    }

    /// The value, or the one that `default` gives when it is unset. `None` when either is wrong.
    pub fn or_else(self, default: impl FnOnce() -> Option<T>) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Unset => default(),
            Self::Wrong => None,
        }
    }

    /// The value. `None` when it is unset or wrong.
    pub fn set(self) -> Option<T> {
        self.or_else(|| None)
    }

    /// `None` when it is wrong, so that a reader of settings can end with `?`; else the value, if there is one.
    pub fn unless_wrong(self) -> Option<Option<T>> {
        self.map(Some).or(None)
    }
}

/// Every problem with the environment's variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the function's settings are incomplete: {}", problems.join("; "))]
pub struct ConfigError {
    /// One sentence for each problem; each names its variable.
    pub problems: Vec<String>,
}

/// The origin of a service: scheme, host and port, without a path. Paths are appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Url);

/// A service's base URL, path included, as `https://graph.microsoft.com/v1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a URL cannot be used as a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The text is not a URL.
    #[error("expected a URL such as https://api.mypurecloud.com")]
    NotAUrl,
    /// The URL would send credentials over a network in the clear.
    #[error("expected https:// (http:// is accepted for this machine alone)")]
    NotHttps,
    /// The URL has a path where only an origin is expected.
    #[error("expected scheme and host only; paths are appended")]
    HasPath,
}

fn secure_url(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|_| UrlError::NotAUrl)?;
    let host = url.host_str().ok_or(UrlError::NotAUrl)?;
    let loopback = host == "localhost"
        || host.ends_with(".localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(UrlError::NotHttps),
    }
}

impl FromStr for Origin {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = secure_url(text)?;
        if url.path() == "/" && url.query().is_none() && url.fragment().is_none() {
            Ok(Self(url))
        } else {
            Err(UrlError::HasPath)
        }
    }
}

impl FromStr for BaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        secure_url(text.trim_end_matches('/')).map(Self)
    }
}

impl Origin {
    /// The origin with these path segments, each percent-encoded.
    #[must_use]
    pub fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        append(&self.0, segments)
    }
}

impl BaseUrl {
    /// The base with these path segments, each percent-encoded.
    #[must_use]
    pub fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        append(&self.0, segments)
    }

    /// Scheme, host and port, without the path.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether a URL that came from outside leads to the same scheme, host and port, so that a token may go with it.
    #[must_use]
    pub(crate) fn is_origin_of(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }
}

fn append<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    // An http(s) URL always has path segments; the other arm cannot be reached and changes nothing.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A Genesys Cloud region's domain, such as `mypurecloud.com` or `euw2.pure.cloud`; `login.` and `api.` go before it.
///
/// New regions keep arriving, so any bare host name is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesysDomain(String);

impl FromStr for GenesysDomain {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a region's bare domain such as mypurecloud.com or euw2.pure.cloud";
        let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let bare = text.contains('.') && text.split('.').all(label);
        if bare && !text.starts_with("api.") && !text.starts_with("login.") {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(EXPECTED)
        }
    }
}

impl GenesysDomain {
    /// The origin of one of the region's services: `https://{service}.{domain}`.
    ///
    /// # Errors
    /// [`UrlError`] when the domain does not make a host name.
    pub fn origin(&self, service: &str) -> Result<Origin, UrlError> {
        format!("https://{service}.{}", self.0).parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_at_once_and_no_value_is_repeated() {
        let mut env = Environment::of([("PORT", "hunter2"), ("GENESYS_DOMAIN", "https://mypurecloud.com")]);
        let port = env.required::<u16>("PORT");
        let domain = env.required::<GenesysDomain>("GENESYS_DOMAIN");
        let table = env.required::<String>("STATE_TABLE");
        let error = env.finish(port.zip(domain).zip(table)).unwrap_err();
        assert_eq!(error.problems.len(), 3);
        let text = error.to_string();
        for name in ["PORT", "GENESYS_DOMAIN", "STATE_TABLE is not set"] {
            assert!(text.contains(name), "{text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn a_setting_that_may_be_absent_is_set_unset_or_wrong() {
        let mut env = Environment::of([("SET", "7"), ("WRONG", "seven")]);
        let mut read = |name: &str| env.optional::<u16>(name);
        let (set, unset, wrong) = (read("SET"), read("UNSET"), read("WRONG"));
        assert_eq!([set, unset, wrong], [Setting::Set(7), Setting::Unset, Setting::Wrong]);
        assert_eq!([set, unset, wrong].map(|it| it.unless_wrong()), [Some(Some(7)), Some(None), None]);
        assert_eq!([set, unset, wrong].map(|it| it.or(1)), [Some(7), Some(1), None]);
        assert_eq!([set, unset, wrong].map(Setting::set), [Some(7), None, None]);
        let odd = |it: Setting<u16>| it.and_then(|number| (number % 2 == 1).then_some(number));
        assert_eq!([set, unset, Setting::Set(8)].map(odd), [Setting::Set(7), Setting::Unset, Setting::Wrong]);
        assert_eq!(env.problems.len(), 1);
    }

    #[test]
    fn an_empty_variable_is_an_absent_one() {
        let mut env = Environment::of([("SMS_FROM", " "), ("LIMIT", "")]);
        assert_eq!(env.optional::<String>("SMS_FROM"), Setting::Unset);
        assert_eq!(env.or("LIMIT", 7_u16), Some(7));
        assert_eq!(env.required::<String>("SMS_FROM"), None);
        assert!(env.finish(Some(())).is_err());
    }

    #[test]
    fn credentials_never_cross_a_network_in_the_clear() {
        assert_eq!("http://graph.microsoft.com/v1.0".parse::<BaseUrl>(), Err(UrlError::NotHttps));
        for local in ["http://127.0.0.1:4571", "http://localhost:1", "http://api.localhost:1", "http://[::1]:2"] {
            assert!(local.parse::<Origin>().is_ok(), "{local}");
        }
        assert_eq!("http://localhost.example".parse::<Origin>(), Err(UrlError::NotHttps));
        assert_eq!("https://api.mypurecloud.com/api/v2".parse::<Origin>(), Err(UrlError::HasPath));
        assert_eq!("mypurecloud.com".parse::<Origin>(), Err(UrlError::NotAUrl));
    }

    #[test]
    fn path_segments_are_encoded() {
        let base: BaseUrl = "https://graph.microsoft.com/v1.0/".parse().unwrap();
        let url = base.join(["users", "kim_fabrikam.com#EXT#@contoso.com", "events"]);
        assert_eq!(url.as_str(), "https://graph.microsoft.com/v1.0/users/kim_fabrikam.com%23EXT%23@contoso.com/events");
        assert_eq!(base.origin(), "https://graph.microsoft.com");
        assert!(!base.is_origin_of(&Url::parse("https://graph.microsoft.com.evil.example/v1.0").unwrap()));
    }

    #[test]
    fn a_domain_is_a_bare_host_suffix() {
        for good in ["mypurecloud.com", "euw2.pure.cloud", "MyPureCloud.de", "use2.us-gov-pure.cloud"] {
            assert!(good.parse::<GenesysDomain>().is_ok(), "{good}");
        }
        for bad in ["api.mypurecloud.com", "mypurecloud", "a b.com", "mypurecloud.com/x", ".com", ""] {
            assert!(bad.parse::<GenesysDomain>().is_err(), "{bad}");
        }
    }
}
