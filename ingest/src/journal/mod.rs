//! The journal (stub).
