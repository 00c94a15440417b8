//! Every fault at every single call.
