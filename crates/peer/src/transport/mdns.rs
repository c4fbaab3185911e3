//! Names of remote candidates (RFC 6762, draft-ietf-mmusic-mdns-ice-candidates): a browser that
//! hides its addresses signals `….local`, which its own responder answers by multicast.
//!
//! A query leaves through every interface from a port of its own, which has an answer sent there
//! (one-shot, RFC 6762 §5.1 and §6.7). Chromium answers to the group all the same, so that is
//! listened to as well; it does not answer a query of two questions, or one with the bit that asks
//! for a unicast answer (§5.4). Nothing in an answer is trusted: it gives an address to check, no more.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use peerloom_ice::{Address, Candidate};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, TYPE};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// Where names are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mdns {
    /// Nowhere: such candidates are of no use.
    Off,
    /// On every link, by multicast.
    #[default]
    Links,
    /// A responder of a test.
    #[cfg(test)]
    At(SocketAddr),
}

/// Look-ups under way.
#[derive(Default)]
pub(super) struct Resolver {
    mdns: Mdns,
    lookups: Vec<Pin<Box<dyn Future<Output = Option<Candidate>> + Send>>>,
}

impl Resolver {
    pub(super) fn new(mdns: Mdns) -> Self {
        Self {
            mdns,
            lookups: Vec::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lookups.is_empty()
    }

    /// Forgets the names of an ICE generation that is over.
    pub(super) fn clear(&mut self) {
        self.lookups.clear();
    }

    /// Starts to resolve the candidate's name. Gives the candidate back if that is none that
    /// multicast DNS can resolve, or if there are too many.
    pub(super) fn resolve(&mut self, candidate: Candidate) -> Option<Candidate> {
        let name = match &candidate.address {
            Address::Name(name) if is_mdns_name(name) => name.clone(),
            Address::Name(_) | Address::Ip(_) => return Some(candidate),
        };
        if self.mdns == Mdns::Off || self.lookups.len() >= MAX_LOOKUPS {
            return Some(candidate);
        }
        let mdns = self.mdns;
        self.lookups.push(Box::pin(async move {
            let ip = Query::new(&name, links(mdns))?.run().await?;
            Some(Candidate {
                address: Address::Ip(ip),
                ..candidate
            })
        }));
        None
    }

    /// The candidates whose names are known by now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Vec<Candidate> {
        let mut resolved = Vec::new();
        self.lookups
            .retain_mut(|lookup| match lookup.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(candidate) => {
                    resolved.extend(candidate);
                    false
                }
            });
        resolved
    }
}

/// A socket that asks, listens, or both.
#[derive(Debug)]
struct Link {
    socket: UdpSocket,
    /// Where the query goes, unless this one only listens. Answers come from that port.
    group: SocketAddr,
    asks: bool,
}

/// One name, asked for on all links.
struct Query {
    name: Name<'static>,
    /// One for each address family.
    packets: Vec<Vec<u8>>,
    links: Vec<Link>,
}

impl Query {
    fn new(name: &str, links: Vec<Link>) -> Option<Self> {
        let name = Name::new(name).ok()?.into_owned();
        // The id is no secret worth having: whoever can answer is on the link.
        let ask = |kind| {
            let (kind, class) = (QTYPE::TYPE(kind), CLASS::IN.into());
            let mut packet = Packet::new_query(0);
            let question = Question::new(name.clone(), kind, class, false);
            packet.questions.push(question);
            packet.build_bytes_vec().ok()
        };
        let packets = [TYPE::A, TYPE::AAAA].into_iter().filter_map(ask).collect();
        Some(Self {
            packets,
            name,
            links,
        })
    }

    /// The first address that is answered; `None` when nobody answers in time.
    async fn run(self) -> Option<IpAddr> {
        for wait in WAITS {
            self.ask().await;
            if let Ok(ip) = tokio::time::timeout(wait, self.answer()).await {
                return ip;
            }
        }
        tracing::debug!(name = %self.name, "mDNS name not resolved");
        None
    }

    async fn ask(&self) {
        for link in self.links.iter().filter(|link| link.asks) {
            for packet in &self.packets {
                // An interface without multicast, or that is down: there are others.
                let _ = link.socket.send_to(packet, link.group).await;
            }
        }
    }

    /// `None` when no socket can receive.
    async fn answer(&self) -> Option<IpAddr> {
        std::future::poll_fn(|cx| {
            // A flood must not keep the driver: what is left comes with the next turn.
            for _ in 0..DATAGRAMS_PER_POLL {
                match self.poll_datagram(cx) {
                    Poll::Ready(Some(ip)) => return Poll::Ready(Some(ip)),
                    Poll::Ready(None) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// One datagram of any link: the address in it, if it is the answer.
    fn poll_datagram(&self, cx: &mut Context<'_>) -> Poll<Option<IpAddr>> {
        let mut bytes = [0; MAX_DATAGRAM];
        for link in &self.links {
            let mut buffer = ReadBuf::new(&mut bytes);
            match link.socket.poll_recv_from(cx, &mut buffer) {
                // RFC 6762 §6: responses from another port are ignored.
                Poll::Ready(Ok(source)) if source.port() == link.group.port() => {
                    return Poll::Ready(address_of(&self.name, buffer.filled()));
                }
                Poll::Ready(Ok(_)) => return Poll::Ready(None),
                // An error of one link is no answer; the others may have one.
                Poll::Ready(Err(_)) | Poll::Pending => {}
            }
        }
        Poll::Pending
    }
}

/// The address that a response gives for `name`, if it is a response and does. The first that can
/// be dialled at all; a link-local one has no scope here and is of no use.
fn address_of(name: &Name<'_>, datagram: &[u8]) -> Option<IpAddr> {
    let packet = Packet::parse(datagram).ok()?;
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let records = packet.answers.iter().chain(&packet.additional_records);
    let of_name =
        records.filter(|record| record.class == CLASS::IN && is_same_name(&record.name, name));
    of_name
        .filter_map(|record| {
            if let RData::A(a) = &record.rdata {
                Some(IpAddr::V4(a.address.into()))
            } else if let RData::AAAA(aaaa) = &record.rdata {
                Some(IpAddr::V6(aaaa.address.into()))
            } else {
                None
            }
        })
        .find(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast(),
            IpAddr::V6(ip) => {
                !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local()
            }
        })
}

/// DNS names do not tell cases apart (RFC 6762 §16).
fn is_same_name(a: &Name<'_>, b: &Name<'_>) -> bool {
    a.as_bytes()
        .map(<[u8]>::to_ascii_lowercase)
        .eq(b.as_bytes().map(<[u8]>::to_ascii_lowercase))
}

/// `….local` with one label in front, as the draft has it (§3.1.1): no other name is asked for,
/// however a candidate may look.
fn is_mdns_name(name: &str) -> bool {
    name.split_once('.').is_some_and(|(label, domain)| {
        !label.is_empty() && label.len() <= 63 && domain.eq_ignore_ascii_case("local")
    })
}

/// A socket for each interface, and listeners on the port of multicast DNS where that is allowed.
fn links(mdns: Mdns) -> Vec<Link> {
    match mdns {
        Mdns::Off => Vec::new(),
        Mdns::Links => {
            let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
            let mut links = Vec::new();
            let (mut v4, mut v6) = (Vec::new(), Vec::new());
            for interface in interfaces.iter().take(MAX_INTERFACES) {
                match interface.ip() {
                    IpAddr::V4(ip) => v4.push(ip),
                    IpAddr::V6(_) => v6.extend(interface.index),
                }
            }
            v6.sort_unstable();
            v6.dedup();
            links.extend(v4.iter().filter_map(|ip| asking_v4(*ip)));
            links.extend(v6.iter().filter_map(|index| asking_v6(*index)));
            links.extend(listening(GROUP_V4, |socket| {
                for ip in &v4 {
                    let _ = socket.join_multicast_v4(&GROUP_V4_IP, ip);
                }
            }));
            links.extend(listening(GROUP_V6, |socket| {
                for index in &v6 {
                    let _ = socket.join_multicast_v6(&GROUP_V6_IP, *index);
                }
            }));
            links
        }
        #[cfg(test)]
        Mdns::At(group) => {
            let socket = bound((Ipv4Addr::LOCALHOST, 0).into(), false, |_| Some(()));
            let link = |socket| Link {
                socket,
                group,
                asks: true,
            };
            socket.into_iter().map(link).collect()
        }
    }
}

fn asking_v4(interface: Ipv4Addr) -> Option<Link> {
    let socket = bound((interface, 0).into(), false, |socket| {
        socket.set_multicast_ttl_v4(TTL).ok()?;
        socket.set_multicast_if_v4(&interface).ok()
    })?;
    Some(Link {
        socket,
        group: GROUP_V4,
        asks: true,
    })
}

fn asking_v6(index: u32) -> Option<Link> {
    let socket = bound((Ipv6Addr::UNSPECIFIED, 0).into(), false, |socket| {
        socket.set_multicast_hops_v6(TTL).ok()?;
        socket.set_multicast_if_v6(index).ok()
    })?;
    let group = SocketAddr::V6(SocketAddrV6::new(GROUP_V6_IP, PORT, 0, index));
    Some(Link {
        socket,
        group,
        asks: true,
    })
}

/// Beside other responders of this host, which share the port.
fn listening(group: SocketAddr, join: impl FnOnce(&Socket)) -> Option<Link> {
    let any: IpAddr = match group {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = bound((any, PORT).into(), true, |socket| {
        join(socket);
        Some(())
    })?;
    Some(Link {
        socket,
        group,
        asks: false,
    })
}

fn bound(
    address: SocketAddr,
    shared: bool,
    configure: impl FnOnce(&Socket) -> Option<()>,
) -> Option<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )
    .ok()?;
    if address.is_ipv6() {
        socket.set_only_v6(true).ok()?;
    }
    if shared {
        socket.set_reuse_address(true).ok()?;
        #[cfg(unix)]
        socket.set_reuse_port(true).ok()?;
    }
    configure(&socket)?;
    socket.set_nonblocking(true).ok()?;
    socket.bind(&address.into()).ok()?;
    UdpSocket::from_std(socket.into()).ok()
}

/// Waits for an answer after each query: the second comes a second after the first, the third twice
/// as late (RFC 6762 §5.2).
const WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(2),
];
/// Names that are asked for at once; a browser has one for each of its addresses. More are left out.
const MAX_LOOKUPS: usize = 16;
/// Interfaces that queries leave through.
const MAX_INTERFACES: usize = 16;
/// Datagrams read in one turn of the driver, for each name.
const DATAGRAMS_PER_POLL: usize = 32;
/// An answer with two addresses has about 100 bytes; what does not fit is cut and then malformed.
const MAX_DATAGRAM: usize = 1500;
/// RFC 6762 §11.
const TTL: u32 = 255;
const PORT: u16 = 5353;
const GROUP_V4_IP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6_IP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const GROUP_V4: SocketAddr = SocketAddr::new(IpAddr::V4(GROUP_V4_IP), PORT);
const GROUP_V6: SocketAddr = SocketAddr::new(IpAddr::V6(GROUP_V6_IP), PORT);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{A, AAAA};

    const NAME: &str = "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d.local";

    fn answer_of(name: &str, ips: &[&str]) -> Vec<u8> {
        let mut packet = Packet::new_reply(0);
        for ip in ips {
            let rdata = match ip.parse().unwrap() {
                IpAddr::V4(ip) => RData::A(A { address: ip.into() }),
                IpAddr::V6(ip) => RData::AAAA(AAAA { address: ip.into() }),
            };
            let name = Name::new(name).unwrap().into_owned();
            let record = ResourceRecord::new(name, CLASS::IN, 120, rdata);
            packet.answers.push(record);
        }
        packet.build_bytes_vec_compressed().unwrap()
    }

    fn ask(name: &str, datagram: &[u8]) -> Option<IpAddr> {
        address_of(&Name::new(name).unwrap(), datagram)
    }

    async fn responder() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn query(at: SocketAddr) -> Query {
        Query::new(NAME, links(Mdns::At(at))).unwrap()
    }

    #[test]
    fn an_answer_is_for_the_name_that_was_asked_for() {
        let one = answer_of(NAME, &["192.0.2.7"]);
        assert_eq!(ask(NAME, &one), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(
            ask(&NAME.to_uppercase(), &one),
            Some("192.0.2.7".parse().unwrap())
        );
        assert_eq!(ask("other.local", &one), None);
        let useless = ["0.0.0.0", "224.0.0.251", "fe80::1", "ff02::fb"];
        assert_eq!(ask(NAME, &answer_of(NAME, &useless)), None);
        let both = answer_of(NAME, &["fe80::1", "2001:db8::7"]);
        assert_eq!(ask(NAME, &both), Some("2001:db8::7".parse().unwrap()));
        // Our own question, that the group gives back to us.
        for question in Query::new(NAME, Vec::new()).unwrap().packets {
            assert_eq!(ask(NAME, &question), None);
        }
        for end in 0..one.len() {
            assert_eq!(ask(NAME, &one[..end]), None, "cut at {end}");
        }
    }

    /// What Chromium 156 has answered to either query, on the wire: with an NSEC record before or
    /// behind the address.
    #[test]
    fn chromiums_answers_are_understood() {
        let name = "65fe1cc4-d667-41c7-a9d4-0e5abd79f9cf.local";
        let label = "2436356665316363342d643636372d343163372d613964342d306535616264373966396366";
        let (name_in_full, a) = (
            format!("{label}056c6f63616c00"),
            "0001800100000078 0004c0000202",
        );
        let nsec = |pointer| format!("002f800100000078 0005{pointer}000140");
        let header = "000084000000000100000001";
        for hex in [
            format!("{header}{name_in_full}{a}{name_in_full}{}", nsec("c046")),
            format!("{header}{name_in_full}{}{name_in_full}{a}", nsec("c00c")),
        ] {
            let hex = hex.replace(' ', "");
            let bytes = (0..hex.len()).step_by(2);
            let datagram: Vec<u8> = bytes
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            assert_eq!(datagram.len(), 129);
            assert_eq!(ask(name, &datagram), Some("192.0.2.2".parse().unwrap()));
        }
    }

    proptest! {
        /// Whatever is on the link: no panic, no hang, and no address out of nothing.
        #[test]
        fn hostile_answers_do_nothing(
            mut datagram in proptest::collection::vec(any::<u8>(), 12..1500),
            pointers in proptest::collection::vec((12..1500_usize, any::<u8>()), 0..50),
        ) {
            for (at, to) in pointers {
                if let Some([high, low]) = datagram.get_mut(at..at + 2) {
                    (*high, *low) = (0xc0, to);
                }
            }
            datagram[2] |= 0x80;
            prop_assert_eq!(ask(NAME, &datagram), None);
        }
    }

    #[test]
    fn names_of_other_domains_are_never_asked_for() {
        for (name, is) in [
            (NAME, true),
            ("A.LOCAL", true),
            ("example.org", false),
            ("a.b.local", false),
            (".local", false),
            ("local", false),
        ] {
            assert_eq!(is_mdns_name(name), is, "{name}");
        }
    }

    #[tokio::test]
    async fn a_unicast_answer_from_the_right_port_counts() {
        let (responder, at) = responder().await;
        let (stranger, _) = self::responder().await;
        let serve = async {
            let mut buffer = [0; 1500];
            let (len, from) = responder.recv_from(&mut buffer).await.unwrap();
            let question = Packet::parse(&buffer[..len]).unwrap();
            assert_eq!(question.questions[0].qname.to_string(), NAME);
            // Chromium 156 answers no other.
            assert_eq!(question.questions.len(), 1);
            assert!(!question.questions[0].unicast_response);
            let wrong = answer_of(NAME, &["192.0.2.66"]);
            stranger.send_to(&wrong, from).await.unwrap();
            for datagram in [
                vec![],
                vec![0xff; 1400],
                answer_of("x.local", &["192.0.2.66"]),
            ] {
                responder.send_to(&datagram, from).await.unwrap();
            }
            let right = answer_of(NAME, &["192.0.2.7"]);
            responder.send_to(&right, from).await.unwrap();
        };
        let (ip, ()) = tokio::join!(query(at).run(), serve);
        assert_eq!(ip, Some("192.0.2.7".parse().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_after_three_queries_and_five_seconds() {
        let (responder, at) = responder().await;
        let from = tokio::time::Instant::now();
        assert_eq!(query(at).run().await, None);
        assert_eq!(from.elapsed(), Duration::from_secs(5));
        let mut queries = 0;
        while responder.try_recv_from(&mut [0; 1500]).is_ok() {
            queries += 1;
        }
        assert_eq!(queries, 3 * 2, "for either family");
    }

    /// A peer whose candidates are names alone: its end of candidates comes before they are
    /// resolved and must not cut them off. It would be found by its own checks as well, so it knows
    /// no candidate of ours.
    #[tokio::test]
    async fn a_peer_behind_names_is_reached() {
        let (responder, at) = responder().await;
        let mut builder = crate::PeerConnection::builder().loopback(true);
        builder.config.ice.mdns = Mdns::At(at);
        let ours = builder.build().await.unwrap();
        let theirs = crate::PeerConnection::builder().loopback(true);
        let theirs = theirs.build().await.unwrap();
        let channel = ours.create_data_channel("x", Default::default()).unwrap();
        ours.set_local_description(ours.create_offer().await.unwrap())
            .await
            .unwrap();
        let without = |sdp: String| -> String {
            let lines = sdp.lines().filter(|l| !l.starts_with("a=candidate"));
            lines.flat_map(|line| [line, "\r\n"]).collect()
        };
        let mut offer = ours.local_description().unwrap();
        offer.sdp = without(offer.sdp);
        theirs.set_remote_description(offer).await.unwrap();
        theirs
            .set_local_description(theirs.create_answer().await.unwrap())
            .await
            .unwrap();
        theirs.gathering_complete().await;
        let mut answer = theirs.local_description().unwrap();
        answer.sdp = answer.sdp.replace(" 127.0.0.1 ", &format!(" {NAME} "));
        assert!(answer.sdp.contains(NAME) && answer.sdp.contains("end-of-candidates"));
        ours.set_remote_description(answer).await.unwrap();
        let serve = async {
            let mut buffer = [0; 1500];
            let (_, from) = responder.recv_from(&mut buffer).await.unwrap();
            let right = answer_of(NAME, &["127.0.0.1"]);
            responder.send_to(&right, from).await.unwrap();
        };
        let open = tokio::time::timeout(Duration::from_secs(20), channel.opened());
        let (open, ()) = tokio::join!(open, serve);
        open.unwrap().unwrap();
    }

    #[tokio::test]
    async fn look_ups_are_bounded() {
        let (_responder, at) = responder().await;
        let mut resolver = Resolver::new(Mdns::At(at));
        let candidate = |i| -> Candidate {
            let line = format!("candidate:1 1 udp 1 name-{i}.local 9 typ host");
            line.parse().unwrap()
        };
        for i in 0..MAX_LOOKUPS {
            assert_eq!(resolver.resolve(candidate(i)), None);
        }
        assert_eq!(resolver.resolve(candidate(99)), Some(candidate(99)));
        let off = crate::PeerConnection::builder().mdns(false).config.ice.mdns;
        assert!(Resolver::new(off).resolve(candidate(0)).is_some());
    }
}
