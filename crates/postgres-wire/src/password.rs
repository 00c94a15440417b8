//! What a server keeps of a password.

/// Returns what the server stores of a password (SCRAM-SHA-256), to be given to `ALTER ROLE ... PASSWORD`: the password
/// itself then shows neither in a statement nor in a log of statements. Each call takes another salt.
pub fn password_verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}
