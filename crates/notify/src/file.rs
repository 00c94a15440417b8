//! Findings as lines of JSON in a file, for whatever reads such files.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use crate::{Channel, Message, NotifyError, webhook::settings};

/// Appends one finding a line.
pub struct FindingsFile {
    name: String,
    path: PathBuf,
}

impl FindingsFile {
    /// Names the file; it is made when the first finding comes.
    pub fn new(path: &Path) -> Self {
        Self { name: format!("file {}", path.display()), path: path.to_owned() }
    }
}

impl Channel for FindingsFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&self, message: &Message) -> Result<(), NotifyError> {
        use std::os::unix::fs::OpenOptionsExt;

        let mut line =
            serde_json::to_vec(&message.finding).map_err(|e| settings(&self.name, e.to_string()))?;
        line.push(b'\n');
        let failed = |error: std::io::Error| NotifyError::Unreachable {
            channel: self.name.clone(),
            source: Box::new(error),
        };
        let mut file =
            File::options().append(true).create(true).mode(0o640).open(&self.path).map_err(failed)?;
        // One call, so that the lines of two processes do not mix.
        file.write_all(&line).map_err(failed)?;
        file.sync_data().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::sample;

    #[test]
    fn each_finding_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.jsonl");
        let channel = FindingsFile::new(&path);
        channel.send(&sample()).unwrap();
        channel.send(&sample()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), [r#"{"class_uid":2004}"#; 2]);
        assert!(FindingsFile::new(&folder.path().join("no/such")).send(&sample()).is_err());
    }
}
