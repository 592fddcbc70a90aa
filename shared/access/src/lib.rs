//! Who is calling, and what they may do.
//!
//! Lives here: the caller, the policy, and the grant only a policy can make.
//! Does not live here: what a transaction does.
//! Doors: `web`.

use std::marker::PhantomData;
use std::net::SocketAddr;

/// Who is at the other end, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// A name for the audit record, e.g. a client id; the address where nothing better is known.
    pub name: String,
    /// Where the connection comes from.
    pub address: SocketAddr,
}

/// What a caller attempts: the number of the transaction and the verb of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// `ITI-67` and so on.
    pub transaction: &'static str,
    /// True if it changes something.
    pub writes: bool,
}

/// Permission to run one transaction of the type `T`. Only a [`Policy`] can make it.
#[derive(Debug)]
pub struct Grant<T> {
    caller: Caller,
    of: PhantomData<fn() -> T>,
}

impl<T> Grant<T> {
    /// Who was granted.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Why a caller may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody knows who it is.
    #[error("the caller is not known")]
    Unknown,
    /// Known, and not allowed to.
    #[error("the caller may not do this")]
    Forbidden,
}

/// The rule of who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// Local development: everyone on loopback may do everything. An actor under this policy binds loopback only.
    LocalDevelopment,
}

impl Policy {
    /// Who is calling: asked before a byte of the body is read.
    pub fn identify(&self, peer: SocketAddr) -> Result<Caller, Denied> {
        match self {
            Policy::LocalDevelopment if peer.ip().to_canonical().is_loopback() => {
                Ok(Caller { name: format!("local:{}", peer.ip()), address: peer })
            }
            Policy::LocalDevelopment => Err(Denied::Unknown),
        }
    }

    /// Whether this caller may run this transaction.
    pub fn allow<T>(&self, caller: Caller, _attempt: Attempt) -> Result<Grant<T>, Denied> {
        match self {
            Policy::LocalDevelopment => Ok(Grant { caller, of: PhantomData }),
        }
    }

    /// Whether an actor under this policy may listen on this address.
    pub fn may_listen(&self, address: SocketAddr) -> bool {
        match self {
            Policy::LocalDevelopment => address.ip().to_canonical().is_loopback(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> SocketAddr {
        address.parse().expect("an address")
    }

    #[test]
    fn local_development_knows_callers_on_this_machine_only() {
        let policy = Policy::LocalDevelopment;
        for address in ["127.0.0.1:5000", "127.9.9.9:1", "[::1]:5000", "[::ffff:127.0.0.1]:5000"] {
            let caller = policy.identify(from(address)).expect("it is this machine");
            assert_eq!(caller.address, from(address));
        }
        for address in ["10.0.0.1:5000", "[2001:db8::1]:5000", "[::ffff:10.0.0.1]:5000"] {
            assert_eq!(policy.identify(from(address)), Err(Denied::Unknown), "{address}");
        }
    }

    #[test]
    fn local_development_listens_on_loopback_only() {
        let policy = Policy::LocalDevelopment;
        assert!(policy.may_listen(from("127.0.0.1:8081")) && policy.may_listen(from("[::1]:8081")));
        for address in ["0.0.0.0:8081", "[::]:8081", "192.168.0.1:8081"] {
            assert!(!policy.may_listen(from(address)), "{address}");
        }
    }

    #[test]
    fn a_grant_says_whom_it_was_given() {
        struct Anything;
        let policy = Policy::LocalDevelopment;
        let caller = policy.identify(from("127.0.0.1:5000")).expect("it is this machine");
        let attempt = Attempt { transaction: "ITI-67", writes: false };
        let grant = policy.allow::<Anything>(caller.clone(), attempt).expect("everyone may");
        assert_eq!(grant.caller(), &caller);
    }
}
