//! Microsoft Entra ID, Microsoft Graph, Microsoft Teams and Genesys Cloud, as far as the bridge talks to them.
//!
//! They behave as the vendors' documentation and what was observed of the vendors says, not as the bridge's code
//! expects: they validate, they recognise repetitions, they refuse what the vendors refuse and in the same words. What
//! the vendors do only now and then (throttling, time-outs, resets, expiry) is switched on as a [`Fault`](faults::Fault).

pub mod aws;
mod client;
mod control;
mod directory;
mod entra;
pub mod faults;
mod genesys;
mod graph;
mod server;
mod signing_keys;
mod table;
mod teams;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

pub use control::Wish;
pub use directory::{
    AGENT, AGENT_GENESYS_ID, AGENT_ID, App, BRIDGE_APP, CALLER_APP, CHAT, COLLEAGUE, COLLEAGUE_ID, Directory,
    GenesysUser, ORGANIZER_ID, TENANT, User,
};
pub use entra::{API_AUDIENCE, UploadedCertificate};
pub use genesys::{
    Attachment, Conversation, InboundMessage, OPEN_MESSAGING_INTEGRATION, OpenMessagingSettings, SMS_NUMBER, Text,
};
pub use graph::{
    Attempt, Edit, Flaw, GraphInProcess, Hazard, HostedContent, Lifecycle, NewMail, NewMessage, NotificationSettings,
    Sender, Standing, SubscriptionSettings, TokenVersion, Totals,
};

pub use teams::{BotActivity, BotChat, BotScope};

use crate::cloud::port_taken;
use crate::{Trouble, stand_ins::faults::Faults};

/// A vendor that the stand-ins play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// Microsoft Entra ID: tokens.
    Entra,
    /// Microsoft Graph: users, meetings, chats and so on.
    Graph,
    /// Genesys Cloud: tokens and API.
    Genesys,
    /// Microsoft Teams: the Bot Connector.
    Teams,
    /// AWS, where a function runs without the local cloud.
    Aws,
}

/// A request that a vendor got.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenCall {
    /// The vendor that got it.
    pub vendor: Vendor,
    /// Method, path and query; for AWS the operation.
    pub request: String,
    /// The status of the answer; 0 when the connection was reset.
    pub status: u16,
}

/// The state of all vendors.
#[derive(Debug)]
pub struct World {
    /// Users, apps and what was granted to whom.
    pub directory: Mutex<Directory>,
    /// The faults that are switched on.
    pub faults: Faults,
    tokens: entra::Tokens,
    meetings: Mutex<graph::Meetings>,
    presences: Mutex<graph::Presences>,
    chats: Mutex<graph::Chats>,
    mailboxes: Mutex<graph::Mailboxes>,
    subscriptions: Mutex<graph::Subscriptions>,
    deliveries: graph::Deliveries,
    messages: Mutex<genesys::Messages>,
    conversations: Mutex<genesys::Conversations>,
    calls: Mutex<Vec<SeenCall>>,
    tables: Mutex<table::Tables>,
    bots: Mutex<teams::Bots>,
    /// The client that calls webhooks.
    client: reqwest::Client,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn new(entra: String, graph: String) -> Result<Arc<Self>, Trouble> {
        let world = Arc::new(Self {
            directory: Mutex::new(Directory::new()),
            faults: Faults::default(),
            tokens: entra::Tokens::new(entra, graph)?,
            meetings: Mutex::default(),
            presences: Mutex::default(),
            chats: Mutex::default(),
            mailboxes: Mutex::default(),
            subscriptions: Mutex::default(),
            deliveries: graph::Deliveries::default(),
            messages: Mutex::default(),
            conversations: Mutex::default(),
            calls: Mutex::default(),
            tables: Mutex::default(),
            bots: Mutex::default(),
            client: client::client()?,
        });
        world.put_chat(CHAT, None, &[AGENT_ID, COLLEAGUE_ID])?;
        Ok(world)
    }

    /// A world that nobody serves: for [`GraphInProcess`].
    ///
    /// # Errors
    /// No signing key can be made.
    pub fn without_sockets() -> Result<Arc<Self>, Trouble> {
        Self::new("http://entra.invalid".into(), "http://graph.invalid".into())
    }

    /// The directory, to look at or to change.
    pub fn directory(&self) -> MutexGuard<'_, Directory> {
        locked(&self.directory)
    }

    /// The text messages that phones got, oldest first.
    #[must_use]
    pub fn texts(&self) -> Vec<Text> {
        locked(&self.messages).texts.clone()
    }

    /// The text messages to one number.
    #[must_use]
    pub fn texts_to(&self, number: &str) -> Vec<Text> {
        self.texts().into_iter().filter(|text| text.to == number).collect()
    }

    /// The requests that the vendors got, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<SeenCall> {
        locked(&self.calls).clone()
    }

    /// How many online meetings exist with this external id, of whichever organizer.
    #[must_use]
    pub fn online_meetings(&self, external_id: &str) -> usize {
        locked(&self.meetings).with_external_id(external_id)
    }

    /// How many calendar events a user has.
    #[must_use]
    pub fn events_of(&self, user_id: &str) -> usize {
        locked(&self.meetings).events_of(user_id)
    }

    /// Availability and activity as Teams shows them of a user, by object id; `PresenceUnknown` of one it does not know.
    #[must_use]
    pub fn presence_of(&self, user_id: &str) -> (&'static str, &'static str) {
        let client_open = self.directory().user_by_id(user_id).map(User::is_in_teams);
        client_open.map_or(graph::UNKNOWN, |client_open| locked(&self.presences).look(user_id, client_open).0)
    }

    /// The availability that the bridge's session holds of a user, and the one that is preferred; nothing where none was
    /// set, or it has ended.
    #[must_use]
    pub fn presence_held(&self, user_id: &str) -> [Option<&'static str>; 2] {
        locked(&self.presences).held(user_id, BRIDGE_APP)
    }

    /// How often a user's presence was written to, by object id: whatever the answer was, but for 401 and 429.
    #[must_use]
    pub fn presence_writes_of(&self, user_id: &str) -> u64 {
        locked(&self.presences).writes_of(user_id)
    }

    /// How often anyone's presence was written to, in the same sense.
    #[must_use]
    pub fn presence_writes(&self) -> u64 {
        locked(&self.presences).writes
    }

    /// How many requests the presence service got from apps with a good token, those in batches and those answered 429
    /// included.
    #[must_use]
    pub fn presence_requests(&self) -> u64 {
        locked(&self.presences).budget.taken
    }

    /// How many of those it answered 429 because they were over the budget.
    #[must_use]
    pub fn presence_throttled(&self) -> u64 {
        locked(&self.presences).budget.refused
    }

    /// Changes how many requests an app may make of the presence service within a time; 10,000 in 30 seconds to begin
    /// with. What was used already counts.
    pub fn set_presence_budget(&self, requests: usize, window: Duration) {
        locked(&self.presences).budget.set(requests, window);
    }

    /// Every token that is valid now: for Graph, for the Bot Connector and for Genesys Cloud.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        let mut tokens = self.tokens.valid();
        tokens.extend(locked(&self.messages).tokens());
        tokens
    }

    /// Replaces the key that Entra signs with: what it signed is good no longer.
    ///
    /// # Errors
    /// No key can be made.
    pub fn rotate_signing_key(&self) -> Result<(), Trouble> {
        self.tokens.keys.rotate()?;
        self.deliveries.forget_tokens();
        Ok(())
    }

    /// Makes every token that was issued so far invalid.
    pub fn expire_tokens(&self) {
        self.tokens.expire_all();
        locked(&self.messages).expire_tokens();
    }
}

/// The stand-ins while they serve.
#[derive(Debug)]
pub struct StandIns {
    /// The state of the vendors.
    pub world: Arc<World>,
    /// Origin of the Entra stand-in.
    pub entra: String,
    /// Origin of the Graph stand-in; `/v1.0` is appended.
    pub graph: String,
    /// Origin of the Genesys Cloud stand-in, login and API.
    pub genesys: String,
    /// Origin of the AWS stand-in, on a port of its own choice.
    pub aws: String,
    /// Origin of the Bot Connector's stand-in, on a port of its own choice; [`World::bot_service_url`] begins with it.
    pub teams: String,
    /// Origin of the control panel.
    pub control: String,
    /// The wishes of the control panel that need the local cloud.
    pub wishes: tokio::sync::mpsc::UnboundedReceiver<Wish>,
}

impl StandIns {
    /// Starts them on these ports of this machine: control, Entra, Graph, Genesys Cloud; 0 is any free port.
    ///
    /// # Errors
    /// A port is taken.
    pub async fn start(ports: [u16; 4]) -> Result<Self, Trouble> {
        let mut listeners = Vec::new();
        for port in ports.into_iter().chain([0, 0]) {
            listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|_| port_taken(port))?);
        }
        let origins = listeners
            .iter()
            .map(|listener| listener.local_addr().map(|address| format!("http://{address}")))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Trouble::from("A stand-in has no address", error))?;
        let [control, entra, graph, genesys, aws, teams] = <[String; 6]>::try_from(origins).unwrap_or_default();
        let world = World::new(entra.clone(), graph.clone())?;
        locked(&world.bots).origin.clone_from(&teams);
        let (wish, wishes) = tokio::sync::mpsc::unbounded_channel();
        let routers = [
            (None, control::router(world.clone(), wish)),
            (Some(Vendor::Entra), entra::router(world.clone())),
            (Some(Vendor::Graph), graph::router(world.clone())),
            (Some(Vendor::Genesys), genesys::router(world.clone())),
            (Some(Vendor::Aws), aws::router(world.clone())),
            (Some(Vendor::Teams), teams::router(world.clone())),
        ];
        for (listener, (vendor, router)) in listeners.into_iter().zip(routers) {
            tokio::spawn(server::serve(listener, router, vendor, world.clone()));
        }
        Ok(Self { world, entra, graph, genesys, aws, teams, control, wishes })
    }
}
