//! Dates in log lines, in the machine's time zone. The part that changes once a second is kept.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::text::push_padded;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Writes dates; keeps the last second's. One per thread that writes.
#[derive(Debug)]
pub struct Dates {
    zone: TimeZone,
    second: Option<i64>,
    /// `21/Nov/2026:01:59:41`
    common: Vec<u8>,
    /// `2026-11-21T01:59:41`
    iso: Vec<u8>,
    /// `+01:00`
    offset: Vec<u8>,
    /// `Nov 21 01:59:41`
    syslog: Vec<u8>,
}

impl Default for Dates {
    fn default() -> Self {
        Self::in_zone(TimeZone::system())
    }
}

impl Dates {
    pub fn in_zone(zone: TimeZone) -> Self {
        Self {
            zone,
            second: None,
            common: Vec::new(),
            iso: Vec::new(),
            offset: Vec::new(),
            syslog: Vec::new(),
        }
    }

    /// `21/Nov/2026:01:59:41.176`
    pub(super) fn push_common(&mut self, out: &mut Vec<u8>, at: SystemTime) {
        let millis = self.turn_to(at);
        out.extend_from_slice(&self.common);
        out.push(b'.');
        push_padded(out, millis, 3);
    }

    /// `2026-11-21T01:59:41.176+01:00`
    pub(super) fn push_iso(&mut self, out: &mut Vec<u8>, at: SystemTime) {
        let millis = self.turn_to(at);
        out.extend_from_slice(&self.iso);
        out.push(b'.');
        push_padded(out, millis, 3);
        out.extend_from_slice(&self.offset);
    }

    /// `Nov 21 01:59:41`
    pub(super) fn push_syslog(&mut self, out: &mut Vec<u8>, at: SystemTime) {
        self.turn_to(at);
        out.extend_from_slice(&self.syslog);
    }

    /// Brings the kept texts to the second of `at`; answers with its milliseconds.
    fn turn_to(&mut self, at: SystemTime) -> u32 {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = i64::try_from(since.as_secs()).unwrap_or(0);
        if self.second != Some(second) {
            self.second = Some(second);
            let timestamp = Timestamp::from_second(second).unwrap_or_default();
            self.write(&timestamp.to_zoned(self.zone.clone()));
        }
        since.subsec_millis()
    }

    fn write(&mut self, date: &Zoned) {
        let month = MONTHS[(date.month() as usize - 1) % MONTHS.len()].as_bytes();
        let two = |out: &mut Vec<u8>, number: i8| push_padded(out, number as u32, 2);
        let time = |out: &mut Vec<u8>| {
            two(out, date.hour());
            out.push(b':');
            two(out, date.minute());
            out.push(b':');
            two(out, date.second());
        };

        self.common.clear();
        two(&mut self.common, date.day());
        self.common.push(b'/');
        self.common.extend_from_slice(month);
        self.common.push(b'/');
        push_padded(&mut self.common, date.year() as u32, 4);
        self.common.push(b':');
        time(&mut self.common);

        self.iso.clear();
        push_padded(&mut self.iso, date.year() as u32, 4);
        self.iso.push(b'-');
        two(&mut self.iso, date.month());
        self.iso.push(b'-');
        two(&mut self.iso, date.day());
        self.iso.push(b'T');
        time(&mut self.iso);

        self.syslog.clear();
        self.syslog.extend_from_slice(month);
        self.syslog.push(b' ');
        if date.day() < 10 {
            self.syslog.push(b' ');
            push_padded(&mut self.syslog, date.day() as u32, 1);
        } else {
            two(&mut self.syslog, date.day());
        }
        self.syslog.push(b' ');
        time(&mut self.syslog);

        let seconds = date.offset().seconds();
        self.offset.clear();
        self.offset.push(if seconds < 0 { b'-' } else { b'+' });
        push_padded(&mut self.offset, seconds.unsigned_abs() / 3_600, 2);
        self.offset.push(b':');
        push_padded(&mut self.offset, seconds.unsigned_abs() / 60 % 60, 2);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::Offset;

    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn all(dates: &mut Dates, at: SystemTime) -> [String; 3] {
        let mut common = Vec::new();
        dates.push_common(&mut common, at);
        let mut iso = Vec::new();
        dates.push_iso(&mut iso, at);
        let mut syslog = Vec::new();
        dates.push_syslog(&mut syslog, at);
        [common, iso, syslog].map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_moment_in_every_form() {
        let mut dates = Dates::in_zone(TimeZone::UTC);
        assert_eq!(
            all(&mut dates, at(1_795_226_381_176)),
            [
                "21/Nov/2026:01:59:41.176",
                "2026-11-21T01:59:41.176+00:00",
                "Nov 21 01:59:41"
            ]
        );
        // A day of one digit is padded with a space in syslog only; the second before is forgotten.
        assert_eq!(
            all(&mut dates, at(1_000)),
            [
                "01/Jan/1970:00:00:01.000",
                "1970-01-01T00:00:01.000+00:00",
                "Jan  1 00:00:01"
            ]
        );
    }

    #[test]
    fn the_zone_counts() {
        let zone = TimeZone::fixed(Offset::from_seconds(-(3 * 3_600 + 1_800)).unwrap());
        let [common, iso, _] = all(&mut Dates::in_zone(zone), at(1_795_226_381_000));
        assert_eq!(common, "20/Nov/2026:22:29:41.000");
        assert_eq!(iso, "2026-11-20T22:29:41.000-03:30");
    }

    #[test]
    fn a_clock_before_its_epoch_does_no_harm() {
        let mut dates = Dates::in_zone(TimeZone::UTC);
        let [common, ..] = all(&mut dates, UNIX_EPOCH - Duration::from_secs(5));
        assert_eq!(common, "01/Jan/1970:00:00:00.000");
    }
}
