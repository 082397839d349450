//! A line that answers late, in pieces, or not at all. Time is paused.

use crate::frame::{Block, Reply, Request, Table, Trouble, crc};
use crate::link::{Link, RtuLink, Strange};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

const TIMEOUT: Duration = Duration::from_secs(1);

fn line() -> (Link, DuplexStream) {
    let (ours, theirs) = duplex(4096);
    let known: Arc<[Vec<u8>]> = Arc::new([b"www.usr.cn".to_vec()]);
    (Link::Rtu(RtuLink::new(Box::new(ours), known)), theirs)
}

fn read(at: u16) -> Request {
    Request::Read(Block {
        table: Table::Holding,
        at,
        count: 1,
    })
}

fn answer(unit: u8, value: u8) -> Vec<u8> {
    let plain = [unit, 3, 2, 0, value];
    [&plain[..], &crc(&plain).to_le_bytes()].concat()
}

async fn asked(peer: &mut DuplexStream) -> [u8; 8] {
    let mut asked = [0; 8];
    peer.read_exact(&mut asked).await.unwrap();
    asked
}

fn value(reply: Reply) -> u16 {
    match reply {
        Reply::Data(data) => data.register(0).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_single_bytes_with_pauses_and_a_heartbeat_inside_arrives() {
    let (mut link, mut peer) = line();
    let device = async {
        asked(&mut peer).await;
        let whole = answer(1, 9);
        let (before, after) = whole.split_at(4);
        for byte in [before, b"www.usr.cn", after].concat() {
            sleep(Duration::from_millis(20)).await;
            peer.write_all(&[byte]).await.unwrap();
        }
    };
    let request = read(0);
    let (got, ()) = tokio::join!(link.ask(1, &request, TIMEOUT), device);
    assert_eq!(value(got.unwrap()), 9);
    assert_eq!(link.take_strange(), Strange::default());
}

#[tokio::test(start_paused = true)]
async fn what_came_unasked_is_no_answer() {
    let (mut link, mut peer) = line();
    peer.write_all(&answer(1, 66)).await.unwrap();
    let device = async {
        asked(&mut peer).await;
        peer.write_all(&answer(1, 9)).await.unwrap();
    };
    let request = read(0);
    let (got, ()) = tokio::join!(link.ask(1, &request, TIMEOUT), device);
    assert_eq!(value(got.unwrap()), 9);
    let expected = Strange {
        foreign: 0,
        late: 1,
    };
    assert_eq!(link.take_strange(), expected);
}

/// However late the answer comes, within the pause or after the next request, it is never taken.
#[tokio::test(start_paused = true)]
async fn a_late_answer_is_never_taken_for_the_next_register() {
    for late_ms in [1001, 1030, 1200, 1900, 2500] {
        let (mut link, mut peer) = line();
        let (mut reader, mut writer) = tokio::io::split(&mut peer);
        let device = async {
            let mut request = [0; 8];
            reader.read_exact(&mut request).await.unwrap();
            sleep(Duration::from_millis(late_ms)).await;
            writer.write_all(&answer(1, 66)).await.unwrap();
            // All that was asked since is answered at once, each with its own register.
            loop {
                reader.read_exact(&mut request).await.unwrap();
                writer.write_all(&answer(1, request[3])).await.unwrap();
            }
        };
        let hub = async {
            let first = link.ask(1, &read(0), TIMEOUT).await;
            assert_eq!(first.unwrap_err().trouble, Trouble::Timeout);
            for register in [5, 6, 5] {
                let got = link.ask(1, &read(register), TIMEOUT).await;
                if let Ok(reply) = got {
                    assert_eq!(value(reply), register, "late by {late_ms} ms");
                }
            }
            let last = link.ask(1, &read(7), TIMEOUT).await;
            assert_eq!(value(last.unwrap()), 7, "late by {late_ms} ms");
        };
        tokio::select! {
            () = hub => {}
            () = device => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_silent_holds_up_no_other() {
    let (mut link, mut peer) = line();
    let device = async {
        asked(&mut peer).await;
        asked(&mut peer).await;
        peer.write_all(&answer(2, 8)).await.unwrap();
    };
    let hub = async {
        assert!(link.ask(1, &read(0), TIMEOUT).await.is_err());
        let start = Instant::now();
        let got = link.ask(2, &read(0), TIMEOUT).await;
        assert_eq!(value(got.unwrap()), 8);
        start.elapsed()
    };
    let (took, ()) = tokio::join!(hub, device);
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_is_no_probe_for_a_unit_that_owes_an_answer() {
    let (mut link, mut peer) = line();
    assert!(link.ask(1, &read(0), TIMEOUT).await.is_err());
    asked(&mut peer).await;
    let write = Request::WriteRegister { at: 1, value: 0 };
    assert!(link.ask(1, &write, TIMEOUT).await.is_err());
    drop(link);
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "something was written");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_a_night_are_no_noise_and_a_flood_ends_the_line() {
    let (mut link, mut peer) = line();
    let device = async {
        for _ in 0..600 {
            peer.write_all(b"www.").await.unwrap();
            sleep(Duration::from_secs(30)).await;
            peer.write_all(b"usr.cn").await.unwrap();
            sleep(Duration::from_secs(30)).await;
        }
        peer
    };
    let night = link.idle(Instant::now() + Duration::from_secs(36_000));
    let (idle, mut peer) = tokio::join!(night, device);
    assert_eq!(idle, Ok(()));
    assert_eq!(link.take_strange(), Strange::default());
    let flood = async {
        // It ends when the line is given up.
        while peer.write_all(&[0x55; 1000]).await.is_ok() {}
    };
    let idle = async {
        let far = Instant::now() + Duration::from_secs(60);
        let ended = link.idle(far).await;
        assert!(link.take_strange().foreign > 64 * 1024);
        drop(link);
        ended
    };
    let (ended, ()) = tokio::join!(idle, flood);
    assert!(matches!(ended, Err(Trouble::Closed(_))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_is_noticed_while_nothing_is_asked() {
    let (mut link, peer) = line();
    drop(peer);
    let ended = link.idle(Instant::now() + TIMEOUT).await;
    assert!(matches!(ended, Err(Trouble::Closed(_))));
}
