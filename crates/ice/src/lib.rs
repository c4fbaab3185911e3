//! ICE (RFC 8445, 8838, 7675) as a sans-IO agent.
