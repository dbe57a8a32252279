//! Serves connections: how many, how long their heads may take, and how they end at shutdown. axum's own server has no
//! bound on the time and the memory that a request's head takes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::listen::Limits;
use crate::listen::accept::{Accepting, Connection, IdleStream};

/// What a connection may hold of what was read and is not yet taken; also the longest head of a request.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
const HEAD_BYTES_MAX: usize = 32 * 1024;

pub(super) async fn run(mut accepting: Accepting, router: Router, limits: Limits, shutdown: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(&ended),
            connection = accepting.accept() => {
                connections.spawn(serve(connection, router.clone(), limits.http_idle, shutdown.clone()));
            }
        }
    }
    drop(accepting);
    let finish = async {
        while let Some(ended) = connections.join_next().await {
            report(&ended);
        }
    };
    if timeout(limits.grace, finish).await.is_err() {
        tracing::warn!(connections = connections.len(), "http requests cut at shutdown: they were not answered");
    }
}

async fn serve(connection: Connection, router: Router, idle: Duration, shutdown: CancellationToken) {
    // A sender that never reads its answers is cut by the system.
    if let Err(error) = connection.socket().set_tcp_user_timeout(Some(idle)) {
        tracing::debug!(%error, "no time-out for unread answers");
    }
    let sender = Arc::clone(&connection.sender);
    let stream = IdleStream::new(connection, idle);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&sender));
        router.call(request)
    });
    // hyper counts a head's time from when it waits for it, so the quiet before a request is in it.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(BUFFER_BYTES_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an http connection ended early");
    }
}

fn report(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an http connection's task ended by itself");
    }
}
