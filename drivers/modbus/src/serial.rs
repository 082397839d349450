//! A serial line in raw mode, as the system offers it (POSIX termios).

use rustix::fs::{Mode, OFlags};
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, ioctl_tiocexcl, tcflush, tcgetattr, tcsetattr,
};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use tokio::io::{Join, join};
use tokio::net::unix::pipe;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parity {
    None,
    Even,
    Odd,
}

/// How the devices of a line speak; all of them alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) baud: u32,
    pub(crate) parity: Parity,
    pub(crate) two_stop_bits: bool,
}

/// What is read from a line and what is written to it.
pub(crate) type Serial = Join<pipe::Receiver, pipe::Sender>;

/// Opens a line for this program alone.
pub(crate) fn open(settings: &Settings) -> io::Result<Serial> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&settings.path, flags, Mode::empty())?;
    let mut line = tcgetattr(&fd)?;
    line.make_raw();
    line.set_speed(settings.baud)?;
    let off = ControlModes::PARENB
        | ControlModes::PARODD
        | ControlModes::CSTOPB
        | ControlModes::CSIZE
        | ControlModes::CRTSCTS;
    line.control_modes.remove(off);
    // The modem's lines mean nothing on RS-485.
    let mut on = ControlModes::CLOCAL | ControlModes::CREAD | ControlModes::CS8;
    match settings.parity {
        Parity::None => {}
        Parity::Even => on |= ControlModes::PARENB,
        Parity::Odd => on |= ControlModes::PARENB | ControlModes::PARODD,
    }
    if settings.two_stop_bits {
        on |= ControlModes::CSTOPB;
    }
    line.control_modes.insert(on);
    tcsetattr(&fd, OptionalActions::Now, &line)?;
    // Another program on the same bus would talk into every answer.
    ioctl_tiocexcl(&fd)?;
    tcflush(&fd, QueueSelector::IOFlush)?;
    let (reading, writing) = (File::from(fd.try_clone()?), File::from(fd));
    // Once it is raw, a line is read and written as a pipe is; tokio has no type of its own for it.
    Ok(join(
        pipe::Receiver::from_file_unchecked(reading)?,
        pipe::Sender::from_file_unchecked(writing)?,
    ))
}

#[cfg(test)]
mod tests;
