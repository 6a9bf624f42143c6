//! The client that the vendors call out with: to webhooks, and for attachments.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::Trouble;

/// Finds names under `localhost` on this machine, which not every system's own resolver does: the local cloud's API has
/// such a name.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str();
            if host == "localhost" || host.ends_with(".localhost") {
                return Ok(Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))) as Addrs);
            }
            Ok(Box::new(tokio::net::lookup_host((host, 0)).await?.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// A client that asks no proxy, follows no redirection and keeps its connections.
pub(super) fn client() -> Result<reqwest::Client, Trouble> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_nodelay(true)
        .dns_resolver(std::sync::Arc::new(Names))
        .build();
    client.map_err(|error| Trouble::from("There is no HTTP client", error))
}
