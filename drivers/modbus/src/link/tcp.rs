//! Modbus TCP. The transaction number tells answers apart, so a late one is never taken for another;
//! after any trouble the connection is given up, and with it all that is still under way.

use super::Failure;
use crate::frame::{Block, Data, Reply, Request, Table, Trouble};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::slave::SlaveContext;
use tokio_modbus::{Error, ProtocolError, Response, Slave};

pub(crate) struct TcpLink {
    target: String,
    /// None before the first request and after a failure.
    context: Option<Context>,
}

impl std::fmt::Debug for TcpLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpLink")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl TcpLink {
    /// `target` is host and port; the first request connects.
    pub(crate) fn new(target: String) -> Self {
        Self {
            target,
            context: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn attached(stream: tokio::io::DuplexStream) -> Self {
        Self {
            target: "nobody".to_owned(),
            context: Some(tcp::attach(stream)),
        }
    }

    pub(super) async fn ask(
        &mut self,
        unit: u8,
        request: &Request,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        // Taken out, so that a failed exchange leaves no half-read connection behind.
        let mut context = match self.context.take() {
            Some(context) => context,
            None => connect(&self.target, timeout).await?,
        };
        context.set_slave(Slave(unit));
        let answered = tokio::time::timeout(timeout, context.call(call(request))).await;
        let reply = match answered {
            Err(_) => Err(Trouble::Timeout),
            Ok(Err(error)) => Err(trouble(error)),
            Ok(Ok(Err(exception))) => Ok(Reply::Exception(exception.into())),
            Ok(Ok(Ok(response))) => reply(request, &response),
        };
        match reply {
            Ok(reply) => {
                self.context = Some(context);
                Ok(reply)
            }
            Err(trouble) => Err(Failure {
                trouble,
                bytes: Vec::new(),
            }),
        }
    }
}

async fn connect(target: &str, timeout: Duration) -> Result<Context, Failure> {
    let connecting = async {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        Ok::<_, io::Error>(stream)
    };
    match tokio::time::timeout(timeout, connecting).await {
        Ok(Ok(stream)) => Ok(tcp::attach(stream)),
        Ok(Err(error)) => Err(Failure::closed(error)),
        Err(_) => Err(Failure::closed("it cannot be reached in time")),
    }
}

fn call(request: &Request) -> tokio_modbus::Request<'static> {
    use tokio_modbus::Request as Call;
    match *request {
        Request::Read(Block { table, at, count }) => match table {
            Table::Coil => Call::ReadCoils(at, count),
            Table::Discrete => Call::ReadDiscreteInputs(at, count),
            Table::Holding => Call::ReadHoldingRegisters(at, count),
            Table::Input => Call::ReadInputRegisters(at, count),
        },
        Request::WriteCoil { at, on } => Call::WriteSingleCoil(at, on),
        Request::WriteRegister { at, value } => Call::WriteSingleRegister(at, value),
    }
}

fn reply(request: &Request, response: &Response) -> Result<Reply, Trouble> {
    let data = match response {
        Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits) => Data::of_bits(bits),
        Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => {
            Data::of_registers(words)
        }
        _ => None,
    };
    match (request, data) {
        // The client pads nothing: fewer registers than asked for are a short answer.
        (Request::Read(block), Some(data)) if data.bytes().len() == block.data_bytes() => {
            Ok(Reply::Data(data))
        }
        (Request::Read(_), _) => Err(Trouble::WrongLength),
        (_, _) if echoes(request, response) => Ok(Reply::Written),
        (_, _) => Err(Trouble::WrongLength),
    }
}

fn echoes(request: &Request, response: &Response) -> bool {
    match (request, response) {
        (Request::WriteCoil { at, on }, Response::WriteSingleCoil(its, on_or_off)) => {
            at == its && on == on_or_off
        }
        (Request::WriteRegister { at, value }, Response::WriteSingleRegister(its, written)) => {
            at == its && value == written
        }
        _ => false,
    }
}

fn trouble(error: Error) -> Trouble {
    match error {
        // Transaction numbers cannot differ: nothing of an earlier request outlives its connection.
        Error::Protocol(ProtocolError::HeaderMismatch { .. }) => Trouble::UnitMismatch,
        Error::Protocol(ProtocolError::FunctionCodeMismatch { .. }) => Trouble::FunctionMismatch,
        Error::Transport(error) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Trouble::Noise,
            io::ErrorKind::UnexpectedEof => Trouble::Incomplete,
            _ => Trouble::Closed(error.to_string()),
        },
    }
}
