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

#[cfg(test)]
pub(super) mod tests {
    use std::io::ErrorKind;

    use expect_test::{Expect, expect};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
    use rustls::{ClientConfig, ClientConnection, ServerConnection, SupportedProtocolVersion, version};

    use super::*;

    /// Somebody who signs certificates.
    pub(in super::super) struct Authority(CertifiedIssuer<'static, KeyPair>);

    /// A certificate and its key, PEM.
    pub(in super::super) struct Pair {
        pub(in super::super) certificate: String,
        pub(in super::super) key: String,
    }

    impl Authority {
        pub(in super::super) fn new(name: &str) -> Self {
            let mut params = CertificateParams::new(vec![]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        pub(in super::super) fn pem(&self) -> String {
            self.0.pem()
        }

        pub(in super::super) fn signs(&self, names: &[&str], until_year: i32) -> Pair {
            let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(until_year, 1, 1);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate().unwrap();
            Pair { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
        }

        /// A client that trusts this authority and shows that certificate.
        pub(in super::super) fn client(&self, shown: Option<&Pair>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
            let mut roots = RootCertStore::empty();
            roots.add(self.0.der().clone()).unwrap();
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots);
            Arc::new(match shown {
                None => builder.with_no_client_auth(),
                Some(Pair { certificate, key }) => {
                    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                    builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
                }
            })
        }
    }

    /// Writes what a listener needs into a folder.
    pub(in super::super) fn files(dir: &Path, ours: &Pair, client_ca: Option<&str>, clients_required: bool) -> TlsFiles {
        let write = |name: &str, content: &str| {
            let path = dir.join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        TlsFiles {
            certificate: write("tls.pem", &ours.certificate),
            key: write("tls.key", &ours.key),
            client_ca: client_ca.map(|pem| write("client-ca.pem", pem)),
            clients_required,
        }
    }

    /// Shakes hands in memory; what the server knows of the client then, or which side refused what.
    fn handshake(server: &ServerTls, client: Arc<ClientConfig>) -> String {
        let mut server = ServerConnection::new(server.config()).unwrap();
        let mut client = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
        while server.is_handshaking() || client.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut bytes.as_slice()).unwrap();
            if let Err(error) = server.process_new_packets() {
                // How long ago an expired one did, would be another text every second.
                let error = error.to_string();
                return format!("server: {}", error.split_once(": verification time").map_or(error.as_str(), |(what, _)| what));
            }
            bytes.clear();
            server.write_tls(&mut bytes).unwrap();
            match client.read_tls(&mut bytes.as_slice()) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return format!("client: {error}"),
                _ => {}
            }
            if let Err(error) = client.process_new_packets() {
                return format!("client: {error}");
            }
        }
        let names = client_names(server.peer_certificates());
        let shown = |name: &String| if name.starts_with("sha256:") { format!("sha256 of {} digits", name.len() - 7) } else { name.clone() };
        format!("{:?} {}", server.protocol_version().unwrap(), names.iter().map(shown).collect::<Vec<_>>().join(", "))
    }

    fn check(server: &ServerTls, client: Arc<ClientConfig>, expected: Expect) {
        expected.assert_eq(&handshake(server, client));
    }

    #[test]
    fn who_may_send() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, foreign) = (Authority::new("Landes-CA"), Authority::new("somebody else"));
        let own = ours.signs(&["localhost"], 2100);
        let right = ours.signs(&["Collector.Bauhof.example", "zweiter.example"], 2100);
        let (expired, stranger) = (ours.signs(&["collector.bauhof.example"], 2002), foreign.signs(&["collector.bauhof.example"], 2100));
        let server = ServerTls::open(files(dir.path(), &own, Some(&ours.pem()), true)).unwrap();
        check(
            &server,
            ours.client(Some(&right), &version::TLS13),
            expect!["TLSv1_3 sha256 of 64 digits, collector.bauhof.example, zweiter.example"],
        );
        check(
            &server,
            ours.client(Some(&right), &version::TLS12),
            expect!["TLSv1_2 sha256 of 64 digits, collector.bauhof.example, zweiter.example"],
        );
        check(&server, ours.client(None, &version::TLS13), expect!["server: peer sent no certificates"]);
        check(&server, ours.client(None, &version::TLS12), expect!["server: peer sent no certificates"]);
        check(&server, ours.client(Some(&stranger), &version::TLS13), expect!["server: invalid peer certificate: UnknownIssuer"]);
        check(&server, ours.client(Some(&expired), &version::TLS13), expect!["server: invalid peer certificate: certificate expired"]);
        check(&server, foreign.client(Some(&right), &version::TLS13), expect!["client: invalid peer certificate: UnknownIssuer"]);

        let server = ServerTls::open(files(dir.path(), &own, Some(&ours.pem()), false)).unwrap();
        check(&server, ours.client(None, &version::TLS13), expect!["TLSv1_3 "]);
        check(
            &server,
            ours.client(Some(&right), &version::TLS13),
            expect!["TLSv1_3 sha256 of 64 digits, collector.bauhof.example, zweiter.example"],
        );
        check(&server, ours.client(Some(&stranger), &version::TLS13), expect!["server: invalid peer certificate: UnknownIssuer"]);

        let server = ServerTls::open(files(dir.path(), &own, None, true)).unwrap();
        check(&server, ours.client(Some(&right), &version::TLS13), expect!["TLSv1_3 "]);
    }

    #[test]
    fn a_fingerprint_is_the_certificates() {
        // Of the DER, as `openssl x509 -fingerprint -sha256` takes it; in lower case and without colons.
        let certificate = CertificateDer::from(b"not a certificate".to_vec());
        expect!["sha256:47209c9b7af839de69e9a9cd625e9182c1ad63dae79ed88a2dd680fe34218620"]
            .assert_eq(&client_names(Some(&[certificate])).join(" "));
        assert_eq!(client_names(None), Vec::<String>::new());
    }

    #[test]
    fn changed_files_are_used_and_broken_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Authority::new("old"), Authority::new("new"));
        let server = ServerTls::open(files(dir.path(), &old.signs(&["localhost"], 2100), None, true)).unwrap();
        let used = |by: &Authority| handshake(&server, by.client(None, &version::TLS13)).starts_with("TLSv1_3");
        assert!(!server.reload().unwrap(), "nothing has changed");
        assert!(used(&old) && !used(&new));

        let next = files(dir.path(), &new.signs(&["localhost"], 2101), None, true);
        assert!(server.reload().unwrap());
        assert!(used(&new) && !used(&old));

        std::fs::write(&next.key, old.signs(&["localhost"], 2100).key).unwrap();
        assert!(server.reload().unwrap_err().to_string().contains("cannot be used together"));
        std::fs::write(&next.certificate, "half a certif").unwrap();
        assert!(server.reload().unwrap_err().to_string().ends_with("there is none in PEM form"));
        assert!(!server.reload().unwrap(), "said once");
        std::fs::remove_file(&next.certificate).unwrap();
        assert!(server.reload().is_err());
        assert!(used(&new), "what was good stays");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("ca");
        let said = |files: TlsFiles| {
            let said = ServerTls::open(files).unwrap_err().to_string();
            said.replace(&dir.path().display().to_string(), "DIR")
        };
        let own = authority.signs(&["localhost"], 2100);
        let good = files(dir.path(), &own, Some("no authority"), true);
        expect!["cannot read the senders' authority from DIR/client-ca.pem: there is none in PEM form"].assert_eq(&said(good.clone()));
        std::fs::write(&good.key, authority.signs(&["localhost"], 2100).key).unwrap();
        expect!["certificate DIR/tls.pem and key DIR/tls.key cannot be used together: keys may not be consistent: KeyMismatch"]
            .assert_eq(&said(TlsFiles { client_ca: None, ..good.clone() }));
        std::fs::write(&good.key, &own.certificate).unwrap();
        expect!["cannot read the key from DIR/tls.key: there is none in PEM form"].assert_eq(&said(good.clone()));
        std::fs::remove_file(&good.certificate).unwrap();
        expect!["cannot read the certificate from DIR/tls.pem: I/O error: No such file or directory (os error 2)"].assert_eq(&said(good));
        expect!["2100-01-01T00:00:00.000Z"]
            .assert_eq(&certificate_end(&files(dir.path(), &own, None, true).certificate).unwrap().to_string());
    }
}
