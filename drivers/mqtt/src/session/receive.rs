//! What a session does with the packets that came in.

use super::{Session, code};
use crate::flights::Landed;
use crate::identity::Principal;
use crate::packet::{self, Flaw, Incoming, Publish, Qos, Version, kind};
use crate::steps::{self, StepAsk};
use crate::telemetry::{Ack, Batch, Forbidden, Verdict};
use crate::topics::{self, Target};
use bytes::{Buf, Bytes, BytesMut};
use sdk::{Actor, CommandError, Committed, Done};
use std::sync::Arc;
use tokio::time::Instant;

/// Reason codes of a PUBACK.
const IMPLEMENTATION_SPECIFIC: u8 = 0x83;
const NOT_AUTHORIZED: u8 = 0x87;
const TOPIC_NAME_INVALID: u8 = 0x90;

impl Session {
    /// Takes every whole packet from the inbox, as long as there is room for commits.
    pub(super) fn receive(&mut self) {
        if (self.inbox.is_empty() && self.step.is_none()) || self.closing.is_some() {
            return;
        }
        // Taken out while packets are read in place; a session that waits holds no buffer.
        let mut inbox = std::mem::take(&mut self.inbox);
        while self.flights.has_room() && self.closing.is_none() {
            if let Some(ask) = self.step.take() {
                self.flights.launch_step(&self.gate.cx.operator, ask);
                continue;
            }
            let mut batch = Batch::default();
            let used = self.fill(&mut batch, &inbox);
            inbox.advance(used);
            if !batch.is_empty() {
                let (submission, acks) = batch.close();
                self.flights.launch(&self.gate.cx.ingest, submission, acks);
            }
            if used == 0 {
                break;
            }
            self.heard_at = Instant::now();
        }
        self.inbox = if inbox.is_empty() {
            BytesMut::new()
        } else {
            inbox
        };
    }

    /// Fills one batch from the packets in `bytes`, and tells how many bytes it took.
    fn fill(&mut self, batch: &mut Batch, bytes: &[u8]) -> usize {
        let mut used = 0;
        while self.closing.is_none()
            && self.step.is_none()
            && self.flights.has_room()
            && !batch.is_full()
        {
            let rest = bytes.get(used..).unwrap_or_default();
            let frame = match packet::frame(rest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(flaw) => {
                    self.on_flaw(flaw, false);
                    break;
                }
            };
            let is_publish = frame.kind() == kind::PUBLISH;
            if frame.total_len > self.gate.config.packet_bytes_max {
                self.on_flaw(Flaw::TooLarge, is_publish);
                break;
            }
            let Some(packet) = rest.get(..frame.total_len) else {
                break;
            };
            used += frame.total_len;
            if is_publish {
                let body = packet.get(frame.header_len..).unwrap_or_default();
                match packet::read_publish(self.version, frame.first, body) {
                    Ok(publish) => self.on_publish(batch, &publish),
                    Err(flaw) => self.on_flaw(flaw, true),
                }
            } else {
                match packet::read_other(self.version, frame, packet) {
                    Ok(incoming) => self.on_other(incoming),
                    Err(flaw) => self.on_flaw(flaw, false),
                }
            }
        }
        used
    }

    /// Counts what was wrong and ends the session; what came before is still answered.
    fn on_flaw(&mut self, flaw: Flaw, message: bool) {
        let claimed = self.claimed();
        self.gate
            .refuse(flaw.reason(), claimed, &self.peer, message);
        self.close_with(Some(flaw.code()), true);
    }

    /// The device that speaks, for the audit of what it was refused.
    fn claimed(&self) -> Option<String> {
        match &self.principal {
            Principal::Device { entry, .. } => Some(entry.device.id.as_str().to_owned()),
            Principal::Person { .. } => None,
        }
    }

    fn on_publish(&mut self, batch: &mut Batch, publish: &Publish<'_>) {
        let (qos, packet_id) = (publish.qos, publish.packet_id);
        let repeated = qos == Qos::ExactlyOnce && self.held.contains(&packet_id);
        if qos != Qos::AtMostOnce && !repeated {
            let most = usize::from(self.gate.config.receive_maximum);
            if self.version == Version::V5 && self.unanswered >= most {
                let claimed = self.claimed();
                self.gate
                    .refuse("receive_maximum_exceeded", claimed, &self.peer, true);
                return self.close_with(Some(code::RECEIVE_MAXIMUM_EXCEEDED), true);
            }
            self.unanswered += 1;
            if qos == Qos::ExactlyOnce {
                self.held.insert(packet_id);
            }
        }
        let verdict = if repeated {
            Some(batch.take_repeated())
        } else if let Principal::Person { actor, .. } = &self.principal {
            let actor = actor.clone();
            match topics::target(publish.topic) {
                Target::CaseSteps { case } => self.case_step(publish, case, &actor),
                _ => self.command(publish, actor.role.sends_commands()),
            }
        } else {
            self.telemetry(batch, publish)
        };
        if let Some(verdict) = verdict
            && qos != Qos::AtMostOnce
        {
            batch.acks.push(Ack {
                qos,
                packet_id,
                verdict,
            });
        }
    }

    /// Takes a device's message; `None` if it gets no answer.
    fn telemetry(&mut self, batch: &mut Batch, publish: &Publish<'_>) -> Option<Verdict> {
        let Principal::Device { entry, .. } = &self.principal else {
            return None;
        };
        let desk = self.gate.desk(entry);
        let (gate, peer) = (&self.gate, &self.peer);
        let mut refuse_child = |name: &str, reason: &'static str| {
            gate.refuse(reason, Some(name.to_owned()), peer, true);
        };
        let taken = batch.take(desk, &mut self.exchange, publish, &mut refuse_child);
        self.tell_answers();
        match taken {
            Ok(verdict) => Some(verdict),
            Err(Forbidden::Topic { reason, claimed }) => self.deny(reason, claimed, NOT_AUTHORIZED),
            // Counted already, child by child. A 3.1.1 gateway must not lose the connection of all
            // its children for one that nobody registered: it gets no answer to this message.
            Err(Forbidden::EveryChild) if self.version == Version::V4 => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.held.remove(&publish.packet_id);
                None
            }
            Err(Forbidden::EveryChild) => Some(Verdict::Refused(NOT_AUTHORIZED)),
        }
    }

    /// Takes a person's or program's command to a device, which the bus may lose.
    fn command(&mut self, publish: &Publish<'_>, may_command: bool) -> Option<Verdict> {
        let Target::Commands { device } = topics::target(publish.topic) else {
            return self.deny("forbidden_topic", None, NOT_AUTHORIZED);
        };
        if !may_command {
            return self.deny("forbidden_topic", None, NOT_AUTHORIZED);
        }
        if self.gate.cx.devices.find(device).is_none() {
            return self.deny("unknown_target", None, TOPIC_NAME_INVALID);
        }
        let payload = Bytes::copy_from_slice(publish.payload);
        let topic = topics::commands_topic(device);
        match Arc::clone(&self.gate).bus.publish(topic, payload) {
            Ok(handed) => Some(Verdict::Handed(handed)),
            Err(_) => self.deny("bus_full", None, IMPLEMENTATION_SPECIFIC),
        }
    }

    /// Takes a step of a case, which waits for the writer; the answer comes with its commit.
    fn case_step(&mut self, publish: &Publish<'_>, case: &str, actor: &Actor) -> Option<Verdict> {
        if !actor.role.reports_steps() {
            return self.deny("forbidden_topic", None, NOT_AUTHORIZED);
        }
        let message = (publish.qos, publish.packet_id);
        match StepAsk::read(actor, case, publish.payload, message) {
            Ok(ask) => {
                self.step = Some(ask);
                None
            }
            Err(outcome) => {
                self.publish_outcome(case, outcome);
                Some(Verdict::Unreadable)
            }
        }
    }

    /// Writes the answers to what is on disk now.
    pub(super) fn on_answer(&mut self, landed: &Landed) {
        self.answer(&landed.acks, landed.proof.as_ref());
        if let Some(step) = &landed.step {
            self.answer_step(&step.0, &step.1);
        }
        self.out.extend_from_slice(&landed.answer);
        self.soil();
    }

    fn answer(&mut self, acks: &[Ack], proof: Option<&Committed>) {
        for ack in acks {
            let verdict = ack.verdict.after(proof);
            let id = (ack.qos, ack.packet_id);
            let (out, version) = (&mut self.out, self.version);
            match (verdict, proof) {
                (Verdict::Stored | Verdict::Repeated, Some(proof)) => {
                    packet::publish_ack(out, version, id, false, proof);
                }
                (Verdict::Unusable, Some(proof)) => {
                    packet::publish_ack(out, version, id, true, proof);
                }
                (Verdict::Refused(reason), _) => packet::publish_refusal(out, id, reason),
                (Verdict::Unreadable, _) => {
                    let told = (steps::PAYLOAD_FORMAT_INVALID, "the report cannot be read");
                    packet::publish_told(out, version, id, told);
                }
                (Verdict::Handed(handed), _) => {
                    packet::publish_handed(out, version, id, handed);
                }
                (Verdict::Stored | Verdict::Repeated | Verdict::Unusable, None) => {
                    tracing::error!("a message had no commit; not acknowledged");
                    continue;
                }
            }
            // A PUBREC with an error ends the exchange; a good one waits for its PUBREL.
            let ends = match verdict {
                Verdict::Stored | Verdict::Repeated | Verdict::Handed(_) => {
                    ack.qos == Qos::AtLeastOnce
                }
                Verdict::Unusable => ack.qos == Qos::AtLeastOnce || version == Version::V5,
                Verdict::Unreadable => ack.qos == Qos::AtLeastOnce || version == Version::V5,
                Verdict::Refused(_) => true,
            };
            if ends {
                self.end_exchange(ack.qos, ack.packet_id);
            }
        }
        self.soil();
    }

    /// Answers a step with what the writer said.
    pub(super) fn answer_step(&mut self, ask: &StepAsk, said: &Result<Done, CommandError>) {
        let (code, words, outcome) = ask.outcome(said);
        let id = (ask.qos, ask.packet_id);
        packet::publish_told(&mut self.out, self.version, id, (code, &words));
        let is_error = code >= 0x80 && self.version == Version::V5;
        if ask.qos == Qos::AtLeastOnce || is_error {
            self.end_exchange(ask.qos, ask.packet_id);
        }
        self.publish_outcome(&ask.case, outcome);
        self.soil();
    }

    /// Forgets a message that was answered to the end.
    pub(super) fn end_exchange(&mut self, qos: Qos, packet_id: u16) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if qos == Qos::ExactlyOnce {
            self.held.remove(&packet_id);
        }
    }

    fn publish_outcome(&self, case: &str, outcome: Bytes) {
        if self
            .gate
            .bus
            .publish(topics::result_topic(case), outcome)
            .is_err()
        {
            tracing::debug!("the outcome of a step was not published: the bus is full");
        }
    }

    /// Turns a message away: version 5 is told why, 3.1.1 is closed without a PUBACK.
    fn deny(&mut self, reason: &'static str, claimed: Option<String>, code: u8) -> Option<Verdict> {
        self.gate.refuse(reason, claimed, &self.peer, true);
        if self.version == Version::V4 {
            self.close_with(None, true);
            return None;
        }
        Some(Verdict::Refused(code))
    }

    /// Answers a change of the subscriptions: of a session that is kept, when it is on disk.
    fn answer_kept(&mut self, answer: &[u8]) {
        if let Some(word) = self.subscriptions.changed() {
            let ingest = &self.gate.cx.ingest;
            return self.flights.launch_kept(ingest, word, answer.to_vec());
        }
        self.out.extend_from_slice(answer);
        self.soil();
    }

    fn on_other(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::PingReq => packet::pingresp(&mut self.out),
            Incoming::PubAck { packet_id } => {
                // One that nobody waits for comes from a session that was taken over: no harm.
                if !self.subscriptions.acknowledge(packet_id) {
                    tracing::debug!(packet_id, "a PUBACK that nobody waits for");
                }
                return;
            }
            Incoming::PubRel { packet_id } => {
                let known = self.held.remove(&packet_id);
                self.unanswered = self.unanswered.saturating_sub(usize::from(known));
                packet::pubcomp(&mut self.out, self.version, packet_id, known);
            }
            Incoming::Subscribe { packet_id, filters } => {
                let gate = Arc::clone(&self.gate);
                let paths: Vec<_> = filters.iter().map(|filter| filter.path.clone()).collect();
                let codes =
                    self.subscriptions
                        .subscribe(&gate, &self.principal, filters, &self.seat);
                if codes.iter().any(|code| *code >= 0x80) {
                    let claimed = self.claimed();
                    gate.refuse("forbidden_filter", claimed, &self.peer, false);
                }
                self.hear_orders(&paths);
                let mut suback = BytesMut::new();
                packet::suback(&mut suback, self.version, packet_id, &codes);
                self.answer_kept(&suback);
                return self.greet(&paths);
            }
            Incoming::Unsubscribe { packet_id, filters } => {
                let codes = self.subscriptions.unsubscribe(&filters, &self.seat);
                let mut unsuback = BytesMut::new();
                packet::unsuback(&mut unsuback, self.version, packet_id, &codes);
                return self.answer_kept(&unsuback);
            }
            Incoming::Disconnect { with_will } => {
                self.close_with(None, with_will);
                return;
            }
        }
        self.soil();
    }
}
