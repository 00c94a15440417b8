//! A simulated Google Workspace domain.
