//! The edge: takes the events that AWS Lambda invokes a function with, and writes the answers. No other module knows
//! AWS event types.
//!
//! - [`Function`]: a route of the HTTP API. Its size and roles are checked, and the answer is the flat envelope
//!   ([`Answer`]) or a page for a person ([`Page`])
//! - [`Webhook`]: a route that is open to a vendor. A request is [`Unverified`] until the check of its [`Sender`] has
//!   verified it, and the handler gets nothing else
//! - [`Consumer`]: a queue, and a schedule
//!
//! All of them share the `host`: the app that is made from the settings, the labels of the log line, and the guard that
//! ends an invocation in time and turns a panic into an answer. Every invocation leaves one log line, with the
//! [`Figures`](crate::telemetry::Figures) that the handler returns.

mod answer;
mod event;
mod host;
mod http;
mod page;
mod queue;
mod roles;
mod route;
#[cfg(test)]
mod tests;
mod webhook;

pub use answer::Answer;
pub use event::{Authorizer, EventContext, Headers, Http, HttpEvent, Jwt, RoleClaims};
pub use http::Method;
pub use page::Page;
pub use queue::{BatchAnswer, Consumer, EventBridge, QueueOrClock, Trigger};
pub use route::{Function, Request, Route, RouteAnswer};
pub use webhook::bot_framework::BotFrameworkSender;
pub use webhook::genesys::{GenesysSender, SignedMessage};
pub use webhook::graph::GraphSender;
pub use webhook::{InlineAnswer, Sender, Served, StatusAlone, Unverified, Webhook};
