//! Addresses that share their first bits, as configurations name them.

use std::net::IpAddr;
use std::str::FromStr;

/// One address, or all that begin like it: `10.0.0.0/8`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u32,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither an address nor a network");
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let all = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        if bits > all {
            return Err(wrong());
        }
        Ok(Self { base, bits })
    }
}

impl Network {
    /// Reads several, with commas between them.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        let named = text.split(',').map(str::trim);
        named
            .filter(|one| !one.is_empty())
            .map(str::parse)
            .collect()
    }

    /// Tells whether an address is one of it. One of version 4 is the same however it is written.
    pub fn holds(&self, peer: IpAddr) -> bool {
        match (self.base, peer.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(peer)) => {
                (base.to_bits() ^ peer.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V6(base), IpAddr::V6(peer)) => {
                (base.to_bits() ^ peer.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// How many bits it shares: the more, the narrower.
    pub fn bits(&self) -> u32 {
        self.bits
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn a_network_holds_what_begins_like_it() {
        let holds = |network: &str, peer: &str| {
            let network: Network = network.parse().unwrap();
            network.holds(peer.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("203.0.113.7", "203.0.113.7"));
        assert!(!holds("203.0.113.7", "203.0.113.8"));
        assert!(holds("0.0.0.0/0", "198.51.100.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(!holds("2001:db8::/32", "10.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for wrong in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0",
            "city",
            "10.0.0.0/x",
            "/8",
        ] {
            let error = wrong.parse::<Network>().unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
        assert_eq!(Network::list("10.0.0.1, ::1,").unwrap().len(), 2);
        assert!(Network::list("10.0.0.1, x").is_err());
    }
}
