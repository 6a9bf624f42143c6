//! The settings of delivery: how notifications are sent, and which faults they have.

use serde::{Deserialize, Serialize};

/// The form of validation tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenVersion {
    /// With `appid`, of the issuer `sts.windows.net`.
    #[default]
    #[serde(rename = "1.0")]
    V1,
    /// With `azp`, of the login host.
    #[serde(rename = "2.0")]
    V2,
}

/// How notifications are delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotificationSettings {
    /// How many of a hundred notifications come twice.
    pub duplicate_percent: f64,
    /// How many of a hundred notifications come late, so that newer ones overtake them.
    pub reorder_percent: f64,
    /// How many of a hundred notifications never come.
    pub loss_percent: f64,
    /// How many milliseconds a late notification, and the second of two, waits at most.
    pub late_ms: u64,
    /// The seed of the faults: the same seed gives the same faults to the same notifications.
    pub seed: u64,
    /// The most notifications in one POST.
    pub batch_size: usize,
    /// Milliseconds before the first repetition of a POST that failed; each further one waits twice as long.
    pub retry_after_ms: u64,
    /// Seconds after which a POST that still fails is given up.
    pub retry_for_seconds: u64,
    /// Seconds that response times are counted for, before they make an endpoint slow or have notifications dropped.
    pub window_seconds: u64,
    /// The form of validation tokens.
    pub token_version: TokenVersion,
    /// Whether notifications of chat messages have an `@odata.etag`.
    pub chat_etags: bool,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            duplicate_percent: 0.0,
            reorder_percent: 0.0,
            loss_percent: 0.0,
            late_ms: 500,
            seed: 1,
            batch_size: 20,
            retry_after_ms: 1000,
            retry_for_seconds: 4 * 60 * 60,
            window_seconds: 10 * 60,
            token_version: TokenVersion::V1,
            chat_etags: false,
        }
    }
}

impl NotificationSettings {
    /// These settings, changed by the members of a JSON object.
    ///
    /// # Errors
    /// The object has a member that is no setting.
    pub fn with(&self, changes: &str) -> Result<Self, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        let changes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(changes)?;
        if let Some(all) = all.as_object_mut() {
            all.extend(changes);
        }
        serde_json::from_value(all)
    }
}
