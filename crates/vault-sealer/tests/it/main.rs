//! The sealer on the real file system of this machine, against root without the one capability.

mod attacks;
mod seal;
mod support;
