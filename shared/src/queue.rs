//! A message of a queue, independent of AWS, as a use case gets it.

/// A message of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The id by which the message is returned to the queue.
    pub id: String,
    /// The text of the message, mostly JSON.
    pub body: String,
    /// How many times the message was received, this time included.
    pub receives: u32,
    /// Its message group in a FIFO queue; empty in any other.
    pub group: String,
    /// The receipt handle, by which this receive of the message is hidden.
    pub receipt: String,
}
