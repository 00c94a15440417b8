//! Connectors with one flaw each: the rule that forbids it finds it.

mod drilling;
mod reading;
mod restoring;
