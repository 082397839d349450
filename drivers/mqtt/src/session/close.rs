//! How a session ends: the last word, the will, and hanging up.

use super::{READ_BYTES_MIN, Session, code, write_some};
use crate::identity::Principal;
use crate::packet::{self, Publish, Qos};
use crate::telemetry::Batch;
use bytes::BytesMut;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The last packet has this long to be written.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(2);

/// The client has this long to close its end, so that unread input does not destroy the answers.
const LINGER: Duration = Duration::from_secs(1);

/// Unread input that is thrown away meanwhile; whoever sends more is not about to hang up.
const LINGER_BYTES: usize = 256 * 1024;

/// Closes our end, then waits a little for the client to close its own.
pub(super) async fn hang_up<R, W>(reader: &mut R, writer: &mut W)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    drop(tokio::time::timeout(GOODBYE_DEADLINE, writer.shutdown()).await);
    let drained = async {
        let mut scrap = BytesMut::with_capacity(READ_BYTES_MIN);
        let mut thrown_away = 0;
        while thrown_away < LINGER_BYTES {
            match reader.read_buf(&mut scrap).await {
                Ok(0) | Err(_) => return,
                Ok(read) => thrown_away += read,
            }
            scrap.clear();
        }
    };
    drop(tokio::time::timeout(LINGER, drained).await);
}

impl Session {
    pub(super) async fn say_goodbye<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) {
        let code = self.closing.and_then(|closing| closing.code);
        let Some(code) = code else {
            return;
        };
        packet::disconnect(&mut self.out, self.version, code);
        let written = async {
            while !matches!(write_some(writer, &mut self.out).await, Ok(true) | Err(_)) {}
        };
        drop(tokio::time::timeout(GOODBYE_DEADLINE, written).await);
    }

    /// Commits the will of a client that was lost, and leaves everything in order.
    pub(super) async fn close(mut self: Box<Self>) {
        let with_will = self.closing.is_some_and(|closing| closing.with_will);
        self.leave(with_will).await;
        let Self {
            subscriptions,
            seat,
            gate,
            ..
        } = *self;
        subscriptions.close(&seat, &gate.cx).await;
    }

    /// Commits the last that is known of the device: its will, and the end of the nodes that it was.
    async fn leave(&mut self, with_will: bool) {
        let Principal::Device { entry, .. } = &self.principal else {
            return;
        };
        let desk = self.gate.desk(entry);
        let mut batch = Batch::default();
        if let (true, Some(will)) = (with_will, &self.will) {
            let publish = Publish {
                qos: Qos::AtMostOnce,
                packet_id: 0,
                topic: &will.topic,
                payload: &will.payload,
            };
            let taken = batch.take(desk, &mut self.exchange, &publish, &mut |_, _| {});
            if taken.is_err() {
                let claimed = Some(entry.device.id.as_str().to_owned());
                let reason = "forbidden_topic";
                self.gate.refuse(reason, claimed, &self.peer, true);
            }
        }
        // Where the hub hangs up by itself, the device is well and will be back.
        let code = self.closing.and_then(|closing| closing.code);
        let is_ours = matches!(
            code,
            Some(code::SHUTTING_DOWN | code::SERVER_BUSY | code::QUOTA_EXCEEDED)
        );
        if !is_ours {
            batch.end_nodes(desk, &mut self.exchange.nodes);
        }
        let (Some(submission), _) = batch.close() else {
            return;
        };
        if let Err(error) = self.gate.cx.ingest.commit(submission).await {
            tracing::warn!(%error, device = %entry.device.id, "the last of a device was not stored");
        }
    }
}
