//! The bundle as it is deployed: `infra/template.yaml` on a local AWS, driven over HTTP.
//!
//! The sandbox is deployed once for all of these tests. They run at the same time, each with its own conversation,
//! users and numbers. A test that changes what all share (secrets, tokens, processes) runs alone.

#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a panic is a failed test")]

mod chats;
mod click;
mod credentials;
mod data_action_failures;
mod data_actions;
mod door;
mod env_file;
mod event_bus;
mod fallbacks;
mod genesys;
mod graph;
mod logs;
mod presence;
mod records;
mod roles;
mod subscriptions;
mod to_paste;
mod twice;
mod webhook;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::Duration;

use sandbox::sandbox::{Answer, Ports, Sandbox};
use sandbox::stand_ins::{AGENT_ID, App, User, Vendor};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The stand-ins live on this runtime, so it outlives every test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let progress = |what: &str| println!("{what}");
    RUNTIME.block_on(Sandbox::start(Ports::Any, progress)).unwrap()
});

/// The lock of the shared sandbox: held for reading by tests that change only their own data, for writing by those that
/// change what all share.
static SHARED: RwLock<()> = RwLock::new(());

fn beside_others<T>(test: impl AsyncFnOnce(&'static Sandbox) -> T) -> T {
    let sandbox = &*SANDBOX;
    let _shared = SHARED.read().unwrap_or_else(PoisonError::into_inner);
    RUNTIME.block_on(test(sandbox))
}

fn alone<T>(test: impl AsyncFnOnce(&'static Sandbox) -> T) -> T {
    let sandbox = &*SANDBOX;
    let _alone = SHARED.write().unwrap_or_else(PoisonError::into_inner);
    let (apps, genesys_may_send) = {
        let directory = sandbox.world.directory();
        (directory.apps.clone(), directory.genesys_may_send)
    };
    let _orderly = Orderly { sandbox, apps, genesys_may_send };
    RUNTIME.block_on(test(sandbox))
}

/// Restores the vendors and their secrets at the end, so that a test that fails does not fail others.
struct Orderly {
    sandbox: &'static Sandbox,
    apps: BTreeMap<String, App>,
    genesys_may_send: bool,
}

impl Drop for Orderly {
    fn drop(&mut self) {
        let world = &self.sandbox.world;
        world.faults.clear();
        world.set_presence_budget(10_000, Duration::from_secs(30));
        {
            let mut directory = world.directory();
            directory.late_links = 0;
            directory.genesys_may_send = self.genesys_may_send;
            // Secrets that were rotated stay so; what an app may do and be asked for does not.
            for (id, before) in &self.apps {
                if let Some(app) = directory.apps.get_mut(id) {
                    app.roles.clone_from(&before.roles);
                    app.permissions.clone_from(&before.permissions);
                    app.certificates.clone_from(&before.certificates);
                }
            }
        }
        RUNTIME.block_on(async {
            let _ = self.sandbox.store_secret(Vendor::Entra).await;
            let _ = self.sandbox.store_secret(Vendor::Genesys).await;
        });
    }
}

/// A number that no other test texts.
fn number() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("+447700900{:03}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// A conversation that no other test has.
fn conversation() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A user that no other test knows.
fn user(sandbox: &Sandbox, change: impl FnOnce(&mut User)) -> User {
    let id = uuid::Uuid::new_v4().to_string();
    let mut user = User::new(&format!("agent-{}@contoso.com", &id[..8]), &id);
    change(&mut user);
    sandbox.world.directory().put_user(user.clone());
    user
}

/// A data action's request, with its token.
async fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Answer {
    let token = sandbox.caller_token().await.unwrap();
    sandbox.post(path, Some(&token), body.to_string()).await.unwrap()
}

/// The input of the agent's click.
fn click(conversation: &str, number: &str) -> Value {
    json!({"user": AGENT_ID, "toAddress": number, "agentName": "Kim", "conversationId": conversation})
}

/// Looks again and again until there is something to see.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what was waited for did not come");
}

/// A meeting of this user in a conversation of its own.
async fn meeting_of(sandbox: &Sandbox, user: &str, mode: &str) -> Answer {
    post(sandbox, "/meetings", &json!({"user": user, "conversationId": conversation(), "mode": mode})).await
}

/// A text message of the caller's own words.
async fn text(sandbox: &Sandbox, conversation: &str, number: &str, resend: bool) -> Answer {
    let body = json!({
        "toAddress": number, "textBody": "Hello", "conversationId": conversation, "resend": resend,
    });
    post(sandbox, "/sms", &body).await
}

/// Whether a click comes through.
async fn works(sandbox: &Sandbox) -> bool {
    post(sandbox, "/escalations", &click(&conversation(), &number())).await.ok()
}
