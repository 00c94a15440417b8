//! Syslog as RFC 5424 says, over UDP (RFC 5426) or TCP with octet counting (RFC 6587).

use std::{
    io::Write,
    net::{TcpStream, ToSocketAddrs, UdpSocket},
};

use serde::{Deserialize, Serialize};

use crate::{Channel, Message, NotifyError, TIMEOUT, Urgency, webhook::settings};

/// `LOG_LOCAL0`.
const FACILITY: u8 = 16;
const SEVERITY_ALERT: u8 = 1;
const SEVERITY_NOTICE: u8 = 5;
/// What every receiver must take (RFC 5424, 6.1, asks for 480 and advises 2048); longer findings are left out of it.
const BYTES_MAX: usize = 8 << 10;

/// What carries the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyslogTransport {
    /// One datagram each, which nobody confirms.
    #[default]
    Udp,
    /// A connection each.
    Tcp,
}

/// Sends one line for each message.
pub struct Syslog {
    name: String,
    address: String,
    transport: SyslogTransport,
    hostname: String,
}

impl Syslog {
    /// Makes a channel to `HOST:PORT`; `hostname` is what this machine is called there.
    pub fn new(address: String, transport: SyslogTransport, hostname: &str) -> Self {
        Self { name: format!("syslog {address}"), address, transport, hostname: word(hostname) }
    }

    fn line(&self, message: &Message) -> String {
        let severity = match message.urgency {
            Urgency::Alarm => SEVERITY_ALERT,
            Urgency::Notice => SEVERITY_NOTICE,
        };
        let priority = FACILITY * 8 + severity;
        let head =
            format!("<{priority}>1 {} {} unwipe - {} - ", message.at, self.hostname, word(&message.id));
        let title = message.title.replace(char::is_control, " ");
        let whole = format!("{head}{title} {}", message.finding);
        if whole.len() <= BYTES_MAX { whole } else { format!("{head}{title}") }
    }

    fn deliver(&self, line: &str) -> std::io::Result<()> {
        let addresses: Vec<_> = self.address.to_socket_addrs()?.collect();
        let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        let address = addresses.first().ok_or_else(none)?;
        match self.transport {
            SyslogTransport::Udp => {
                let here = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                UdpSocket::bind(here)?.send_to(line.as_bytes(), address).map(drop)
            }
            SyslogTransport::Tcp => {
                let mut stream = TcpStream::connect_timeout(address, TIMEOUT)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                stream.write_all(format!("{} {line}", line.len()).as_bytes())
            }
        }
    }
}

impl Channel for Syslog {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&self, message: &Message) -> Result<(), NotifyError> {
        if !self.address.contains(':') {
            return Err(settings(&self.name, "the address is not HOST:PORT".to_owned()));
        }
        self.deliver(&self.line(message))
            .map_err(|error| NotifyError::Unreachable { channel: self.name.clone(), source: Box::new(error) })
    }
}

/// Makes a text fit for a field of the header: printable ASCII without spaces.
fn word(text: &str) -> String {
    let plain: String = text.chars().filter(char::is_ascii_graphic).take(48).collect();
    if plain.is_empty() { "-".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::{TcpListener, UdpSocket},
    };

    use super::*;
    use crate::message::sample;

    const LINE: &str = "<129>1 2026-04-25T14:00:09.250000Z vault unwipe - incident-7-1 - \
                        incident 7: agent deletes rows of shop.public.bookings {\"class_uid\":2004}";

    #[test]
    fn a_datagram_carries_the_line() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(TIMEOUT)).unwrap();
        let address = receiver.local_addr().unwrap().to_string();
        Syslog::new(address, SyslogTransport::Udp, "vault").send(&sample()).unwrap();
        let mut buffer = [0; 2048];
        let length = receiver.recv(&mut buffer).unwrap();
        assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), LINE);
    }

    #[test]
    fn a_connection_counts_octets() {
        let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = receiver.local_addr().unwrap().to_string();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            receiver.accept().unwrap().0.read_to_string(&mut text).unwrap();
            text
        });
        Syslog::new(address, SyslogTransport::Tcp, "vault").send(&sample()).unwrap();
        assert_eq!(reading.join().unwrap(), format!("{} {LINE}", LINE.len()));
    }

    #[test]
    fn nobody_there_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let error = Syslog::new(closed, SyslogTransport::Tcp, "vault").send(&sample()).unwrap_err();
        assert!(error.is_transient(), "{error}");
        let error = Syslog::new("nowhere".to_owned(), SyslogTransport::Udp, "").send(&sample()).unwrap_err();
        assert!(!error.is_transient(), "{error}");
    }
}
