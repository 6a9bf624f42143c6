//! Thousands of chat messages through the deployed bundle, while everything fails that can.
//!
//! Graph sends notifications twice, late and never, Genesys Cloud fails, and the worker is killed. In the end each message
//! is in its conversation once, and in its order.
//!
//! - [`storm`]: the faults and messages that the bundle gets
//! - [`verdict`]: the comparison of what was written with what agents see

pub mod storm;
pub mod verdict;
