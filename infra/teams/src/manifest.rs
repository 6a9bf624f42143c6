//! The app's manifest, in the order in which Microsoft's pages explain it.

use serde::Serialize;
use url::Url;
use uuid::Uuid;

use crate::app::App;
use crate::command::{Command, SCOPES, Scope};
use crate::{Trouble, icon};

/// The version of the schema that the manifest follows.
const MANIFEST_VERSION: &str = "1.22";

/// The manifest of an app.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest<'a> {
    #[serde(rename = "$schema")]
    schema: String,
    manifest_version: &'static str,
    version: &'a str,
    id: Uuid,
    developer: Developer<'a>,
    name: Name<'a>,
    description: Description,
    icons: Icons,
    accent_color: String,
    bots: [Bot<'a>; 1],
    web_application_info: WebApplicationInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<Authorization>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Developer<'a> {
    name: &'a str,
    website_url: &'a Url,
    privacy_url: &'a Url,
    terms_of_use_url: &'a Url,
}

#[derive(Debug, Serialize)]
struct Name<'a> {
    short: &'a str,
}

#[derive(Debug, Serialize)]
struct Description {
    short: &'static str,
    full: String,
}

#[derive(Debug, Serialize)]
struct Icons {
    color: &'static str,
    outline: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bot<'a> {
    bot_id: Uuid,
    scopes: [Scope; 3],
    supports_files: bool,
    is_notification_only: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command_lists: Vec<CommandList<'a>>,
}

#[derive(Debug, Serialize)]
struct CommandList<'a> {
    scopes: [Scope; 1],
    commands: Vec<&'a Command>,
}

/// Makes Microsoft Graph take the bot's registration for the app itself, which then may install it for a person.
#[derive(Debug, Serialize)]
struct WebApplicationInfo {
    id: Uuid,
    /// Teams wants one and does not use it: there is no single sign-on.
    resource: String,
}

#[derive(Debug, Serialize)]
struct Authorization {
    permissions: Permissions,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Permissions {
    resource_specific: [ResourceSpecific; 2],
}

/// A permission that the owner of a chat or team gives by installing the app there.
#[derive(Debug, Serialize)]
struct ResourceSpecific {
    name: &'static str,
    r#type: &'static str,
}

impl<'a> Manifest<'a> {
    /// The manifest of this app.
    #[must_use]
    pub fn of(app: &'a App) -> Self {
        let lists = SCOPES.map(|scope| CommandList {
            scopes: [scope],
            commands: app.commands.iter().filter(|command| command.is_offered_in(scope)).collect(),
        });
        Self {
            schema: format!(
                "https://developer.microsoft.com/json-schemas/teams/v{MANIFEST_VERSION}/MicrosoftTeams.schema.json"
            ),
            manifest_version: MANIFEST_VERSION,
            version: &app.version,
            id: app.id,
            developer: Developer {
                name: &app.developer,
                website_url: &app.website,
                privacy_url: &app.privacy,
                terms_of_use_url: &app.terms,
            },
            name: Name { short: &app.name },
            description: Description {
                short: "Chats in Teams with people who answer in Genesys Cloud.",
                full: format!(
                    "What you write to this bot reaches the contact center, and what an agent writes in Genesys Cloud \
                     comes back into the same chat. {}",
                    read_in_groups(app.rsc)
                ),
            },
            icons: Icons { color: icon::COLOR, outline: icon::OUTLINE },
            accent_color: icon::accent(),
            bots: [Bot {
                bot_id: app.bot_id,
                scopes: SCOPES,
                supports_files: true,
                is_notification_only: false,
                command_lists: lists.into_iter().filter(|list| !list.commands.is_empty()).collect(),
            }],
            web_application_info: WebApplicationInfo {
                id: app.bot_id,
                resource: format!("api://botid-{}", app.bot_id),
            },
            authorization: app.rsc.then(every_message),
        }
    }

    /// The manifest's text.
    ///
    /// # Errors
    /// None that this manifest can have: serde's own are passed on.
    pub fn json(&self) -> Result<String, Trouble> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Trouble(error.to_string()))?;
        Ok(text + "\n")
    }
}

/// What the people of a chat or team agree to when they install the app.
fn read_in_groups(rsc: bool) -> &'static str {
    if rsc {
        "In a group chat or a team that it is installed in, the bot reads every message."
    } else {
        "In a group chat or a team that it is installed in, the bot reads the messages that mention it."
    }
}

fn every_message() -> Authorization {
    let permission = |name| ResourceSpecific { name, r#type: "Application" };
    let names = ["ChannelMessage.Read.Group", "ChatMessage.Read.Chat"];
    Authorization { permissions: Permissions { resource_specific: names.map(permission) } }
}
