//! The images of a message: fetched, stored, and named in the text; or left out, with the reason in the text.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::OpenMessaging;
use crate::chat::text::{HostedImage, Readable, named};
use crate::error::{Code, Error};
use crate::genesys::{InboundAttachment, InboundContent};
use crate::graph::GraphError;
use crate::http::{NoReply, RequestContext};
use crate::media::{Media, MediaError, MediaStore};
use crate::notification::Change;
use crate::notification::open::Replication;
use crate::relay::Attempt;
use crate::store::chat_names::ChatNames;

/// How many times the queue hands out a message before it is delivered without an image that could not be fetched: with
/// the relay's pauses, half a minute after the first try. A message that has waited through an outage is tried as often.
pub(crate) const IMAGE_TRIES: u32 = 3;

/// The images of a message after fetching.
pub(super) struct Images {
    /// The words for each in the text.
    pub(super) words: Vec<String>,
    /// The images that are sent along.
    pub(super) content: Vec<InboundContent>,
}

/// Why an image is not sent along.
enum Missing {
    /// It will never be, for this reason.
    LeftOut(String),
    /// A retry may fetch it.
    Later(Error),
}

impl From<GraphError> for Missing {
    fn from(error: GraphError) -> Self {
        let why = match &error {
            GraphError::NoReply(NoReply::TooLarge(limit)) => return Self::LeftOut(too_large(*limit)),
            GraphError::Auth(_)
            | GraphError::NoReply(_)
            | GraphError::Throttled { .. }
            | GraphError::Unavailable { .. } => return Self::Later(error.into()),
            GraphError::NotFound { .. } => "Microsoft Teams does not have it any more",
            _ => "Microsoft Teams does not hand it out",
        };
        // An administrator can change this: a permission may be missing.
        tracing::warn!(%error, "an image is left out of its message");
        Self::LeftOut(why.into())
    }
}

impl From<MediaError> for Missing {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Unavailable(_) => Self::Later(error.into()),
            MediaError::Refused(_) => {
                tracing::error!(%error, "an image is left out of its message");
                Self::LeftOut("it could not be stored".into())
            }
        }
    }
}

fn too_large(limit: usize) -> String {
    let (mb, kb) = (limit / (1024 * 1024), limit.div_ceil(1024));
    if mb > 0 { format!("it has more than {mb} MB") } else { format!("it has more than {kb} kB") }
}

impl<M: MediaStore, N: ChatNames> OpenMessaging<M, N> {
    /// Fetches and stores the images, within half of the time that is left: the message itself has to be sent too.
    pub(super) async fn images(
        &self,
        cx: &RequestContext,
        change: &Change,
        chat: &str,
        readable: &Readable,
        attempt: Attempt,
    ) -> Result<Images, Error> {
        let mut replication = Replication::of(change);
        let until = Instant::now() + cx.deadline.for_a_call() / 2;
        let mut images = Images { words: Vec::new(), content: Vec::new() };
        for (place, image) in readable.images.iter().enumerate() {
            let name = named(image.kind, &image.alt);
            let fetched =
                tokio::time::timeout_at(until, self.image(cx, chat, image, place + 1, &mut replication)).await;
            let missing = match fetched {
                Ok(Ok(attachment)) => {
                    images.words.push(name);
                    images.content.push(InboundContent { attachment });
                    continue;
                }
                Ok(Err(missing)) => missing,
                Err(_) => {
                    let message = "The images of a message took too long. The notification waits in the queue.";
                    Missing::Later(Error::new(Code::GRAPH_UNAVAILABLE, message))
                }
            };
            let why = match missing {
                Missing::LeftOut(why) => why,
                Missing::Later(error) if attempt.receives.min(attempt.tries + 1) < IMAGE_TRIES => return Err(error),
                Missing::Later(error) => {
                    let (error, cause) = (error.message, error.cause);
                    let receives = attempt.receives;
                    tracing::warn!(error, cause, receives, "an image is left out of its message after several tries");
                    "it could not be fetched in several tries".into()
                }
            };
            images.words.push(format!("{name} (not shown: {why})"));
        }
        Ok(images)
    }

    async fn image(
        &self,
        cx: &RequestContext,
        chat: &str,
        image: &HostedImage,
        number: usize,
        replication: &mut Replication,
    ) -> Result<InboundAttachment, Missing> {
        // The sender of a message may name an image of any chat. The bridge may read them all; the people in this chat
        // may not.
        let at = self.graph.hosted_content_url(&image.src).filter(|at| at.is_in(chat));
        let at = at.ok_or_else(|| Missing::LeftOut("it does not belong to this chat".into()))?;
        let (content, _room) = loop {
            let room = self.room.acquire().await;
            let room = room.map_err(|_| Missing::LeftOut("the bridge has no room for it".into()))?;
            let error = match self.graph.get_hosted_content(cx, &at, self.settings.media.max_bytes).await {
                Ok(content) => break (content, room),
                Err(error) => error,
            };
            // A message that waits must not take the room of others.
            drop(room);
            if !replication.again(cx, &error).await {
                return Err(error.into());
            }
        };
        if !self.settings.media.types.allow(&content.content_type) {
            return Err(Missing::LeftOut("files of its kind are not passed on".into()));
        }
        let (kind, extension) = kind(&content.content_type);
        let sha256 = Sha256::digest(&content.bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let (mime, filename) = (content.content_type, format!("{}-{number}.{extension}", image.kind));
        let media =
            Media { content_type: mime.clone(), bytes: content.bytes, sha256: sha256.clone(), name: filename.clone() };
        let url = self.store.put(cx, media).await?;
        Ok(InboundAttachment { media_type: kind, url, mime, filename, sha256 })
    }
}

/// Genesys Cloud's name for a kind of media, and the name of such a file.
fn kind(mime: &str) -> (&'static str, &'static str) {
    match mime {
        "image/png" => ("Image", "png"),
        "image/jpeg" => ("Image", "jpg"),
        "image/gif" => ("Image", "gif"),
        "image/webp" => ("Image", "webp"),
        "application/pdf" => ("File", "pdf"),
        other if other.starts_with("image/") => ("Image", "img"),
        other if other.starts_with("video/") => ("Video", "mp4"),
        other if other.starts_with("audio/") => ("Audio", "mp3"),
        _ => ("File", "bin"),
    }
}
