//! Whom a sink trusts: the authorities of the system, or those of one file.

use crate::SinkError;
use rustls::ClientConfig;
use std::path::Path;
use std::sync::Arc;

/// Makes the client side of TLS 1.2 and 1.3.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, SinkError> {
    dial::trust(ca_file).map_err(|reason| SinkError::key("ca_file", reason))
}
