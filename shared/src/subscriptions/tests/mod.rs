//! The keeper against a tenant that loses answers, refuses, forgets, and is kept by two at once.

mod gaps;
mod keeping;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::*;
use crate::auth::App;
use crate::config::Environment;
use crate::graph::resource::Listing;
use crate::graph::subscriptions::{EncryptionCertificate, NewSubscription, Subscription, Subscriptions};
use crate::graph::{GraphError, ListPage, ListedMessage, Listings, PageFrom};
use crate::http::{Deadline, NoReply, RequestContext};
use crate::notification::queued::queue::NotificationQueue;
use crate::notification::{Change, ClientState, QueueEntry, QueueError, Queued, Queues};
use crate::secrets::Credential;
use crate::store::subscriptions::MemorySubscriptionNotes;

const CHATS: &str = "/users/u/chats/getAllMessages";
const CHAT: &str = "/chats/19:a@thread.v2/messages";
const TENANT: &str = "22222222-0000-4000-8000-00000000000a";
const EVENTS: &str = "/users/u/events";

/// What goes wrong when a subscription is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing goes wrong.
    None,
    /// It is created, and the answer is lost.
    AnswerLost,
    /// It is not created, and that is not known.
    NotTaken,
    /// Graph refuses to create it.
    Refused,
}

#[derive(Default)]
struct TenantState {
    subscriptions: Vec<Subscription>,
    made: usize,
    calls: Vec<&'static str>,
    faults: VecDeque<Fault>,
    /// How long a subscription may live, if that is shorter than asked for.
    grants: Option<Duration>,
    /// The id of a certificate that Graph does not take.
    bad_certificate: Option<&'static str>,
    /// Whether the next subscription to be renewed is gone by then.
    vanishes: bool,
    /// The messages, in the order in which they changed.
    messages: Vec<ListedMessage>,
    /// Links to changes before this one are forgotten.
    forgotten: usize,
    /// Graph's error for a forgotten link, if it is another than documented.
    forgets_as: Option<GraphError>,
    /// The number of the page that cannot be read.
    broken_page: Option<usize>,
    /// The number of the page that never comes.
    hanging_page: Option<usize>,
    queue: Vec<Change>,
}

/// A stand-in for a tenant, with the queue behind it.
#[derive(Clone, Default)]
struct Tenant(Arc<Mutex<TenantState>>);

impl Tenant {
    fn state(&self) -> MutexGuard<'_, TenantState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().calls)
    }

    fn of(&self, resource: &str) -> Vec<Subscription> {
        self.state().subscriptions.iter().filter(|it| it.resource == resource).cloned().collect()
    }

    async fn call(&self, name: &'static str) {
        self.state().calls.push(name);
        sleep(Duration::from_millis(fastrand::u64(0..20))).await;
    }

    /// Writes a message with this number.
    fn write(&self, id: usize) {
        let now = Timestamp::now();
        let item = ListedMessage {
            resource: format!("chats('19:a@thread.v2')/messages('{id}')"),
            resource_type: "#Microsoft.Graph.chatMessage",
            etag: id.to_string(),
            created: Some(now),
            modified: Some(now),
            gone: false,
        };
        self.state().messages.push(item);
    }

    fn queued(&self) -> Vec<String> {
        std::mem::take(&mut self.state().queue).into_iter().map(|change| change.etag).collect()
    }
}

impl Subscriptions for Tenant {
    async fn list_subscriptions(&self, _cx: &RequestContext) -> Result<Vec<Subscription>, GraphError> {
        self.call("list").await;
        Ok(self.state().subscriptions.clone())
    }

    /// Checks for an equal subscription before the webhook is called, so that two may be made at once.
    async fn create_subscription(
        &self,
        _cx: &RequestContext,
        new: &NewSubscription<'_>,
    ) -> Result<Subscription, GraphError> {
        let exists = self.state().subscriptions.iter().any(|it| it.resource == new.resource);
        self.call("create").await;
        let mut state = self.state();
        let fault = state.faults.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::Refused => return Err(GraphError::SubscriptionQuota { code: "Forbidden".into() }),
            Fault::NotTaken => return Err(GraphError::Unavailable { status: 503, code: String::new() }),
            _ if exists => return Err(GraphError::SubscriptionExists),
            _ => {}
        }
        state.made += 1;
        let made = Subscription {
            id: format!("{:03}", 999 - state.made),
            resource: new.resource.into(),
            change_type: new.change_type.into(),
            notification_url: Some(new.notification_url.into()),
            lifecycle_notification_url: Some(new.lifecycle_notification_url.into()),
            expires: Some(state.grants.map_or(new.expires, |grants| Timestamp::now() + grants)),
            include_resource_data: Some(new.encryption.is_some()),
            encryption_certificate_id: new.encryption.map(|certificate| certificate.id.clone()),
        };
        state.subscriptions.push(made.clone());
        if fault == Fault::AnswerLost {
            return Err(GraphError::NoReply(NoReply::Ambiguous("gave up".into())));
        }
        Ok(made)
    }

    async fn renew_subscription(
        &self,
        _cx: &RequestContext,
        id: &str,
        expires: Timestamp,
        encryption: Option<&EncryptionCertificate>,
        _permission: &'static str,
    ) -> Result<Subscription, GraphError> {
        self.call("renew").await;
        let mut state = self.state();
        if std::mem::take(&mut state.vanishes) {
            state.subscriptions.retain(|it| it.id != id);
        }
        if encryption.is_some_and(|it| Some(it.id.as_str()) == state.bad_certificate) {
            return Err(GraphError::Rejected { status: 400, code: "BadRequest".into(), message: String::new() });
        }
        let Some(it) = state.subscriptions.iter_mut().find(|it| it.id == id) else {
            return Err(GraphError::NotFound { code: "ResourceNotFound".into() });
        };
        it.expires = Some(expires);
        if let Some(certificate) = encryption {
            it.encryption_certificate_id = Some(certificate.id.clone());
        }
        Ok(it.clone())
    }

    async fn delete_subscription(&self, _cx: &RequestContext, id: &str) -> Result<(), GraphError> {
        self.call("delete").await;
        self.state().subscriptions.retain(|it| it.id != id);
        Ok(())
    }
}

impl Listings for Tenant {
    /// Two changes a page. A link is `next` or `delta`, how many changes came before it, and since when the list is; a
    /// chat is listed from its end.
    async fn page(
        &self,
        _cx: &RequestContext,
        listing: &Listing,
        from: PageFrom<'_>,
    ) -> Result<ListPage<ListedMessage>, GraphError> {
        self.call("page").await;
        let at = |link: &str| link.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
        let hangs = matches!(from, PageFrom::Link(link) if Some(at(link)) == self.state().hanging_page);
        if hangs {
            std::future::pending::<()>().await;
        }
        let state = self.state();
        let mut changes = state.messages.clone();
        let is_chat = matches!(listing, Listing::Chat { .. });
        if is_chat {
            changes.reverse();
        }
        // A link goes on with what the list it came from was filtered by.
        let since = match from {
            PageFrom::Since(since) | PageFrom::Between(since, _) => since,
            PageFrom::Link(link) => link.split(' ').nth(2).map_or(Timestamp::MIN, |since| since.parse().unwrap()),
        };
        if is_chat {
            changes.retain(|item| item.modified > Some(since));
        }
        let first = match from {
            PageFrom::Link(link) if at(link) < state.forgotten => {
                let gone = GraphError::SyncStateGone { code: "syncStateNotFound".into() };
                return Err(state.forgets_as.clone().unwrap_or(gone));
            }
            PageFrom::Link(link) => at(link),
            PageFrom::Since(_) if is_chat => 0,
            PageFrom::Between(_, until) if is_chat => {
                changes.iter().position(|item| item.modified < Some(until)).unwrap_or(changes.len())
            }
            PageFrom::Since(_) | PageFrom::Between(..) => {
                changes.iter().position(|item| item.modified > Some(since)).unwrap_or(changes.len())
            }
        };
        if state.broken_page == Some(first) {
            return Err(GraphError::Unavailable { status: 503, code: String::new() });
        }
        let end = (first + 2).min(changes.len());
        let more = end < changes.len();
        Ok(ListPage {
            value: changes[first..end].to_vec(),
            next: more.then(|| format!("next {end} {since}")),
            delta: (!more && !is_chat).then(|| format!("delta {end}")),
        })
    }
}

impl Queues for Tenant {
    async fn send(
        &self,
        cx: &RequestContext,
        to: NotificationQueue,
        entries: Vec<QueueEntry>,
    ) -> Result<(), QueueError> {
        assert!(!cx.deadline.for_a_call().is_zero(), "no time for it");
        // All are of one group, of which a batch has one at most.
        assert_eq!((to, entries.len()), (NotificationQueue::Changes, 1));
        for entry in entries {
            assert_eq!(entry.group, "chat/19:a@thread.v2");
            let Queued::Change(change) = serde_json::from_str(&entry.body).unwrap() else { panic!("{}", entry.body) };
            assert_eq!(change.tenant_id, TENANT);
            self.state().queue.push(change);
        }
        Ok(())
    }
}

struct Scene {
    tenant: Tenant,
    notes: MemorySubscriptionNotes,
    settings: KeeperSettings,
    credentials: Credentials,
    app: App,
}

fn certificate(id: &str) -> Option<EncryptionCertificate> {
    Some(EncryptionCertificate { id: id.into(), der_base64: "MIIC".into() })
}

fn client_state(text: &str) -> Arc<ClientState> {
    Arc::new(ClientState::parse(&format!(r#"{{"client_state": "{text}"}}"#)).unwrap())
}

impl Scene {
    fn new(resources: &[&str]) -> Self {
        let entry = |resource: &&str| {
            let (rich, changes) = (resource.contains("getAll"), "created,updated,deleted");
            format!(r#"{{"resource": "{resource}", "changeTypes": "{changes}", "rich": {rich}}}"#)
        };
        let subscriptions = format!("[{}]", resources.iter().map(entry).collect::<Vec<_>>().join(","));
        let mut env =
            Environment::of([("SUBSCRIPTIONS", subscriptions.as_str()), ("WEBHOOK_URL", "https://bridge.example")]);
        let settings = KeeperSettings::read(&mut env);
        Self {
            tenant: Tenant::default(),
            notes: MemorySubscriptionNotes::default(),
            settings: env.finish(settings).unwrap(),
            credentials: Credentials { client_state: client_state("first"), certificate: certificate("old") },
            app: App { tenant_id: TENANT.into(), ..App::default() },
        }
    }

    async fn run(&self) -> KeeperRun {
        self.run_with(&Events::default(), 300).await
    }

    async fn run_with(&self, events: &Events, seconds: u64) -> KeeperRun {
        let keeper = Keeper {
            graph: &self.tenant,
            notes: &self.notes,
            queues: &self.tenant,
            settings: &self.settings,
            credentials: &self.credentials,
            app: &self.app,
        };
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(seconds)));
        keeper.run(&cx, events).await.unwrap()
    }

    /// Lets time pass: everything that lasts ends sooner.
    async fn later(&self, duration: Duration) {
        for it in &mut self.tenant.state().subscriptions {
            it.expires = it.expires.map(|expires| expires - duration);
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
