//! The one integration binary: each further one would link everything again.

mod browser;
mod commands;
mod demo;
mod kill;
mod program;
