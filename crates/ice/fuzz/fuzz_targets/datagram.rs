//! STUN datagrams into an agent: as they are, and, so that the fuzzer gets past the integrity,
//! as attributes of a message that is sealed with the right password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerloom_ice::{Agent, AgentConfig, Credentials, LocalId};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::attributes::{ATTR_USERNAME, AttrType};
use stun::integrity::MessageIntegrity;
use stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, Setter};

const PWD: &str = "0123456789012345678901";

fuzz_target!(|data: &[u8]| {
    let start = Instant::now();
    let mut now = start;
    let remote = SocketAddr::from(([192, 0, 2, 2], 2000));
    let mut agent = Agent::new(AgentConfig::default(), [7; 32]);
    agent
        .add_local_address(now, LocalId(0), SocketAddr::from(([192, 0, 2, 1], 1000)))
        .unwrap();
    agent
        .set_remote_credentials(now, Credentials::new("abcd", PWD).unwrap())
        .unwrap();
    let line = "candidate:1 1 udp 9 192.0.2.2 2000 typ host";
    agent
        .add_remote_candidate(now, line.parse().unwrap())
        .unwrap();
    agent.add_stun_server(now, SocketAddr::from(([192, 0, 2, 3], 3478)), "stun:test");
    let local = agent.local_credentials().clone();

    let _ = agent.handle_datagram(now, LocalId(0), remote, data);

    let mut rest = data;
    for _ in 0..16 {
        let Some((head, tail)) = rest.split_at_checked(4) else {
            break;
        };
        let len = usize::from(head[3] % 64).min(tail.len());
        let (value, tail) = tail.split_at(len);
        rest = tail;
        let mut id = [0; 12];
        while let Some(transmit) = agent.poll_transmit(now) {
            id.copy_from_slice(&transmit.payload[8..20]);
        }
        let mut message = Message::new();
        message.typ = [BINDING_REQUEST, BINDING_SUCCESS, BINDING_ERROR][usize::from(head[0] % 3)];
        message.transaction_id.0 = id;
        message.write_header();
        if head[0] % 3 == 0 {
            message.add(ATTR_USERNAME, format!("{}:abcd", local.ufrag()).as_bytes());
            message.add(AttrType(0x24), &[0, 0, 0, head[1]]);
            message.add(AttrType(0x8029 + u16::from(head[1] & 1)), &[head[2]; 8]);
        }
        message.add(
            AttrType(u16::from_be_bytes([head[1] & 0x80, head[2]])),
            value,
        );
        let pwd = if head[0] % 3 == 0 { local.pwd() } else { PWD };
        let key = MessageIntegrity::new_short_term_integrity(pwd.to_owned());
        if key.add_to(&mut message).is_err() {
            // A FINGERPRINT before the integrity: the codec does not write that.
            continue;
        }
        let port = 2000 + u16::from(head[1] >> 6);
        let source = SocketAddr::from(([192, 0, 2, 2 + (head[0] >> 7)], port));
        let _ = agent.handle_datagram(now, LocalId(0), source, &message.raw);

        now += Duration::from_millis(u64::from(head[3]) * 20);
        agent.handle_timeout(now);
        while agent.poll_event().is_some() {}
        let stats = agent.stats();
        assert!(stats.pairs.len() <= 100 && stats.remote_candidates.len() <= 100);
    }
    let mut sent = 0;
    while agent.poll_transmit(now).is_some() {
        sent += 1;
        assert!(sent < 200);
    }
    assert!(agent.poll_timeout().is_none_or(|at| at > now));
});
