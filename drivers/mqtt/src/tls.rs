//! The TLS side of the gate: its certificate, and the authorities that vouch for devices.

use crate::{ClientCertificate, Config};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sdk::DriverError;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Reads the files once, at start, so that a wrong one is told then and not at each connection.
pub(crate) fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, DriverError> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else {
        return Ok(None);
    };
    let chain = certificates(cert)?;
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(cert, &error))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = verifier(path, config.client_certificate, provider)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let server = builder
        .with_single_cert(chain, private_key)
        .map_err(|error| bad(cert, &error))?;
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}

fn verifier(
    path: &Path,
    wanted: ClientCertificate,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, DriverError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).map_err(|error| bad(path, &error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match wanted {
        ClientCertificate::Required => builder,
        ClientCertificate::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| bad(path, &error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DriverError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| bad(path, &error))?;
    if chain.is_empty() {
        return Err(bad(path, &"no certificate in it"));
    }
    Ok(chain)
}

fn bad(path: &Path, error: &dyn Display) -> DriverError {
    DriverError::Config(format!("{}: {error}", path.display()))
}

/// Gives the common name of the certificate that a client showed, which was verified before.
pub(crate) fn common_name(certificates: Option<&[CertificateDer<'_>]>) -> Option<String> {
    let own = certificates?.first()?;
    let (_, certificate) = X509Certificate::from_der(own).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?.to_owned();
    // Two names would be two identities.
    names.next().is_none().then_some(name)
}
