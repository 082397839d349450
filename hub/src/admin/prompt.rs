//! Asks for a password: on a terminal twice and without showing it, else the first line of stdin.

use anyhow::{Context, Result, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};

/// Longest line that is read.
const LINE_BYTES_MAX: usize = 4_096;

/// What a terminal sends for Ctrl-C while it gives no signals.
const INTERRUPT: char = '\u{3}';

/// Reads a new password for `user`.
pub(super) fn password(user: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return line(&mut std::io::stdin().lock());
    }
    let quiet = Quiet::begin()?;
    let first = quiet.ask(&format!("password for {user}: "))?;
    let second = quiet.ask("once more: ")?;
    if first != second {
        bail!("the two are not the same; nothing was changed");
    }
    Ok(first)
}

fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut bytes = Vec::new();
    let mut limited = std::io::Read::take(reader, LINE_BYTES_MAX as u64);
    limited
        .read_until(b'\n', &mut bytes)
        .context("read the password from stdin")?;
    let text = String::from_utf8(bytes).context("the password is no UTF-8")?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        bail!(
            "no password was given: type it at a terminal, or send it as the first line of stdin"
        );
    }
    Ok(text.to_owned())
}

/// A terminal that does not show what is typed; dropped, it is as it was.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin() -> Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty");
        let terminal = terminal.context("open the terminal")?;
        let before = tcgetattr(&terminal).context("ask how the terminal is set")?;
        let mut quiet = before.clone();
        // No signals either: a Ctrl-C would leave the terminal quiet.
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ISIG);
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet).context("quiet the terminal")?;
        Ok(Self { terminal, before })
    }

    fn ask(&self, question: &str) -> Result<String> {
        let mut terminal = &self.terminal;
        write!(terminal, "{question}").context("write to the terminal")?;
        let answer = line(&mut BufReader::new(terminal))?;
        if answer.contains(INTERRUPT) {
            bail!("interrupted; nothing was changed");
        }
        Ok(answer)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before) {
            tracing::warn!(%error, "the terminal does not show what is typed; `stty echo` helps");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_password_is_the_first_line_without_its_end() {
        assert_eq!(line(&mut &b"a b c\r\nmore\n"[..]).unwrap(), "a b c");
        assert_eq!(line(&mut &b" spaces count "[..]).unwrap(), " spaces count ");
        assert!(line(&mut &b"\n"[..]).is_err());
        assert!(line(&mut &b""[..]).is_err());
    }
}
