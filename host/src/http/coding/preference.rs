//! `Accept-Encoding` (RFC 9110 §12.5.3).

use super::super::syntax::trim;
use crate::config::Coding;

/// The coding to use for a client that sent these `lists`, out of those on `offer`, the best of which stands
/// first. `None`: none that is offered is acceptable, or the client likes its answers better without.
///
/// A client that sends no such field takes any coding as far as the RFC is concerned; but those that leave it
/// out are the ones that could not undo it.
pub fn preferred<'a>(lists: impl Iterator<Item = &'a [u8]>, offer: &[Coding]) -> Option<Coding> {
    let mut said = Qualities::default();
    for item in lists.flat_map(|list| list.split(|&byte| byte == b',')) {
        said.read(item);
    }
    let mut best: Option<(u16, Coding)> = None;
    for &coding in offer {
        let quality = said.of(coding);
        if quality > best.map_or(0, |(most, _)| most) {
            best = Some((quality, coding));
        }
    }
    let (quality, coding) = best?;
    // Unless it is named, the plain form is what is sent when nothing better is acceptable.
    let plain = said.identity.unwrap_or(0);
    (quality >= plain).then_some(coding)
}

/// In thousandths; `None`: not said.
#[derive(Default)]
struct Qualities {
    zstd: Option<u16>,
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    others: Option<u16>,
}

impl Qualities {
    fn of(&self, coding: Coding) -> u16 {
        let named = match coding {
            Coding::Zstd => self.zstd,
            Coding::Brotli => self.brotli,
            Coding::Gzip => self.gzip,
        };
        named.or(self.others).unwrap_or(0)
    }

    /// Takes one entry of a list. One that makes no sense counts as not there.
    fn read(&mut self, item: &[u8]) {
        let mut parts = item.split(|&byte| byte == b';').map(trim);
        let name = parts.next().unwrap_or_default();
        let mut quality = Some(1000);
        for parameter in parts {
            let (b"q=" | b"Q=", value) = parameter.split_at(parameter.len().min(2)) else {
                continue;
            };
            quality = thousandths(value);
        }
        let Some(quality) = quality else {
            return;
        };
        let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
        let slot = if is("gzip") || is("x-gzip") {
            &mut self.gzip
        } else if is("br") {
            &mut self.brotli
        } else if is("zstd") {
            &mut self.zstd
        } else if is("identity") {
            &mut self.identity
        } else if name == b"*" {
            &mut self.others
        } else {
            return;
        };
        *slot = Some(quality);
    }
}

/// `0`, `0.5`, `1.000`: at most three digits after the point.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [whole] | [whole, b'.'] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut value = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, worth) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value += u16::from(digit - b'0') * worth;
    }
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    #[test]
    fn the_client_decides_and_the_order_of_the_offer_breaks_ties() {
        let (zstd, br, gzip) = (Some(Coding::Zstd), Some(Coding::Brotli), Some(Coding::Gzip));
        for (accept, expected) in [
            ("gzip", gzip),
            ("gzip, deflate, br", br),
            ("gzip, deflate, br, zstd", zstd),
            ("GZIP", gzip),
            ("x-gzip", gzip),
            ("gzip;q=1.0, br;q=0.5", gzip),
            ("gzip ; q=0.8 , br ; q=0.9", br),
            ("br;q=0.001", br),
            ("*", zstd),
            ("*;q=0.5, gzip", gzip),
            ("zstd;q=0, *", br),
            ("gzip;q=0", None),
            ("gzip;q=0.000", None),
            ("*;q=0", None),
            ("identity", None),
            ("identity, gzip", gzip),
            ("identity;q=1, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", gzip),
            ("identity;q=0", None),
            ("identity;q=0, gzip;q=0.1", gzip),
            ("deflate, compress", None),
            ("", None),
            (",,gzip,,", gzip),
            ("gzip;q=2", None),
            ("gzip;q=1.001", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=-1", None),
            ("gzip;q=a", None),
            ("gzip;level=9;q=0.5, br;q=0.4", gzip),
            ("gzipp", None),
        ] {
            let found = preferred([accept.as_bytes()].into_iter(), &ALL);
            assert_eq!(found, expected, "{accept:?}");
        }
    }

    #[test]
    fn several_lists_are_one() {
        let lists = [&b"gzip;q=0.5"[..], b"br;q=0.7"];
        assert_eq!(preferred(lists.into_iter(), &ALL), Some(Coding::Brotli));
        assert_eq!(preferred([].into_iter(), &ALL), None, "nothing was said");
    }

    #[test]
    fn what_is_not_offered_is_not_used() {
        let offer = [Coding::Gzip];
        let lists = [&b"br, zstd, gzip;q=0.1"[..]];
        assert_eq!(preferred(lists.into_iter(), &offer), Some(Coding::Gzip));
        assert_eq!(preferred([&b"br"[..]].into_iter(), &offer), None);
    }
}
