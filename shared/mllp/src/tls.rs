//! Certificates, and what TLS is spoken with: 1.2 at least, by rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use web::ClientTls;

use crate::settings::Tls;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn is_unset(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

/// What a listener speaks TLS with; none: it does not.
pub(crate) fn server(settings: &Tls) -> Result<Option<Arc<ServerConfig>>, String> {
    let Tls { certificate, key, client_ca } = settings;
    if is_unset(certificate) {
        return match is_unset(key) && is_unset(client_ca) {
            true => Ok(None),
            false => Err("mllp.tls.key or mllp.tls.client_ca is set and mllp.tls.certificate is empty; connections would be plain".to_owned()),
        };
    }
    if is_unset(key) {
        return Err("mllp.tls.certificate is set and mllp.tls.key is empty".to_owned());
    }
    let of = |name: &'static str| move |words: String| format!("mllp.tls.{name}: {words}");
    let chain = certificates(certificate).map_err(of("certificate"))?;
    let key = private_key(key).map_err(of("key"))?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if is_unset(client_ca) {
        builder.with_no_client_auth()
    } else {
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(authorities(client_ca).map_err(of("client_ca"))?),
            provider(),
        )
        .build()
        .map_err(|error| format!("mllp.tls.client_ca: {}: {error}", client_ca.display()))?;
        builder.with_client_cert_verifier(verifier)
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("mllp.tls.certificate and mllp.tls.key do not go together: {error}"))?;
    Ok(Some(Arc::new(config)))
}

/// What a client speaks TLS with; none: it does not.
pub(crate) fn client(settings: &ClientTls) -> Result<Option<Arc<ClientConfig>>, String> {
    let ClientTls { ca, certificate, key, .. } = settings;
    if is_unset(ca) {
        return match is_unset(certificate) && is_unset(key) {
            true => Ok(None),
            false => {
                Err("tls.certificate is set and tls.ca is empty; the connection would be plain".to_owned())
            }
        };
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities(ca).map_err(|words| format!("tls.ca: {words}"))?);
    let config = match (is_unset(certificate), is_unset(key)) {
        (true, true) => builder.with_no_client_auth(),
        (false, false) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| format!("tls.certificate and tls.key do not go together: {error}"))?,
        _ => return Err("of tls.certificate and tls.key only one is set".to_owned()),
    };
    Ok(Some(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unread = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| unread(&error))?.collect();
    match all {
        Ok(all) if all.is_empty() => Err(unread(&"there is no certificate in this file (PEM)")),
        Ok(all) => Ok(all),
        Err(error) => Err(unread(&error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| format!("{}: no private key can be read (PEM): {error}", path.display()))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}
