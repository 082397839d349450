//! One poll of one device: ask for its registers, commit what came, and only then end its latches.

use super::{Bus, Ended};
use crate::exceptions;
use crate::frame::{Block, Data, Reply, Request, Trouble};
use crate::link::{Failure, Link};
use crate::map::Map;
use crate::plan::Slot;
use crate::readings::{self, Sheet};
use model::{Observation, Rejected, Value};
use sdk::{Committed, IngestError, Part, RawFrame, Submission};
use tokio::time::Instant;

/// The metric that tells that a device is out of order.
const FAULT: &str = "fault";

/// What one poll brought.
#[derive(Debug, Default)]
struct Haul {
    data: Vec<Option<Data>>,
    rejected: Vec<Rejected>,
    quarantined: Vec<RawFrame>,
    /// The unit itself answered something.
    alive: bool,
    /// It answered that something is wrong.
    fault: bool,
    closed: Option<String>,
}

impl Bus {
    pub(super) async fn poll(&mut self, link: &mut Link, slot: &mut Slot) -> Result<(), Ended> {
        let haul = self.fetch(link, slot).await;
        self.note(&haul, slot);
        slot.schedule(Instant::now(), self.shared.timing.backoff_max);
        let closed = haul.closed.clone();
        let submission = self.submission(haul, slot);
        if !submission.is_empty() {
            let raised = raised(&submission, &slot.map);
            match self.shared.cx.ingest.commit(submission).await {
                Ok(proof) => self.clear_latches(&proof, link, slot, &raised).await,
                // What was read is lost, and that is counted; the next poll reads it again.
                Err(IngestError::Busy | IngestError::TooFast { .. }) => {
                    self.refuse("hub_busy", Some(&slot.member.id));
                }
                Err(IngestError::NoRoom) => self.refuse("storage_full", Some(&slot.member.id)),
                Err(IngestError::ShuttingDown) => return Err(Ended::Stopped),
            }
        }
        closed.map_or(Ok(()), |why| Err(Ended::Closed(why)))
    }

    /// Asks for every block, as long as the unit answers at all.
    async fn fetch(&mut self, link: &mut Link, slot: &Slot) -> Haul {
        // A unit that was dead is tried once, so that it does not hold up the others.
        let retries = match slot.failures {
            0 => self.shared.timing.retries,
            _ => 0,
        };
        let mut haul = Haul::default();
        for block in &slot.blocks {
            let request = Request::Read(*block);
            let Some(answered) = self.ask(link, slot.member.unit, &request, retries).await else {
                break;
            };
            match answered {
                Ok(Reply::Data(data)) => {
                    haul.alive = true;
                    haul.data.push(Some(data));
                }
                Ok(Reply::Exception(code)) => haul.refused(code, block),
                Ok(Reply::Written) => haul.data.push(None),
                Err(failure) => {
                    let over = haul.failed(failure, block, slot);
                    if over {
                        break;
                    }
                }
            }
        }
        haul
    }

    fn note(&self, haul: &Haul, slot: &mut Slot) {
        let (id, line) = (&slot.member.id, &self.line);
        if haul.alive {
            if slot.failures > 0 {
                tracing::info!(id, line, "a device answers again");
            }
            slot.failures = 0;
        } else if !self.stop.is_cancelled() {
            if slot.failures == 0 {
                tracing::info!(id, line, "a device does not answer");
            }
            slot.failures = slot.failures.saturating_add(1);
        }
    }

    fn submission(&self, haul: Haul, slot: &mut Slot) -> Submission {
        let sheet = Sheet {
            blocks: &slot.map.blocks,
            data: &haul.data,
        };
        let decoded = readings::decode(&slot.map, &sheet);
        let mut observations = decoded.observations;
        observations.extend(self.fault(haul.alive, haul.fault, slot));
        let mut rejected = haul.rejected;
        rejected.extend(decoded.rejected);
        let count = observations.len() + rejected.len();
        if count == 0 {
            return Submission::default();
        }
        Submission {
            parts: vec![Part {
                device: slot.member.key,
                received: u32::try_from(count).unwrap_or(u32::MAX),
                observations,
                rejected,
            }],
            quarantined: haul.quarantined,
        }
    }

    /// Tells a fault when it comes and when it goes, where the map has none of its own.
    fn fault(&self, alive: bool, fault: bool, slot: &mut Slot) -> Option<Observation> {
        let metric = self.shared.cx.catalogue.find(FAULT)?;
        if !alive || slot.map.has(metric) || slot.told_fault == Some(fault) {
            return None;
        }
        slot.told_fault = Some(fault);
        let value = Value::number(if fault { 1.0 } else { 0.0 })?;
        Some(readings::observation(metric, value))
    }

    /// Ends the latched alarms that are on disk now. Nothing else ever writes to a device.
    async fn clear_latches(
        &mut self,
        proof: &Committed,
        link: &mut Link,
        slot: &Slot,
        raised: &[Request],
    ) {
        for latch in raised {
            let Some(request) = clear_latch(proof, latch, slot.member.offset) else {
                continue;
            };
            let answered = self.ask(link, slot.member.unit, &request, 0).await;
            let id = &slot.member.id;
            match answered {
                Some(Ok(Reply::Written)) => tracing::debug!(id, "a latched alarm was cleared"),
                None => {}
                Some(other) => {
                    tracing::warn!(id, ?other, "a latched alarm could not be cleared");
                    self.refuse("latch_not_cleared", Some(id));
                }
            }
        }
    }
}

/// Gives the write that ends a latch, for the device whose alarm is on disk.
fn clear_latch(proof: &Committed, latch: &Request, offset: u16) -> Option<Request> {
    if !proof.receipt().rejected.is_empty() {
        return None;
    }
    Some(match *latch {
        Request::WriteCoil { at, on } => Request::WriteCoil {
            at: at.checked_add(offset)?,
            on,
        },
        Request::WriteRegister { at, value } => Request::WriteRegister {
            at: at.checked_add(offset)?,
            value,
        },
        Request::Read(_) => return None,
    })
}

/// Lists the latches of what is not zero in a submission.
fn raised(submission: &Submission, map: &Map) -> Vec<Request> {
    let observations = submission.parts.iter().flat_map(|part| &part.observations);
    let metrics = observations
        .filter(|seen| {
            seen.value
                .as_number()
                .is_some_and(|value| value.abs() > 0.0)
        })
        .map(|seen| seen.metric);
    let latch = |metric| {
        let mut readings = map.readings.iter();
        readings
            .find(|reading| reading.metric == metric)?
            .clear_latch
    };
    metrics.filter_map(latch).collect()
}

impl Haul {
    fn refused(&mut self, code: u8, block: &Block) {
        let known = exceptions::find(code);
        self.alive |= known.fault || known.again;
        self.fault |= known.fault;
        self.data.push(None);
        self.rejected.push(Rejected {
            metric: None,
            reason: known.reason.into(),
            detail: Some(format!("{block}: exception {code}, {}", known.meaning)),
        });
    }

    /// Books a request that was not answered; tells whether it is no use to go on.
    fn failed(&mut self, failure: Failure, block: &Block, slot: &Slot) -> bool {
        let Failure { trouble, bytes } = failure;
        let detail = format!("unit {}, {block}: {trouble}", slot.member.unit);
        if !bytes.is_empty() {
            self.quarantined.push(RawFrame {
                device: Some(slot.member.key),
                reason: trouble.reason().into(),
                detail: detail.clone(),
                bytes,
            });
        }
        self.data.push(None);
        self.rejected.push(Rejected {
            metric: None,
            reason: trouble.reason().into(),
            detail: Some(detail),
        });
        match trouble {
            Trouble::Closed(why) => {
                self.closed = Some(why);
                true
            }
            // Something came: the next block may come whole.
            Trouble::Crc | Trouble::WrongLength => false,
            _ => true,
        }
    }
}
