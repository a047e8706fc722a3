//! Takes from a component what only debuggers read: the names that its maker gave to its parts.

/// The custom sections that are taken away.
const NAMES: [&[u8]; 2] = [b"component-name", b"name"];
/// What every component begins with: magic number, version and layer.
const PREAMBLE_BYTES: usize = 8;
/// The id of a custom section (WebAssembly core specification, 5.5.2).
const CUSTOM: u8 = 0;

/// The component without them; as it is, where its sections cannot be told apart.
pub(crate) fn slim(component: Vec<u8>) -> Vec<u8> {
    sections(&component).unwrap_or(component)
}

fn sections(component: &[u8]) -> Option<Vec<u8>> {
    let (preamble, mut rest) = component.split_at_checked(PREAMBLE_BYTES)?;
    let mut kept = preamble.to_vec();
    while let Some((id, behind)) = rest.split_first() {
        let (length, content) = leb128(behind)?;
        let (content, next) = content.split_at_checked(length)?;
        let section = &rest[..rest.len() - next.len()];
        if *id != CUSTOM || !NAMES.contains(&name(content)?) {
            kept.extend_from_slice(section);
        }
        rest = next;
    }
    Some(kept)
}

/// The name of a custom section.
fn name(content: &[u8]) -> Option<&[u8]> {
    let (length, rest) = leb128(content)?;
    rest.get(..length)
}

/// An unsigned LEB128 number of at most 32 bits, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_and_everything_else_stays() {
        let section = |id: u8, content: &[u8]| {
            let length = u8::try_from(content.len()).expect("is short");
            [&[id, length], content].concat()
        };
        let preamble = b"\0asm\x0d\0\x01\0".to_vec();
        let names = section(0, b"\x0ecomponent-nameabc");
        let producers = section(0, b"\x09producersabc");
        let core = section(1, b"whatever");
        let whole = [&preamble[..], &names, &core, &producers, &names].concat();
        assert_eq!(slim(whole), [&preamble[..], &core, &producers].concat());
        let cut_off = [&preamble[..], b"\x01\x10abc"].concat();
        assert_eq!(slim(cut_off.clone()), cut_off);
    }
}
