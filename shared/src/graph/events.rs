//! Calendar events that carry an online meeting, which need no Teams application access policy.
//!
//! Every call needs `Calendars.ReadWrite`; `{user}` may be an object id or a user principal name.

use std::future::Future;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GraphClient, GraphError, with_query};
use crate::http::RequestContext;

const PERMISSION: &str = "Calendars.ReadWrite";

/// The properties of an event that are read.
const SELECT: &str = "id,transactionId,isOnlineMeeting,onlineMeetingProvider,onlineMeeting,start,end";

/// The most pages of a calendar that are searched for an event, 50 events each. A day of one agent fits into the first.
const MAX_CALENDAR_PAGES: usize = 10;

/// An event to create. Times are UTC without offset, as `dateTimeTimeZone` wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's key: a second event with the same value is not created.
    pub transaction_id: String,
    /// The subject of the event.
    pub subject: String,
    /// The start of the event.
    pub start: String,
    /// The end of the event.
    pub end: String,
}

impl NewEvent {
    /// Nobody is invited: the link travels by text message, and an invitation would be sent at once.
    fn body(&self) -> Value {
        json!({
            "subject": self.subject,
            "start": {"dateTime": self.start, "timeZone": "UTC"},
            "end": {"dateTime": self.end, "timeZone": "UTC"},
            "isOnlineMeeting": true,
            "onlineMeetingProvider": "teamsForBusiness",
            "allowNewTimeProposals": false,
            "transactionId": self.transaction_id,
        })
    }
}

/// An event as Graph gives it back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalendarEvent {
    /// Graph's id of the event.
    pub id: String,
    /// The event's key, if it was set.
    #[serde(default)]
    pub transaction_id: Option<String>,
    /// Whether the event has an online meeting. `false` where Graph has silently left it out.
    #[serde(default)]
    pub is_online_meeting: Option<bool>,
    /// The provider: `teamsForBusiness`, or `unknown` where Graph has silently left the meeting out.
    #[serde(default)]
    pub online_meeting_provider: Option<String>,
    #[serde(default)]
    online_meeting: Option<OnlineMeetingInfo>,
    #[serde(default)]
    start: Option<DateTimeTimeZone>,
    #[serde(default)]
    end: Option<DateTimeTimeZone>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnlineMeetingInfo {
    #[serde(default)]
    join_url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DateTimeTimeZone {
    date_time: String,
}

impl CalendarEvent {
    /// The join URL, which Teams fills in some moments after the event was created.
    #[must_use]
    pub fn join_url(&self) -> Option<&str> {
        self.online_meeting.as_ref()?.join_url.as_deref().filter(|url| !url.is_empty())
    }

    /// Whether Graph has silently made an event without a meeting, because the organizer cannot use Teams.
    #[must_use]
    pub(crate) fn is_downgraded(&self) -> bool {
        self.is_online_meeting == Some(false) || self.online_meeting_provider.as_deref() == Some("unknown")
    }

    /// The start, in UTC without offset.
    #[must_use]
    pub fn start(&self) -> Option<&str> {
        self.start.as_ref().map(|start| start.date_time.as_str())
    }

    /// The end, in UTC without offset.
    #[must_use]
    pub fn end(&self) -> Option<&str> {
        self.end.as_ref().map(|end| end.date_time.as_str())
    }
}

#[derive(Deserialize)]
struct EventPage {
    value: Vec<CalendarEvent>,
    #[serde(rename = "@odata.nextLink", default)]
    next_link: Option<String>,
}

/// Calendar events in Outlook mailboxes.
pub trait CalendarEvents: Send + Sync {
    /// Creates an event: `POST /users/{user}/events`.
    ///
    /// <https://learn.microsoft.com/graph/api/user-post-events>
    ///
    /// # Errors
    /// [`GraphError::DuplicateTransaction`], [`GraphError::NotLicensed`] (no mailbox), [`GraphError::NotFound`], any
    /// other [`GraphError`].
    fn create_event(
        &self,
        cx: &RequestContext,
        user: &str,
        event: &NewEvent,
    ) -> impl Future<Output = Result<CalendarEvent, GraphError>> + Send;

    /// Reads an event: `GET /users/{user}/events/{id}`.
    ///
    /// <https://learn.microsoft.com/graph/api/event-get>
    ///
    /// # Errors
    /// [`GraphError`]
    fn get_event(
        &self,
        cx: &RequestContext,
        user: &str,
        event_id: &str,
    ) -> impl Future<Output = Result<CalendarEvent, GraphError>> + Send;

    /// Deletes an event: `DELETE /users/{user}/events/{id}`. An event that is gone already counts as deleted.
    ///
    /// <https://learn.microsoft.com/graph/api/event-delete>
    ///
    /// # Errors
    /// [`GraphError`]
    fn delete_event(
        &self,
        cx: &RequestContext,
        user: &str,
        event_id: &str,
    ) -> impl Future<Output = Result<(), GraphError>> + Send;

    /// Finds the event with this `transactionId` among those between two UTC times: `GET /users/{user}/calendarView`.
    /// Graph cannot filter by it, so the pages are searched here.
    ///
    /// <https://learn.microsoft.com/graph/api/user-list-calendarview>
    ///
    /// # Errors
    /// [`GraphError::NotFound`] when it is not there; any other [`GraphError`].
    fn find_event(
        &self,
        cx: &RequestContext,
        user: &str,
        transaction_id: &str,
        between: (&str, &str),
    ) -> impl Future<Output = Result<CalendarEvent, GraphError>> + Send;
}

impl CalendarEvents for GraphClient {
    async fn create_event(
        &self,
        cx: &RequestContext,
        user: &str,
        event: &NewEvent,
    ) -> Result<CalendarEvent, GraphError> {
        let url = self.user_url(user, &["events"]);
        let request = self.remote.http.post(url).header("Prefer", r#"outlook.timezone="UTC""#).json(&event.body());
        self.fetch(cx, "create event", PERMISSION, request).await.map(|(_, event)| event)
    }

    async fn get_event(&self, cx: &RequestContext, user: &str, event_id: &str) -> Result<CalendarEvent, GraphError> {
        let url = with_query(self.user_url(user, &["events", event_id]), &[("$select", SELECT)]);
        let request = self.remote.http.get(url).header("Prefer", r#"outlook.timezone="UTC""#);
        self.fetch(cx, "get event", PERMISSION, request).await.map(|(_, event)| event)
    }

    async fn delete_event(&self, cx: &RequestContext, user: &str, event_id: &str) -> Result<(), GraphError> {
        let request = self.remote.http.delete(self.user_url(user, &["events", event_id]));
        match self.send(cx, "delete event", PERMISSION, request).await {
            Ok(_) | Err(GraphError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn find_event(
        &self,
        cx: &RequestContext,
        user: &str,
        transaction_id: &str,
        (from, to): (&str, &str),
    ) -> Result<CalendarEvent, GraphError> {
        let query = [("startDateTime", from), ("endDateTime", to), ("$select", SELECT), ("$top", "50")];
        let mut next = Some(with_query(self.user_url(user, &["calendarView"]), &query));
        for _ in 0..MAX_CALENDAR_PAGES {
            let Some(url) = next.take() else { break };
            let request = self.remote.http.get(url).header("Prefer", r#"outlook.timezone="UTC""#);
            let (_, page): (_, EventPage) = self.fetch(cx, "list calendarView", PERMISSION, request).await?;
            if let Some(event) =
                page.value.into_iter().find(|event| event.transaction_id.as_deref() == Some(transaction_id))
            {
                return Ok(event);
            }
            // The link is followed as it is. The token goes with it, so it must lead to Graph.
            next = page.next_link.and_then(|link| Url::parse(&link).ok()).filter(|url| self.base.is_origin_of(url));
        }
        Err(GraphError::NotFound { code: "no event has this transactionId".into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_graph_is_asked_for() {
        let event = NewEvent {
            transaction_id: "0b7c6a0e-6f0e-4a9e-9d1a-2f8f5a0c1d11".into(),
            subject: "Customer \"call\"".into(),
            start: "2026-05-04T09:00:00".into(),
            end: "2026-05-04T09:30:00".into(),
        };
        insta::assert_json_snapshot!(event.body());
    }

    #[test]
    fn a_silent_downgrade_is_recognised() {
        let read = |json: &str| serde_json::from_str::<CalendarEvent>(json).unwrap();
        assert!(read(r#"{"id":"1","isOnlineMeeting":false,"onlineMeeting":null}"#).is_downgraded());
        assert!(read(r#"{"id":"1","isOnlineMeeting":true,"onlineMeetingProvider":"unknown"}"#).is_downgraded());
        let pending = read(r#"{"id":"1","isOnlineMeeting":true,"onlineMeeting":null}"#);
        assert!(!pending.is_downgraded());
        assert_eq!(pending.join_url(), None);
    }
}
