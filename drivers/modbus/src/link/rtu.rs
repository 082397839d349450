//! RTU frames over a serial line or a DTU's connection.
//!
//! Nothing in an RTU answer says which request it belongs to. So after a request that was given up
//! the unit still *owes* answers, and the next thing asked of it is asked for nothing but to have
//! them out of the way: whatever answers it is thrown away, and so is all that comes within another
//! timeout. Only then is the unit asked for data again.

use super::{Failure, Strange};
use crate::frame::{Reader, Reply, Request, Trouble};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// A line that says nothing for so long has ended what it was saying.
const QUIET: Duration = Duration::from_millis(50);

/// A line that is never quiet is not waited for any longer.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Bytes without a single answer among them after which a connection is given up.
const NOISE_BYTES_MAX: usize = 64 * 1024;

/// What RTU frames can be sent over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for S {}

#[derive(Debug)]
pub(crate) struct RtuLink {
    stream: Box<dyn Stream>,
    reader: Reader,
    /// Units whose answers may still come, and how many.
    owed: BTreeMap<u8, u32>,
    strange: Strange,
    /// Foreign bytes since the last answer.
    noise_bytes: usize,
}

impl RtuLink {
    /// `known` are the texts that a DTU sends of its own accord.
    pub(crate) fn new(stream: Box<dyn Stream>, known: Arc<[Vec<u8>]>) -> Self {
        Self {
            stream,
            reader: Reader::new(known),
            owed: BTreeMap::new(),
            strange: Strange::default(),
            noise_bytes: 0,
        }
    }

    pub(super) fn take_strange(&mut self) -> Strange {
        std::mem::take(&mut self.strange)
    }

    pub(super) async fn ask(
        &mut self,
        unit: u8,
        request: &Request,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        if self.owed.contains_key(&unit) {
            // A write is never a probe.
            let Request::Read(_) = request else {
                return Err(failure(Trouble::Timeout));
            };
            self.settle(unit, request, timeout).await?;
        }
        self.attempt(unit, request, timeout).await
    }

    /// Asks a unit that owes answers, and throws away whatever it answers.
    async fn settle(
        &mut self,
        unit: u8,
        request: &Request,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let mut owed = self.owed.get(&unit).copied().unwrap_or_default();
        self.attempt(unit, request, timeout).await?;
        let deadline = Instant::now() + timeout;
        loop {
            while owed > 0 && self.reader.find(unit, request).is_some() {
                self.strange.late += 1;
                owed -= 1;
            }
            if owed == 0 || !self.read(deadline).await.map_err(failure)? {
                break;
            }
        }
        self.owed.remove(&unit);
        Ok(())
    }

    /// Sends a request and waits for something that fits it.
    async fn attempt(
        &mut self,
        unit: u8,
        request: &Request,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        self.discard().await.map_err(failure)?;
        let deadline = Instant::now() + timeout;
        let frame = request.rtu(unit);
        let sent = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await
        };
        match timeout_at(deadline, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Failure::closed(error)),
            Err(_) => return Err(Failure::closed("it takes no bytes")),
        }
        loop {
            if !self.read(deadline).await.map_err(failure)? {
                break;
            }
            if let Some(found) = self.reader.find(unit, request) {
                self.strange.foreign += found.foreign;
                self.noise_bytes = 0;
                return Ok(found.reply);
            }
        }
        let trouble = self.reader.trouble(unit, request);
        if trouble != Trouble::Crc {
            *self.owed.entry(unit).or_default() += 1;
        }
        let bytes = self.reader.received().to_vec();
        let cleared = self.reader.clear();
        if cleared.foreign > 0 {
            self.drain().await.map_err(failure)?;
        }
        Err(Failure { trouble, bytes })
    }

    /// Waits until the line has been quiet.
    async fn drain(&mut self) -> Result<(), Trouble> {
        let latest = Instant::now() + DRAIN_MAX;
        while Instant::now() < latest && self.read(Instant::now() + QUIET).await? {
            self.clear();
        }
        Ok(())
    }

    /// Throws away what has come unasked.
    async fn discard(&mut self) -> Result<(), Trouble> {
        let now = Instant::now();
        while self.read(now).await? {
            self.clear();
            self.bear_noise()?;
        }
        self.clear();
        self.bear_noise()
    }

    pub(super) async fn idle(&mut self, until: Instant) -> Result<(), Trouble> {
        while self.read(until).await? {
            self.clear();
            self.bear_noise()?;
        }
        Ok(())
    }

    fn bear_noise(&self) -> Result<(), Trouble> {
        if self.noise_bytes > NOISE_BYTES_MAX {
            let why = format!("{} bytes without an answer", self.noise_bytes);
            return Err(Trouble::Closed(why));
        }
        Ok(())
    }

    fn clear(&mut self) {
        let cleared = self.reader.clear();
        if cleared.frame {
            self.strange.late += 1;
        } else {
            self.strange.foreign += cleared.foreign;
        }
        self.noise_bytes += cleared.foreign;
    }

    /// Reads what there is; false when nothing came by then.
    async fn read(&mut self, deadline: Instant) -> Result<bool, Trouble> {
        let mut bytes = [0; 512];
        let closed = |why: &str| Trouble::Closed(why.to_owned());
        match timeout_at(deadline, self.stream.read(&mut bytes)).await {
            Err(_) => Ok(false),
            Ok(Err(error)) => Err(closed(&error.to_string())),
            Ok(Ok(0)) => Err(closed("the other side hung up")),
            Ok(Ok(count)) => {
                let forgotten = self.reader.feed(bytes.get(..count).unwrap_or_default());
                self.noise_bytes += forgotten;
                self.strange.foreign += forgotten;
                Ok(true)
            }
        }
    }
}

fn failure(trouble: Trouble) -> Failure {
    Failure {
        trouble,
        bytes: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
