//! Thousands of chat messages through the deployed bundle, while everything fails that can.
//!
//! Graph sends notifications twice, late and never, Genesys Cloud fails, and the worker is killed. In the end each message
//! is in its conversation once, and in its order.
//!
//! - [`storm`]: what is done to the bundle
//! - [`verdict`]: what was written, held against what agents see

pub mod storm;
pub mod verdict;
