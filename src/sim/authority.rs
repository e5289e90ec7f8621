//! The sim's own test authority: a CA certificate to trust, kept in the sim's folder, and a server certificate made
//! anew at each start.
//!
//! The extensions are those that strict clients ask for (Python 3.13 verifies with `VERIFY_X509_STRICT`): basic
//! constraints and key usage on both, subject key identifier on the CA, authority key identifier, extended key usage
//! and the IP addresses as alternative names on the server's.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::PrivateKeyDer;
use serde::{Deserialize, Serialize};

use super::SimError;

const DAY: Duration = Duration::from_secs(86_400);
/// A client that has stored the CA may go on using it for years; the server certificate lives as long as browsers allow.
const CA_DAYS: u32 = 3650;
const SERVER_DAYS: u32 = 90;
/// A CA that ends sooner than this is made anew.
const CA_MARGIN_DAYS: u32 = 100;

/// What is kept of the authority between starts.
#[derive(Serialize, Deserialize)]
struct Kept {
    certificate: String,
    key: String,
    not_after: u64,
}

/// The CA file in `dir` and the TLS configuration of the server, for `listen` besides the loopback addresses.
pub fn prepare(dir: &Path, listen: IpAddr) -> Result<(PathBuf, Arc<rustls::ServerConfig>), SimError> {
    let ca_path = dir.join("ca.pem");
    let kept = match load(&dir.join("authority.json")) {
        Some(kept) => kept,
        None => create(&dir.join("authority.json"))?,
    };
    // Written even when it is there: it must be the certificate that signs.
    super::write_file(&ca_path, kept.certificate.as_bytes(), 0o644)?;

    let made = |e: rcgen::Error| SimError::Certificate(e.to_string());
    let issuer = Issuer::new(ca_params(), KeyPair::from_pem(&kept.key).map_err(made)?);
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !listen.is_loopback() && !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    let mut params = CertificateParams::new(names).map_err(made)?;
    valid_for(&mut params, SERVER_DAYS);
    params.distinguished_name.push(DnType::CommonName, "Elio simulated API");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(made)?;
    let certificate = params.signed_by(&key, &issuer).map_err(made)?;

    let made = |e: rustls::Error| SimError::Certificate(e.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(made)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .map_err(made)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((ca_path, Arc::new(config)))
}

/// The authority of an earlier start, where it is whole and lasts long enough.
fn load(path: &Path) -> Option<Kept> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let margin = SystemTime::now() + DAY * CA_MARGIN_DAYS;
    let lasts = UNIX_EPOCH + Duration::from_secs(kept.not_after) > margin;
    (lasts && KeyPair::from_pem(&kept.key).is_ok()).then_some(kept)
}

fn create(path: &Path) -> Result<Kept, SimError> {
    let made = |e: rcgen::Error| SimError::Certificate(e.to_string());
    let key = KeyPair::generate().map_err(made)?;
    let certificate = ca_params().self_signed(&key).map_err(made)?.pem();
    let not_after = (SystemTime::now() + DAY * CA_DAYS).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let kept = Kept { certificate, key: key.serialize_pem(), not_after };
    super::write_file(path, serde_json::json!(kept).to_string().as_bytes(), 0o600)?;
    Ok(kept)
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    valid_for(&mut params, CA_DAYS);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Elio simulated API authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Strict clients want it on a self-signed certificate too.
    params.use_authority_key_identifier_extension = true;
    params
}

/// From a day ago, because clocks differ.
fn valid_for(params: &mut CertificateParams, days: u32) {
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + DAY * days).into();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_authority_is_kept_and_a_broken_one_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let listen: IpAddr = [127, 0, 0, 1].into();
        let (ca, _) = prepare(dir.path(), listen).unwrap();
        let first = read(&ca);
        let mode = std::fs::metadata(dir.path().join("authority.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it holds a private key");
        assert!(first.starts_with("-----BEGIN CERTIFICATE-----"));
        std::fs::write(&ca, "something else").unwrap();
        prepare(dir.path(), listen).unwrap();
        assert_eq!(read(&ca), first, "the same authority signs after a restart");
        std::fs::write(dir.path().join("authority.json"), "{").unwrap();
        prepare(dir.path(), listen).unwrap();
        assert_ne!(read(&ca), first);
    }

    #[test]
    fn an_authority_near_its_end_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authority.json");
        let mut kept = create(&path).unwrap();
        assert!(load(&path).is_some());
        kept.not_after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 86_400;
        std::fs::write(&path, serde_json::json!(kept).to_string()).unwrap();
        assert!(load(&path).is_none());
    }
}
