//! Builds the sinks from the settings.

use super::Outlets;
use super::event_bus::EventBridgeBus;
use super::open_messaging::OpenMessaging;
use crate::startup::Startup;

impl Outlets {
    /// Reads the settings of [`OpenMessaging`] and [`EventBridgeBus`], at least one of which must be set.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let event_bus = EventBridgeBus::from_startup(startup).unless_wrong();
        let open_messaging = OpenMessaging::from_startup(startup).unless_wrong();
        let (open_messaging, event_bus) = (open_messaging?, event_bus?);
        if open_messaging.is_none() && event_bus.is_none() {
            startup.env.problem("OPEN_MESSAGING_INTEGRATION_ID and EVENT_BUS: expected one of them at least");
            return None;
        }
        Some(Self { open_messaging, event_bus })
    }
}
