//! Pictures, drawn here and shown as SVG: classes and attributes only, so that the content policy needs no exception.

pub(crate) mod lags;
