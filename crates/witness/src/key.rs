use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ports::{
    Random,
    files::{self, FileError},
};
use vault::tree::{Algorithm, NoteSignature, NoteSigner, VerifierKey, VerifierKeyError};
use zeroize::Zeroizing;

/// The key of a witness. It signs cosignatures and nothing else.
pub struct WitnessKey {
    signer: NoteSigner,
}

/// Why a witness's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is no key of a witness.
    #[error("{} is no key of a witness", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The name cannot be used.
    #[error("a witness cannot have this name")]
    Name(#[from] VerifierKeyError),
    /// Others may read the file.
    #[error("{} can be read by other users", path.display())]
    Public {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The form in which the Go checksum database and other C2SP tools keep such keys.
const PREFIX: &str = "PRIVATE+KEY+";
const ALGORITHM: u8 = 4;
const MODE: u32 = 0o600;

impl WitnessKey {
    /// Draws a new key and writes it to a file that must not exist and that only its owner may read.
    pub fn create(path: &Path, name: &str, random: &dyn Random) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(&mut *seed);
        let signer = NoteSigner::from_seed(name, Algorithm::CosignatureV1, &seed)?;
        let id = vault::hex(&signer.key().id());
        let secret = Zeroizing::new([&[ALGORITHM][..], &*seed].concat());
        let text = Zeroizing::new(format!("{PREFIX}{name}+{id}+{}\n", STANDARD.encode(&*secret)));
        files::create_new(path, text.as_bytes(), MODE)?;
        Ok(Self { signer })
    }

    /// Reads a key; a file that other users may read is refused.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::PermissionsExt as _;

        let metadata = std::fs::metadata(path).map_err(|error| FileError::new("read", path, error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Public { path: path.to_owned() });
        }
        let text = Zeroizing::new(files::read_text(path)?);
        Self::parse(&text).ok_or_else(|| KeyError::Form { path: path.to_owned() })
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.trim_end().strip_prefix(PREFIX)?.split_once('+')?;
        let (id, secret) = rest.split_once('+')?;
        let secret = Zeroizing::new(STANDARD.decode(secret).ok()?);
        let (algorithm, seed) = secret.split_first()?;
        let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).ok()?);
        let signer = NoteSigner::from_seed(name, Algorithm::CosignatureV1, &seed).ok()?;
        let found = vault::hex(&signer.key().id());
        (*algorithm == ALGORITHM && found == id).then_some(Self { signer })
    }

    /// Returns the public half, which verifiers are given.
    pub const fn public(&self) -> &VerifierKey {
        self.signer.key()
    }

    pub(crate) fn cosign(&self, text: &str, time: u64) -> NoteSignature {
        self.signer.sign(text, time)
    }
}
