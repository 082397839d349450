//! Tells the service manager that the hub is ready, alive and stopping: the protocol of sd_notify(3).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All listeners are bound: what is ordered after the hub may start.
pub(crate) const READY: &str = "READY=1\nSTATUS=takes telemetry";
/// The hub was asked to stop and does so in order.
pub(crate) const STOPPING: &str = "STOPPING=1\nSTATUS=answers what is in flight";
const ALIVE: &str = "WATCHDOG=1";

/// Says one thing to whoever started the hub, if that wants to be told.
pub(crate) fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(%error, ?socket, "the service manager was not reached");
    }
}

fn send(socket: &OsStr, state: &str) -> std::io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    // A manager that reads nothing must not stop the hub.
    sender.set_nonblocking(true)?;
    let sent = sender.send_to_addr(state.as_bytes(), &address(socket)?)?;
    match sent == state.len() {
        true => Ok(()),
        false => Err(std::io::ErrorKind::WriteZero.into()),
    }
}

/// A path, or a name of the abstract namespace behind `@`.
fn address(socket: &OsStr) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = socket.as_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(socket)
}

/// Gives how often the manager's watchdog wants to hear of this process: half of its time, as
/// sd_watchdog_enabled(3) advises.
fn watchdog_period(us: Option<&str>, of: Option<&str>, own: u32) -> Option<Duration> {
    let us: u64 = us?.parse().ok()?;
    let is_other = of.is_some_and(|of| of.parse() != Ok(own));
    (us > 0 && !is_other).then(|| Duration::from_micros(us / 2))
}

/// Feeds the watchdog by the rounds of the writer and by nothing else: there is one a second even
/// when nothing happens, and none while a disk hangs or the rules do not come to an end.
pub(crate) async fn keep_alive(mut rounds: watch::Receiver<u64>, stop: CancellationToken) {
    let variable = |name| std::env::var(name).ok();
    let (us, of) = (variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
    let Some(period) = watchdog_period(us.as_deref(), of.as_deref(), std::process::id()) else {
        return;
    };
    let mut fed = None;
    loop {
        let round = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            round = rounds.changed() => round,
        };
        if round.is_err() {
            return;
        }
        if fed.is_none_or(|at: Instant| at.elapsed() >= period) {
            fed = Some(Instant::now());
            tell(ALIVE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{address, send, watchdog_period};
    use std::ffi::OsStr;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    #[test]
    fn the_watchdog_is_fed_twice_in_its_time_if_it_waits_for_this_process() {
        let second = Some(Duration::from_secs(60));
        assert_eq!(watchdog_period(Some("120000000"), None, 7), second);
        assert_eq!(watchdog_period(Some("120000000"), Some("7"), 7), second);
        for (us, of) in [
            (None, None),
            (Some("0"), None),
            (Some("soon"), None),
            (Some("120000000"), Some("8")),
            (Some("120000000"), Some("me")),
        ] {
            assert_eq!(watchdog_period(us, of, 7), None, "{us:?} {of:?}");
        }
    }

    #[test]
    fn a_word_arrives_whole_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@cityhub-test-{}", std::process::id());
        for socket in [path.as_os_str(), OsStr::new(&name)] {
            let manager = UnixDatagram::bind_addr(&address(socket).unwrap()).unwrap();
            send(socket, "READY=1").unwrap();
            let mut bytes = [0; 64];
            let length = manager.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1");
        }
        let nobody = folder.path().join("nobody");
        assert!(send(nobody.as_os_str(), "READY=1").is_err());
    }
}
