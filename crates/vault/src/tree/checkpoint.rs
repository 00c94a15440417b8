use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::Moment;
use qrcode::{QrCode, render::unicode::Dense1x2};

use super::{Algorithm, Note, NoteError, VerifierKey};
use crate::{
    TreeHash, VaultId,
    keys::{KeyState, Signer},
};

/// What a tree was at one time: C2SP's `tlog-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose tree it is: one line that no other log uses.
    pub origin: String,
    /// How many commits it covers.
    pub size: u64,
    /// The root over them.
    pub root: TreeHash,
    /// Further lines, which a witness signs and does not judge.
    pub extensions: Vec<String>,
}

/// A checkpoint with its signatures. That it parses says nothing about who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note it came in.
    pub note: Note,
}

/// A text that is no signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note's text is no checkpoint.
    #[error("the note's text is no checkpoint: {reason}")]
    Form {
        /// What is wrong.
        reason: &'static str,
    },
    /// It belongs to another vault.
    #[error("the checkpoint belongs to {origin}, not to this vault")]
    Origin {
        /// Whose it says it is.
        origin: String,
    },
    /// No key of the vault signed it.
    #[error("no key of this vault signed the checkpoint")]
    Signature,
}

/// Returns the origin line of a vault, which is also the name its key signs checkpoints under.
pub fn origin(vault: VaultId) -> String {
    format!("unwipe-vault/{vault}")
}

pub(super) const HEAD_LINE: &str = "head ";
pub(super) const TIME_LINE: &str = "time ";

impl Checkpoint {
    /// Reads the text of a checkpoint.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let refused = |reason| CheckpointError::Form { reason };
        let text = text.strip_suffix('\n').ok_or(refused("its last line does not end"))?;
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(refused("it has no origin"))?;
        let size = lines.next().and_then(decimal).ok_or(refused("its size is no number"))?;
        let root = lines.next().and_then(hash).ok_or(refused("its root is no hash"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(refused("it has an empty line"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }

    /// Returns its text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0));
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Returns the vault time that a vault's checkpoint states.
    pub fn time(&self) -> Option<Moment> {
        self.extensions.iter().find_map(|line| line.strip_prefix(TIME_LINE)?.parse().ok())
    }

    /// Returns the number of the tree head that a vault's checkpoint came with.
    pub fn head(&self) -> Option<u64> {
        let line = self.extensions.iter().find_map(|line| line.strip_prefix(HEAD_LINE))?;
        decimal(line.split_once(' ')?.0)
    }
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint; line ends of other systems and blanks around it, as mail adds them, do no harm.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text = text.replace("\r\n", "\n");
        let note = Note::parse(&format!("{}\n", text.trim()))?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// Draws it as a QR code for a terminal or a sheet of paper.
    pub fn qr(&self) -> Option<String> {
        let code = QrCode::new(self.note.to_string()).ok()?;
        Some(code.render::<Dense1x2>().build())
    }

    /// Checks that it is of this vault and that a key of the vault signed it.
    pub fn check(&self, vault: VaultId, keys: &KeyState) -> Result<(), CheckpointError> {
        let origin = origin(vault);
        if self.checkpoint.origin != origin {
            return Err(CheckpointError::Origin { origin: self.checkpoint.origin.clone() });
        }
        let signed = keys.verifier_keys(vault).iter().any(|key| self.note.is_signed_by(key));
        if signed { Ok(()) } else { Err(CheckpointError::Signature) }
    }
}

impl KeyState {
    /// Returns the keys whose signatures count on a vault's checkpoints, in the form that witnesses are given.
    ///
    /// A retired signer's heads still count: it may only repeat what the logs hold.
    pub fn verifier_keys(&self, vault: VaultId) -> Vec<VerifierKey> {
        let key = |signer: &Signer| VerifierKey::new(origin(vault), Algorithm::Ed25519, signer.key).ok();
        self.signers.iter().filter_map(key).collect()
    }
}

/// Reads a decimal number without leading zeroes.
pub(super) fn decimal(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|value| value.to_string() == text)
}

/// Reads a hash in base64.
pub(super) fn hash(text: &str) -> Option<TreeHash> {
    STANDARD.decode(text).ok()?.try_into().ok().map(TreeHash)
}

/// Writes a hash in base64.
pub(super) fn hash_text(hash: &TreeHash) -> String {
    STANDARD.encode(hash.0)
}
