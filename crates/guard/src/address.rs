//! Which addresses may be reached.
//!
//! Everything that is not plainly an address of somebody else on the public internet is refused: an address that is
//! forgotten here must not be one that is let through. Sources: the IANA registries of special-purpose IPv4 and IPv6
//! addresses (RFC 6890 and what has followed).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Networks that the operator lets tenants reach although they are not public: for development, or a service next door.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads networks such as `127.0.0.0/8` or `fd12::/16`.
    ///
    /// # Errors
    /// The text that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        texts
            .into_iter()
            .map(|text| text.trim().parse().map_err(|_| text.to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn hold(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Whether this address may be reached: it is public, or the operator has said so.
pub fn may_reach(address: IpAddr, allowed: &Networks) -> bool {
    // One IPv4 host has several spellings in IPv6; it is judged by the host.
    let address = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    if allowed.hold(address) {
        return true;
    }
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        // "This" network; private; shared by carriers; loopback; link-local, where clouds keep their metadata
        (0 | 10 | 127, _, _) | (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _)
        // Protocol assignments; documentation; 6to4 relays; benchmarks
        | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113)
        // Multicast, reserved, broadcast
        | (224..=255, _, _)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    // Only what is handed out as global unicast. Loopback, link-local, unique local, multicast, NAT64 and the old
    // IPv4-compatible addresses lie outside of it.
    let global = s[0] & 0xe000 == 0x2000;
    // Protocol assignments (Teredo, benchmarks, ORCHID); 6to4, which holds an IPv4 address; documentation, twice
    let special = (s[0] == 0x2001 && s[1] < 0x0200)
        || s[0] == 0x2002
        || (s[0] == 0x2001 && s[1] == 0x0db8)
        || (s[0] == 0x3fff && s[1] < 0x1000);
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_that_is_not_public_is_refused() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.1.2.3",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ] {
            let address: IpAddr = text.parse().expect("an address");
            assert!(!may_reach(address, &Networks::default()), "{text}");
        }
    }

    #[test]
    fn what_is_public_is_reached() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "3ffe::1",
        ] {
            let address: IpAddr = text.parse().expect("an address");
            assert!(may_reach(address, &Networks::default()), "{text}");
        }
    }

    #[test]
    fn the_operator_may_open_networks() {
        let allowed = Networks::parse(["127.0.0.0/8", " fd12::/16"]).expect("networks");
        for (text, good) in
            [("127.0.0.1", true), ("::ffff:127.0.0.1", true), ("fd12::1", true), ("::1", false), ("10.0.0.1", false)]
        {
            assert_eq!(may_reach(text.parse().expect("an address"), &allowed), good, "{text}");
        }
        assert_eq!(Networks::parse(["127.0.0.1/33"]), Err("127.0.0.1/33".to_owned()));
    }
}
