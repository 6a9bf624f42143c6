//! Sets one user's presence on request: `POST /presence`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use uuid::Uuid;

use super::directory::TeamsUsers;
use super::map::{PresenceSettings, SystemPresence, Target};
use super::pair::Shown;
use super::{ChangedUser, changes};
use crate::error::{Code, Error};
use crate::fields::Fields;
use crate::genesys::ExternalIds;
use crate::graph::presence::Presences;
use crate::graph::{GraphClient, GraphError};
use crate::http::RequestContext;
use crate::invisible::is_blank;

/// The presence that a request asks for, and its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceOrder {
    whom: OrderedUser,
    wanted: OrderedPresence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OrderedUser {
    Genesys(Uuid),
    Teams(Uuid),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum OrderedPresence {
    /// A system presence or presence definition, to be mapped.
    Mapped(String),
    Shown(Shown),
}

impl PresenceOrder {
    /// Reads `userId` or `user`, and `systemPresence` or `availability` and `activity`.
    pub fn read(fields: &mut Fields, settings: &PresenceSettings) -> Option<Self> {
        let genesys = object_id(fields, "userId", "expected the id of a Genesys Cloud user");
        let teams = object_id(fields, "user", "expected the object id of an Entra user");
        let system = fields.optional_text("systemPresence");
        let availability = fields.optional_text("availability");
        let activity = fields.optional_text("activity");
        let whom = match (teams, genesys) {
            (Some(id), _) => Some(OrderedUser::Teams(id)),
            (None, Some(id)) => Some(OrderedUser::Genesys(id)),
            (None, None) => {
                if !fields.has_problem("userId") && !fields.has_problem("user") {
                    fields.problem("userId", "required: the Genesys Cloud user, or `user`, the Entra user");
                }
                None
            }
        };
        let wanted = match (system, availability, activity) {
            (Some(system), None, None) => Some(OrderedPresence::Mapped(system)),
            (None, Some(availability), activity) => {
                match Shown::of(settings.mode, &availability, activity.as_deref()) {
                    Ok(shown) => Some(OrderedPresence::Shown(shown)),
                    Err(allowed) => {
                        fields.problem("availability", format!("the pair is not allowed; {allowed}"));
                        None
                    }
                }
            }
            (None, None, Some(_)) => {
                fields.problem("availability", "required beside `activity`");
                None
            }
            (Some(_), ..) => {
                fields.problem("systemPresence", "not together with `availability` and `activity`");
                None
            }
            (None, None, None) => {
                if !fields.has_problem("systemPresence") && !fields.has_problem("availability") {
                    fields.problem("systemPresence", "required, or `availability` and `activity`");
                }
                None
            }
        };
        Some(Self { whom: whom?, wanted: wanted? })
    }

    fn target(&self, settings: &PresenceSettings) -> Result<Target, Error> {
        match &self.wanted {
            OrderedPresence::Shown(shown) => Ok(Target::Show(*shown)),
            OrderedPresence::Mapped(text) => {
                let (definition, system) = (text.parse().ok(), text.parse::<SystemPresence>().ok());
                settings.target(definition, system).ok_or_else(|| {
                    Error::new(
                        Code::UNMAPPED,
                        "The presence in `systemPresence` is none that the bridge knows. Send a Genesys Cloud system \
                         presence, or add the presence definition's id to PRESENCE_MAP.",
                    )
                })
            }
        }
    }
}

fn object_id(fields: &mut Fields, name: &'static str, expected: &str) -> Option<Uuid> {
    // The guid of zeros is what a variable without a value looks like.
    let id = fields.text(name)?.trim_matches(is_blank).parse().ok().filter(|id: &Uuid| !id.is_nil());
    if id.is_none() {
        fields.problem(name, expected);
    }
    id
}

/// The fields of the answer, beside code and message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceFields {
    /// The Teams user's object id.
    pub teams_user_id: String,
    /// The availability that was set; empty when none was.
    pub availability: &'static str,
    /// The activity that was set; empty when none was.
    pub activity: &'static str,
    /// When the presence ends, in UTC; empty when none was set.
    pub expires_at: String,
}

/// Sets the presence of one user after the other, as requests ask for it.
#[derive(Debug)]
pub struct PresenceUpdater<'a, I> {
    /// Sets presences in Teams.
    pub graph: &'a GraphClient,
    /// Finds the Teams user of a Genesys Cloud user.
    pub ids: &'a I,
    /// The links that this process has found before.
    pub users: &'a TeamsUsers,
    /// The deployment's settings: mode, map, life.
    pub settings: &'a PresenceSettings,
}

impl<I: ExternalIds> PresenceUpdater<'_, I> {
    /// Sets a presence. Gives what was done, a sentence about it, and the answer's fields.
    ///
    /// # Errors
    /// `unmapped`, `noTeamsUser`, or why Genesys Cloud or Graph did not do it.
    pub async fn update(
        &self,
        cx: &RequestContext,
        order: &PresenceOrder,
    ) -> Result<(Code, &'static str, PresenceFields), Error> {
        let Self { ids, users, settings, .. } = *self;
        let target = order.target(settings)?;
        if target == Target::Leave {
            return Ok((Code::UNCHANGED, "The map leaves Teams as it is.", PresenceFields::default()));
        }
        let mut user = match order.whom {
            OrderedUser::Teams(id) => id,
            OrderedUser::Genesys(id) => users.find(ids, cx, id).await?.ok_or_else(not_linked)?,
        };
        let now = Timestamp::now();
        let mut outcome = self.set(cx, user, target).await;
        // The link may be an old one: the user may have been linked anew since it was found.
        if let (Err(GraphError::NotFound { .. }), OrderedUser::Genesys(id)) = (&outcome, order.whom) {
            users.forget(id);
            if let Some(linked) = users.find(ids, cx, id).await?.filter(|linked| *linked != user) {
                user = linked;
                outcome = self.set(cx, user, target).await;
            }
            if outcome.is_err() {
                users.forget(id);
            }
        }
        outcome.map_err(|error| {
            if !error.is_not_found() {
                return error.into();
            }
            Error::new(
                Code::NO_TEAMS_USER,
                "Microsoft Graph knows no such user. Correct the user's external id in Genesys Cloud (authority \
                 microsoftteams), or `user`: it is the Entra object id.",
            )
            .because(error)
        })?;
        let teams_user_id = user.to_string();
        Ok(match target {
            Target::Show(shown) => {
                let expires_at = now.checked_add(settings.life()).unwrap_or(Timestamp::MAX);
                let expires_at = expires_at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                let pair = shown.pair();
                let (availability, activity) = (pair.availability, pair.activity);
                let fields = PresenceFields { teams_user_id, availability, activity, expires_at };
                (Code::UPDATED, "The presence was set in Microsoft Teams.", fields)
            }
            Target::Clear | Target::Leave => {
                let fields = PresenceFields { teams_user_id, ..PresenceFields::default() };
                (Code::CLEARED, "What the bridge had set in Microsoft Teams was cleared.", fields)
            }
        })
    }
}

impl<I> PresenceUpdater<'_, I> {
    /// Makes every change that shows the target of a Teams user.
    async fn set(&self, cx: &RequestContext, user: Uuid, target: Target) -> Result<(), GraphError> {
        let whom = ChangedUser { user, session_id: self.graph.app_id(cx).await? };
        let changes = changes(&whom, target, self.settings, self.settings.mode_before);
        let outcomes = self.graph.change_presences(cx, &changes).await?;
        outcomes.into_iter().collect()
    }
}

fn not_linked() -> Error {
    Error::new(
        Code::NO_TEAMS_USER,
        "Genesys Cloud has no Teams user for this user. Set up provisioning from Entra ID (SCIM), or give the user the \
         external id with the authority microsoftteams and the Entra object id.",
    )
}
