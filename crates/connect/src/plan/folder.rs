//! A plan on disk: `plan.json` and its attachments in one folder.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

use ports::files::{self, FileError};

use super::{Attachment, Attachments, Bundle, Document, Plan, PlanError, PlanHash, is_inside};

const DOCUMENT: &str = "plan.json";

/// A plan's folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFolderError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The document is no plan that can be used.
    #[error("{} is not usable", path.display())]
    Document {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PlanError,
    },
    /// The plan was changed after it was written or approved.
    #[error("{} does not have the expected digest", path.display())]
    Changed {
        /// The document or attachment.
        path: PathBuf,
    },
}

/// A folder that holds one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFolder {
    path: PathBuf,
}

impl PlanFolder {
    /// Names a folder; nothing is touched yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins an attachment, which must be new. It may hold what people should not see, so only its owner can read it.
    pub fn create(&self, name: &str) -> Result<AttachmentWriter, PlanFolderError> {
        use std::os::unix::fs::OpenOptionsExt;

        if !is_inside(name) {
            let source = PlanError::AttachmentName { name: name.to_owned() };
            return Err(PlanFolderError::Document { path: self.path.clone(), source });
        }
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            files::create_folder(parent)?;
        }
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| FileError::new("create", &path, e))?;
        let name = name.to_owned();
        Ok(AttachmentWriter {
            name,
            path,
            file: BufWriter::new(file),
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    /// Writes the document, durably and once.
    pub fn write(&self, plan: &Plan) -> Result<PlanHash, PlanFolderError> {
        let path = self.path.join(DOCUMENT);
        let document = |source| PlanFolderError::Document { path: path.clone(), source };
        let bytes = plan.canonical_bytes().map_err(document)?;
        files::create_folder(&self.path)?;
        files::create_new(&path, &bytes, 0o600)?;
        Ok(PlanHash(*blake3::hash(&bytes).as_bytes()))
    }

    /// Returns the folder of a part, below this one.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        Self { path: self.path.join(name) }
    }

    /// Writes the document of a bundle, durably and once. Its parts must have been written.
    pub fn write_bundle(&self, bundle: &Bundle) -> Result<PlanHash, PlanFolderError> {
        let path = self.path.join(DOCUMENT);
        let document = |source| PlanFolderError::Document { path: path.clone(), source };
        let bytes = bundle.canonical_bytes().map_err(document)?;
        files::create_folder(&self.path)?;
        files::create_new(&path, &bytes, 0o600)?;
        Ok(PlanHash(*blake3::hash(&bytes).as_bytes()))
    }

    /// Reads the document of a plan or a bundle; with an expected hash, only the one that has it.
    pub fn read_document(&self, expected: Option<PlanHash>) -> Result<Document, PlanFolderError> {
        let (path, bytes) = self.read_bytes(expected)?;
        Document::from_bytes(&bytes).map_err(|source| PlanFolderError::Document { path, source })
    }

    fn read_bytes(&self, expected: Option<PlanHash>) -> Result<(PathBuf, Vec<u8>), PlanFolderError> {
        let path = self.path.join(DOCUMENT);
        let bytes = files::read(&path)?;
        if expected.is_some_and(|expected| expected.0 != *blake3::hash(&bytes).as_bytes()) {
            return Err(PlanFolderError::Changed { path });
        }
        Ok((path, bytes))
    }

    /// Reads the document; with an expected hash, only the plan that has it.
    pub fn read(&self, expected: Option<PlanHash>) -> Result<Plan, PlanFolderError> {
        let (path, bytes) = self.read_bytes(expected)?;
        Plan::from_bytes(&bytes).map_err(|source| PlanFolderError::Document { path, source })
    }
}

impl Attachments for PlanFolder {
    fn open(&self, attachment: &Attachment) -> Result<Box<dyn Read + '_>, PlanFolderError> {
        if !is_inside(&attachment.name) {
            let source = PlanError::AttachmentName { name: attachment.name.clone() };
            return Err(PlanFolderError::Document { path: self.path.clone(), source });
        }
        let path = self.path.join(&attachment.name);
        let mut file = File::open(&path).map_err(|e| FileError::new("open", &path, e))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&mut file).map_err(|e| FileError::new("read", &path, e))?;
        if hasher.count() != attachment.bytes || hasher.finalize().to_hex().as_str() != attachment.blake3 {
            return Err(PlanFolderError::Changed { path });
        }
        file.rewind().map_err(|e| FileError::new("read", &path, e))?;
        Ok(Box::new(BufReader::with_capacity(1 << 17, file)))
    }
}

/// Writes one attachment and knows its digest at the end.
#[derive(Debug)]
pub struct AttachmentWriter {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl AttachmentWriter {
    /// Makes the content durable and returns what the plan says about it.
    pub fn finish(self) -> Result<Attachment, PlanFolderError> {
        let Self { name, path, file, hasher, bytes } = self;
        let failed = |e: io::Error| FileError::new("write", &path, e);
        let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)?;
        Ok(Attachment { name, blake3: hasher.finalize().to_hex().to_string(), bytes })
    }
}

impl Write for AttachmentWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
