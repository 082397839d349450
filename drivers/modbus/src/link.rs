//! One connection to a bus: asks one thing at a time, and never takes the answer to another for it.

mod rtu;
mod tcp;

pub(crate) use rtu::{RtuLink, Stream};
pub(crate) use tcp::TcpLink;

use crate::frame::{Reply, Request, Trouble};
use std::time::Duration;
use tokio::time::Instant;

/// A request that was not answered, and what came instead of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) trouble: Trouble,
    pub(crate) bytes: Vec<u8>,
}

impl Failure {
    fn closed(why: impl ToString) -> Self {
        Self {
            trouble: Trouble::Closed(why.to_string()),
            bytes: Vec::new(),
        }
    }
}

/// What a line sent that was no answer to anything.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strange {
    /// Bytes that nobody knows.
    pub(crate) foreign: usize,
    /// Answers to requests that were given up.
    pub(crate) late: u32,
}

#[derive(Debug)]
pub(crate) enum Link {
    Tcp(TcpLink),
    Rtu(RtuLink),
}

impl Link {
    /// Asks a unit and waits for its answer.
    pub(crate) async fn ask(
        &mut self,
        unit: u8,
        request: &Request,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        match self {
            Self::Tcp(link) => link.ask(unit, request, timeout).await,
            Self::Rtu(link) => link.ask(unit, request, timeout).await,
        }
    }

    /// Tells whether another try makes sense after that: a TCP link connects again by itself.
    pub(crate) fn outlives(&self, trouble: &Trouble) -> bool {
        matches!(self, Self::Tcp(_)) || !matches!(trouble, Trouble::Closed(_))
    }

    /// Listens to what comes unasked until then; an error is a connection that is gone.
    pub(crate) async fn idle(&mut self, until: Instant) -> Result<(), Trouble> {
        match self {
            Self::Tcp(_) => {
                tokio::time::sleep_until(until).await;
                Ok(())
            }
            Self::Rtu(link) => link.idle(until).await,
        }
    }

    /// Tells what was strange since it was last asked for.
    pub(crate) fn take_strange(&mut self) -> Strange {
        match self {
            Self::Tcp(_) => Strange::default(),
            Self::Rtu(link) => link.take_strange(),
        }
    }
}
