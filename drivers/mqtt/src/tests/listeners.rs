//! The gate on real sockets: limits, TLS, client certificates, and the stop.

use super::{A, B, Change};
use super::{Client, GOOD, Hello, Kit, PATIENCE, config, observed};
use crate::{Config, Mqtt};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sdk::{Driver, DriverError};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use tls::ClientAuth;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

struct Running {
    kit: Kit,
    plain: SocketAddr,
    tls: Option<SocketAddr>,
    ended: JoinHandle<Result<(), DriverError>>,
    tasks: TaskTracker,
}

async fn run(config: Config) -> Running {
    let kit = Kit::new(&[A, B]);
    let driver = Mqtt::open(config, kit.cx.clone()).await.unwrap();
    let addresses = driver.addresses();
    let find = |name| addresses.iter().find(|(known, _)| *known == name);
    let plain = find("listen").unwrap().1;
    let tls = find("tls_listen").map(|(_, address)| *address);
    let tasks = TaskTracker::new();
    Running {
        kit,
        plain,
        tls,
        ended: tasks.spawn(driver.run()),
        tasks,
    }
}

impl Running {
    async fn dial(&self, version: u8) -> Client {
        let stream = TcpStream::connect(self.plain).await.unwrap();
        self.client(version, stream)
    }

    /// Puts a stream behind the pipe that the client of the other tests has.
    fn client<IO>(&self, version: u8, mut stream: IO) -> Client
    where
        IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (io, mut inner) = tokio::io::duplex(4096);
        self.tasks.spawn(async move {
            drop(copy_bidirectional(&mut inner, &mut stream).await);
        });
        Client { io, version }
    }

    /// A good device connects, publishes, and is acknowledged.
    async fn serves(&mut self, mut client: Client, hello: &Hello, topic: &str) {
        client.send(&hello.bytes()).await;
        assert_eq!(client.connack().await, (false, 0));
        client.publish(1, 1, topic, GOOD).await;
        let stored = tokio::time::timeout(PATIENCE, self.kit.store_next()).await;
        assert_eq!(observed(&stored.unwrap().unwrap()), [(1, 1)]);
        client.expect(&[0x40, 2, 0, 1]).await;
    }

    async fn serves_plain(&mut self) {
        let client = self.dial(5).await;
        let hello = Hello::device(5, "a");
        self.serves(client, &hello, "devices/a/telemetry").await;
    }

    async fn expect_refused(&self, reason: &str) {
        let mut seen = Vec::new();
        // The refusal is counted before the connection ends, so it is there.
        for (_, refusal, _) in self.kit.refusals.drain().samples {
            seen.push(refusal.reason.into_owned());
        }
        assert!(seen.iter().any(|known| known == reason), "{seen:?}");
    }
}

#[tokio::test]
async fn a_bad_client_ends_neither_the_listener_nor_the_good_ones() {
    let mut running = run(config()).await;
    for bytes in [
        &b"\x32\xff\xff\xff\xff"[..],
        b"\x10\x00",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = running.dial(4).await;
        client.send(bytes).await;
        client.expect_closed().await;
    }
    running.serves_plain().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let changes: [Change; 2] = [
        (|config| config.connections_max = 2, "connections_max"),
        (
            |config| config.connections_per_address_max = 2,
            "connections_per_address_max",
        ),
    ];
    for (change, reason) in changes {
        let mut limited = config();
        change(&mut limited);
        let running = run(limited).await;
        let mut open = Vec::new();
        for id in ["a", "b"] {
            let mut client = running.dial(4).await;
            client.send(&Hello::device(4, id).bytes()).await;
            client.connack().await;
            open.push(client);
        }
        let mut third = TcpStream::connect(running.plain).await.unwrap();
        assert_eq!(third.read_u8().await.ok(), None);
        running.expect_refused(reason).await;
        for client in &mut open {
            client.expect_silence().await;
        }
        // Who leaves makes room.
        open.clear();
        loop {
            let mut client = running.dial(4).await;
            drop(client.io.write_all(&Hello::device(4, "a").bytes()).await);
            if client.read_packet().await.is_some() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn idle_connections_harm_nobody() {
    let mut running = run(config()).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(running.plain).await.unwrap());
    }
    running.serves_plain().await;
    drop(idle);
}

#[tokio::test]
async fn a_stop_closes_the_listener_and_every_session() {
    for version in [4, 5] {
        let mut running = run(config()).await;
        let mut client = running.dial(version).await;
        client.send(&Hello::device(version, "a").bytes()).await;
        client.connack().await;
        client.publish(1, 1, "devices/a/telemetry", GOOD).await;
        let pending = running.kit.next().await.unwrap();
        running.kit.cx.stop.cancel();
        super::confirm(pending);
        client.expect(&[0x40, 2, 0, 1]).await;
        client.expect_goodbye(0x8b).await;
        drop(client);
        let ended = tokio::time::timeout(PATIENCE, running.ended).await;
        assert!(ended.unwrap().unwrap().is_ok());
        assert!(TcpStream::connect(running.plain).await.is_err());
    }
}

/// An authority, and files of what it signed.
struct Authority {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "city");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    fn sign(&self, common_name: &str) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A configuration with a TLS listener whose certificate this authority signed.
    fn config(&self) -> Config {
        let (certificate, key) = self.sign("hub");
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("hub.pem"), certificate.pem()).unwrap();
        std::fs::write(path("hub.key"), key.serialize_pem()).unwrap();
        Config {
            tls_listen: Some("127.0.0.1:0".parse().unwrap()),
            tls_cert: Some(path("hub.pem")),
            tls_key: Some(path("hub.key")),
            ..config()
        }
    }

    fn mutual_config(&self, wanted: ClientAuth) -> Config {
        Config {
            client_ca: Some(self.folder.path().join("ca.pem")),
            client_auth: Some(wanted),
            ..self.config()
        }
    }

    /// Dials the TLS listener, with a certificate of that name if there is one.
    async fn dial(&self, running: &Running, name: Option<&str>) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let client = match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (certificate, key) = self.sign(name);
                let key = PrivatePkcs8KeyDer::from(key.serialize_der());
                let chain = vec![certificate.der().clone()];
                let key = PrivateKeyDer::Pkcs8(key);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let stream = TcpStream::connect(running.tls.unwrap()).await.unwrap();
        let host = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        running.client(4, connector.connect(host, stream).await.unwrap())
    }
}

#[tokio::test]
async fn a_stalled_handshake_does_not_keep_a_good_client_waiting() {
    let authority = Authority::new();
    let mut running = run(authority.config()).await;
    let mut stalled = Vec::new();
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(running.tls.unwrap()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stalled.push(stream);
    }
    let client = authority.dial(&running, None).await;
    let hello = Hello::device(4, "a");
    running.serves(client, &hello, "devices/a/telemetry").await;
    drop(stalled);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut_off_and_counted() {
    let authority = Authority::new();
    let mut config = authority.config();
    config.tls_handshake_timeout_s = NonZeroU64::MIN;
    let running = run(config).await;
    let mut stalled = TcpStream::connect(running.tls.unwrap()).await.unwrap();
    let cut_off = tokio::time::timeout(PATIENCE, stalled.read_u8()).await;
    assert_eq!(cut_off.unwrap().ok(), None);
    // The stream is dropped before the refusal is counted, so wait for that.
    while running.kit.refusals.is_empty() {
        tokio::task::yield_now().await;
    }
    running.expect_refused("tls_handshake_timeout").await;
}

#[tokio::test]
async fn a_client_certificate_is_the_identity() {
    let authority = Authority::new();
    let mut running = run(authority.mutual_config(ClientAuth::Required)).await;
    let client = authority.dial(&running, Some("a")).await;
    let hello = Hello {
        username: None,
        password: None,
        ..Hello::device(4, "x")
    };
    running.serves(client, &hello, "devices/a/telemetry").await;
    let mut stranger = authority.dial(&running, Some("stranger")).await;
    stranger.send(&hello.bytes()).await;
    assert_eq!(stranger.connack().await, (false, 5));
    stranger.expect_closed().await;
    running.expect_refused("unknown_device").await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_and_a_missing_one_end_in_the_handshake() {
    let authority = Authority::new();
    let running = run(authority.mutual_config(ClientAuth::Required)).await;
    let other = Authority {
        certificate: authority.certificate.clone(),
        ..Authority::new()
    };
    for mut client in [
        other.dial(&running, Some("a")).await,
        authority.dial(&running, None).await,
    ] {
        // In TLS 1.3 the client is done before the server has judged its certificate. The pipe may
        // be closed already when this is sent.
        drop(client.io.write_all(&Hello::device(4, "a").bytes()).await);
        client.expect_closed().await;
        while running.kit.refusals.is_empty() {
            tokio::task::yield_now().await;
        }
        running.expect_refused("tls_client_certificate").await;
    }
}

#[tokio::test]
async fn who_speaks_without_tls_at_the_port_with_tls_is_closed_and_counted_as_that() {
    let authority = Authority::new();
    let mut running = run(authority.config()).await;
    let stream = TcpStream::connect(running.tls.unwrap()).await.unwrap();
    let mut client = running.client(4, stream);
    client.send(&Hello::device(4, "a").bytes()).await;
    client.expect_closed().await;
    while running.kit.refusals.is_empty() {
        tokio::task::yield_now().await;
    }
    running.expect_refused("tls_plaintext").await;
    running.serves_plain().await;
}

#[tokio::test]
async fn handshakes_that_never_end_take_no_place_from_devices() {
    let authority = Authority::new();
    let mut config = authority.config();
    config.connections_max = 1;
    config.tls_handshakes_max = 4.try_into().unwrap();
    let mut running = run(config).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(TcpStream::connect(running.tls.unwrap()).await.unwrap());
    }
    let client = authority.dial(&running, None).await;
    let hello = Hello::device(4, "a");
    running.serves(client, &hello, "devices/a/telemetry").await;
    running.expect_refused("tls_handshakes_max").await;
    drop(stalled);
}

#[tokio::test]
async fn where_certificates_are_optional_a_password_does_too() {
    let authority = Authority::new();
    let mut running = run(authority.mutual_config(ClientAuth::Optional)).await;
    let client = authority.dial(&running, None).await;
    let hello = Hello::device(4, "a");
    running.serves(client, &hello, "devices/a/telemetry").await;
}
