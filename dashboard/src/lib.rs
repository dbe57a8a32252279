//! The last stage: the house's front. Owns User, Session, pages, command line, configuration and `main`; reads the
//! other stages' stores and nothing else.

pub mod access;
pub mod account;
pub mod api_token;
pub mod audit_check;
pub mod audit_queue;
pub mod chart;
pub mod cli;
pub mod command;
pub mod config;
pub mod csv;
pub mod demo;
pub mod hasher;
pub mod identity;
pub mod invitation;
pub mod live;
pub mod login;
pub mod mandate;
pub mod metrics;
pub mod node;
pub mod oidc;
pub mod proof;
pub mod reveal;
pub mod secret;
pub mod serve;
pub mod session;
pub mod show;
pub mod start;
pub mod throttle;
pub mod user;
pub mod vitals;
pub mod web;
pub mod words;
