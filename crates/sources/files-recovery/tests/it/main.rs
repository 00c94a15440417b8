//! Trees on a real file system, through a real vault and back.

mod damage;
mod hostile;
mod round_trip;
mod world;
