//! The directory: the tenant's users and apps with their permissions, and the users of the Genesys Cloud org.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::aws::CLIENT_STATE;
use super::entra::UploadedCertificate;

/// The id of the tenant.
pub const TENANT: &str = "3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11";

/// The app that the bridge is, towards Graph.
pub const BRIDGE_APP: &str = "0d5f2a54-7c1b-4b0e-8f57-52a4a4c5e001";

/// The app that Genesys Cloud is, towards the bridge.
pub const CALLER_APP: &str = "0d5f2a54-7c1b-4b0e-8f57-52a4a4c5e002";

/// An agent with everything an organizer needs.
pub const AGENT: &str = "kim@contoso.com";

/// That agent's object id.
pub const AGENT_ID: &str = "11111111-2222-3333-4444-555555555555";

/// Object id of the user who organizes when the agent cannot.
pub const ORGANIZER_ID: &str = "99999999-2222-3333-4444-555555555555";

/// A user who writes to the agent.
pub const COLLEAGUE: &str = "lee@contoso.com";

/// That user's object id.
pub const COLLEAGUE_ID: &str = "22222222-2222-3333-4444-555555555555";

/// The chat of the two.
pub const CHAT: &str = "19:11111111-2222-3333-4444-555555555555_22222222-2222-3333-4444-555555555555@unq.gbl.spaces";

/// That agent's user id in Genesys Cloud.
pub const AGENT_GENESYS_ID: &str = "7a3b0c5e-1d2f-4e6a-8b9c-0a1b2c3d4e5f";

/// A user of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user principal name.
    pub upn: String,
    /// The Entra object id.
    pub id: String,
    /// Has a Teams licence.
    pub teams: bool,
    /// Has a mailbox in Exchange Online.
    pub mailbox: bool,
    /// Is covered by a Teams application access policy for the bridge's app.
    pub access_policy: bool,
    /// What the Teams meeting policy makes of the lobby, whatever is asked for.
    pub lobby_policy: Option<String>,
    /// Has a Teams client open and is active in it.
    pub teams_open: bool,
}

impl User {
    /// A user who can do everything.
    #[must_use]
    pub fn new(upn: &str, id: &str) -> Self {
        Self {
            upn: upn.into(),
            id: id.into(),
            teams: true,
            mailbox: true,
            access_policy: true,
            lobby_policy: None,
            teams_open: true,
        }
    }

    /// The name that is displayed: the user principal name's, with a capital letter.
    pub(super) fn display_name(&self) -> String {
        let name = self.upn.split('@').next().unwrap_or_default();
        let mut letters = name.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }

    /// Whether a Teams client is signed in, which takes a licence.
    pub(super) fn is_in_teams(&self) -> bool {
        self.teams && self.teams_open
    }
}

/// A user of the Genesys Cloud org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesysUser {
    /// The user's id in Genesys Cloud.
    pub id: String,
    /// User name, as a rule an email address.
    pub user_name: String,
    /// External id of the authority `microsoftteams`: the object id in Entra. SCIM shows it as well.
    pub teams_id: Option<String>,
    /// The same, where only SCIM has it.
    pub scim_teams_id: Option<String>,
}

impl GenesysUser {
    /// A user with this external id for Teams.
    #[must_use]
    pub fn new(id: &str, user_name: &str, teams_id: &str) -> Self {
        Self { id: id.into(), user_name: user_name.into(), teams_id: Some(teams_id.into()), scim_teams_id: None }
    }
}

/// A user of the Genesys Cloud org, as SCIM counts its versions.
#[derive(Debug, Clone)]
pub(super) struct Versioned {
    pub(super) user: GenesysUser,
    pub(super) version: u32,
    pub(super) modified: Timestamp,
}

/// An app registration in Entra.
#[derive(Debug, Clone)]
pub struct App {
    /// Client secrets that are valid now.
    pub secrets: Vec<String>,
    /// Client secrets that have expired.
    pub expired_secrets: Vec<String>,
    /// The certificates that were uploaded.
    pub certificates: Vec<UploadedCertificate>,
    /// Graph application permissions with admin consent.
    pub permissions: BTreeSet<String>,
    /// App roles for the bridge's API.
    pub roles: Vec<String>,
}

/// The users and apps that exist.
#[derive(Debug)]
pub struct Directory {
    /// By object id, lower case.
    users: HashMap<String, User>,
    /// Object id by user principal name, both lower case.
    names: HashMap<String, String>,
    /// The users of the org, by user id.
    genesys_users: HashMap<String, Versioned>,
    /// The apps, by client id.
    pub apps: BTreeMap<String, App>,
    /// The bridge's OAuth client in Genesys Cloud: its secret. The id is [`super::genesys::CLIENT_ID`].
    pub genesys_secret: String,
    /// What the bridge's subscriptions are made with: `{"client_state", "certificates": […]}`.
    pub webhook_secret: Value,
    /// Whether that client's role has `conversation:message:create`.
    pub genesys_may_send: bool,
    /// Whether that client's role has `conversation:message:receive`.
    pub genesys_may_receive: bool,
    /// Requests a minute that a Genesys Cloud token is good for.
    pub genesys_rate_per_minute: u32,
    /// Whether a duplicate `transactionId` is answered with the existing event's id, as some deployments do.
    pub names_existing_event: bool,
    /// How often a new calendar event is read back without its join URL.
    pub late_links: u32,
}

impl Directory {
    pub(super) fn new() -> Self {
        let permissions = [
            "OnlineMeetings.ReadWrite.All",
            "Calendars.ReadWrite",
            "User.ReadBasic.All",
            "Presence.ReadWrite.All",
            "Chat.Read.All",
            "Mail.Read",
        ];
        let bridge = App {
            secrets: vec![new_secret()],
            expired_secrets: Vec::new(),
            certificates: Vec::new(),
            permissions: permissions.into_iter().map(str::to_owned).collect(),
            roles: Vec::new(),
        };
        let caller = App {
            secrets: vec![new_secret()],
            expired_secrets: Vec::new(),
            certificates: Vec::new(),
            permissions: BTreeSet::new(),
            roles: vec!["Meetings.Create".into(), "Sms.Send".into(), "Presence.Write".into()],
        };
        let mut directory = Self {
            users: HashMap::new(),
            names: HashMap::new(),
            genesys_users: HashMap::new(),
            apps: BTreeMap::from([(BRIDGE_APP.into(), bridge), (CALLER_APP.into(), caller)]),
            genesys_secret: new_secret(),
            webhook_secret: json!({"client_state": CLIENT_STATE, "certificates": []}),
            genesys_may_send: true,
            genesys_may_receive: true,
            genesys_rate_per_minute: 300,
            names_existing_event: false,
            late_links: 0,
        };
        directory.put_user(User::new(AGENT, AGENT_ID));
        directory.put_user(User::new("bridge@contoso.com", ORGANIZER_ID));
        directory.put_user(User::new(COLLEAGUE, COLLEAGUE_ID));
        directory.put_genesys_user(GenesysUser::new(AGENT_GENESYS_ID, AGENT, AGENT_ID));
        directory
    }

    /// Adds a user, or replaces the one of the same object id.
    pub fn put_user(&mut self, user: User) {
        let (id, name) = (user.id.to_ascii_lowercase(), user.upn.to_ascii_lowercase());
        self.names.insert(name.clone(), id.clone());
        let old_name = self.users.insert(id.clone(), user).map(|old| old.upn.to_ascii_lowercase());
        // The old name may be someone else's by now.
        if let Some(old_name) = old_name.filter(|old_name| *old_name != name && self.names.get(old_name) == Some(&id)) {
            self.names.remove(&old_name);
        }
    }

    /// A user leaves the tenant.
    pub fn remove_user(&mut self, id: &str) {
        self.users.remove(&id.to_ascii_lowercase());
    }

    /// A user by object id.
    #[must_use]
    pub fn user_by_id(&self, id: &str) -> Option<&User> {
        self.users.get(&id.to_ascii_lowercase())
    }

    /// A user by object id or user principal name.
    #[must_use]
    pub fn user(&self, key: &str) -> Option<&User> {
        let by_name = || self.user_by_id(self.names.get(&key.to_ascii_lowercase())?);
        self.user_by_id(key).or_else(by_name)
    }

    /// Adds a user of the Genesys Cloud org, or replaces the one of the same id.
    pub fn put_genesys_user(&mut self, user: GenesysUser) {
        let version = self.genesys_users.get(&user.id).map_or(1, |known| known.version + 1);
        let versioned = Versioned { version, modified: Timestamp::now(), user };
        self.genesys_users.insert(versioned.user.id.clone(), versioned);
    }

    /// A user of the Genesys Cloud org by id.
    pub(super) fn genesys_user(&self, id: &str) -> Option<&Versioned> {
        self.genesys_users.get(id)
    }

    /// A user of the Genesys Cloud org by the external id for Teams, exactly as it is kept.
    pub(super) fn genesys_user_in_teams(&self, teams_id: &str) -> Option<&Versioned> {
        self.genesys_users.values().find(|known| known.user.teams_id.as_deref() == Some(teams_id))
    }

    /// The users of the Genesys Cloud org, in an order that stays.
    pub(super) fn genesys_users(&self) -> Vec<&Versioned> {
        let mut users: Vec<_> = self.genesys_users.values().collect();
        users.sort_unstable_by(|one, other| one.user.id.cmp(&other.user.id));
        users
    }

    /// Whether the bridge's app has a Graph permission.
    #[must_use]
    pub fn has_permission(&self, permission: &str) -> bool {
        self.app_has_permission(BRIDGE_APP, permission)
    }

    /// Whether an app has a Graph permission.
    #[must_use]
    pub fn app_has_permission(&self, client_id: &str, permission: &str) -> bool {
        self.apps.get(client_id).is_some_and(|app| app.permissions.contains(permission))
    }

    /// The bridge's credential for Entra, as its secret holds it.
    #[must_use]
    pub fn entra_credential(&self) -> Value {
        let secret = self.apps.get(BRIDGE_APP).and_then(|app| app.secrets.last());
        json!({"tenant_id": TENANT, "client_id": BRIDGE_APP, "client_secret": secret})
    }

    /// The bridge's credential for Genesys Cloud, as its secret holds it.
    #[must_use]
    pub fn genesys_credential(&self) -> Value {
        json!({"client_id": super::genesys::CLIENT_ID, "client_secret": self.genesys_secret})
    }

    /// Replaces the bridge's client secret in Entra; the old one counts as expired from now on.
    pub fn rotate_entra_secret(&mut self) {
        if let Some(app) = self.apps.get_mut(BRIDGE_APP) {
            app.expired_secrets.append(&mut app.secrets);
            app.secrets.push(new_secret());
        }
    }

    /// Replaces the secret of the bridge's OAuth client in Genesys Cloud.
    pub fn rotate_genesys_secret(&mut self) {
        self.genesys_secret = new_secret();
    }
}

/// A secret with the characters that make encoding mistakes show.
fn new_secret() -> String {
    format!("{}~+/=&%", uuid::Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_present_name_only() {
        let mut directory = Directory::new();
        directory.put_user(User::new("Ann@contoso.com", "A-1"));
        assert_eq!(directory.user("ann@CONTOSO.com"), directory.user_by_id("a-1"));
        directory.put_user(User::new("anna@contoso.com", "a-1"));
        assert_eq!(directory.user("ann@contoso.com"), None);
        assert_eq!(directory.user("anna@contoso.com").unwrap().id, "a-1");
        // Someone else gets the name, and its first owner another one.
        directory.put_user(User::new("anna@contoso.com", "b-1"));
        directory.put_user(User::new("ann@contoso.com", "a-1"));
        assert_eq!(directory.user("anna@contoso.com").unwrap().id, "b-1");
        assert_eq!(directory.user(AGENT).unwrap().id, AGENT_ID);
    }
}
