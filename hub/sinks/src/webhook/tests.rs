//! Webhooks against a receiver whose every byte is in the test's hand.

use super::{Webhook, WebhookConfig, retry_after};
use crate::{Caller, DeliveryError, Sink, SinkContext, Subscription};
use model::{Event, Timestamp};
use sdk::Clock;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// 2026-03-01T00:00:00Z
const EPOCH_S: i64 = 1_772_323_200;

fn event(seq: u64) -> Event {
    Event {
        seq,
        kind: "cityhub.alarm.raised".to_owned(),
        subject: format!("a-{seq}"),
        severity: None,
        grid: None,
        json: json!({"specversion": "1.0", "id": seq.to_string()}).to_string(),
    }
}

fn open(url: &str, more: &Value) -> Webhook {
    let mut config = json!({"url": url, "secret": SECRET});
    let fields = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(fields);
    let config: WebhookConfig = serde_json::from_value(config).unwrap();
    Webhook::check(&config).unwrap();
    let cx = SinkContext {
        name: "platform".to_owned(),
        city_code: "350200".to_owned(),
        clock: Clock::starting_at(Timestamp::from_millis(EPOCH_S * 1_000)),
        tasks: TaskTracker::new(),
        tracer: sdk::Tracer::default(),
    };
    Webhook::open(config, cx).unwrap()
}

/// Reads one request: its head in lower case but for the values, and its body.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "hung up");
        let text = String::from_utf8(bytes.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if body.len()
            == header(head, "content-length")
                .unwrap()
                .parse::<usize>()
                .unwrap()
        {
            return (head.to_owned(), body.to_owned());
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), status: &str, fields: &str) {
    let text = format!("HTTP/1.1 {status}\r\n{fields}content-length: 4\r\n\r\nnote");
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in?city=1", listener.local_addr().unwrap());
    (listener, url)
}

/// Answers one request with this status; gives what the sink made of it.
async fn after_answer(status: &str, fields: &str) -> Result<(), DeliveryError> {
    let (listener, url) = listen().await;
    let mut webhook = open(&url, &json!({}));
    let receiver = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        answer(&mut stream, status, fields).await;
        // Whoever follows a redirect would ask once more; whoever is done may close.
        let asked_again = stream.read_u8().await.is_ok();
        assert!(!asked_again, "the connection was used again");
        std::future::pending::<()>().await;
    };
    let events = [event(7)];
    tokio::select! {
        delivered = Sink::deliver(&mut webhook, &events) => delivered,
        () = receiver => unreachable!("it waits for ever"),
    }
}

#[tokio::test]
async fn one_event_a_request_is_signed_and_the_connection_is_kept() {
    let (listener, url) = listen().await;
    let more = json!({"token": "a token", "next_secret": SECRET});
    let mut webhook = open(&url, &more);
    let events = [event(7), event(8)];
    assert_eq!(Sink::share(&webhook, &events), 1);
    let sending = async {
        for event in &events {
            let one = std::slice::from_ref(event);
            Sink::deliver(&mut webhook, one).await.unwrap();
        }
    };
    let receiving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heads = Vec::new();
        for event in &events {
            let (head, body) = read_request(&mut stream).await;
            assert_eq!(body, event.json);
            answer(&mut stream, "200 OK", "").await;
            heads.push(head);
        }
        heads
    };
    let ((), heads) = tokio::join!(sending, receiving);
    assert!(
        heads[0].starts_with("POST /in?city=1 HTTP/1.1"),
        "{}",
        heads[0]
    );
    let media = "application/cloudevents+json; charset=utf-8";
    assert_eq!(header(&heads[0], "content-type"), Some(media));
    assert_eq!(header(&heads[0], "authorization"), Some("Bearer a token"));
    let ids = heads.iter().map(|head| header(head, "webhook-id").unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), ["7", "8"]);
    // printf '%s' '7.1772323200.{"id":"7","specversion":"1.0"}' | openssl dgst -sha256 -binary \
    //   -mac HMAC -macopt hexkey:000102030405060708090a0b0c0d0e0f1011121314151617 | base64
    let expected = "v1,migZHTGYQw+jqlcYhSHz8sDMiATD+NzuTb0zceq8C9g= v1,migZHTGYQw+jqlcYhSHz8sDMiATD+NzuTb0zceq8C9g=";
    assert_eq!(header(&heads[0], "webhook-signature"), Some(expected));
    assert_eq!(header(&heads[0], "webhook-timestamp"), Some("1772323200"));
}

#[tokio::test]
async fn a_batch_is_one_request_of_at_most_64_kib() {
    let (listener, url) = listen().await;
    let mut webhook = open(&url, &json!({"batch_max": 100}));
    let events: Vec<Event> = (1..=3).map(event).collect();
    assert_eq!(Sink::share(&webhook, &events), 3);
    let large = Event {
        json: format!("\"{}\"", "x".repeat(65_000)),
        ..event(9)
    };
    // Two brackets and a comma do not fit beside the second; one alone goes however large it is.
    assert_eq!(Sink::share(&webhook, &[large.clone(), large.clone()]), 1);
    let receiving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, body) = read_request(&mut stream).await;
        answer(&mut stream, "202 Accepted", "").await;
        let media = "application/cloudevents-batch+json; charset=utf-8";
        assert_eq!(header(&head, "content-type"), Some(media));
        assert_eq!(header(&head, "webhook-id"), Some("1-3"));
        let list: Vec<Value> = serde_json::from_str(&body).unwrap();
        assert_eq!(list[2]["id"], "3");
        assert_eq!(list.len(), 3);
    };
    let (delivered, ()) = tokio::join!(Sink::deliver(&mut webhook, &events), receiving);
    assert_eq!(delivered, Ok(()));
}

#[tokio::test]
async fn an_answer_means_taken_or_again_or_never() {
    for status in ["200 OK", "202 Accepted", "204 No Content"] {
        assert_eq!(after_answer(status, "").await, Ok(()), "{status}");
    }
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "404 Not Found",
        "409 Conflict",
        "410 Gone",
        "413 Content Too Large",
        "422 Unprocessable Content",
    ] {
        let code = status.split(' ').next().unwrap();
        let reason = format!("answered {code}: note");
        let expected = Err(DeliveryError::Refused { reason });
        assert_eq!(after_answer(status, "").await, expected);
    }
    let again = [
        "301 Moved Permanently",
        "307 Temporary Redirect",
        "408 Request Timeout",
        "425 Too Early",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ];
    for status in again {
        let answered = after_answer(status, "location: /elsewhere\r\n").await;
        let is_again = matches!(answered, Err(DeliveryError::Retry { after: None, .. }));
        assert!(is_again, "{status}: {answered:?}");
    }
}

#[tokio::test]
async fn who_asks_for_time_is_given_it() {
    let answered = after_answer("429 Too Many Requests", "retry-after: 17\r\n").await;
    let Err(DeliveryError::Retry { after, .. }) = answered else {
        panic!("{answered:?}");
    };
    assert_eq!(after, Some(Duration::from_secs(17)));
}

#[test]
fn retry_after_is_seconds_or_a_date_and_never_more_than_an_hour() {
    let read = |text| retry_after(text, EPOCH_S).map(|time| time.as_secs());
    assert_eq!(read("0"), Some(0));
    assert_eq!(read("120"), Some(120));
    assert_eq!(read("999999"), Some(3_600));
    assert_eq!(read("Sun, 01 Mar 2026 00:01:30 GMT"), Some(90));
    assert_eq!(read("Sat, 28 Feb 2026 00:00:00 GMT"), Some(0));
    assert_eq!(read("soon"), None);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_no_attempt() {
    let (listener, url) = listen().await;
    let mut webhook = open(&url, &json!({}));
    let receiving = async {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            answer(&mut stream, "200 OK", "").await;
        }
    };
    let sending = async {
        for seq in [7, 8] {
            Sink::deliver(&mut webhook, &[event(seq)]).await.unwrap();
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn nobody_there_a_reset_and_half_an_answer_mean_again() {
    let (listener, url) = listen().await;
    let mut webhook = open(&url, &json!({}));
    let receiving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 2").await.unwrap();
        drop(stream);
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
    };
    let sending = async {
        for _ in 0..2 {
            let error = Sink::deliver(&mut webhook, &[event(7)]).await.unwrap_err();
            assert!(matches!(error, DeliveryError::Retry { .. }), "{error:?}");
        }
    };
    tokio::join!(sending, receiving);
    drop(listener);
    let error = Sink::deliver(&mut webhook, &[event(7)]).await.unwrap_err();
    assert!(
        error.to_string().contains("connect to 127.0.0.1"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_given_up_after_the_timeout() {
    let (listener, url) = listen().await;
    let mut webhook = open(&url, &json!({"timeout_s": 30}));
    let before = tokio::time::Instant::now();
    let events = [event(7)];
    // It may accept and read: what counts is the answer.
    let (delivered, _held) = tokio::join!(Sink::deliver(&mut webhook, &events), listener.accept());
    let error = delivered.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 30 s");
    assert_eq!(before.elapsed(), Duration::from_secs(30));
}

/// Makes the server side of TLS for `localhost`, and a folder with its certificate as `ca.pem`.
fn certified() -> (tokio_rustls::TlsAcceptor, tempfile::TempDir) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (tokio_rustls::TlsAcceptor::from(Arc::new(tls)), folder)
}

#[tokio::test]
async fn only_who_shows_a_certificate_that_is_trusted_gets_events() {
    let (acceptor, folder) = certified();
    let ca_file = folder.path().join("ca.pem");
    let (listener, _) = listen().await;
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let mut trusting = open(&url, &json!({"ca_file": ca_file}));
    let mut strange = open(&url, &json!({}));
    let receiving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        read_request(&mut stream).await;
        answer(&mut stream, "200 OK", "").await;
        let (stream, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(stream).await.is_err());
    };
    let events = [event(7)];
    let sending = async {
        assert_eq!(Sink::deliver(&mut trusting, &events).await, Ok(()));
        let error = Sink::deliver(&mut strange, &events).await.unwrap_err();
        assert!(error.to_string().contains("TLS with localhost"), "{error}");
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_single_message_goes_to_who_is_trusted_and_only_a_2xx_is_taken_as_heard() {
    let (acceptor, folder) = certified();
    let ca_file = folder.path().join("ca.pem");
    let (listener, plain) = listen().await;
    let port = listener.local_addr().unwrap().port();
    let secure = format!("https://localhost:{port}/hook?a=1");
    let caller = |url: &str, ca_file: Option<&Path>| {
        Caller::new(url, ca_file, Duration::from_secs(5)).unwrap()
    };
    let body = json!({"a": 1});
    let receiving = async {
        for status in ["204 No Content", "500 Oops", "302 Found"] {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let (head, body) = read_request(&mut stream).await;
            assert!(head.starts_with("POST /hook?a=1 HTTP/1.1"), "{head}");
            assert_eq!(header(&head, "content-type"), Some("application/json"));
            assert_eq!(body, "{\"a\":1}");
            answer(&mut stream, status, "").await;
        }
        let (stream, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(stream).await.is_err());
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        answer(&mut stream, "200 OK", "").await;
    };
    let sending = async {
        let trusting = caller(&secure, Some(&ca_file));
        assert_eq!(trusting.post(&body).await, Ok(()));
        let refused = |status: &str| Err(format!("answered {status}"));
        assert_eq!(trusting.post(&body).await, refused("500"));
        assert_eq!(trusting.post(&body).await, refused("302"));
        let error = caller(&secure, None).post(&body).await.unwrap_err();
        assert!(error.contains("TLS with localhost"), "{error}");
        assert_eq!(caller(&plain, None).post(&body).await, Ok(()));
    };
    tokio::join!(sending, receiving);
    assert!(Caller::new("ftp://x/", None, Duration::from_secs(5)).is_err());
}

#[test]
fn what_is_wrong_with_a_webhook_is_named() {
    let wrong = [
        (json!({"url": "ftp://x"}), "`url`"),
        (json!({"url": "https://user:word@x/"}), "`url`"),
        (json!({"secret": "whsec_short"}), "`secret`"),
        (json!({"next_secret": "x"}), "`next_secret`"),
        (json!({"batch_max": 0}), "`batch_max`"),
        (json!({"timeout_s": 0}), "`timeout_s`"),
        (json!({"ca_file": "/nowhere.pem"}), "`ca_file`"),
        (json!({"filter": {"type": "x"}}), "`filter`"),
        (json!({"from": "yesterday"}), "`from`"),
        (json!({"colour": "red"}), "`colour`"),
        (json!({"kind": "post"}), "`kind`"),
    ];
    for (more, named) in wrong {
        let mut spec = json!({"kind": "webhook", "url": "https://x/", "secret": SECRET});
        let fields = more.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(fields);
        let error = Subscription::parse(&spec).unwrap_err().to_string();
        assert!(error.contains(named), "{more}: {error}");
        assert!(!error.contains("AAECAw"), "{error}");
    }
}
