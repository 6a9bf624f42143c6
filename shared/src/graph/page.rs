//! Pages of a list, and the times in them.

use jiff::Timestamp;
use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::{GraphClient, GraphError};

/// The place from which a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFrom<'a> {
    /// From the start: the changes since this time.
    Since(Timestamp),
    /// From the start: the changes between two times. Only a chat's list can do this; any other is read as
    /// [`Self::Since`].
    Between(Timestamp, Timestamp),
    /// From the link on an earlier page, as Graph wrote it.
    Link(&'a str),
}

/// A page of a list; each has the link to the next.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListPage<T> {
    /// The items on the page.
    pub value: Vec<T>,
    /// The link to the next page. Opaque.
    #[serde(rename = "@odata.nextLink", default = "Option::default")]
    pub next: Option<String>,
    /// On the last page of a delta: the link that lists later changes.
    #[serde(rename = "@odata.deltaLink", default = "Option::default")]
    pub delta: Option<String>,
}

impl GraphClient {
    /// A link of Graph's, to be followed as it is. The token goes with it, so it must lead to Graph.
    pub(super) fn link(&self, link: &str) -> Result<Url, GraphError> {
        let url = Url::parse(link).ok().filter(|url| self.base.is_origin_of(url));
        url.ok_or_else(|| GraphError::Unreadable { problem: "a page's link leads elsewhere".into() })
    }
}

/// A time without its fraction, as Graph's filters take it.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// Reads a time; a text that is no time reads as none.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}
