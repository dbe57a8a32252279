//! TLS for listeners (RFC 5425 and whatever else runs over it): our certificate, whose certificates we ask senders
//! for, and both anew when their files change. Who a certificate's names belong to is for the `SiteTable` to say.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::certificate;
use crate::time::Timestamp;

/// How soon a changed file is in use. Authorities give certificates for months.
const RELOAD_EVERY: Duration = Duration::from_secs(30);
/// Names taken from one client certificate: a certificate for hundreds of names is no sender's.
const NAMES_MAX: usize = 100;
/// RFC 1035, 2.3.4.
const NAME_BYTES_MAX: usize = 253;

/// The files that a TLS listener needs, and what it asks of senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate and those above it, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Who may sign senders' certificates, PEM; without it senders are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// Senders without a certificate are refused. One that is shown is verified in any case.
    pub clients_required: bool,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {what} from {path}: {reason}")]
    Read { what: &'static str, path: PathBuf, reason: String },
    #[error("certificate {certificate} and key {key} cannot be used together: {reason}")]
    Pair { certificate: PathBuf, key: PathBuf, reason: String },
    #[error("cannot verify senders by {path}: {reason}")]
    ClientCa { path: PathBuf, reason: String },
}

/// The TLS settings as they are now.
#[derive(Debug)]
pub(super) struct ServerTls {
    files: TlsFiles,
    now: RwLock<Arc<ServerConfig>>,
    /// What the files looked like when they were read last.
    seen: Mutex<Vec<Stamp>>,
}

/// Whether a file is still the one that was read.
type Stamp = Option<(SystemTime, u64)>;

impl ServerTls {
    pub(super) fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = stamps(&files);
        let now = config(&files)?;
        Ok(Self { files, now: RwLock::new(now), seen: Mutex::new(seen) })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files anew where they have changed; says whether they are in use now. What cannot be used changes
    /// nothing, and is not tried again before it changes. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong with the new files.
    pub(super) fn reload(&self) -> Result<bool, TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if *seen == stamps {
            return Ok(false);
        }
        *seen = stamps;
        let config = config(&self.files)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(true)
    }
}

/// Keeps the settings in step with their files: every 30 seconds, and at once on SIGHUP.
pub(super) async fn watch(server: Arc<ServerTls>, shutdown: CancellationToken) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RELOAD_EVERY) => {}
            _ = hangup.recv() => {}
        }
        let server = Arc::clone(&server);
        match tokio::task::spawn_blocking(move || server.reload()).await {
            Ok(Ok(true)) => tracing::info!("the changed TLS files are in use for new connections"),
            Ok(Err(error)) => tracing::error!(%error, "the changed TLS files cannot be used: the old ones stay"),
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.modified().ok()?, file.len()))
    };
    [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()].into_iter().flatten().map(stamp).collect()
}

/// When the first certificate of a file ends: ours, for whoever warns before it does.
///
/// # Errors
/// Where the file holds no certificate.
pub fn certificate_end(path: &Path) -> Result<Timestamp, TlsError> {
    let error = |reason: &str| TlsError::Read { what: "a certificate", path: path.to_owned(), reason: reason.to_owned() };
    let chain = certificates("a certificate", path)?;
    let first = chain.first().ok_or_else(|| error("there is none"))?;
    certificate::not_after(first).ok_or_else(|| error("its validity cannot be read"))
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let TlsFiles { certificate, key, client_ca, clients_required } = files;
    let chain = certificates("the certificate", certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| read_error("the key", key, &error))?;
    let pair = |error: rustls::Error| TlsError::Pair { certificate: certificate.clone(), key: key.clone(), reason: error.to_string() };
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(pair)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let error = |reason: String| TlsError::ClientCa { path: path.clone(), reason };
            let mut roots = RootCertStore::empty();
            for authority in certificates("the senders' authority", path)? {
                roots.add(authority).map_err(|reason| error(reason.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if *clients_required { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build().map_err(|reason| error(reason.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, secret).map_err(pair)?;
    // A resumed session would skip the sender's certificate: one that has expired since, or whose authority is no
    // longer ours, would still be let in. Senders stay connected for days; a handshake costs them nothing.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.map_err(|error| read_error(what, path, &error))?;
    if chain.is_empty() {
        return Err(read_error(what, path, &rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn read_error(what: &'static str, path: &Path, error: &rustls::pki_types::pem::Error) -> TlsError {
    let reason = match error {
        rustls::pki_types::pem::Error::NoItemsFound => "there is none in PEM form".to_owned(),
        error => error.to_string(),
    };
    TlsError::Read { what, path: path.to_owned(), reason }
}

/// What a verified client certificate says who the sender is: `sha256:` and its fingerprint in hex, then its DNS names
/// in lower case. The subject's common name says nothing (RFC 9525, 2).
pub(super) fn client_names(chain: Option<&[CertificateDer<'_>]>) -> Vec<String> {
    use sha2::Digest as _;
    let Some(first) = chain.and_then(<[_]>::first) else { return Vec::new() };
    let fingerprint: String = sha2::Sha256::digest(first).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut names = vec![format!("sha256:{fingerprint}")];
    if let Ok(certificate) = webpki::EndEntityCert::try_from(first) {
        let dns = certificate.valid_dns_names().filter(|name| name.len() <= NAME_BYTES_MAX);
        names.extend(dns.take(NAMES_MAX).map(str::to_ascii_lowercase));
    }
    names
}
