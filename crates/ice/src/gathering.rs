//! Server-reflexive candidates (RFC 8445 §5.1.1.2): every socket asks every STUN server of its
//! address family. A server that stays silent is given up after a bound and holds nothing up:
//! host candidates are out already, and checks share the pacer with the queries.

use crate::check::{Backoff, Outstanding, Sent};
use crate::config::AgentConfig;
use crate::event::{LocalId, Role};
use crate::stun::TransactionId;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// The queries of one generation.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    servers: Vec<StunServer>,
    queries: Vec<Query>,
    addresses_done: bool,
    complete: bool,
}

/// A STUN server.
#[derive(Debug, Clone)]
pub(crate) struct StunServer {
    pub(crate) address: SocketAddr,
    /// What the caller calls it.
    pub(crate) url: Arc<str>,
}

/// One socket asking one server.
#[derive(Debug)]
struct Query {
    local: LocalId,
    server: SocketAddr,
    outstanding: Outstanding,
    backoff: Backoff,
    state: QueryState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueryState {
    Asking {
        until: Instant,
    },
    /// Asked again now and then, to keep the binding.
    Answered,
    GivenUp,
}

impl Gathering {
    pub(crate) fn servers(&self) -> &[StunServer] {
        &self.servers
    }

    pub(crate) fn server(&self, address: SocketAddr) -> Option<&StunServer> {
        self.servers.iter().find(|s| s.address == address)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn add_server(
        &mut self,
        now: Instant,
        server: StunServer,
        locals: impl Iterator<Item = (LocalId, SocketAddr)>,
        config: &AgentConfig,
    ) {
        for (id, address) in locals {
            self.ask(now, id, address, server.address, config);
        }
        self.servers.push(server);
    }

    pub(crate) fn add_local(
        &mut self,
        now: Instant,
        id: LocalId,
        address: SocketAddr,
        config: &AgentConfig,
    ) {
        for i in 0..self.servers.len() {
            self.ask(now, id, address, self.servers[i].address, config);
        }
    }

    pub(crate) fn remove_local(&mut self, id: LocalId) {
        self.queries.retain(|q| q.local != id);
    }

    pub(crate) fn addresses_done(&mut self) {
        self.addresses_done = true;
    }

    /// Asks everything again, for a new generation.
    pub(crate) fn restart(
        &mut self,
        now: Instant,
        locals: impl Iterator<Item = (LocalId, SocketAddr)>,
        config: &AgentConfig,
    ) {
        self.queries.clear();
        self.complete = false;
        for (id, address) in locals {
            self.add_local(now, id, address, config);
        }
    }

    /// A query that is due, the longest overdue first.
    pub(crate) fn next(&self, now: Instant) -> Option<(LocalId, SocketAddr)> {
        let due = self.queries.iter().filter(|q| q.backoff.is_due(now));
        due.min_by_key(|q| q.backoff.next())
            .map(|q| (q.local, q.server))
    }

    pub(crate) fn sent(
        &mut self,
        now: Instant,
        local: LocalId,
        server: SocketAddr,
        id: TransactionId,
        config: &AgentConfig,
    ) {
        if let Some(query) = self.find(local, server) {
            query.outstanding.push(Sent {
                id,
                at: now,
                role: Role::Controlling,
                use_candidate: false,
            });
            match query.state {
                QueryState::Asking { .. } => {
                    query.backoff.sent(now, config.initial_rto, config.max_rto);
                }
                QueryState::Answered => query.backoff = Backoff::start(now + config.stun_keepalive),
                QueryState::GivenUp => query.backoff.stop(),
            }
        }
    }

    /// Whether `id` is a query to this server that waits for its answer.
    pub(crate) fn expects(
        &self,
        now: Instant,
        local: LocalId,
        server: SocketAddr,
        id: TransactionId,
    ) -> bool {
        let query = self
            .queries
            .iter()
            .find(|q| q.local == local && q.server == server);
        query.is_some_and(|q| q.outstanding.find(now, id).is_some())
    }

    /// The server has answered; an error counts as giving up.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        local: LocalId,
        server: SocketAddr,
        id: TransactionId,
        success: bool,
        config: &AgentConfig,
    ) {
        if let Some(query) = self.find(local, server) {
            query.outstanding.remove(id);
            if success {
                query.state = QueryState::Answered;
                query.backoff = Backoff::start(now + config.stun_keepalive);
            } else {
                query.state = QueryState::GivenUp;
                query.backoff.stop();
            }
        }
    }

    /// A pair is nominated: no candidate needs to be kept alive any more.
    pub(crate) fn stop_keepalive(&mut self) {
        for query in &mut self.queries {
            if query.state == QueryState::Answered {
                query.backoff.stop();
            }
        }
    }

    /// Gives up on silent servers. True when that, or anything before, has completed gathering.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let mut asking = false;
        for query in &mut self.queries {
            if let QueryState::Asking { until } = query.state {
                if until <= now {
                    query.state = QueryState::GivenUp;
                    query.backoff.stop();
                } else {
                    asking = true;
                }
            }
        }
        let completed = self.addresses_done && !asking && !self.complete;
        self.complete |= completed;
        completed
    }

    /// When a query is to be sent.
    pub(crate) fn next_query(&self) -> Option<Instant> {
        self.queries.iter().filter_map(|q| q.backoff.next()).min()
    }

    /// When a server is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.queries
            .iter()
            .filter_map(|q| match q.state {
                QueryState::Asking { until } => Some(until),
                QueryState::Answered | QueryState::GivenUp => None,
            })
            .min()
    }

    fn ask(
        &mut self,
        now: Instant,
        local: LocalId,
        address: SocketAddr,
        server: SocketAddr,
        config: &AgentConfig,
    ) {
        // Such a socket cannot reach such a server, and waiting for it would cost two seconds.
        if address.is_ipv4() != server.is_ipv4() || scope(address.ip()) != scope(server.ip()) {
            return;
        }
        let until = now + config.stun_timeout;
        self.queries.push(Query {
            local,
            server,
            outstanding: Outstanding::default(),
            backoff: Backoff::start(now),
            state: QueryState::Asking { until },
        });
    }

    fn find(&mut self, local: LocalId, server: SocketAddr) -> Option<&mut Query> {
        self.queries
            .iter_mut()
            .find(|q| q.local == local && q.server == server)
    }
}

/// How far packets from or to an address get.
#[derive(PartialEq, Eq)]
enum Scope {
    Host,
    Link,
    Beyond,
}

fn scope(ip: IpAddr) -> Scope {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    match (ip.is_loopback(), link_local) {
        (true, _) => Scope::Host,
        (false, true) => Scope::Link,
        (false, false) => Scope::Beyond,
    }
}
