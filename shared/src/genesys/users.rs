//! External ids: which Teams user a Genesys Cloud user is.

use std::future::Future;

use reqwest::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::{GenesysClient, GenesysError};
use crate::http::retry::Repeat;
use crate::http::{Call, MAX_ANSWER_BYTES, Reply, RequestContext};
use crate::telemetry::Upstream;

/// The authority name under which the Microsoft Teams integration and Entra's provisioning keep the Entra object id.
const TEAMS_AUTHORITY: &str = "microsoftteams";

/// The permission that both ways of asking need.
const PERMISSION: &str = "directory:user:view";

/// The SCIM extension that external ids live in.
const EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExternalId {
    authority_name: String,
    external_key: String,
}

/// A page of users as SCIM lists them.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ScimPage {
    total_results: usize,
    #[serde(rename = "Resources")]
    resources: Vec<ScimUser>,
}

/// A page of the org's users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinksPage {
    /// Users, each with the Entra object id where there is one.
    pub links: Vec<(Uuid, Option<Uuid>)>,
    /// How many users the page had, those included whose id cannot be read.
    pub users: usize,
    /// How many users there are on all pages.
    pub total: usize,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ScimUser {
    id: String,
    #[serde(rename = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User")]
    extension: ScimExtension,
}

impl ScimUser {
    fn into_teams_id(self) -> Option<String> {
        let mut ids = self.extension.external_ids.into_iter();
        ids.find(|id| id.authority.eq_ignore_ascii_case(TEAMS_AUTHORITY)).map(|id| id.value)
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ScimExtension {
    external_ids: Vec<ScimExternalId>,
}

#[derive(Deserialize)]
struct ScimExternalId {
    authority: String,
    value: String,
}

/// The external id that links a Genesys Cloud user to a Teams user.
pub trait ExternalIds: Send + Sync {
    /// The user's Entra object id as Genesys Cloud has it: the platform's external id, or else SCIM's. `None` for an id
    /// that is no object id, and for a user who does not exist.
    ///
    /// # Errors
    /// [`GenesysError`]
    fn teams_id(
        &self,
        cx: &RequestContext,
        user: Uuid,
    ) -> impl Future<Output = Result<Option<Uuid>, GenesysError>> + Send;
}

impl ExternalIds for GenesysClient {
    async fn teams_id(&self, cx: &RequestContext, user: Uuid) -> Result<Option<Uuid>, GenesysError> {
        let user = user.to_string();
        if let Some(id) = object_id(self.get_teams_external_id(cx, &user).await?) {
            return Ok(Some(id));
        }
        Ok(object_id(self.get_teams_id_from_scim(cx, &user).await?))
    }
}

/// The links of all users of the org.
pub trait LinkList: Send + Sync {
    /// Reads a page of the links: `GET /api/v2/scim/v2/users`, external ids alone. It has `count` users at most, from
    /// the `start`th on (the first is 1). SCIM gives a page of more than 25 only without other attributes.
    ///
    /// # Errors
    /// [`GenesysError`]
    fn links(
        &self,
        cx: &RequestContext,
        start: usize,
        count: usize,
    ) -> impl Future<Output = Result<LinksPage, GenesysError>> + Send;
}

impl LinkList for GenesysClient {
    async fn links(&self, cx: &RequestContext, start: usize, count: usize) -> Result<LinksPage, GenesysError> {
        let mut url = self.base.join(["api", "v2", "scim", "v2", "users"]);
        url.query_pairs_mut()
            .append_pair("attributes", &format!("{EXTENSION}:externalIds"))
            .append_pair("startIndex", &start.to_string())
            .append_pair("count", &count.to_string());
        let page: ScimPage = self.look_up(cx, "list scim users", url).await?;
        let users = page.resources.len();
        let link = |user: ScimUser| Some((user.id.parse().ok()?, object_id(user.into_teams_id())));
        let links = page.resources.into_iter().filter_map(link).collect();
        Ok(LinksPage { links, users, total: page.total_results })
    }
}

impl GenesysClient {
    /// Whether a user of the org is this Teams user: `GET /api/v2/users/externalid/microsoftteams/{object id}`.
    ///
    /// # Errors
    /// [`GenesysError`]
    pub(crate) async fn is_linked_to_teams(&self, cx: &RequestContext, teams_user: Uuid) -> Result<bool, GenesysError> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct LinkedUser {
            id: String,
        }
        // Keys are case-sensitive, and object ids are kept in lower case.
        let url = self.base.join(["api", "v2", "users", "externalid", TEAMS_AUTHORITY, &teams_user.to_string()]);
        let user: LinkedUser = self.look_up(cx, "get user by external id", url).await?;
        Ok(!user.id.is_empty())
    }

    /// Reads the platform's external id: `GET /api/v2/users/{id}/externalid`.
    async fn get_teams_external_id(&self, cx: &RequestContext, user_id: &str) -> Result<Option<String>, GenesysError> {
        let url = self.base.join(["api", "v2", "users", user_id, "externalid"]);
        let ids: Vec<ExternalId> = self.look_up(cx, "get external ids", url).await?;
        let teams = ids.into_iter().find(|id| id.authority_name.eq_ignore_ascii_case(TEAMS_AUTHORITY));
        Ok(teams.map(|id| id.external_key))
    }

    /// Reads SCIM's external id, where provisioning has put the id only there: `GET /api/v2/scim/v2/users/{id}`.
    async fn get_teams_id_from_scim(&self, cx: &RequestContext, user_id: &str) -> Result<Option<String>, GenesysError> {
        let mut url = self.base.join(["api", "v2", "scim", "v2", "users", user_id]);
        url.query_pairs_mut().append_pair("attributes", &format!("{EXTENSION}:externalIds"));
        let user: ScimUser = self.look_up(cx, "get scim user", url).await?;
        Ok(user.into_teams_id())
    }

    /// Reads a resource; one that does not exist reads as its default.
    async fn look_up<T: serde::de::DeserializeOwned + Default>(
        &self,
        cx: &RequestContext,
        operation: &'static str,
        url: reqwest::Url,
    ) -> Result<T, GenesysError> {
        let call = Call {
            upstream: Upstream::Genesys,
            operation,
            repeat: Repeat::Always,
            remote_id_header: "inin-correlation-id",
            max_answer_bytes: MAX_ANSWER_BYTES,
            request: self.remote.http.get(url),
        };
        let reply: Reply = self.remote.send(cx, call).await?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(T::default()),
            status if status.is_success() => {
                reply.json().map_err(|error| GenesysError::Ambiguous(format!("the answer could not be read: {error}")))
            }
            _ => Err(GenesysError::from_reply(&reply, PERMISSION)),
        }
    }
}

fn object_id(id: Option<String>) -> Option<Uuid> {
    id.and_then(|id| id.trim().parse().ok())
}
