//! Stub: listen.
