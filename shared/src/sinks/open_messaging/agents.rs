//! The org's own agents. Their messages in a chat are not a customer's: an agent who answers in Teams need not see them
//! in Genesys Cloud.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;
use uuid::Uuid;

use crate::chat::message::ChatMessage;
use crate::error::Error;
use crate::genesys::{GenesysClient, GenesysError};
use crate::http::RequestContext;

/// How long Genesys Cloud's answer about a person is remembered.
const LOOKUP_LIFE: Duration = Duration::from_secs(60 * 60);

/// The most people that are remembered at once.
const MAX_KNOWN_PEOPLE: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// The rule that tells the org's own agents from other people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Agents {
    /// No person counts as an agent.
    #[default]
    Unknown,
    /// A person counts whom a Genesys Cloud user's external id `microsoftteams` names.
    Linked,
    /// The users with these object ids.
    Listed(BTreeSet<Uuid>),
}

impl FromStr for Agents {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("linked") {
            return Ok(Self::Linked);
        }
        let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(Uuid::parse_str);
        let ids: BTreeSet<Uuid> = ids
            .collect::<Result<_, _>>()
            .map_err(|_| "expected `linked`, or Entra object ids with commas between them")?;
        Ok(if ids.is_empty() { Self::Unknown } else { Self::Listed(ids) })
    }
}

/// Tells agents from other people.
#[derive(Debug)]
pub(super) struct AgentFinder {
    agents: Agents,
    known: Mutex<LruCache<Uuid, (bool, Instant)>>,
}

impl AgentFinder {
    pub(super) fn new(agents: Agents) -> Self {
        Self { agents, known: Mutex::new(LruCache::new(MAX_KNOWN_PEOPLE)) }
    }

    /// Whether an agent of the org wrote a message; `false` when Genesys Cloud refuses to tell.
    ///
    /// # Errors
    /// When Genesys Cloud cannot tell it now.
    pub(super) async fn wrote(
        &self,
        cx: &RequestContext,
        genesys: &GenesysClient,
        message: &ChatMessage,
    ) -> Result<bool, Error> {
        let Some(user) = message.user_id() else { return Ok(false) };
        match &self.agents {
            Agents::Unknown => Ok(false),
            Agents::Listed(ids) => Ok(ids.contains(&user)),
            Agents::Linked => self.is_linked(cx, genesys, user).await,
        }
    }

    async fn is_linked(&self, cx: &RequestContext, genesys: &GenesysClient, user: Uuid) -> Result<bool, Error> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            lock().get(&user).filter(|(_, since)| since.elapsed() < LOOKUP_LIFE).map(|(is_linked, _)| *is_linked);
        if let Some(is_linked) = known {
            return Ok(is_linked);
        }
        match genesys.is_linked_to_teams(cx, user).await {
            Ok(is_linked) => {
                lock().put(user, (is_linked, Instant::now()));
                Ok(is_linked)
            }
            // A setting of convenience must not lose a customer's message.
            Err(error @ (GenesysError::PermissionMissing { .. } | GenesysError::Rejected { .. })) => {
                tracing::warn!(%error, "whether an agent wrote a message could not be looked up, so the message is delivered");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_listed_or_linked() {
        let id = "4f3e2d1c-0b9a-4876-9543-210fedcba987";
        assert_eq!("".parse(), Ok(Agents::Unknown));
        assert_eq!(" Linked ".parse(), Ok(Agents::Linked));
        let listed = Agents::Listed(BTreeSet::from([Uuid::parse_str(id).unwrap()]));
        assert_eq!(format!("{}, {id},", id.to_uppercase()).parse(), Ok(listed));
        for wrong in ["kim@contoso.com", "linked,all", &id[..35]] {
            assert!(wrong.parse::<Agents>().is_err(), "{wrong}");
        }
    }
}
