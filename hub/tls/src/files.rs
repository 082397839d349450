//! The files of one listener: read whole, and made into what handshakes go by.

use crate::facts::{self, Certificate};
use crate::{ClientAuth, TlsConfig};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

/// Bytes of one file. A revocation list of a hundred thousand devices has some 4 MB.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What is wrong with the files or with what names them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error("{0}")]
    Config(String),
    /// Names the file.
    #[error("{0}")]
    File(String),
}

fn bad(path: &Path, error: &dyn Display) -> TlsError {
    TlsError::File(format!("{}: {error}", path.display()))
}

/// The bytes of all files of a listener, as they were at one time.
#[derive(Hash)]
pub(crate) struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
    crl: Option<Vec<u8>>,
}

impl Files {
    pub(crate) fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let optional = |path: &Option<std::path::PathBuf>| path.as_deref().map(bytes).transpose();
        Ok(Self {
            cert: bytes(&config.cert)?,
            key: bytes(&config.key)?,
            client_ca: optional(&config.client_ca)?,
            crl: optional(&config.crl)?,
        })
    }

    /// A number by which files of other content are told apart.
    pub(crate) fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let file = std::fs::File::open(path).map_err(|error| bad(path, &error))?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    let length = read.map_err(|error| bad(path, &error))?;
    if u64::try_from(length).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(bad(path, &"it is too large"));
    }
    Ok(bytes)
}

/// What handshakes go by, and what there is to know of it.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) certificate: Certificate,
    /// When the first of the revocation lists should have been replaced.
    pub(crate) crl_next_update_s: Option<i64>,
}

/// Reads the files of a listener and tells of its certificate: for checks beside a running hub. An
/// error names the file.
pub fn inspect(config: &TlsConfig) -> Result<Certificate, TlsError> {
    config.check()?;
    let terms = build(&Files::read(config)?, config, &[])?;
    Ok(terms.certificate)
}

pub(crate) fn build(files: &Files, config: &TlsConfig, alpn: &[&str]) -> Result<Terms, TlsError> {
    let chain = certificates(&files.cert, &config.cert)?;
    let certificate = facts::read(&chain).map_err(|error| bad(&config.cert, &error))?;
    let key =
        PrivateKeyDer::from_pem_slice(&files.key).map_err(|error| bad(&config.key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&config.cert, &error))?;
    let mut crl_next_update_s = None;
    let builder = match (&config.client_ca, &files.client_ca) {
        (Some(path), Some(authorities)) => {
            let lists = match (&config.crl, &files.crl) {
                (Some(path), Some(lists)) => revocation_lists(lists, path)?,
                _ => Vec::new(),
            };
            crl_next_update_s = lists.iter().filter_map(next_update_s).min();
            let wanted = config.client_auth.unwrap_or_default();
            let lists = (config.crl.as_deref(), lists);
            builder.with_client_cert_verifier(verifier(
                (path, authorities),
                wanted,
                lists,
                provider,
            )?)
        }
        _ => builder.with_no_client_auth(),
    };
    // It also finds a key that is not the certificate's.
    let mut server = builder.with_single_cert(chain, key).map_err(|error| {
        let pair = format!("{} and {}", config.cert.display(), config.key.display());
        TlsError::File(format!("{pair}: {error}"))
    })?;
    server.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    if config.client_ca.is_some() {
        // A session that is taken up again shows no certificate, which may have expired by then.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
    }
    Ok(Terms {
        server: Arc::new(server),
        certificate,
        crl_next_update_s,
    })
}

fn verifier(
    (path, authorities): (&Path, &[u8]),
    wanted: ClientAuth,
    (crl, lists): (Option<&Path>, Vec<CertificateRevocationListDer<'static>>),
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(authorities, path)? {
        roots.add(authority).map_err(|error| bad(path, &error))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !lists.is_empty() {
        // Whoever signs intermediate authorities takes them out of `client_ca` or the chain.
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    if wanted == ClientAuth::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|error| bad(crl.unwrap_or(path), &error))
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| bad(path, &error))?;
    if chain.is_empty() {
        return Err(bad(path, &"no certificate in it"));
    }
    Ok(chain)
}

fn revocation_lists(
    pem: &[u8],
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists = CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let lists = lists.map_err(|error| bad(path, &error))?;
    if lists.is_empty() {
        return Err(bad(path, &"no revocation list in it"));
    }
    Ok(lists)
}

fn next_update_s(list: &CertificateRevocationListDer<'_>) -> Option<i64> {
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    list.next_update().map(|time| time.timestamp())
}
