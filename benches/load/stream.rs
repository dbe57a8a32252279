//! Connections: plain or TLS, and the lines on them that nobody acknowledges.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::pace::Pace;
use super::{Plan, Stock, Tally};

/// Written at once: enough that the system call does not count.
const LINES_AT_ONCE: usize = 256;
/// How often and how long a sender tries to come back after its connection broke.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);
/// How long a receiver may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(30);
/// The name that the receiver's certificate must have.
const SERVER_NAME: &str = "localhost";

pub enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    pub fn connect(to: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        let Some(tls) = tls else { return Ok(Self::Plain(stream)) };
        let name = ServerName::try_from(SERVER_NAME).map_err(std::io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(tls), name).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// As `connect`, and again where the receiver is not there (any more, or yet).
    pub(super) fn connect_patiently(plan: &Plan) -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::connect(plan.to, plan.tls.as_ref()) {
                Ok(wire) => return Ok(wire),
                Err(error) => last = Some(error),
            }
            std::thread::sleep(PAUSE);
        }
        Err(last.unwrap_or_else(|| ErrorKind::TimedOut.into())).with_context(|| format!("connect to {}", plan.to))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Says that nothing more comes, and reads until the receiver closes too. Closing with something unread would reset the
    /// connection, and lines that the receiver has not read yet would be gone with it.
    pub fn finish(mut self) -> std::io::Result<()> {
        if let Self::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let mut socket = self.socket();
        socket.set_read_timeout(Some(GOODBYE))?;
        socket.shutdown(Shutdown::Write)?;
        let mut rest = [0; 4096];
        while socket.read(&mut rest)? > 0 {}
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

pub(super) fn send(plan: &Plan, stock: &Stock, pace: &mut Pace) -> anyhow::Result<Tally> {
    let (mut tally, mut at) = (Tally::default(), 0);
    let mut wire = Wire::connect_patiently(plan)?;
    while let Some(mut due) = pace.due(LINES_AT_ONCE) {
        while due > 0 {
            let (bytes, number) = stock.piece(at, due);
            // What broke within a write is lost: nobody says what of it arrived. That is plain TCP.
            if wire.write_all(bytes).and_then(|()| wire.flush()).is_err() {
                tally.broken += 1;
                wire = Wire::connect_patiently(plan)?;
            }
            (tally.sent, tally.bytes) = (tally.sent + number as u64, tally.bytes + bytes.len() as u64);
            (at, due) = ((at + number) % stock.len(), due - number);
        }
    }
    if wire.finish().is_err() {
        tally.broken += 1;
    }
    Ok(tally)
}

/// Trusts the authorities in `ca`, and shows a certificate where one is given (PEM).
pub fn tls_config(ca: &Path, own: Option<(&Path, &Path)>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).with_context(|| format!("read {}", ca.display()))? {
        roots.add(certificate.with_context(|| format!("read {}", ca.display()))?).context("the authority's certificate")?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(certificate).with_context(|| format!("read {}", certificate.display()))?.collect();
            let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("read {}", key.display()))?;
            config.with_client_auth_cert(chain?, key).context("the client's certificate")?
        }
    };
    Ok(Arc::new(config))
}
