//! Options of the ICE agent and its sockets (RFC 8445).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use peerloom_ice::{AddressPolicy, AgentConfig, ExternalAddress, TransportPolicy};

use crate::config::PeerConnectionBuilder;
use crate::error::Error;
use crate::transport::mdns::Mdns;

/// An address of this machine, as [`PeerConnectionBuilder::interface_filter`] is asked about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NetworkInterface {
    /// The interface's name, such as `eth0`.
    pub name: String,
    /// One of its addresses.
    pub ip: IpAddr,
}

/// What becomes of an external address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExternalKind {
    /// It replaces the address of the host candidate, which nobody learns.
    Host,
    /// It becomes a server-reflexive candidate beside the host candidate.
    ServerReflexive,
}

type InterfaceFilter = Arc<dyn Fn(&NetworkInterface) -> bool + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct IceConfig {
    pub(crate) lite: bool,
    pub(crate) transport_policy: TransportPolicy,
    pub(crate) port_range: Option<RangeInclusive<u16>>,
    pub(crate) include_loopback: bool,
    pub(crate) external: Vec<(Option<IpAddr>, IpAddr, ExternalKind)>,
    pub(crate) interface_filter: Option<InterfaceFilter>,
    pub(crate) address_policy: Option<Arc<dyn AddressPolicy>>,
    pub(crate) mdns: Mdns,
}

impl fmt::Debug for IceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceConfig")
            .field("lite", &self.lite)
            .field("transport_policy", &self.transport_policy)
            .field("port_range", &self.port_range)
            .finish_non_exhaustive()
    }
}

impl PeerConnectionBuilder {
    /// Whether this end is an ICE-lite agent (RFC 8445 §2.5), announced by `a=ice-lite`: it answers
    /// checks and sends none, has host candidates alone and is always controlled. For a server that
    /// everybody can reach directly; two lite ends never connect. Default: false.
    pub fn ice_lite(mut self, lite: bool) -> Self {
        self.config.ice.lite = lite;
        self
    }

    /// Which of our candidates are used (W3C `iceTransportPolicy`). Default: all. There are no relays
    /// yet, so [`TransportPolicy::Relay`] gives out no candidate at all and cannot connect.
    pub fn ice_transport_policy(mut self, policy: TransportPolicy) -> Self {
        self.config.ice.transport_policy = policy;
        self
    }

    /// The UDP ports that sockets may be bound to, for a firewall that lets no others in. One is
    /// taken for each address and connection. Addresses of [`bind`](Self::bind) that name a port
    /// keep it. Default: any port that the system gives.
    pub fn port_range(mut self, ports: RangeInclusive<u16>) -> Self {
        self.config.ice.port_range = Some(ports);
        self
    }

    /// Whether loopback addresses are used beside those of other interfaces, for a peer on the same
    /// machine that may have no others. Default: false; loopback alone serves if there is nothing
    /// else. See [`loopback`](Self::loopback) for loopback and nothing else.
    pub fn include_loopback(mut self, include: bool) -> Self {
        self.config.ice.include_loopback = include;
        self
    }

    /// Says that `external` leads here, port for port, as a 1:1 NAT in a cloud does it: to the
    /// socket at `local`, or, if that is `None`, to every socket of its address family. The first
    /// that fits counts. Saves a STUN server. Default: none.
    pub fn external_ip(
        mut self,
        local: Option<IpAddr>,
        external: IpAddr,
        kind: ExternalKind,
    ) -> Self {
        self.config.ice.external.push((local, external, kind));
        self
    }

    /// Asked for every address of this machine whether it gets a socket, once, by
    /// [`build`](Self::build), which it must not block. Not asked for addresses of
    /// [`bind`](Self::bind). Default: all do, but loopback and link-local ones.
    pub fn interface_filter(
        mut self,
        filter: impl Fn(&NetworkInterface) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.ice.interface_filter = Some(Arc::new(filter));
        self
    }

    /// Decides which remote addresses may be dialled and answered, and which local ones are
    /// preferred. It is called in the driver of the connection, which it must not block; a panic in
    /// it ends the connection. Default: all may be, in the order of the interfaces.
    pub fn address_policy(mut self, policy: impl AddressPolicy + 'static) -> Self {
        self.config.ice.address_policy = Some(Arc::new(policy));
        self
    }

    /// Whether names of remote candidates that end in `.local` are resolved by multicast DNS
    /// (RFC 6762), for browsers that hide their addresses: within 5 s, 16 names at once. Asking
    /// tells the local network that name. Default: true.
    pub fn mdns(mut self, resolve: bool) -> Self {
        self.config.ice.mdns = if resolve { Mdns::Links } else { Mdns::Off };
        self
    }
}

impl IceConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |option, value: String, why| Err(Error::Option { option, value, why });
        if let Some(range) = &self.port_range
            && (range.is_empty() || *range.start() == 0)
        {
            let why = "is empty or has port 0";
            return refuse("port_range", format!("{range:?}"), why);
        }
        if self.lite && self.transport_policy == TransportPolicy::Relay {
            let why = "leaves a lite agent no candidate";
            return refuse("ice_transport_policy", "Relay".into(), why);
        }
        for (local, external, _) in &self.external {
            if local.is_some_and(|local| local.is_ipv4() != external.is_ipv4()) {
                let why = "is of the other address family than the local one";
                return refuse("external_ip", external.to_string(), why);
            }
        }
        Ok(())
    }

    pub(crate) fn agent(&self) -> AgentConfig {
        AgentConfig {
            lite: self.lite,
            transport_policy: self.transport_policy,
            ..AgentConfig::default()
        }
    }

    pub(crate) fn allows(&self, interface: &NetworkInterface) -> bool {
        let filter = self.interface_filter.as_ref();
        filter.is_none_or(|filter| filter(interface))
    }

    /// Where the socket at `local` is reached from outside.
    pub(crate) fn external(&self, local: SocketAddr) -> Option<ExternalAddress> {
        let fits = |(of, external, _): &&(Option<IpAddr>, IpAddr, ExternalKind)| match of {
            Some(ip) => *ip == local.ip(),
            None => external.is_ipv4() == local.is_ipv4(),
        };
        let (_, ip, kind) = self.external.iter().find(fits)?;
        let address = SocketAddr::new(*ip, local.port());
        Some(match kind {
            ExternalKind::Host => ExternalAddress::Host(address),
            ExternalKind::ServerReflexive => ExternalAddress::ServerReflexive(address),
        })
    }
}
