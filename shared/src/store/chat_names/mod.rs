//! The person whom a chat's conversation in Genesys Cloud is named after: the sender of its first message.
//!
//! Genesys Cloud names a conversation when it begins and keeps that name, even if other people write later. So the
//! first writer is remembered for longer than a conversation can be continued, and every invocation gives a chat the
//! same name.

mod dynamo;
mod memory;

use std::future::Future;
use std::time::Duration;

pub use dynamo::DynamoChatNames;
pub use memory::MemoryChatNames;

use super::{RecordKey, StoreError};
use crate::http::RequestContext;

/// How long a name is kept after it was last asked for: longer than Genesys Cloud continues a conversation, which is 72
/// hours at most.
pub(crate) const NAME_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A person who writes in a chat. It has no `Debug`, so that a name cannot reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatWriter {
    /// The person's id in Teams; the name, where there is no id.
    pub id: String,
    /// The person's name, as an agent reads it.
    pub name: String,
}

/// A store for the first writers of chats.
pub trait ChatNames: Send + Sync {
    /// The first writer of a chat: this one, unless there is another already. Prolongs the name's life by
    /// [`NAME_LIFE`].
    fn first_writer(
        &self,
        cx: &RequestContext,
        chat: &RecordKey,
        writer: &ChatWriter,
    ) -> impl Future<Output = Result<ChatWriter, StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::context;
    use crate::store::kind;

    #[tokio::test]
    async fn the_first_writer_of_a_chat_stays_the_first() {
        let names = MemoryChatNames::default();
        let [one, other] = ["a", "b"].map(|chat| RecordKey::new(kind::CHAT_NAME, &[chat]));
        let [kim, lee] = ["Kim", "Lee"].map(|name| ChatWriter { id: name.to_lowercase(), name: name.into() });
        let first = async |chat, writer| names.first_writer(&context(10), chat, writer).await.unwrap();
        assert!(first(&one, &kim).await == kim && first(&one, &lee).await == kim);
        assert!(first(&other, &lee).await == lee && first(&other, &kim).await == lee);
    }
}
