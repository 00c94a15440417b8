//! The witness: another machine that remembers.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Witness {
    /// The folder with the witness's key and memory (default: `witness` in the home folder)
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) action: WitnessAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WitnessAction {
    /// Make a witness's key and its empty memory
    Init {
        /// What it is called: a name of its own such as `example.org/witness-anna`
        #[arg(long)]
        name: String,
        /// Retire the key that is there, for instance after its memory was lost
        #[arg(long)]
        new: bool,
    },
    /// Print the public key, for the configuration of whoever trusts it
    Key,
    /// Begin to watch a vault; its first checkpoint is believed
    Watch {
        /// The vault's key, as `unwipe head key` prints it
        key: String,
    },
    /// Answer over HTTP until interrupted
    Serve {
        /// Where to listen; put a proxy with TLS before it to be reached from afar
        #[arg(long, default_value = "127.0.0.1:8437", value_name = "ADDRESS")]
        listen: SocketAddr,
    },
    /// Cosign what a file asks (`unwipe head request`), and print the answer
    Cosign {
        /// The file
        file: PathBuf,
    },
    /// Show what is remembered; fails when a vault fell silent or forked
    Status {
        /// Fail when a vault's newest checkpoint is older than this, such as 90m, 26h or 3d
        #[arg(long, value_name = "AGE", value_parser = age)]
        max_age: Option<Duration>,
    },
}

fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "a number with its unit: 90s, 15m, 26h, 3d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_a_unit() {
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(age("3d"), Ok(Duration::from_hours(72)));
        for wrong in ["", "h", "12", "-1h", "1.5h", "99999999999999999999d"] {
            assert!(age(wrong).is_err(), "{wrong:?}");
        }
    }
}
