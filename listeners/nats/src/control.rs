//! The broker's way to a connection.

use std::sync::{Arc, Weak};

use dunlin_api::{CloseReason, SessionControl};
use dunlin_net::output::Output;
use parking_lot::Mutex;

use crate::info::InfoBase;

/// Closes a connection, and tells its client that the server goes away.
pub(crate) struct Control {
    /// Weak, as in the receiver.
    output: Weak<Output>,
    /// What INFO is made of; there once the client has had its second INFO (CORE-16).
    info: Mutex<Option<(InfoBase, i64)>>,
}

impl Control {
    pub(crate) fn new(output: &Arc<Output>) -> Self {
        Self {
            output: Arc::downgrade(output),
            info: Mutex::new(None),
        }
    }

    /// From now on the client may be sent INFO unasked.
    pub(crate) fn allow_info(&self, base: InfoBase, max_payload: i64) {
        *self.info.lock() = Some((base, max_payload));
    }
}

impl SessionControl for Control {
    fn close(&self, reason: CloseReason) {
        if let Some(output) = self.output.upgrade() {
            output.close(reason);
        }
    }

    fn announce_lame_duck(&self) {
        let info = self
            .info
            .lock()
            .as_ref()
            .map(|(base, max_payload)| base.lame_duck(*max_payload));
        if let (Some(info), Some(output)) = (info, self.output.upgrade()) {
            output.send(&info.info_line());
        }
    }
}
