//! Certificates that are exchanged while peers come and go, and handshakes that lead nowhere.

use crate::{
    Acceptor, Certificate, Certificates, ClientAuth, Looked, Peer, TlsConfig, inspect,
    warning_from_s,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// An authority, and a folder of what it signed.
struct Authority {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is asked to say.
struct Wish<'a> {
    common_name: Option<&'a str>,
    hosts: &'a [&'a str],
    serial: u64,
    until_year: i32,
}

impl Wish<'_> {
    fn serial(serial: u64) -> Self {
        Self {
            common_name: Some("hub"),
            hosts: &["localhost"],
            serial,
            until_year: 2100,
        }
    }
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
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

    fn sign(&self, wish: &Wish<'_>) -> (rcgen::Certificate, KeyPair) {
        let hosts: Vec<String> = wish.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = wish.common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.serial_number = Some(SerialNumber::from(wish.serial));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(wish.until_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, wish: &Wish<'_>) {
        let (certificate, key) = self.sign(wish);
        std::fs::write(self.path("hub.pem"), certificate.pem()).unwrap();
        std::fs::write(self.path("hub.key"), key.serialize_pem()).unwrap();
    }

    fn revoke(&self, serials: &[u64]) {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        std::fs::write(self.path("crl.pem"), pem).unwrap();
    }

    fn config(&self) -> TlsConfig {
        TlsConfig::of(self.path("hub.pem"), self.path("hub.key"))
    }

    fn mutual(&self, wanted: ClientAuth) -> TlsConfig {
        TlsConfig {
            client_ca: Some(self.path("ca.pem")),
            client_auth: Some(wanted),
            ..self.config()
        }
    }

    fn connector(&self, own: Option<(rcgen::Certificate, KeyPair)>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                let chain = vec![certificate.der().clone()];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// A listener with an acceptor, where each peer is answered with what it sent.
struct Bench {
    listener: TcpListener,
    acceptor: Acceptor,
}

type Client = tokio_rustls::client::TlsStream<TcpStream>;
type Met = Result<(Client, crate::Stream), crate::Refused>;

impl Bench {
    async fn new(acceptor: Acceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor }
    }

    /// Lets one peer in, and gives both ends.
    async fn meet(&self, connector: &TlsConnector) -> Met {
        let stream = TcpStream::connect(self.listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = self.listener.accept().await.unwrap();
        let host = ServerName::try_from("localhost").unwrap();
        let client = connector.connect(host, stream);
        let server = self.acceptor.accept(accepted, async {});
        let (client, server) = tokio::join!(client, server);
        let (server, ()) = server?;
        Ok((client.unwrap(), server))
    }

    /// Tells which serial number a new peer is shown.
    async fn serial(&self, connector: &TlsConnector) -> String {
        let (client, _server) = self.meet(connector).await.unwrap();
        let shown = client.get_ref().1.peer_certificates().unwrap();
        crate::facts::read(shown).unwrap().serial
    }
}

async fn say(from: &mut (impl AsyncWriteExt + Unpin), to: &mut (impl AsyncReadExt + Unpin)) {
    from.write_all(b"still there").await.unwrap();
    let mut heard = [0; 11];
    to.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still there");
}

fn changed() -> Looked {
    Looked {
        changed: vec!["here".to_owned()],
        ..Looked::default()
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_those_who_come_and_cuts_nobody_off() {
    let authority = Authority::new();
    authority.put(&Wish::serial(0xa1));
    let board = Certificates::default();
    let acceptor = board.open("here", &authority.config(), &[]).unwrap();
    let bench = Bench::new(acceptor).await;
    let connector = authority.connector(None);
    let (mut client, mut server) = bench.meet(&connector).await.unwrap();
    for serial in [0xa2, 0xa3, 0xa4] {
        authority.put(&Wish::serial(serial));
        assert_eq!(board.look(false), changed());
        assert_eq!(bench.serial(&connector).await, format!("{serial:X}"));
        say(&mut client, &mut server).await;
        say(&mut server, &mut client).await;
    }
    assert_eq!(board.look(false).unchanged, ["here"]);
    let listener = &board.listeners()["here"];
    assert_eq!(listener.certificate.serial, "A4");
    assert_eq!(listener.certificate.names, ["localhost"]);
    assert_eq!(listener.reloads, (3, 0));
    assert_eq!(listener.handshakes.done, 4);
}

/// Puts something wrong in the place of good files, and demands that the good ones stay in force.
#[track_caller]
fn refuses(authority: &Authority, board: &Certificates, wrong: impl Fn(&Authority), why: &str) {
    authority.put(&Wish::serial(0xa1));
    board.look(true);
    wrong(authority);
    // It may be in the middle of being written, so it is looked at twice before anybody is told.
    assert_eq!(board.look(false), Looked::default(), "{why}");
    assert_eq!(board.listeners()["here"].refused, None);
    let refused = board.look(false).refused;
    assert!(
        matches!(refused.as_slice(), [(name, reason)] if name == "here" && reason.contains(why)),
        "{why}: {refused:?}"
    );
    // It is said once, but shown for as long as it is so, and whoever asks is told again.
    assert_eq!(board.look(false), Looked::default());
    let listener = &board.listeners()["here"];
    assert!(listener.refused.as_deref().unwrap().contains(why));
    assert_eq!(listener.certificate.serial, "A1");
    assert_eq!(board.look(true).refused.len(), 1);
}

#[test]
fn files_that_are_wrong_leave_what_is_in_force() {
    let authority = Authority::new();
    authority.put(&Wish::serial(0xa1));
    let board = Certificates::default();
    board.open("here", &authority.config(), &[]).unwrap();
    let write = |name: &'static str, text: &'static str| {
        move |authority: &Authority| std::fs::write(authority.path(name), text).unwrap()
    };
    let another_key = |authority: &Authority| {
        let key = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(authority.path("hub.key"), key).unwrap();
    };
    let half = |authority: &Authority| {
        let whole = std::fs::read(authority.path("hub.pem")).unwrap();
        std::fs::write(authority.path("hub.pem"), &whole[..whole.len() / 2]).unwrap();
    };
    let gone = |authority: &Authority| std::fs::remove_file(authority.path("hub.key")).unwrap();
    let expired = |authority: &Authority| {
        authority.put(&Wish {
            until_year: 2021,
            ..Wish::serial(0xa2)
        });
    };
    refuses(&authority, &board, write("hub.pem", ""), "hub.pem");
    refuses(&authority, &board, write("hub.key", "nonsense"), "hub.key");
    refuses(&authority, &board, another_key, "hub.key");
    refuses(&authority, &board, half, "hub.pem");
    refuses(&authority, &board, gone, "hub.key");
    refuses(&authority, &board, expired, "expired");
    // What is put right is in force at the next look.
    authority.put(&Wish::serial(0xa9));
    assert_eq!(board.look(false), changed());
    assert_eq!(board.listeners()["here"].refused, None);
}

#[test]
fn a_start_with_wrong_files_names_the_file() {
    let authority = Authority::new();
    let error = Certificates::default()
        .open("here", &authority.config(), &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("hub.pem"), "{error}");
    authority.put(&Wish::serial(1));
    assert_eq!(inspect(&authority.config()).unwrap().subject, "CN=hub");
    for (config, word) in [
        (
            TlsConfig {
                crl: Some("x".into()),
                ..authority.config()
            },
            "crl",
        ),
        (
            TlsConfig {
                client_auth: Some(ClientAuth::Optional),
                ..authority.config()
            },
            "client_auth",
        ),
    ] {
        let error = inspect(&config).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_names_its_holder_by_the_common_name_or_else_by_one_host() {
    let authority = Authority::new();
    authority.put(&Wish::serial(1));
    let config = authority.mutual(ClientAuth::Optional);
    let board = Certificates::default();
    let bench = Bench::new(board.open("here", &config, &[]).unwrap()).await;
    let named = |name: &str| Peer::Named(name.to_owned());
    for (common_name, hosts, peer) in [
        (Some("gas-1"), &["a.example"][..], named("gas-1")),
        (None, &["gas-2"], named("gas-2")),
        (None, &["gas-2", "gas-3"], Peer::Unnamed),
        (None, &[], Peer::Unnamed),
    ] {
        let own = authority.sign(&Wish {
            common_name,
            hosts,
            ..Wish::serial(2)
        });
        let (_client, server) = bench.meet(&authority.connector(Some(own))).await.unwrap();
        assert_eq!(Peer::of(&server), peer);
    }
    let (_client, server) = bench.meet(&authority.connector(None)).await.unwrap();
    assert_eq!(Peer::of(&server), Peer::Nobody);
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_from_the_next_look_on() {
    let authority = Authority::new();
    authority.put(&Wish::serial(1));
    authority.revoke(&[]);
    let config = TlsConfig {
        crl: Some(authority.path("crl.pem")),
        ..authority.mutual(ClientAuth::Required)
    };
    let board = Certificates::default();
    let bench = Bench::new(board.open("here", &config, &[]).unwrap()).await;
    let lost = authority.connector(Some(authority.sign(&Wish::serial(0xb1))));
    let kept = authority.connector(Some(authority.sign(&Wish::serial(0xb2))));
    for connector in [&lost, &kept] {
        bench.meet(connector).await.unwrap();
    }
    authority.revoke(&[0xb1]);
    assert_eq!(board.look(false), changed());
    let refused = bench.meet(&lost).await.unwrap_err();
    assert_eq!(refused.reason(), "tls_client_certificate");
    assert!(refused.to_string().contains("revoked"), "{refused}");
    bench.meet(&kept).await.unwrap();
    let listener = &board.listeners()["here"];
    assert_eq!(listener.handshakes.certificate, 1);
    // 2100-01-01.
    assert_eq!(listener.crl_next_update_s, Some(4_102_444_800));
}

#[tokio::test]
async fn a_peer_without_tls_is_told_apart_and_nothing_of_it_is_taken() {
    let authority = Authority::new();
    authority.put(&Wish::serial(1));
    let board = Certificates::default();
    let acceptor = board.open("here", &authority.config(), &[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    peer.write_all(b"GET /").await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let refused = acceptor.accept(stream, async {}).await.unwrap_err();
    assert_eq!(refused.reason(), "tls_plaintext");
    let crate::Refused::Plain(mut stream) = refused else {
        panic!("not told apart");
    };
    let mut sent = [0; 5];
    stream.read_exact(&mut sent).await.unwrap();
    assert_eq!(&sent, b"GET /");
    assert_eq!(board.listeners()["here"].handshakes.plain, 1);
}

#[tokio::test]
async fn one_handshake_too_many_ends_the_oldest_and_no_connection() {
    let authority = Authority::new();
    authority.put(&Wish::serial(1));
    let config = TlsConfig {
        handshakes_max: 2.try_into().unwrap(),
        ..authority.config()
    };
    let board = Certificates::default();
    let bench = Bench::new(board.open("here", &config, &[]).unwrap()).await;
    let connector = authority.connector(None);
    let (mut client, mut server) = bench.meet(&connector).await.unwrap();
    let address = bench.listener.local_addr().unwrap();
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut accepted = Vec::new();
    for _ in 0..3 {
        accepted.push(bench.listener.accept().await.unwrap().0);
    }
    let [first, second, third] = <[TcpStream; 3]>::try_from(accepted).unwrap();
    let acceptor = &bench.acceptor;
    // The first has begun to speak, so it stays; of the others the oldest goes.
    silent[0].write_all(&[22, 3, 1]).await.unwrap();
    let mut begun = std::pin::pin!(acceptor.accept(first, async {}));
    first_is_heard(&mut begun).await;
    let ended = tokio::select! {
        biased;
        ended = acceptor.accept(second, async {}) => ended,
        _ = acceptor.accept(third, async {}) => panic!("the third is not the oldest"),
        _ = &mut begun => panic!("the first speaks"),
    };
    assert_eq!(ended.unwrap_err().reason(), "tls_handshakes_max");
    say(&mut client, &mut server).await;
    assert_eq!(board.listeners()["here"].handshakes.crowded, 1);
}

/// Polls a handshake until what its peer sent was there to be read, and a little longer.
async fn first_is_heard(begun: &mut (impl Future + Unpin)) {
    for _ in 0..1_000 {
        tokio::select! {
            biased;
            _ = &mut *begun => panic!("a handshake ended"),
            () = tokio::task::yield_now() => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_gets_no_place_in_time_is_let_go() {
    let authority = Authority::new();
    authority.put(&Wish::serial(1));
    let board = Certificates::default();
    let acceptor = board.open("here", &authority.config(), &[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let host = ServerName::try_from("localhost").unwrap();
    let connector = authority.connector(None);
    let shaken = tokio::join!(
        acceptor.accept(accepted, std::future::pending::<()>()),
        connector.connect(host, stream)
    );
    assert_eq!(shaken.0.unwrap_err().reason(), "tls_handshake_timeout");
}

#[test]
fn people_are_told_a_month_before_but_not_while_others_renew_by_themselves() {
    const DAY_S: i64 = 86_400;
    let of_days = |days: i64| Certificate {
        subject: String::new(),
        issuer: String::new(),
        names: Vec::new(),
        serial: String::new(),
        not_before_s: 0,
        not_after_s: days * DAY_S,
    };
    // Three years; a public one that certbot renews on day 60; a short-lived one of six days.
    for (days, told_on) in [(1095, 1065 * DAY_S), (90, 90 * DAY_S * 3 / 4), (6, 388_800)] {
        assert_eq!(warning_from_s(&of_days(days), 30), told_on, "{days} days");
    }
    assert_eq!(warning_from_s(&of_days(1095), 0), 1095 * DAY_S);
}
