//! Stub: decode.
