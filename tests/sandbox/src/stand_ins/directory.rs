//! Who exists: the tenant's users and apps, and what was granted to them.

use std::collections::{BTreeMap, BTreeSet};

use super::entra::UploadedCertificate;

/// The tenant.
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

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User principal name.
    pub upn: String,
    /// Object id.
    pub id: String,
    /// Has a Teams licence.
    pub teams: bool,
    /// Has a mailbox in Exchange Online.
    pub mailbox: bool,
    /// Is covered by a Teams application access policy for the bridge's app.
    pub access_policy: bool,
    /// What the Teams meeting policy makes of the lobby, whatever is asked for.
    pub lobby_policy: Option<String>,
}

impl User {
    /// A user who can do everything.
    #[must_use]
    pub fn new(upn: &str, id: &str) -> Self {
        Self { upn: upn.into(), id: id.into(), teams: true, mailbox: true, access_policy: true, lobby_policy: None }
    }
}

/// An app registration.
#[derive(Debug, Clone)]
pub struct App {
    /// Client secrets that are valid now.
    pub secrets: Vec<String>,
    /// Client secrets that have expired.
    pub expired_secrets: Vec<String>,
    /// Uploaded certificates.
    pub certificates: Vec<UploadedCertificate>,
    /// Graph application permissions with admin consent.
    pub permissions: BTreeSet<String>,
    /// App roles for the bridge's API.
    pub roles: Vec<String>,
}

/// Users and apps.
#[derive(Debug)]
pub struct Directory {
    users: Vec<User>,
    /// By client id.
    pub apps: BTreeMap<String, App>,
    /// The bridge's OAuth client in Genesys Cloud: its secret. The id is [`super::genesys::CLIENT_ID`].
    pub genesys_secret: String,
    /// Whether that client's role has `conversation:message:create`.
    pub genesys_may_send: bool,
    /// Requests a minute that a Genesys Cloud token is good for.
    pub genesys_rate_per_minute: u32,
    /// Whether a duplicate `transactionId` is answered with the existing event's id, as some deployments do.
    pub names_existing_event: bool,
    /// How often a new calendar event is read back without its join URL.
    pub late_links: u32,
}

impl Directory {
    pub(super) fn new() -> Self {
        let permissions = ["OnlineMeetings.ReadWrite.All", "Calendars.ReadWrite", "User.ReadBasic.All"];
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
            roles: vec!["Meetings.Create".into(), "Sms.Send".into()],
        };
        Self {
            users: vec![User::new(AGENT, AGENT_ID), User::new("bridge@contoso.com", ORGANIZER_ID)],
            apps: BTreeMap::from([(BRIDGE_APP.into(), bridge), (CALLER_APP.into(), caller)]),
            genesys_secret: new_secret(),
            genesys_may_send: true,
            genesys_rate_per_minute: 300,
            names_existing_event: false,
            late_links: 0,
        }
    }

    /// Adds a user, or replaces the one of the same object id.
    pub fn put_user(&mut self, user: User) {
        self.users.retain(|known| known.id != user.id);
        self.users.push(user);
    }

    /// A user by object id.
    #[must_use]
    pub fn user_by_id(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id.eq_ignore_ascii_case(id))
    }

    /// A user by object id or user principal name.
    #[must_use]
    pub fn user(&self, key: &str) -> Option<&User> {
        self.user_by_id(key).or_else(|| self.users.iter().find(|user| user.upn.eq_ignore_ascii_case(key)))
    }

    /// Whether the bridge's app has a Graph permission.
    #[must_use]
    pub fn has_permission(&self, permission: &str) -> bool {
        self.apps.get(BRIDGE_APP).is_some_and(|app| app.permissions.contains(permission))
    }

    /// The bridge's credential for Entra, as its secret holds it.
    #[must_use]
    pub fn entra_credential(&self) -> serde_json::Value {
        let secret = self.apps.get(BRIDGE_APP).and_then(|app| app.secrets.last());
        serde_json::json!({"tenant_id": TENANT, "client_id": BRIDGE_APP, "client_secret": secret})
    }

    /// The bridge's credential for Genesys Cloud, as its secret holds it.
    #[must_use]
    pub fn genesys_credential(&self) -> serde_json::Value {
        serde_json::json!({"client_id": super::genesys::CLIENT_ID, "client_secret": self.genesys_secret})
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
