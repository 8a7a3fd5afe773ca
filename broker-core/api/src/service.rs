//! Services: long-lived components that talk on subjects.

use async_trait::async_trait;

use crate::broker::Broker;

/// A component without a port of its own: it subscribes, answers and publishes like a client inside.
///
/// ```
/// use async_trait::async_trait;
/// use dunlin_api::{AccountName, Broker, Inbox, Message, Service, ServiceError, Sid, Subject};
///
/// /// Answers on `time` with the wall clock.
/// struct Clock;
///
/// #[async_trait]
/// impl Service for Clock {
///     async fn start(&self, broker: &Broker) -> Result<(), ServiceError> {
///         let (inbox, mut messages) = Inbox::new(1024);
///         let mut session = broker.open_internal("clock", AccountName::global(), inbox)?;
///         session.subscribe(Subject::new(b"time")?, None, &Sid::new(b"1")?)?;
///         let broker = broker.clone();
///         broker.env().clone().spawn("clock", async move {
///             while let Some(request) = messages.recv().await {
///                 let Some(reply) = &request.reply else { continue };
///                 let now = format!("{:?}", broker.env().wall());
///                 // A refusal is the requester's own fault.
///                 let _ = session.publish_one(reply.as_subject(), Message::new(now.as_bytes()));
///             }
///         });
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Starts; returns when requests will be answered. Services start before listeners.
    ///
    /// # Errors
    /// Whatever keeps the broker from starting.
    async fn start(&self, broker: &Broker) -> Result<(), ServiceError>;

    /// Stops; returns when its state is safe. Services stop after sessions.
    async fn stop(&self) {}
}

/// Why a service did not start.
pub type ServiceError = Box<dyn std::error::Error + Send + Sync>;
