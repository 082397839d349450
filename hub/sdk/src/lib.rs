//! The way in, and what a driver is written against.
//!
//! A driver gets a [`Context`], decodes bytes into [`Submission`]s and answers its device only with
//! a [`Committed`] in hand. It knows neither the store nor the rules nor another driver.

mod access;
mod addresses;
mod clock;
mod converse;
mod datagrams;
mod devices;
mod downlink;
mod driver;
mod feed;
mod first_seen;
mod ingest;
mod kept;
mod listen;
mod listening;
mod network;
mod operator;
mod profile;
mod quota;
mod secret;
mod spread;
mod step;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod trace;

pub use access::{Access, Actor, Role, TokenHash, TokenTable};
pub use addresses::{AddressLimits, Addresses, Pace, Pacer};
pub use clock::Clock;
pub use converse::{Conversation, Reply, Step, Talk, converse};
pub use datagrams::datagrams;
pub use devices::{DeviceEntry, Devices, SecretHash, SecretSalt};
pub use downlink::{Downlink, Line, Order, OrderError};
pub use driver::{Context, Driver, DriverError, Registration, Running};
pub use feed::{Feed, FeedError, LiveBatch, Mark, Tail};
pub use first_seen::FirstSeen;
pub use ingest::{
    COMMIT_DEADLINE, Committed, Drained, DriverKey, INTAKE_BATCHES, Ingest, IngestError, Intake,
    Part, Pending, PendingSession, RawFrame, Receipt, Refusal, Refusals, Request, Submission,
    Ticket, Unclaimed,
};
pub use kept::{EXPIRY_NEVER_S, KeptSession};
pub use listen::{Bound, Limits, Place, Places, accept, bind, bind_both};
pub use listening::{ConnectionLimits, Listening, serve};
pub use network::Network;
pub use operator::{
    Action, AlarmArgs, AlarmVerb, Command, CommandError, Delivered, Done, HandoverPart, Mirrored,
    Operator, PendingCommand, SecretChange, SubscriptionVerb,
};
pub use profile::{ProfileKind, Profiles, codec_of};
pub use quota::{Quota, Quotas, TURN_DEADLINE, Tempo, Turn};
pub use secret::Secret;
pub use spread::spread;
pub use step::{StepReport, UNNAMED};
pub use trace::{Delivery, SPANS_MAX, Said, Span, SpanCounts, SpanKind, Trace, Traced, Tracer};
