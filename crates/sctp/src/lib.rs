//! SCTP over one DTLS link (RFC 9260, RFC 8261) as a sans-IO state machine.
