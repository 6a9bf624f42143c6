//! A rich notification: its validation token checked and its content decrypted, as the worker does. Keys and secrets
//! come from where the environment says, once.

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use bridge::config::Environment;
use bridge::http::{Deadline, RequestContext};
use bridge::notification::open::validation::REMEMBERED_TOKENS;
use bridge::notification::open::{OpenedResource, Opener, Resources};
use bridge::notification::{Change, Collection, Queued};
use bridge::startup::Startup;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime;

use crate::Failure;
use crate::turns::taken;

/// The standard input of the step.
#[derive(Deserialize)]
struct Input {
    /// Notifications, each with a token of its own.
    notifications: Vec<Notification>,
    /// The certificate's private key, in PKCS #8, base64: for the bare decryption.
    private_key: String,
}

#[derive(Deserialize)]
struct Notification {
    /// The notification as Graph posted it.
    posted: Box<RawValue>,
    /// The resource as Graph shows it.
    resource: Value,
}

impl Notification {
    /// The notification as it comes from the queue.
    fn change(&self) -> Result<Change, Failure> {
        let collection = Collection::parse(self.posted.get().as_bytes())?;
        let first = collection.notifications(Timestamp::now()).next().flatten();
        match first.map(|notification| notification.queued) {
            Some(Queued::Change(change)) => Ok(Change { validation_tokens: collection.validation_tokens, ..change }),
            _ => Err("there is no notification of a change".into()),
        }
    }
}

/// Of one with a token that was not seen before, and of one with a token that is known. The floor is the one thing that
/// nobody can do without: to decrypt the symmetric key, with the same library.
pub(crate) fn measure(input: &str) -> Result<[Duration; 3], Failure> {
    let input: Input = serde_json::from_str(input)?;
    let changes = input.notifications.iter().map(Notification::change).collect::<Result<Vec<_>, _>>()?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let opener = runtime.block_on(opener())?;
    let cx = RequestContext::new("bench", Deadline::after(Duration::from_secs(600)));
    let open = |change: &Change| runtime.block_on(content(&opener, &cx, change));
    for (notification, change) in input.notifications.iter().zip(&changes) {
        let mut resource: Value = serde_json::from_slice(&open(change)?)?;
        // Only notifications have it.
        let context = resource.as_object_mut().and_then(|resource| resource.remove("@odata.context"));
        if context.is_none() || resource != notification.resource {
            return Err("what was decrypted is not what was encrypted".into());
        }
    }

    let (known, new) = changes.split_first().ok_or("there are no notifications")?;
    let tokens: HashSet<&String> = new.iter().flat_map(|change| &change.validation_tokens).collect();
    // Of more than are remembered, taken in turn, none is remembered when its turn comes again.
    if tokens.len() <= REMEMBERED_TOKENS.get() {
        return Err("some tokens would be checked and others remembered".into());
    }
    let mut new = new.iter().cycle();
    let known_key = known.encrypted_content.as_ref().ok_or("a notification has no content")?;
    let known_key = BASE64_STANDARD.decode(&known_key.data_key)?;
    let private_key = PrivateDecryptingKey::from_pkcs8(&BASE64_STANDARD.decode(&input.private_key)?)?;
    let private_key = OaepPrivateDecryptingKey::new(private_key)?;
    let mut decrypted = vec![0; private_key.min_output_size()];

    let mut decrypt_key = || match private_key.decrypt(&OAEP_SHA1_MGF1SHA1, &known_key, &mut decrypted, None)?.len() {
        32 => Ok(()),
        _ => Err("a symmetric key was decrypted differently".into()),
    };
    let mut open_new = || new.next().map_or(Ok(()), |change| open(change).map(drop));
    let mut open_known = || open(known).map(drop);
    taken([&mut decrypt_key, &mut open_new, &mut open_known])
}

async fn opener() -> Result<Opener, Failure> {
    let mut env = Environment::of_process();
    let opener = match Startup::load(&mut env).await {
        Some(mut startup) => Opener::from_startup(&mut startup),
        None => None,
    };
    Ok(env.finish(opener)?)
}

async fn content(opener: &Opener, cx: &RequestContext, change: &Change) -> Result<Vec<u8>, Failure> {
    match opener.open(cx, change).await? {
        OpenedResource::Content(content) => Ok(content),
        OpenedResource::Gone => Err("a notification was not opened: its resource is gone".into()),
        OpenedResource::Refused(why) => Err(format!("a notification was not opened: {why}").into()),
    }
}
