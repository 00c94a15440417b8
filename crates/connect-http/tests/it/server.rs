//! A server on this machine that does as it is told, byte by byte.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What the server does with a connection after it has read a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Sends bytes as they are.
    Send(Vec<u8>),
    /// Says nothing more until the client goes.
    Hang,
    /// Closes the connection.
    Close,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The number of its connection.
    pub(crate) connection: usize,
    /// The first line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

type Script = dyn Fn(usize, &Seen) -> Vec<Act> + Send + Sync;

pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts a server that asks the script what to do with each request; its first argument counts them.
    pub(crate) fn start(script: impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, all): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (script, all) = (Arc::clone(&script), Arc::clone(&all));
                // A client that goes away ends its connection here, and nothing else.
                thread::spawn(move || serve(stream.ok()?, number, &*script, &all).ok());
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: &Script,
    all: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    while let Some(seen) = receive(&mut stream, connection)? {
        let number = {
            let mut all = all.lock().unwrap();
            all.push(seen.clone());
            all.len() - 1
        };
        for act in script(number, &seen) {
            match act {
                Act::Send(bytes) => stream.write_all(&bytes)?,
                Act::Hang => {
                    stream.read_to_end(&mut Vec::new())?;
                    return Ok(());
                }
                Act::Close => return Ok(()),
            }
        }
    }
    Ok(())
}

fn receive(stream: &mut TcpStream, connection: usize) -> std::io::Result<Option<Seen>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let mut seen = Seen { connection, head, body: Vec::new() };
    let length = seen.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    // A body that is left unread makes closing the connection break it off, so that the client is told.
    if seen.header("x-leave-unread").is_none() {
        seen.body = vec![0; length];
        stream.read_exact(&mut seen.body)?;
    }
    Ok(Some(seen))
}

/// Makes an answer with a length.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<Act> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    vec![Act::Send([head.as_bytes(), body].concat())]
}
