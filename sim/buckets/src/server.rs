use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::http;

/// A running S3 server with Object Lock, with one locked bucket. It ends with this value.
pub struct LockServer {
    child: Child,
    /// The server lives as long as this is open.
    input: Option<ChildStdin>,
    front: String,
    back: String,
}

/// What an attacker or an accident left under a key.
#[derive(Debug, Clone, Copy)]
pub enum Planted<'a> {
    /// Another version.
    Version(&'a [u8]),
    /// A marker that hides the key from those who ask for the newest version.
    DeleteMarker,
}

impl LockServer {
    /// The bucket that is there from the start, made with Object Lock.
    pub const BUCKET: &'static str = "vault";
    /// What every signature is made for.
    pub const REGION: &'static str = "us-east-1";

    /// Starts a server on free ports of the loopback interface.
    pub fn start() -> Self {
        let program = program();
        assert!(program.exists(), "{} is missing; run tools/install_s3", program.display());
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the S3 server starts");
        let output = child.stdout.take().expect("its output is a pipe");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it says where it listens");
        let (front, back) = line.trim().split_once(' ').expect("it says two addresses");
        let (front, back) = (front.to_owned(), back.to_owned());
        let input = child.stdin.take();
        let server = Self { child, input, front, back };
        server.make_bucket(Self::BUCKET, true);
        server
    }

    /// Returns where it listens and checks signatures.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.front)
    }

    /// Returns `HOST:PORT` of the back door, where no signature is checked.
    pub fn back_door(&self) -> &str {
        &self.back
    }

    /// Makes a bucket.
    pub fn make_bucket(&self, bucket: &str, locked: bool) {
        let lock = ("x-amz-bucket-object-lock-enabled", "true");
        let headers = if locked { vec![lock] } else { Vec::new() };
        self.expect("PUT", &format!("/{bucket}"), &headers, b"");
    }

    /// Gives a bucket a rule by which every new version is locked for days, whatever its writer asks for.
    pub fn set_default_retention(&self, bucket: &str, days: u32) {
        let body = format!(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
             <Mode>COMPLIANCE</Mode><Days>{days}</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
        );
        self.expect("PUT", &format!("/{bucket}?object-lock="), &[], body.as_bytes());
    }

    /// Gives a bucket a rule that expires objects.
    pub fn set_lifecycle(&self, bucket: &str) {
        let body = "<LifecycleConfiguration><Rule><ID>x</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
                    <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
                    </Rule></LifecycleConfiguration>";
        self.expect("PUT", &format!("/{bucket}?lifecycle="), &[], body.as_bytes());
    }

    /// Leaves something under a key, as somebody with all rights can.
    pub fn plant(&self, bucket: &str, key: &str, planted: Planted<'_>) {
        let path = format!("/{bucket}/{key}");
        match planted {
            Planted::Version(content) => self.expect("PUT", &path, &[], content),
            Planted::DeleteMarker => self.expect("DELETE", &path, &[], b""),
        }
    }

    fn expect(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request =
            http::Message { start: format!("{method} {path} HTTP/1.1"), headers, body: body.to_vec() };
        let answer = http::forward(&self.back, &request).expect("the S3 server answers");
        assert!(
            (200..300).contains(&answer.status()),
            "{method} {path}: {} {}",
            answer.start,
            String::from_utf8_lossy(&answer.body)
        );
    }
}

impl Drop for LockServer {
    fn drop(&mut self) {
        // With its input it ends by itself.
        drop(self.input.take());
        drop(self.child.wait());
    }
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.tools/s3lockd")
}
