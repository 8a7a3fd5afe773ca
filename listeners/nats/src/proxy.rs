//! The PROXY header in front of a client: whom the connection is for. Rules: CORE-88, CORE-91, CORE-92.

use std::sync::Arc;

use dunlin_api::CloseReason;
use dunlin_net::proxy;

use crate::session::Client;

impl Client {
    /// Reads the header, if there is one. From then on the client has the address that it names, everywhere but in
    /// the name of log lines; what it has said behind the header is kept. Returns whether there was one.
    pub(crate) async fn hear_proxy(&mut self) -> Result<bool, CloseReason> {
        let early = std::mem::take(&mut self.carry);
        let is_proxied;
        match proxy::receive(self.stream.as_ref(), &self.env, early).await {
            Ok(received) => {
                is_proxied = received.header != proxy::Header::Direct;
                let info = Arc::make_mut(&mut self.info);
                info.peer = received.source().unwrap_or(info.peer);
                self.control.set_info(&self.info);
                self.carry = received.rest;
            }
            Err(error) => {
                // Whoever has closed it meanwhile has a better reason.
                return Err(self.output.close_reason().unwrap_or_else(|| {
                    let peer = self.stream.peer();
                    let line = format_args!("Error reading PROXY protocol header from {peer}: {error}");
                    self.env.log().warn(line);
                    CloseReason::ProtocolViolation
                }));
            }
        }
        self.begin_own_time();
        Ok(is_proxied)
    }
}
