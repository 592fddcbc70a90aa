//! How many connections there are, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::limits::Limits;

/// The connections of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u64,
    by_address: HashMap<IpAddr, u64>,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Connections,
    address: IpAddr,
}

impl Connections {
    /// A place for a connection from this address, if the limits leave one.
    pub(crate) fn admit(&self, address: IpAddr, limits: &Limits) -> Option<Slot> {
        let mut counts = self.counts.lock();
        if counts.all >= limits.max_connections {
            return None;
        }
        let mine = counts.by_address.entry(address).or_default();
        if *mine >= limits.max_connections_per_address {
            return None;
        }
        *mine += 1;
        counts.all += 1;
        Some(Slot { connections: self.clone(), address })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock();
        counts.all -= 1;
        if let Some(mine) = counts.by_address.get_mut(&self.address) {
            *mine -= 1;
            if *mine == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_own_limit_and_a_place_is_given_back() {
        let limits = Limits { max_connections: 3, max_connections_per_address: 2, ..Limits::default() };
        let connections = Connections::default();
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = connections.admit(one, &limits);
        let second = connections.admit(one, &limits);
        assert!(first.is_some() && second.is_some());
        assert!(connections.admit(one, &limits).is_none(), "a third connection of one address");
        let third = connections.admit(two, &limits);
        assert!(third.is_some());
        assert!(connections.admit(two, &limits).is_none(), "a fourth connection in all");
        drop(first);
        assert!(connections.admit(two, &limits).is_some());
    }
}
