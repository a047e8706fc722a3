//! A validator for tests that opens a network connection, and therefore imports WASI's sockets. The engine
//! must refuse it when it is loaded; it is never run.

use std::net::{Ipv4Addr, TcpStream};

use portcullis_policy::{Admission, Failure, NoSettings, Refusal, Upload, Validator};

/// Accepts if somebody listens on a port of the loopback address.
#[derive(Debug)]
pub struct ForbiddenImport;

impl Validator for ForbiddenImport {
    const NAME: &'static str = "forbidden-import";
    const SUMMARY: &'static str = "Asks the network, which no policy may.";
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        // The port depends on the upload, so that no compiler can tell the answer beforehand.
        let port = u16::try_from(upload.filename.len()).unwrap_or(1);
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => Ok(Admission::Accept),
            Err(_) => Refusal::new("nobody", "Nobody listens.").into(),
        }
    }
}

portcullis_policy::validator!(ForbiddenImport);
