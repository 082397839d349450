//! The certificates of all listeners, and reading them again.

use crate::acceptor::{Acceptor, Handshakes};
use crate::files::{Files, Terms, build};
use crate::{Certificate, TlsConfig, TlsError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// One listener, as the hub shows it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The certificate that handshakes show.
    pub certificate: Certificate,
    /// Why the files as they are now are not in force.
    pub refused: Option<String>,
    /// When the first of the revocation lists should have been replaced, in seconds since the epoch.
    pub crl_next_update_s: Option<i64>,
    /// How often other files came into force, and how often others were refused.
    pub reloads: (u64, u64),
    pub handshakes: Handshakes,
}

/// What came of looking at all files once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Listeners that show another certificate, or go by other authorities or lists, from now on.
    pub changed: Vec<String>,
    pub unchanged: Vec<String>,
    /// Listeners whose files are wrong, with the reason.
    pub refused: Vec<(String, String)>,
}

#[derive(Debug)]
struct Entry {
    config: TlsConfig,
    alpn: &'static [&'static str],
    acceptor: Acceptor,
    /// Of the files in force.
    mark: u64,
    /// Of files that were wrong when they were looked at last.
    wrong: Option<Wrong>,
    reloads: (u64, u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Wrong {
    reason: String,
    /// Seen twice, so they are no longer being written.
    is_told: bool,
}

/// The board, shared by all who listen, look and show.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

impl Certificates {
    /// Reads the files of a listener, named as in the line `ready` (`http`, `mqtt.tls_listen`). A
    /// listener that is opened anew takes the place that it had.
    pub fn open(
        &self,
        listener: &str,
        config: &TlsConfig,
        alpn: &'static [&'static str],
    ) -> Result<Acceptor, TlsError> {
        config.check()?;
        let files = Files::read(config)?;
        let terms = build(&files, config, alpn)?;
        let acceptor = Acceptor::new(
            terms,
            config.handshake_timeout(),
            config.handshakes_max.get(),
        );
        let entry = Entry {
            config: config.clone(),
            alpn,
            acceptor: acceptor.clone(),
            mark: files.mark(),
            wrong: None,
            reloads: (0, 0),
        };
        self.lock().insert(listener.to_owned(), entry);
        Ok(acceptor)
    }

    /// Reads all files, brings into force what is new and whole, and keeps what is in force where the
    /// files are wrong. Blocks for as long as reading takes.
    ///
    /// When somebody asked (`asked`), wrong files are told at once; else only when they are still wrong
    /// the next time, for they may be in the middle of being written.
    pub fn look(&self, asked: bool) -> Looked {
        let mut looked = Looked::default();
        for (name, entry) in self.lock().iter_mut() {
            match entry.look() {
                Ok(false) => looked.unchanged.push(name.clone()),
                Ok(true) => looked.changed.push(name.clone()),
                Err(error) => {
                    let reason = error.to_string();
                    let seen = entry.wrong.as_ref().filter(|wrong| wrong.reason == reason);
                    let was_told = seen.is_some_and(|wrong| wrong.is_told);
                    let is_told = asked || seen.is_some();
                    if is_told && !was_told {
                        entry.reloads.1 += 1;
                    }
                    if asked || (is_told && !was_told) {
                        looked.refused.push((name.clone(), reason.clone()));
                    }
                    entry.wrong = Some(Wrong { reason, is_told });
                }
            }
        }
        looked
    }

    /// Lists the listeners with TLS.
    pub fn listeners(&self) -> BTreeMap<String, Listener> {
        let entries = self.lock();
        let shown = entries.iter().map(|(name, entry)| {
            let terms = entry.acceptor.terms.read();
            let terms = terms.unwrap_or_else(PoisonError::into_inner);
            let refused = entry.wrong.as_ref().filter(|wrong| wrong.is_told);
            let listener = Listener {
                certificate: terms.certificate.clone(),
                refused: refused.map(|wrong| wrong.reason.clone()),
                crl_next_update_s: terms.crl_next_update_s,
                reloads: entry.reloads,
                handshakes: entry.acceptor.counts.now(),
            };
            (name.clone(), listener)
        });
        shown.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Tells whether other files came into force.
    fn look(&mut self) -> Result<bool, TlsError> {
        let files = Files::read(&self.config)?;
        let mark = files.mark();
        if mark == self.mark {
            self.wrong = None;
            return Ok(false);
        }
        let terms = build(&files, &self.config, self.alpn)?;
        check_time(&terms, &self.config)?;
        let in_force = self.acceptor.terms.write();
        *in_force.unwrap_or_else(PoisonError::into_inner) = terms;
        self.mark = mark;
        self.wrong = None;
        self.reloads.0 += 1;
        Ok(true)
    }
}

/// Refuses what no peer would take, while there is something else in force.
#[expect(
    clippy::disallowed_methods,
    reason = "peers judge a certificate by the time of the day, and so must this"
)]
fn check_time(terms: &Terms, config: &TlsConfig) -> Result<(), TlsError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let Certificate {
        not_before_s,
        not_after_s,
        ..
    } = terms.certificate;
    let wrong = if not_after_s <= now {
        "the certificate or one of its chain has expired"
    } else if not_before_s > now {
        "the certificate is not valid yet"
    } else {
        return Ok(());
    };
    let file = config.cert.display();
    Err(TlsError::File(format!("{file}: {wrong}")))
}
