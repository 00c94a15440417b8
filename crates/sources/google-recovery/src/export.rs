//! Writing mail to files that any program reads.
