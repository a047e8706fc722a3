//! What people see: the upload page, the page that answers a plain form, and what both load.
//!
//! Everything is rendered here and works without JavaScript; the front end in `host/ui`, if it was
//! built, is embedded and only adds to it. Whatever comes from outside is escaped by the templates, and
//! the content security policy leaves no place for a script or style of anybody else.

mod asset;
mod findings;
mod form;
mod layout;
mod outcome;
mod prose;
mod quantity;
mod receipt;
mod settings;

pub use asset::{Asset, asset};
pub use form::upload_form;
pub use outcome::{outcome, problem};
pub use settings::{Extension, FieldName, FormField, InvalidPage, PageSettings, TraceUrl};

/// The `Content-Security-Policy` of every page. There are no inline scripts or styles to allow, and
/// scripts cannot turn text into markup (Trusted Types, with no policy that could).
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
