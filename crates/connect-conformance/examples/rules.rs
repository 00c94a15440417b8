//! Prints the specification of a connector, as it stands in `docs/reference/connector-rules.md`:
//! `cargo run -q -p connect-conformance --example rules > docs/reference/connector-rules.md`.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

fn main() {
    print!("{}", connect_conformance::document());
}
