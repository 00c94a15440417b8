//! Reads a Google Workspace domain.
