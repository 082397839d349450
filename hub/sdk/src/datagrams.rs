//! The loop of a datagram socket: each datagram is read by a [`Talk`] of its own, and what it has to
//! say goes back to its sender.

use crate::{Context, Refusal, Reply, Step, Submission, Talk};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Datagrams whose commit is under way; while there are as many, no more are read.
const FLIGHTS_MAX: usize = 256;

/// Largest UDP payload.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// How long a socket rests after an error, such as the ICMP answer of a peer that has gone.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Serves until the stop, then waits until what was taken is answered.
///
/// A commit has its deadline: a datagram that gets no answer is sent again.
pub async fn datagrams<T: Talk>(
    socket: Arc<UdpSocket>,
    cx: Context,
    make: impl Fn(SocketAddr) -> T,
) {
    let places = Arc::new(Semaphore::new(FLIGHTS_MAX));
    let tasks = TaskTracker::new();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let place = tokio::select! {
            biased;
            () = cx.stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let received = tokio::select! {
            biased;
            () = cx.stop.cancelled() => break,
            received = socket.recv_from(&mut buffer) => received,
        };
        let (len, peer) = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, driver = cx.name, "could not receive a datagram");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        let bytes = BytesMut::from(buffer.get(..len).unwrap_or_default());
        let steps = read(make(peer), bytes, &cx, peer);
        let (cx, socket) = (cx.clone(), Arc::clone(&socket));
        tasks.spawn(async move {
            for step in steps {
                let said = answer(step, &cx).await;
                if !said.is_empty()
                    && let Err(error) = socket.send_to(&said, peer).await
                {
                    tracing::debug!(%error, driver = cx.name, "could not send an answer");
                }
            }
            drop(place);
        });
    }
    tasks.close();
    tasks.wait().await;
}

/// What is left to do of a datagram once it is read.
enum Left {
    Commit(Submission, Option<Reply>),
    Say(Bytes),
}

fn read(mut talk: impl Talk, mut bytes: BytesMut, cx: &Context, peer: SocketAddr) -> Vec<Left> {
    let refuse = |reason, claimed, detail: &str| {
        tracing::debug!(%reason, detail, driver = cx.name, %peer, "not taken");
        cx.ingest.refuse(Refusal {
            reason,
            claimed,
            peer: peer.to_string(),
            message: true,
        });
    };
    let mut left = Vec::new();
    while let Some(step) = talk.next(&mut bytes, cx.clock.now()) {
        match step {
            Step::Commit { submission, reply } => left.push(Left::Commit(submission, reply)),
            Step::Say(said) => left.push(Left::Say(said)),
            Step::Skipped { reason, detail, .. } => refuse(reason, None, &detail),
            Step::Refused {
                reason,
                claimed,
                say,
            } => {
                refuse(reason, Some(claimed), "");
                left.extend(say.map(Left::Say));
            }
            Step::Nothing => {}
            Step::Close { .. } => break,
        }
    }
    if !bytes.is_empty() {
        let detail = format!(
            "{} bytes at the end of a datagram are no frame",
            bytes.len()
        );
        refuse("frame_truncated".into(), None, &detail);
    }
    left
}

async fn answer(left: Left, cx: &Context) -> Bytes {
    match left {
        Left::Say(said) => said,
        Left::Commit(submission, reply) => match cx.ingest.commit(submission).await {
            Ok(proof) => reply.map(|reply| reply(&proof)).unwrap_or_default(),
            Err(error) => {
                tracing::debug!(%error, driver = cx.name, "not acknowledged");
                Bytes::new()
            }
        },
    }
}
