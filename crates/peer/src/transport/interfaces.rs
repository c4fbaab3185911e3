//! Which local addresses get a socket (RFC 8445 §5.1.1.1), and on which port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::socket::UdpSocket;
use super::supervisor::random;
use crate::config::{Bind, Config};
use crate::error::Error;
use crate::ice_options::NetworkInterface;

/// Binds a socket to every address that the options choose.
pub(super) fn bind(config: &Config) -> Result<Vec<Arc<UdpSocket>>, Error> {
    let (addresses, all_needed) = match &config.bind {
        Bind::Addresses(addresses) => (addresses.clone(), true),
        Bind::Loopback => (vec![(Ipv4Addr::LOCALHOST, 0).into()], true),
        Bind::Interfaces => (interfaces(config)?, false),
    };
    let mut sockets = Vec::new();
    let mut refused = None;
    for address in addresses {
        match bind_one(address, config) {
            Ok(socket) => sockets.push(Arc::new(socket)),
            Err(source) => {
                let error = Error::Bind {
                    address,
                    source: Arc::new(source),
                };
                if all_needed {
                    return Err(error);
                }
                tracing::debug!(%error, "interface left out");
                refused = Some(error);
            }
        }
    }
    match refused {
        Some(error) if sockets.is_empty() => Err(error),
        Some(_) | None => Ok(sockets),
    }
}

/// On the port that is asked for, on one of the range, or on any.
fn bind_one(address: SocketAddr, config: &Config) -> io::Result<UdpSocket> {
    let bind = |port| {
        UdpSocket::bind(
            SocketAddr::new(address.ip(), port),
            config.socket_buffers,
            config.segmentation_offload,
        )
    };
    let Some(range) = config
        .ice
        .port_range
        .clone()
        .filter(|_| address.port() == 0)
    else {
        return UdpSocket::bind(address, config.socket_buffers, config.segmentation_offload);
    };
    // From a random one on, so that connections do not try each other's ports in turn.
    let ports = u32::from(range.end() - range.start()) + 1;
    let first = u32::from_le_bytes(random().map_err(io::Error::other)?) % ports;
    let mut refused = io::ErrorKind::AddrInUse.into();
    for offset in 0..ports {
        let port = u32::from(*range.start()) + (first + offset) % ports;
        // Within the range, so it is a port.
        match bind(u16::try_from(port).unwrap_or(*range.start())) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => refused = error,
            done => return done,
        }
    }
    Err(refused)
}

fn interfaces(config: &Config) -> Result<Vec<SocketAddr>, Error> {
    let found = if_addrs::get_if_addrs().map_err(|error| Error::NoAddress(error.to_string()))?;
    let found = found.into_iter().map(|interface| NetworkInterface {
        ip: interface.ip(),
        name: interface.name,
    });
    let chosen = choose(found.collect(), config);
    if chosen.is_empty() {
        return Err(Error::NoAddress("no interface is up and chosen".into()));
    }
    Ok(chosen
        .into_iter()
        .map(|ip| SocketAddr::new(ip, 0))
        .collect())
}

/// An address of every interface that the filter leaves. Loopback when asked for, or if there is
/// nothing else: to another machine it means nothing. Link-local addresses are left out, since a
/// candidate cannot name the interface that they belong to.
fn choose(found: Vec<NetworkInterface>, config: &Config) -> Vec<IpAddr> {
    let usable = |interface: &NetworkInterface| {
        let local = match interface.ip {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unspecified() || ip.is_unicast_link_local(),
        };
        !local && config.ice.allows(interface)
    };
    let (loopback, others): (Vec<IpAddr>, Vec<IpAddr>) = found
        .into_iter()
        .filter(usable)
        .map(|interface| interface.ip)
        .partition(IpAddr::is_loopback);
    let mut chosen = others;
    chosen.sort();
    if chosen.is_empty() || config.ice.include_loopback {
        chosen.extend(loopback);
    }
    chosen.dedup();
    chosen.truncate(MAX_SOCKETS);
    chosen
}

/// Interfaces that get a socket; a machine with hundreds of virtual ones would flood the checks.
const MAX_SOCKETS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerConnection;

    fn choose_of(ips: &[&str], config: &Config) -> Vec<String> {
        let interface = |(i, ip): (usize, &&str)| NetworkInterface {
            name: format!("eth{i}"),
            ip: ip.parse().unwrap(),
        };
        let found = ips.iter().enumerate().map(interface).collect();
        choose(found, config)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Link-local addresses never, loopback last or not at all, everything else once.
    #[test]
    fn which_addresses_are_chosen() {
        let all = [
            "127.0.0.1",
            "192.0.2.1",
            "fe80::1",
            "169.254.3.4",
            "2001:db8::1",
            "::1",
            "192.0.2.1",
        ];
        let mut config = Config::default();
        assert_eq!(choose_of(&all, &config), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(choose_of(&["127.0.0.1", "fe80::1"], &config), ["127.0.0.1"]);
        config.ice.include_loopback = true;
        assert_eq!(
            choose_of(&all, &config),
            ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"]
        );
    }

    #[test]
    fn the_filter_sees_name_and_address() {
        let builder = PeerConnection::builder()
            .interface_filter(|interface| interface.name != "eth1" && interface.ip.is_ipv4());
        let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"];
        assert_eq!(choose_of(&all, &builder.config), ["192.0.2.1", "192.0.2.3"]);
    }

    /// Every port of the range, no other, and an error that says so when none is left.
    #[tokio::test]
    async fn ports_come_from_the_range() {
        let free = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 0, true).unwrap();
        let first = free.local().port().min(u16::MAX - 2);
        drop(free);
        let builder = PeerConnection::builder()
            .loopback(true)
            .port_range(first..=first + 2);
        let mut sockets = Vec::new();
        // Another process may have taken one of them meanwhile.
        while let Ok(bound) = bind(&builder.config) {
            sockets.extend(bound);
            assert!(sockets.len() <= 3);
        }
        assert!(!sockets.is_empty());
        for socket in &sockets {
            assert!((first..=first + 2).contains(&socket.local().port()));
        }
        let error = bind(&builder.config).unwrap_err();
        assert!(
            matches!(error, Error::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
        );
    }
}
