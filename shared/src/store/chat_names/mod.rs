//! Who a chat's conversation in Genesys Cloud is named after: the one whose message came first.
//!
//! Genesys Cloud names a conversation when it begins and keeps the name, whoever writes later. So the first writer is kept
//! for longer than a conversation can be continued, and every invocation names a chat alike.

mod dynamo;
mod memory;

use std::future::Future;
use std::time::Duration;

pub use dynamo::DynamoChatNames;
pub use memory::MemoryChatNames;

use super::{RecordKey, StoreError};
use crate::http::RequestContext;

/// How long a name is kept after it was asked for last: longer than Genesys Cloud continues a conversation, which is 72
/// hours at most.
pub const NAME_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Somebody who writes in a chat. It has no `Debug`, so that a name cannot reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Writer {
    /// Their id in Teams; their name, where they have no id.
    pub id: String,
    /// Their name, as an agent reads it.
    pub name: String,
}

/// Where it is kept.
pub trait ChatNames: Send + Sync {
    /// The first writer of a chat: this one, unless there is another. Gives them another [`NAME_LIFE`].
    fn first_writer(
        &self,
        cx: &RequestContext,
        chat: &RecordKey,
        writer: &Writer,
    ) -> impl Future<Output = Result<Writer, StoreError>> + Send;
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
        let [kim, lee] = ["Kim", "Lee"].map(|name| Writer { id: name.to_lowercase(), name: name.into() });
        let first = async |chat, writer| names.first_writer(&context(10), chat, writer).await.unwrap();
        assert!(first(&one, &kim).await == kim && first(&one, &lee).await == kim);
        assert!(first(&other, &lee).await == lee && first(&other, &kim).await == lee);
    }
}
