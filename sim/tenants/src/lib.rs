//! Simulated tenants.
