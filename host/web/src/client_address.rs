//! Which address an upload comes from, for the audit. Behind a proxy it is what that says in `X-Forwarded-For`; from
//! anybody else the header is a claim, and not believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Who is believed unless the configuration says otherwise: whatever runs on the same machine.
pub(crate) const USUAL_PROXIES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// The client, whose connection comes from `peer`: each proxy adds whom it was called by at the end, and the last who is
/// no proxy of ours is the client.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let values = headers.get_all(FORWARDED_FOR).iter().rev();
    let callers = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','))
        .map_while(|address| address.trim().parse().ok())
        .map(|address: IpAddr| address.to_canonical());
    let mut client = peer;
    for caller in callers {
        if !proxies.contains(&client) {
            break;
        }
        client = caller;
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_of_ours_are_believed() {
        let (proxy, client) = ("127.0.0.1", "203.0.113.7");
        for (peer, said, found) in [
            (client, vec![], client),
            (client, vec!["198.51.100.1"], client),
            (proxy, vec![], proxy),
            (proxy, vec![client], client),
            (proxy, vec!["::ffff:203.0.113.7"], client),
            // Of what the client says itself nothing is believed.
            (proxy, vec!["198.51.100.1, 203.0.113.7"], client),
            (proxy, vec!["198.51.100.1", client], client),
            (proxy, vec!["203.0.113.7, 127.0.0.1"], client),
            (proxy, vec!["203.0.113.7, unknown"], proxy),
            (proxy, vec!["2001:db8::1"], "2001:db8::1"),
        ] {
            let mut headers = HeaderMap::new();
            for value in &said {
                headers.append(FORWARDED_FOR, value.parse().expect("is a header"));
            }
            let peer = peer.parse().expect("is an address");
            let address = client_address(peer, &headers, &USUAL_PROXIES);
            assert_eq!(address.to_string(), found, "{peer} {said:?}");
        }
    }
}
