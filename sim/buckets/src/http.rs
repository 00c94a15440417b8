//! As much of HTTP/1.1 as a simulator between a client and a server needs.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
};

/// A request or an answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The first line, without its end.
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads a message whose length is told; `None` when the peer has closed the connection.
    pub(crate) fn read(stream: &mut impl BufRead, bodiless: bool) -> io::Result<Option<Self>> {
        let mut start = String::new();
        if stream.read_line(&mut start)? == 0 {
            return Ok(None);
        }
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let line = line.trim_end();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut message = Self { start: start.trim_end().to_owned(), headers, body: Vec::new() };
        if !bodiless {
            message.read_body(stream)?;
        }
        Ok(Some(message))
    }

    /// Reads the body that belongs to a message whose head was read.
    pub(crate) fn read_body(&mut self, stream: &mut impl BufRead) -> io::Result<()> {
        let message = self;
        if message.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            message.body = read_chunks(stream)?;
            message.remove("transfer-encoding");
        } else {
            let length = message.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            message.body = vec![0; length];
            stream.read_exact(&mut message.body)?;
        }
        Ok(())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.headers.retain(|(own, _)| own != name);
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// Tells whether the query has this name.
    pub(crate) fn asks(&self, name: &str) -> bool {
        let query = self.target().split_once('?').map_or("", |(_, query)| query);
        query.split('&').any(|pair| pair.split('=').next() == Some(name))
    }

    /// Writes the head; `length` is the length that is told.
    pub(crate) fn head(&self, length: usize) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "content-length") {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {length}\r\n\r\n"));
        text.into_bytes()
    }
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = line.trim().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Sends a request to a server that checks no signatures and returns its answer.
pub(crate) fn forward(address: &str, request: &Message) -> io::Result<Message> {
    let mut request = request.clone();
    request.set("host", address);
    request.set("connection", "close");
    // The server finds the service in here; nobody checks the signature.
    let scope = "Credential=root/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    request.set("authorization", format!("AWS4-HMAC-SHA256 {scope}"));
    #[expect(clippy::disallowed_methods, reason = "the server is a child on this machine")]
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&request.head(request.body.len()))?;
    stream.write_all(&request.body)?;
    let mut stream = BufReader::new(stream);
    let bodiless = request.method() == "HEAD";
    Message::read(&mut stream, bodiless)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
