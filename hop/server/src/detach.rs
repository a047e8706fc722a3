//! hyper hands out the head of a request as slices of the buffer that its connection was read into. That is 8 KiB, and it cannot
//! be used again for as long as one of them is kept: each slow upload, which keeps its headers, would hold a second one.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Uri, Version};

/// The same request, whose headers and address have memory of their own.
pub(crate) fn detached<B>(mut request: Request<B>) -> Request<B> {
    // The head of a later version is decompressed, and has it already.
    if request.version() <= Version::HTTP_11 {
        let length = request.headers().values().map(HeaderValue::len).sum();
        let mut memory = BytesMut::with_capacity(length);
        for value in request.headers_mut().values_mut() {
            memory.extend_from_slice(value.as_bytes());
            replace(
                value,
                HeaderValue::from_maybe_shared(memory.split().freeze()),
            );
        }
        let uri = Bytes::from(request.uri().to_string());
        replace(request.uri_mut(), Uri::from_maybe_shared(uri));
    }
    request
}

/// What was valid is so as a copy.
fn replace<T, E>(what: &mut T, copy: Result<T, E>) {
    if let Ok(copy) = copy {
        *what = copy;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A request as hyper makes it: all of it in one buffer.
    fn within(buffer: &Bytes, uri: usize, values: &[usize]) -> Request<()> {
        let mut rest = buffer.clone();
        let mut request = Request::new(());
        let uri = rest.split_to(uri);
        *request.uri_mut() = Uri::from_maybe_shared(uri).expect("is one");
        for (number, length) in values.iter().enumerate() {
            let name = http::HeaderName::try_from(format!("x-{}", number / 2)).expect("is one");
            let value = HeaderValue::from_maybe_shared(rest.split_to(*length)).expect("is one");
            request.headers_mut().append(name, value);
        }
        request
    }

    proptest! {
        #[test]
        fn nothing_is_changed_and_the_buffer_is_free(
            uri in "(/[a-z0-9/%]{0,40}(\\?[a-z=&]{0,20})?|\\*|http://[a-z]{1,9}(:80)?/[a-z]{0,9}(\\?a)?)",
            values in proptest::collection::vec("[ -~\u{80}-\u{2ff}]{0,30}", 0..9),
        ) {
            let buffer = Bytes::from(format!("{uri}{}", values.concat()).into_bytes());
            let lengths: Vec<_> = values.iter().map(String::len).collect();
            let before = within(&buffer, uri.len(), &lengths);
            let (headers, address) = (before.headers().clone(), before.uri().clone());
            let after = detached(before);
            prop_assert_eq!(after.headers(), &headers);
            prop_assert_eq!(after.uri(), &address);
            drop((headers, address));
            prop_assert!(buffer.is_unique());
        }
    }
}
