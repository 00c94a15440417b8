//! Makes a sketch in one pass.

use std::io;

use super::{
    chunks::Pieces,
    compare::{Names, Verdict, compare, hangs_on_structure},
    inflated,
    kind::{HEAD_BYTES, Kind},
    sketch::Sketch,
    structure::{Structure, Walk},
    uniform::Histogram,
};

/// So much of the beginning is kept to look into what is compressed.
const BEGIN_BYTES: usize = 64 << 10;
/// So much of the end is kept.
const END_BYTES: usize = 2 << 10;
/// The stretches at both ends that are looked at on their own have no fewer bytes, where there are as many.
const STRETCH_MIN: usize = 256;

/// Takes the content of a file, in any portions, and makes a sketch of it. Needs less than 200 KB of memory, and none
/// anew for the next file.
pub struct Sketcher {
    length: u64,
    begin: Vec<u8>,
    end: Vec<u8>,
    kind: Option<Kind>,
    walk: Option<Walk>,
    pieces: Pieces,
}

impl Sketcher {
    /// Makes one for one file.
    pub fn new() -> Self {
        Self { length: 0, begin: Vec::new(), end: Vec::new(), kind: None, walk: None, pieces: Pieces::new() }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let mut rest = bytes;
        if self.kind.is_none() {
            let (head, after) = rest.split_at(rest.len().min(HEAD_BYTES - self.begin.len()));
            self.begin.extend_from_slice(head);
            rest = after;
            if self.begin.len() == HEAD_BYTES {
                self.decide();
            }
        }
        if let Some(kind) = self.kind {
            if inflated::is_looked_into(kind) {
                self.begin.extend_from_slice(&rest[..rest.len().min(BEGIN_BYTES - self.begin.len())]);
            }
            if let Some(walk) = &mut self.walk {
                walk.push(rest);
            }
        }
        if bytes.len() < END_BYTES {
            let surplus = (self.end.len() + bytes.len()).saturating_sub(END_BYTES);
            self.end.drain(..surplus);
            self.end.extend_from_slice(bytes);
        } else {
            self.end.clear();
            self.end.extend_from_slice(&bytes[bytes.len() - END_BYTES..]);
        }
        self.pieces.push(bytes);
    }

    /// Knows the kind from now on, and has its structure followed from the beginning.
    fn decide(&mut self) {
        let kind = Kind::of(&self.begin);
        self.kind = Some(kind);
        self.walk = Walk::of(kind);
        if let Some(walk) = &mut self.walk {
            walk.push(&self.begin);
        }
    }

    /// Returns the sketch of what was taken, looked into wherever that is possible, and is ready for the next file.
    pub fn finish(&mut self) -> Sketch {
        let mut sketch = self.sketch();
        sketch.structure = self.looked_into(&sketch);
        self.clear();
        sketch
    }

    /// Compares what was taken with the version before, if there is one, and is ready for the next file. What is
    /// compressed is looked into only where the verdict hangs on it: most versions are the first, or edits.
    pub fn judge(&mut self, previous: Option<(&Sketch, Names<'_>)>) -> (Sketch, Option<Verdict>) {
        let mut sketch = self.sketch();
        let verdict = previous.map(|(previous, names)| {
            if hangs_on_structure(previous, &sketch) {
                sketch.structure = self.looked_into(&sketch);
            }
            compare(previous, &sketch, names)
        });
        self.clear();
        (sketch, verdict)
    }

    /// Forgets what was taken.
    pub fn clear(&mut self) {
        self.length = 0;
        self.begin.clear();
        self.end.clear();
        self.kind = None;
        self.walk = None;
        self.pieces.clear();
    }

    /// Makes the sketch, whose structure is what was seen while the content passed by.
    fn sketch(&mut self) -> Sketch {
        if self.kind.is_none() {
            self.decide();
        }
        let sample = self.pieces.finish();
        let quarter = usize::try_from(self.length / 4).unwrap_or(END_BYTES).clamp(STRETCH_MIN, END_BYTES);
        let head = &self.begin[..quarter.min(self.begin.len())];
        let tail = &self.end[self.end.len() - quarter.min(self.end.len())..];
        Sketch {
            length: self.length,
            kind: self.kind.unwrap_or(Kind::Unknown),
            structure: self.walk.as_ref().map_or(Structure::Unknown, |walk| walk.finish(&self.end)),
            armoured: self.pieces.body.is_armoured(),
            pieces: self.pieces.count,
            uniform_pieces: self.pieces.uniform,
            head: Histogram::of(head).chi_square(),
            tail: Histogram::of(tail).chi_square(),
            body: self.pieces.body.chi_square(),
            sample,
        }
    }

    fn looked_into(&self, sketch: &Sketch) -> Structure {
        if sketch.structure == Structure::Broken {
            return Structure::Broken;
        }
        let whole = self.length == self.begin.len() as u64;
        match inflated::look(sketch.kind, &self.begin, whole) {
            Structure::Unknown => sketch.structure,
            looked => looked,
        }
    }
}

impl Default for Sketcher {
    fn default() -> Self {
        Self::new()
    }
}

impl io::Write for Sketcher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
