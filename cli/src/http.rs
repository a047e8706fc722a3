//! How this program reaches others over HTTP.

use std::error::Error;

use reqwest::{ClientBuilder, Url, redirect};
use rustls::CertificateError;

/// A client for one address, which is told of redirects rather than taken along: a token must not travel on.
///
/// The certificates of authorities that this computer trusts (or those in the file that `SSL_CERT_FILE` names) are read for an
/// address with TLS alone: a machine without any still reaches the others.
pub(crate) fn client(address: &Url) -> ClientBuilder {
    let client = reqwest::Client::builder().redirect(redirect::Policy::none());
    if address.scheme() == "https" {
        client
    } else {
        client.tls_certs_only([])
    }
}

/// Why the other side is not the one that it should be; absent where a connection failed for another reason.
pub(crate) fn not_trusted(error: &reqwest::Error) -> Option<&'static str> {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(why) = of_tls(error)? else {
        return None;
    };
    Some(match why {
        E::UnknownIssuer => "its certificate is of an authority that this computer does not know",
        E::Expired | E::ExpiredContext { .. } => "its certificate has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "its certificate is not valid yet",
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        E::Revoked => "its certificate was revoked",
        _ => "its certificate is not one for a site",
    })
}

/// What TLS has against a connection. An I/O error gives what its own error comes from, and has to be asked for that itself.
fn of_tls<'error>(error: &'error (dyn Error + 'static)) -> Option<&'error rustls::Error> {
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => of_tls(error.get_ref()?),
        None => of_tls(error.source()?),
    }
}
