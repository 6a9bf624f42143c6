//! The library of the bridge between Microsoft Teams and Genesys Cloud: all of its functions share it.
//!
//! Dependencies point one way: functions, the edge, use cases, content, clients, machinery; docs/explanation/architecture.md
//! draws the floors, and a test holds them. A use case ([`meeting`], [`sms`], [`escalation`], [`presence`],
//! [`notification`], [`relay`], [`sinks`], [`subscriptions`]) knows no Lambda; a client ([`graph`], [`genesys`], [`store`],
//! [`teams`]) knows no use case; only the edge ([`edge`]) knows AWS event types.
//!
//! A use case is a struct that borrows its clients, stores and settings, and the methods that do the work. It asks for
//! a client by a trait, one for each capability. The trait stands in the client's own file, above its implementation,
//! so that a test can put a stand-in in its place.

pub mod auth;
mod aws;
pub mod bot;
pub mod cache;
pub mod chat;
pub mod config;
pub mod edge;
pub mod error;
pub mod escalation;
pub mod fields;
pub mod genesys;
pub mod graph;
pub mod http;
mod invisible;
mod live;
pub mod media;
pub mod meeting;
pub mod notification;
mod parameters;
pub mod presence;
pub mod queue;
pub mod relay;
#[cfg(test)]
mod remote;
pub mod secrets;
pub mod sinks;
pub mod sms;
pub mod startup;
pub mod store;
pub mod subscriptions;
pub mod teams;
pub mod telemetry;
mod unset;
#[cfg(test)]
mod walls;
