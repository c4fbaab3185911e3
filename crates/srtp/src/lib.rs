//! SRTP and SRTCP (RFC 3711, RFC 7714, RFC 9335) that seal and open in place, sans-IO.
