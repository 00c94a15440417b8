//! TCP and unix sockets with timeouts, keepalives and reads that never wait.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use ports::Clock;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown, sockopt};

use crate::settings::{ConnectionSettings, Host};

/// How long a silent peer is believed alive: first probe, then one each interval, at most so many unanswered.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_COUNT: u32 = 3;

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Tries each address of the host until the deadline (in the clock's elapsed time).
    pub(crate) fn connect(
        settings: &ConnectionSettings,
        clock: &dyn Clock,
        deadline: Duration,
    ) -> io::Result<Self> {
        let name = match &settings.host {
            Host::SocketDirectory(directory) => {
                return UnixStream::connect(settings.socket_path(directory)).map(Self::Unix);
            }
            Host::Network(name) => name,
        };
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in (name.as_str(), settings.port).to_socket_addrs()? {
            let left = deadline.saturating_sub(clock.elapsed());
            if left.is_zero() {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    prepare(&stream)?;
                    return Ok(Self::Tcp(stream));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(timeout),
            Self::Unix(stream) => stream.set_write_timeout(timeout),
        }
    }

    pub(crate) const fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Ends the connection in both directions; a socket that is already dead needs nothing.
    pub(crate) fn close(&self) {
        shutdown(self, Shutdown::Both).ok();
    }

    /// Reads what has arrived already; `WouldBlock` if nothing has.
    pub(crate) fn read_ready(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = recv(self, buffer, RecvFlags::DONTWAIT)?;
        Ok(count)
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Acknowledgements of WAL are small and must not wait for company.
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_COUNT)?;
    Ok(())
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same socket, read without waiting.
pub(crate) struct Ready<'s>(pub(crate) &'s Socket);

impl Read for Ready<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_ready(buffer)
    }
}
