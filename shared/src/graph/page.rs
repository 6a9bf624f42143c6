//! Lists that come in pages, and the times in them.

use jiff::Timestamp;
use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::{GraphClient, GraphError};

/// Where a list is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFrom<'a> {
    /// From the start: what has changed since this time.
    Since(Timestamp),
    /// From the start: what has changed after the one time and before the other. Of a chat alone; elsewhere as [`Self::Since`].
    Between(Timestamp, Timestamp),
    /// From a link of an earlier page, as it came.
    Link(&'a str),
}

/// A page of a list that goes on from link to link.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub value: Vec<T>,
    /// Where the next page is. Opaque.
    #[serde(rename = "@odata.nextLink", default = "Option::default")]
    pub next: Option<String>,
    /// On the last page of a delta: where to ask later for what has changed since.
    #[serde(rename = "@odata.deltaLink", default = "Option::default")]
    pub delta: Option<String>,
}

impl GraphClient {
    /// A link that Graph gave, to be followed as it came. The token goes with it, so it must lead to Graph.
    pub(super) fn link(&self, link: &str) -> Result<Url, GraphError> {
        let url = Url::parse(link).ok().filter(|url| self.base.is_origin_of(url));
        url.ok_or_else(|| GraphError::Unreadable { problem: "a page's link leads elsewhere".into() })
    }
}

/// A time without its fraction, which is how Graph is told times.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// Reads a time; what is no time is none.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}
