//! TLS with rustls, unbuffered: records are read in place from the socket's buffer and written to the outgoing one.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{UnbufferedClientConnection, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::plan::{Origin, PlanError, Tls};
use crate::template::Secrets;

/// A record's header, tag and padding byte, rounded up.
const RECORD_OVERHEAD: usize = 64;
const RECORD: usize = 16 * 1024;

/// Shared by all connections of a run: certificates, and resumable sessions.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    config: Arc<ClientConfig>,
    server_name: String,
}

/// The result of processing input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The session is ready for requests.
    pub is_open: bool,
    /// The other side has sent `close_notify`.
    pub is_closed: bool,
}

impl TlsSettings {
    /// Loads certificates and keys.
    ///
    /// # Errors
    /// [`PlanError`] if one of them cannot be used.
    pub fn new(tls: &Tls, secrets: &Secrets, protocols: &[&[u8]]) -> Result<TlsSettings, PlanError> {
        let bad = |path: &str, why: String| PlanError::Invalid(path.to_owned(), why);
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("tls", error.to_string()))?;
        let builder = if tls.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            let mut roots = RootCertStore::empty();
            let mut own = Vec::new();
            // Invalid system roots are skipped; without any, only the plan's CA is trusted.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            for certificate in CertificateDer::pem_slice_iter(tls.ca_pem.as_bytes()) {
                let certificate = certificate.map_err(|error| bad("tls.ca", format!("no PEM certificate: {error}")))?;
                own.push(certificate.clone());
                roots.add(certificate).map_err(|error| bad("tls.ca", format!("no usable certificate: {error}")))?;
            }
            let roots = Arc::new(roots);
            match WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider).build() {
                Ok(usual) if !own.is_empty() => {
                    builder.dangerous().with_custom_certificate_verifier(Arc::new(OwnCertificates { usual, own }))
                }
                _ => builder.with_root_certificates(roots),
            }
        };
        let mut config = if tls.certificate_pem.is_empty() {
            builder.with_no_client_auth()
        } else {
            let chain = CertificateDer::pem_slice_iter(tls.certificate_pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| bad("tls.cert", format!("no PEM certificate: {error}")))?;
            let key = secrets.get(&tls.key_slot).map_or("", String::as_str);
            // The key may be in the certificate's file.
            let pem = if key.is_empty() { &tls.certificate_pem } else { key };
            if is_encrypted(pem) {
                return Err(bad("tls.key", "the key is encrypted; give it without a passphrase".to_owned()));
            }
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
                .map_err(|error| bad("tls.key", format!("no PEM key: {error}")))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                Error::InconsistentKeys(_) => bad("tls.key", "the key does not belong to the certificate".to_owned()),
                other => bad("tls.cert", other.to_string()),
            })?
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(TlsSettings { config: Arc::new(config), server_name: tls.server_name.clone() })
    }
}

/// One TLS session.
pub struct Session {
    connection: UnbufferedClientConnection,
    /// The start of an incomplete record.
    pending: Vec<u8>,
    /// When the handshake began, ns since the start of the run.
    pub began: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Session({} bytes pending)", self.pending.len())
    }
}

impl Session {
    /// Creates a session with `origin`; the first call of [`Session::process`] sends the `ClientHello`.
    ///
    /// # Errors
    /// If the name is not a valid TLS server name.
    pub fn new(settings: &TlsSettings, origin: &Origin, began: u64) -> Result<Session, Error> {
        let name = if settings.server_name.is_empty() { &origin.host } else { &settings.server_name };
        let name = ServerName::try_from(name.clone()).map_err(|error| Error::General(error.to_string()))?;
        let connection = UnbufferedClientConnection::new(Arc::clone(&settings.config), name)?;
        Ok(Session { connection, pending: Vec::new(), began })
    }

    /// The negotiated protocol.
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Processes data from the socket. Data to send is appended to `outgoing`, decrypted data to `plain`.
    ///
    /// # Errors
    /// If the other side violates the protocol, or is not trusted.
    pub fn process(
        &mut self,
        input: &mut [u8],
        outgoing: &mut Vec<u8>,
        plain: &mut Vec<u8>,
    ) -> Result<Progress, Error> {
        if self.pending.is_empty() {
            let (progress, used) = run(&mut self.connection, input, outgoing, plain)?;
            self.pending.extend_from_slice(&input[used..]);
            return Ok(progress);
        }
        self.pending.extend_from_slice(input);
        let (progress, used) = run(&mut self.connection, &mut self.pending, outgoing, plain)?;
        self.pending.drain(..used);
        Ok(progress)
    }

    /// Appends `data`, encrypted, to `outgoing`.
    ///
    /// # Errors
    /// If the session can no longer send.
    pub fn encrypt(&mut self, data: &[u8], outgoing: &mut Vec<u8>) -> Result<(), Error> {
        loop {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            match state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let begin = outgoing.len();
                    let mut room = data.len() + (data.len() / RECORD + 1) * RECORD_OVERHEAD;
                    loop {
                        outgoing.resize(begin + room, 0);
                        match traffic.encrypt(data, &mut outgoing[begin..]) {
                            Ok(written) => {
                                outgoing.truncate(begin + written);
                                return Ok(());
                            }
                            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                                room = required_size;
                            }
                            Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
                        }
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => encode(&mut data, outgoing)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                _ => return Err(Error::General("closed by the target".to_owned())),
            }
        }
    }
}

fn encode<Data>(data: &mut rustls::unbuffered::EncodeTlsData<'_, Data>, outgoing: &mut Vec<u8>) -> Result<(), Error> {
    let begin = outgoing.len();
    let mut room = 1024;
    loop {
        outgoing.resize(begin + room, 0);
        match data.encode(&mut outgoing[begin..]) {
            Ok(written) => {
                outgoing.truncate(begin + written);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => room = required_size,
            Err(error @ EncodeError::AlreadyEncoded) => return Err(Error::General(error.to_string())),
        }
    }
}

/// Processes `input`; returns how much of it was used.
fn run(
    connection: &mut UnbufferedClientConnection,
    input: &mut [u8],
    outgoing: &mut Vec<u8>,
    plain: &mut Vec<u8>,
) -> Result<(Progress, usize), Error> {
    let mut progress = Progress { is_open: false, is_closed: false };
    let mut used = 0;
    loop {
        let UnbufferedStatus { mut discard, state } = connection.process_tls_records(&mut input[used..]);
        let mut done = false;
        match state? {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
            }
            ConnectionState::EncodeTlsData(mut data) => encode(&mut data, outgoing)?,
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::WriteTraffic(_) => {
                progress.is_open = true;
                done = true;
            }
            ConnectionState::PeerClosed => progress.is_closed = true,
            ConnectionState::Closed => {
                progress.is_closed = true;
                done = true;
            }
            _ => done = true,
        }
        used += discard;
        if done {
            return Ok((progress, used));
        }
    }
}

/// The reason of a TLS failure in one line.
#[must_use]
pub fn message(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => format!("certificate not trusted: {}", certificate_message(why)),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the target wants a client certificate".to_owned()
        }
        Error::AlertReceived(alert) => format!("the target refused: {}", spaced(&format!("{alert:?}"))),
        // OpenSSL's texts, so that failures group alike in both engines.
        Error::InvalidMessage(_) => "wrong version number".to_owned(),
        Error::PeerIncompatible(why) => format!("nothing in common: {}", spaced(&format!("{why:?}"))),
        other => other.to_string(),
    }
}

fn certificate_message(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "unknown issuer".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not valid yet".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "made for another name".to_owned()
        }
        why if is_authority(why) => "self-signed".to_owned(),
        other => spaced(&format!("{other:?}")),
    }
}

/// `NotValidYet` as `not valid yet`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase()
            && !words.is_empty()
            && !words.ends_with(|last: char| !last.is_ascii_alphanumeric())
        {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
    }
    words
}

/// True if a PEM key requires a passphrase, in PKCS #8 or OpenSSL's older format.
fn is_encrypted(pem: &str) -> bool {
    pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || pem.contains("Proc-Type: 4,ENCRYPTED")
}

/// Trusts the certificates of the plan's `ca` even if a target presents one of them itself, as OpenSSL does:
/// self-signed certificates are mostly marked as CA certificates, which rustls rejects as server certificates.
#[derive(Debug)]
struct OwnCertificates {
    usual: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for OwnCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Its validity period was checked before.
            Err(Error::InvalidCertificate(why)) if is_authority(&why) && self.own.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// True if a server presented a certificate that is marked as a CA certificate.
fn is_authority(why: &CertificateError) -> bool {
    matches!(why, CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity"))
}

/// Accepts any certificate, for `insecure`; signatures are still verified, because a handshake needs them.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
