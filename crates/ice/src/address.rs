//! What may be dialled, from where, and how addresses are compared.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Whether a datagram may be sent there: no port 0, nothing unspecified, multicast or broadcast,
/// and no IPv4 in IPv6 clothes (RFC 8445 §5.1.1.1), which would dial around every filter.
pub(crate) fn is_dialable(address: SocketAddr) -> bool {
    let ip = match address.ip() {
        // 0.0.0.0/8 is "this host" (RFC 1122 §3.2.1.3), not a destination.
        IpAddr::V4(ip) => ip.octets()[0] != 0 && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => {
            !ip.is_unspecified()
                && !ip.is_multicast()
                && ip.to_ipv4_mapped().is_none()
                && !is_v4_compatible(ip)
        }
    };
    ip && address.port() != 0
}

/// The form in which addresses are compared: a flow label is no part of the identity, a scope only
/// for a link-local address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(mut v6) => {
            v6.set_flowinfo(0);
            if !v6.ip().is_unicast_link_local() {
                v6.set_scope_id(0);
            }
            SocketAddr::V6(v6)
        }
    }
}

/// Where `local` dials to reach `remote`, or `None` if it cannot: families differ, or only one of
/// them is IPv6 link-local (RFC 8445 §6.1.2.2). A candidate line carries no scope; that of our
/// interface is the only one that can be meant.
pub(crate) fn destination(local: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
    match (local, remote) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => Some(remote),
        (SocketAddr::V6(l), SocketAddr::V6(mut r)) => {
            let link_local = l.ip().is_unicast_link_local();
            if link_local != r.ip().is_unicast_link_local() {
                return None;
            }
            if link_local && r.scope_id() == 0 {
                r.set_scope_id(l.scope_id());
            }
            (!link_local || r.scope_id() == l.scope_id()).then_some(SocketAddr::V6(r))
        }
        (SocketAddr::V4(_), SocketAddr::V6(_)) | (SocketAddr::V6(_), SocketAddr::V4(_)) => None,
    }
}

fn is_v4_compatible(ip: Ipv6Addr) -> bool {
    ip.segments()[..6] == [0; 6] && !ip.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects bystanders: a signalled candidate must not make us dial what is no single host.
    #[test]
    fn what_is_never_dialled() {
        let never = [
            "0.0.0.0:9",
            "0.1.2.3:9",
            "224.0.0.251:5353",
            "255.255.255.255:9",
            "192.0.2.1:0",
            "[::]:9",
            "[ff02::fb]:5353",
            "[::ffff:192.0.2.1]:9",
            "[::192.0.2.1]:9",
            "[2001:db8::1]:0",
        ];
        for address in never {
            assert!(!is_dialable(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1:9",
            "192.0.2.1:9",
            "[::1]:9",
            "[fe80::1]:9",
            "[2001:db8::1]:9",
        ] {
            assert!(is_dialable(address.parse().unwrap()), "{address}");
        }
    }

    /// Protects link-local IPv6: without the scope of our interface the kernel refuses to send.
    #[test]
    fn link_local_takes_the_scope_of_our_interface() {
        let local: SocketAddr = "[fe80::1%3]:1".parse().unwrap();
        let remote: SocketAddr = "[fe80::2]:2".parse().unwrap();
        assert_eq!(
            destination(local, remote),
            Some("[fe80::2%3]:2".parse().unwrap())
        );
        assert_eq!(destination(local, "[2001:db8::2]:2".parse().unwrap()), None);
        assert_eq!(
            destination("[2001:db8::1]:1".parse().unwrap(), remote),
            None
        );
        assert_eq!(destination("192.0.2.1:1".parse().unwrap(), remote), None);
        assert_eq!(destination(local, "[fe80::2%4]:2".parse().unwrap()), None);
    }
}
