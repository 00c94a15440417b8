//! Which machine a name means, asked of the resolver and of this machine's own addresses.

use std::{
    collections::BTreeSet,
    net::{IpAddr, ToSocketAddrs, UdpSocket},
};

use isolation::hosts::Machine;
use postgres_wire::{ConnectionSettings, Host};

/// Describes the machine of a name; without a name nobody knows which it is.
pub(super) fn machine(label: &str, name: Option<&str>) -> Machine {
    let Some(name) = name else {
        let addresses = Err("the settings name no host".to_owned());
        return Machine { label: label.to_owned(), name: String::new(), addresses, here: false };
    };
    let addresses = resolve(name);
    let here = addresses.as_ref().is_ok_and(|addresses| addresses.iter().any(|address| is_own(*address)));
    Machine { label: label.to_owned(), name: name.to_owned(), addresses, here }
}

/// Describes the machine of a database server.
pub(super) fn of_server(label: &str, settings: &ConnectionSettings) -> Machine {
    match &settings.host {
        Host::SocketDirectory(_) => Machine::here(label),
        Host::Network(name) => machine(label, Some(name)),
    }
}

fn resolve(name: &str) -> Result<BTreeSet<IpAddr>, String> {
    if let Ok(address) = name.parse() {
        return Ok(BTreeSet::from([address]));
    }
    match (name, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(|address| address.ip().to_canonical()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// Tells whether an address is this machine's: only to one's own can a socket be bound.
fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}
