//! A message of a queue, as a use case gets it.

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Under which it is given back.
    pub id: String,
    /// What it says.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// Its group in a FIFO queue; empty in any other.
    pub group: String,
    /// By which this receive of it is named when it is hidden.
    pub receipt: String,
}
