//! Reads rich notifications from standard input, opens each once and looks whether it says what it should. Then it
//! opens them one after the other, as many as the second argument says. Keys and secrets come from where the
//! environment says, once. With `rsa` as the first argument it does the one thing that nobody can do without: it
//! decrypts as many symmetric keys. Whoever started it looks at its processor time.

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use bridge::config::Environment;
use bridge::http::{Deadline, RequestContext};
use bridge::notification::open::{Opened, Opener, Resources};
use bridge::notification::validation::REMEMBERED;
use bridge::notification::{Change, Collection, Queued};
use bridge::startup::Startup;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What stands on standard input.
#[derive(Deserialize)]
struct Input {
    notifications: Vec<Notification>,
    /// The certificate's, in PKCS #8, base64: for the bare decryption.
    private_key: String,
}

#[derive(Deserialize)]
struct Notification {
    /// What Graph posted.
    posted: Box<RawValue>,
    /// The resource as Graph shows it.
    resource: Value,
}

impl Notification {
    /// As it comes from the queue.
    fn change(&self) -> Result<Change, Box<dyn Error>> {
        let collection = Collection::parse(self.posted.get().as_bytes())?;
        let first = collection.notifications(Timestamp::UNIX_EPOCH).next().flatten();
        match first.map(|notification| notification.queued) {
            Some(Queued::Change(change)) => Ok(Change { validation_tokens: collection.validation_tokens, ..change }),
            _ => Err("there is no notification of a change".into()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times: usize = arguments.next().unwrap_or_default().parse()?;
    let input: Input = serde_json::from_reader(io::stdin())?;
    let changes = input.notifications.iter().map(Notification::change).collect::<Result<Vec<_>, _>>()?;
    match what.as_str() {
        "open" => open(&input, &changes, times).await,
        "rsa" => decrypt_keys(&input, &changes, times),
        _ => Err("the first argument is `open` or `rsa`".into()),
    }
}

async fn open(input: &Input, changes: &[Change], times: usize) -> Result<(), Box<dyn Error>> {
    let tokens: HashSet<&String> = changes.iter().flat_map(|change| &change.validation_tokens).collect();
    // Of more than are remembered, taken in turn, none is remembered when its turn comes again.
    if tokens.len() != 1 && tokens.len() <= REMEMBERED.get() {
        return Err("some tokens would be checked and others remembered".into());
    }
    let mut env = Environment::of_process();
    let opener = opener(&mut env).await;
    let opener = env.finish(opener)?;
    let cx = RequestContext::new("bench", Deadline::after(Duration::from_secs(600)));
    let mut contents = Vec::new();
    for (notification, change) in input.notifications.iter().zip(changes) {
        let content = content(&opener, &cx, change).await?;
        let mut resource: Value = serde_json::from_slice(&content)?;
        // Only notifications have it.
        let context = resource.as_object_mut().and_then(|resource| resource.remove("@odata.context"));
        if context.is_none() || resource != notification.resource {
            return Err("what was decrypted is not what was encrypted".into());
        }
        contents.push(content);
    }
    for (change, expected) in changes.iter().zip(&contents).cycle().take(times) {
        if content(&opener, &cx, change).await? != *expected {
            return Err("a notification was opened differently".into());
        }
    }
    Ok(())
}

async fn opener(env: &mut Environment) -> Option<Opener> {
    let mut startup = Startup::load(env).await?;
    let graph = startup.graph().map(Arc::new);
    startup.opener(graph?)
}

async fn content(opener: &Opener, cx: &RequestContext, change: &Change) -> Result<Vec<u8>, Box<dyn Error>> {
    match opener.open(cx, change).await? {
        Opened::Content(content) => Ok(content),
        Opened::Gone => Err("a notification was not opened: its resource is gone".into()),
        Opened::Refused(why) => Err(format!("a notification was not opened: {why}").into()),
    }
}

/// The least that decryption takes, with the same library.
fn decrypt_keys(input: &Input, changes: &[Change], times: usize) -> Result<(), Box<dyn Error>> {
    let key = PrivateDecryptingKey::from_pkcs8(&BASE64_STANDARD.decode(&input.private_key)?)?;
    let key = OaepPrivateDecryptingKey::new(key)?;
    let contents = changes.iter().filter_map(|change| change.encrypted_content.as_ref());
    let encrypted: Vec<_> =
        contents.map(|content| BASE64_STANDARD.decode(&content.data_key)).collect::<Result<_, _>>()?;
    let mut decrypted = vec![0; key.min_output_size()];
    let mut count = 0;
    for encrypted in encrypted.iter().cycle().take(times) {
        count += usize::from(key.decrypt(&OAEP_SHA1_MGF1SHA1, encrypted, &mut decrypted, None)?.len() == 32);
    }
    if count == times { Ok(()) } else { Err("not every key was decrypted".into()) }
}
