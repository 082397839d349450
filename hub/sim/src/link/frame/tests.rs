//! Frames are sent until they are answered, and what was said is what was vouched for.

use super::*;
use crate::fleet::{Fleet, read};
use crate::tally::{Counts, Tally};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// 2026-03-01T00:00:00+08:00.
pub(in crate::link) const START_MS: i64 = 1_772_294_400_000;

/// A device of a kind, with one identity.
pub(in crate::link) fn device(kind: &str, identity: &str, value: &str) -> Device {
    fleet(kind, identity, value).devices.remove(0)
}

fn fleet(kind: &str, identity: &str, value: &str) -> Fleet {
    let columns = format!("id,kind,name,site,lon,lat,cadence_s,identities.{identity}");
    read(&format!(
        "{columns}\nd-1,{kind},n,s,118.1,24.5,60,{value}\n"
    ))
    .unwrap()
}

/// Bytes of hexadecimal digits, blanks between them for the reader.
pub(in crate::link) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pair = |two: &[char]| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn noise(ts_ms: i64) -> Message {
    Message {
        device: 0,
        ts_ms,
        content: Content::Observations(vec![Observation::number("laeq_dba", 50.1, 1)]),
    }
}

/// Runs an HJ 212 link beside a hub.
async fn speak(messages: Vec<Message>, hub: impl AsyncFnOnce(TcpListener)) -> Counts {
    let fleet = fleet("noise", "hj212_mn", "0F0000SIM000000000000001");
    let shared = Arc::new(Shared::new(fleet, Tally::new(None).unwrap()));
    let (sender, queue) = mpsc::channel(8);
    shared
        .tally
        .count(|counts| counts.planned += messages.len() as u64);
    for message in messages {
        sender.try_send(message).unwrap();
    }
    drop(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: Arc<str> = listener.local_addr().unwrap().to_string().into();
    let wire = wire(Way::Hj212, (&shared.fleet, 0), "").unwrap();
    let link = FrameLink::new(
        Arc::clone(&shared),
        (addr, false),
        wire,
        Random::new(1, 0),
        queue,
    );
    tokio::join!(link.run(), hub(listener));
    shared.tally.summary(1, 1.0).counts
}

/// Reads one frame and answers its exchange.
async fn frame(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    let text = String::from_utf8(bytes).unwrap();
    let qn = text.get(9..26).unwrap();
    // The checksum is that of the answer, by the routine that the standard's examples hold.
    let segment =
        format!("QN={qn};ST=91;CN=9014;PW=123456;MN=0F0000SIM000000000000001;Flag=4;CP=&&&&");
    let answer = super::super::hj212::frame(&segment);
    (text, answer)
}

#[tokio::test(start_paused = true)]
async fn a_frame_without_an_answer_goes_out_again_byte_for_byte() {
    let counts = speak(vec![noise(START_MS)], async |listener| {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (first, _) = frame(&mut stream).await;
        let (second, answer) = frame(&mut stream).await;
        assert_eq!(first, second);
        stream.write_all(&answer).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    })
    .await;
    assert_eq!(
        (
            counts.sent,
            counts.resent,
            counts.acked,
            counts.acked_values
        ),
        (1, 1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_another_exchange_is_none_to_this_one() {
    let counts = speak(vec![noise(START_MS)], async |listener| {
        for _ in 0..CONNECTIONS_MAX {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (_, answer) = frame(&mut stream).await;
            let text = String::from_utf8(answer).unwrap();
            let other = format!(
                "QN=20160801085857223{}",
                text.get(26..text.len() - 6).unwrap()
            );
            let answer = super::super::hj212::frame(&other);
            stream.write_all(&answer).await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        }
        // On one more connection the link finds that it has nothing left to say.
        drop(listener.accept().await);
    })
    .await;
    assert_eq!((counts.acked, counts.abandoned), (0, 1));
    // Three repeats on each of three connections, and two first frames on later ones.
    assert_eq!(counts.resent, 11);
}

#[tokio::test(start_paused = true)]
async fn a_broken_frame_waits_for_no_answer() {
    let garbage = Message {
        device: 0,
        ts_ms: START_MS + 60_000,
        content: Content::Garbage(b"{\"ts\":1".to_vec()),
    };
    let messages = vec![noise(START_MS), garbage];
    let counts = speak(messages, async |listener| {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (first, answer) = frame(&mut stream).await;
        stream.write_all(&answer).await.unwrap();
        let mut broken = Vec::new();
        stream.read_to_end(&mut broken).await.unwrap();
        let differ = first.bytes().zip(&broken).filter(|(a, b)| a != *b).count();
        assert_eq!((broken.len(), differ), (first.len(), 1));
    })
    .await;
    assert_eq!((counts.acked, counts.unconfirmed), (1, 1));
}
