//! The versions of a message: which is newer, and what happened to the message last.
//!
//! A message is delivered once for each version. A change of the text makes a new version, and so does a verdict of the
//! organization's data loss prevention; a reaction does not.

use jiff::Timestamp;
use serde::Deserialize;

use super::ChatMessage;
use crate::chat::lenient_json::lenient;

/// What happened to a message last. Reactions do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageEvent {
    /// The message was sent, and not changed since.
    Created,
    /// The sender changed the text.
    Edited,
    /// Data loss prevention hides the message from its readers.
    Blocked,
    /// The sender deleted the message.
    Deleted,
}

impl MessageEvent {
    /// The name that events and metadata give it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Edited => "edited",
            Self::Blocked => "blocked",
            Self::Deleted => "deleted",
        }
    }
}

/// The verdict of data loss prevention on a message. Each member is a list of names, separated by commas.
///
/// <https://learn.microsoft.com/graph/api/resources/chatmessagepolicyviolation>
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PolicyViolation {
    #[serde(deserialize_with = "lenient")]
    dlp_action: String,
    #[serde(deserialize_with = "lenient")]
    user_action: String,
    #[serde(deserialize_with = "lenient")]
    verdict_details: String,
}

impl PolicyViolation {
    /// Whether the message is hidden from its readers and its sender has not released it.
    fn blocks(&self) -> bool {
        let has = |list: &str, name: &str| list.split(',').any(|other| other.trim().eq_ignore_ascii_case(name));
        let is_blocked = ["blockAccess", "blockAccessExternal"].iter().any(|name| has(&self.dlp_action, name));
        let is_released = has(&self.user_action, "override")
            || (has(&self.user_action, "reportFalsePositive")
                && has(&self.verdict_details, "allowFalsePositiveOverride"));
        is_blocked && !is_released
    }
}

impl ChatMessage {
    /// The version of the message, in milliseconds since 1970; a newer version has a larger number. It is the time at
    /// which the message was created, edited or deleted last. `lastModifiedDateTime` does not count, because a reaction
    /// changes it and makes no new version.
    ///
    /// A policy's verdict does make a new version, and only `lastModifiedDateTime` tells when it came. So the version
    /// of a message with a verdict is that time, made later than the text's own, and odd if the message is blocked,
    /// even if not: see [`was_blocked`](Self::was_blocked).
    #[must_use]
    pub fn version(&self) -> i64 {
        let text = self.text_version();
        if self.policy_violation.is_none() || self.deleted_date_time.is_some() {
            return text;
        }
        let modified = self.last_modified_date_time.map_or(text, Timestamp::as_millisecond);
        // With two milliseconds more, the even number and the odd one are both later than the text.
        (modified.max(text.saturating_add(2)) & !1) | i64::from(self.is_blocked())
    }

    /// When the text was last written, edited or deleted, in milliseconds since 1970.
    #[must_use]
    pub fn text_version(&self) -> i64 {
        let times = [self.created_date_time, self.last_edited_date_time, self.deleted_date_time];
        // A message's id is the millisecond of its creation.
        let newest = times.into_iter().flatten().max().map(Timestamp::as_millisecond);
        let by_id = || self.id.parse().ok().filter(|time| Timestamp::from_millisecond(*time).is_ok());
        newest.or_else(by_id).unwrap_or_default()
    }

    /// Whether data loss prevention hides the message from its readers.
    #[must_use]
    pub(crate) fn is_blocked(&self) -> bool {
        self.policy_violation.as_ref().is_some_and(PolicyViolation::blocks)
    }

    /// Whether the version that was delivered `before` was a blocked one of the same text.
    #[must_use]
    pub fn was_blocked(&self, before: i64) -> bool {
        before > self.text_version() && before & 1 == 1
    }

    /// Whether the version that was delivered `before` already says what this one says. Since then there have been only
    /// reactions, or a verdict that changes nothing for readers.
    #[must_use]
    pub fn is_told(&self, before: i64) -> bool {
        let is_same = self.was_blocked(before) == self.is_blocked() || self.deleted_date_time.is_some();
        before >= self.text_version() && is_same
    }

    /// What happened to the message last.
    #[must_use]
    pub fn event(&self) -> MessageEvent {
        if self.deleted_date_time.is_some() {
            MessageEvent::Deleted
        } else if self.is_blocked() {
            MessageEvent::Blocked
        } else if self.last_edited_date_time.is_some() {
            MessageEvent::Edited
        } else {
            MessageEvent::Created
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{documented, message, with};
    use super::*;

    #[test]
    fn the_version_follows_edits_and_deletion_and_not_reactions() {
        let reacted = with("lastModifiedDateTime", json!("2026-01-01T00:00:00Z"));
        assert_eq!((reacted.version(), reacted.event()), (1_712_027_444_034, MessageEvent::Created));
        let edited = with("lastEditedDateTime", json!("2024-04-02T03:11:00.1234567Z"));
        assert_eq!((edited.version(), edited.event()), (1_712_027_460_123, MessageEvent::Edited));
        let deleted = with("deletedDateTime", json!("2024-04-01T20:12:00-08:00"));
        assert_eq!((deleted.version(), deleted.event()), (1_712_031_120_000, MessageEvent::Deleted));
        let mut timeless = documented();
        timeless["createdDateTime"] = json!("yesterday");
        assert_eq!(message(timeless).version(), 1_712_027_444_034);
    }

    #[test]
    fn a_policy_s_verdict_is_a_version_of_its_own() {
        let judged = |dlp: &str, user: &str, at: &str| {
            let mut json = documented();
            json["policyViolation"] = json!({"dlpAction": dlp, "userAction": user, "verdictDetails": "none"});
            json["lastModifiedDateTime"] = json!(at);
            message(json)
        };
        let (written, block) = (message(documented()), "notifySender, blockAccess, blockAccessExternal");
        // In the order in which they happen: written, blocked, released, blocked again, deleted.
        let blocked = judged(block, "none", "2024-04-02T03:12:00.5Z");
        let released = judged(block, "Override", "2024-04-02T03:13:00.501Z");
        let again = judged("BlockAccessExternal", "none", "2024-04-02T03:14:00Z");
        let mut deleted = documented();
        deleted["deletedDateTime"] = json!("2024-04-02T03:15:00Z");
        deleted["policyViolation"] = json!({"dlpAction": block});
        let history = [written.clone(), blocked.clone(), released.clone(), again, message(deleted)];
        assert!(history.windows(2).all(|two| two[0].version() < two[1].version()));
        assert!(history.windows(2).all(|two| !two[1].is_told(two[0].version())));
        let events = history.each_ref().map(ChatMessage::event);
        let [created, is_blocked] = [MessageEvent::Created, MessageEvent::Blocked];
        assert_eq!(events, [created, is_blocked, created, is_blocked, MessageEvent::Deleted]);
        // Somebody reacts: the time is another, what is told is the same.
        let later = "2024-04-02T04:00:00Z";
        for (told, now) in [
            (&blocked, judged(block, "none", later)),
            (&released, judged(block, "override", later)),
            (&written, judged("notifySender", "none", later)),
            (&written, judged("", "", later)),
        ] {
            assert!(now.version() > told.version() && now.is_told(told.version()));
        }
        // Blocked in the millisecond in which it was written.
        for at in ["2024-04-02T03:10:44.034Z", "2024-04-02T03:10:44.035Z"] {
            let mut json = documented();
            json["policyViolation"] = json!({"dlpAction": "blockAccess"});
            (json["createdDateTime"], json["lastModifiedDateTime"]) = (json!(at), json!(at));
            let blocked = message(json);
            assert!(blocked.was_blocked(blocked.version()) && blocked.is_told(blocked.version()));
        }
        let false_positive = json!({"dlpAction": "blockAccess", "userAction": "reportFalsePositive",
            "verdictDetails": "allowFalsePositiveOverride, allowOverrideWithJustification"});
        assert!(!with("policyViolation", false_positive.clone()).is_blocked());
        let mut reported = false_positive;
        reported["verdictDetails"] = json!("none");
        assert!(with("policyViolation", reported).is_blocked(), "a report alone releases nothing");
    }
}
