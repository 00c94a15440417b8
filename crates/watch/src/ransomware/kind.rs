//! What a file is, by its first bytes.

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// None that is known here.
    Unknown = 0,
    /// Text in any encoding of bytes.
    Text = 1,
    /// A zip archive: office documents and programs for Java are such.
    Zip = 2,
    /// A PDF document.
    Pdf = 3,
    /// A PNG picture.
    Png = 4,
    /// A JPEG picture.
    Jpeg = 5,
    /// A gzip stream.
    Gzip = 6,
    /// MP4 and its kin: films, sound, HEIC pictures.
    Mp4 = 7,
    /// An older office document.
    Ole = 8,
    /// An SQLite database.
    Sqlite = 9,
    /// A tar archive.
    Tar = 10,
    /// RIFF: WebP, WAV, AVI.
    Riff = 11,
    /// Ogg sound or film.
    Ogg = 12,
    /// A program or library of some machine.
    Program = 13,
    /// Another form that is known by its first bytes.
    Other = 14,
    /// The output of a program that encrypts: PGP, age, OpenSSL.
    Ciphertext = 15,
    /// Text in two bytes a character.
    WideText = 16,
    /// Another form that is known by its first bytes and whose content is compressed: xz, 7z, GIF, WOFF.
    Packed = 17,
}

/// Beginnings of files, the longer before the shorter.
const MAGIC: &[(&[u8], Kind)] = &[
    (b"age-encryption.org/", Kind::Ciphertext),
    (b"-----BEGIN PGP MESSAGE-----", Kind::Ciphertext),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", Kind::Ciphertext),
    (b"Salted__", Kind::Ciphertext),
    (b"SQLite format 3\0", Kind::Sqlite),
    (b"\x89PNG\r\n\x1a\n", Kind::Png),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Ole),
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"%PDF-", Kind::Pdf),
    (b"\xff\xd8\xff", Kind::Jpeg),
    (b"\x1f\x8b\x08", Kind::Gzip),
    (b"OggS\0", Kind::Ogg),
    (b"RIFF", Kind::Riff),
    (b"\x7fELF", Kind::Program),
    (b"MZ", Kind::Program),
    (b"\xca\xfe\xba\xbe", Kind::Program),
    (b"\xcf\xfa\xed\xfe", Kind::Program),
    (b"\0asm", Kind::Program),
    (b"!<arch>\n", Kind::Program),
    (b"\xff\xfe", Kind::WideText),
    (b"\xfe\xff", Kind::WideText),
    (b"\xfd7zXZ\0", Kind::Packed),
    (b"7z\xbc\xaf\x27\x1c", Kind::Packed),
    (b"Rar!\x1a\x07", Kind::Packed),
    (b"BZh", Kind::Packed),
    (b"\x28\xb5\x2f\xfd", Kind::Packed),
    (b"\x04\x22\x4d\x18", Kind::Packed),
    (b"GIF8", Kind::Packed),
    (b"BM", Kind::Other),
    (b"II*\0", Kind::Other),
    (b"MM\0*", Kind::Other),
    (b"8BPS", Kind::Other),
    (b"\0\0\x01\0", Kind::Other),
    (b"ID3", Kind::Packed),
    (b"\xff\xfb", Kind::Packed),
    (b"\xff\xf3", Kind::Packed),
    (b"fLaC", Kind::Packed),
    (b"\x1a\x45\xdf\xa3", Kind::Packed),
    (b"wOFF", Kind::Packed),
    (b"wOF2", Kind::Packed),
    (b"OTTO", Kind::Other),
    (b"\0\x01\0\0", Kind::Other),
    (b"ttcf", Kind::Other),
    (b"\xde\x12\x04\x95", Kind::Other),
    (b"\x95\x04\x12\xde", Kind::Other),
    (b"PACK\0\0\0", Kind::Packed),
    (b"PGDMP", Kind::Packed),
    (b"PAR1", Kind::Packed),
    (b"AC10", Kind::Other),
    (b"!BDN", Kind::Other),
];

/// Up to so many bytes of a file decide.
pub(super) const HEAD_BYTES: usize = 4 << 10;
const TAR_MAGIC: usize = 257;
/// Text has fewer control characters than this; of random bytes one in ten is one.
const CONTROL_MAX: f64 = 0.005;

impl Kind {
    /// Tells what a file is, by its first 4 KiB.
    pub(super) fn of(head: &[u8]) -> Self {
        if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
            return *kind;
        }
        if head.get(4..8) == Some(b"ftyp") {
            return Self::Mp4;
        }
        if head.get(TAR_MAGIC..TAR_MAGIC + 5) == Some(b"ustar") {
            return Self::Tar;
        }
        // Byte code of Python: a number of its version, then these two.
        if head.get(2..4) == Some(b"\r\n") && !head.starts_with(b"\r") && head[1] < 16 {
            return Self::Program;
        }
        let control = head.iter().filter(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127)).count();
        if !head.is_empty() && (control as f64) < CONTROL_MAX * head.len() as f64 {
            return Self::Text;
        }
        Self::Unknown
    }

    /// Returns the kind of a stored number; what a later version stored is not known here.
    pub(super) const fn of_number(number: u8) -> Self {
        match number {
            1 => Self::Text,
            2 => Self::Zip,
            3 => Self::Pdf,
            4 => Self::Png,
            5 => Self::Jpeg,
            6 => Self::Gzip,
            7 => Self::Mp4,
            8 => Self::Ole,
            9 => Self::Sqlite,
            10 => Self::Tar,
            11 => Self::Riff,
            12 => Self::Ogg,
            13 => Self::Program,
            14 => Self::Other,
            15 => Self::Ciphertext,
            16 => Self::WideText,
            17 => Self::Packed,
            _ => Self::Unknown,
        }
    }

    /// Returns what people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "no known form",
            Self::Text | Self::WideText => "text",
            Self::Zip => "zip or office document",
            Self::Pdf => "PDF",
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Gzip => "gzip",
            Self::Mp4 => "MP4",
            Self::Ole => "older office document",
            Self::Sqlite => "SQLite",
            Self::Tar => "tar",
            Self::Riff => "RIFF",
            Self::Ogg => "Ogg",
            Self::Program => "program",
            Self::Other | Self::Packed => "another known form",
            Self::Ciphertext => "encrypted file",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::noise, *};

    #[test]
    fn files_are_known_by_their_first_bytes() {
        assert_eq!(Kind::of(b"%PDF-1.7\n"), Kind::Pdf);
        assert_eq!(Kind::of(b"PK\x03\x04\x14\0\x06\0"), Kind::Zip);
        assert_eq!(Kind::of(b"\0\0\0\x20ftypisom\0\0\x02\0"), Kind::Mp4);
        assert_eq!(Kind::of("Grüße aus Köln\n".as_bytes()), Kind::Text);
        assert_eq!(Kind::of(b"Gr\xfc\xdfe aus K\xf6ln\r\n"), Kind::Text);
        assert_eq!(Kind::of(b""), Kind::Unknown);
        assert_eq!(Kind::of(&noise(4096, 5)), Kind::Unknown);
        assert_eq!(Kind::of(&noise(64, 6)), Kind::Unknown);
    }

    #[test]
    fn a_stored_kind_is_read_as_it_was() {
        for number in 0..=17 {
            assert_eq!(Kind::of_number(number) as u8, number);
        }
        assert_eq!(Kind::of_number(200), Kind::Unknown);
    }
}
