//! RTP, RTCP, payload formats and media feedback (RFC 3550 and its family), sans-IO.
