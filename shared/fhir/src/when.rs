//! Points in time as FHIR writes them, and the stretch each stands for: `2024-02` is the whole month.

use jiff::tz::TimeZone;
use xds::Timestamp;
use xds::calendar::{DAY, SECOND, civil, days, days_of_month};

/// How precisely a time was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2024`.
    Year,
    /// `2024-02`.
    Month,
    /// `2024-02-07`.
    Day,
    /// `2024-02-07T13:28Z`, which only searches allow.
    Minute,
    /// `2024-02-07T13:28:17Z`, or with a fraction.
    Second,
}

/// A time as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// Microseconds since 1970, inclusive.
    pub from: i64,
    /// Exclusive end.
    pub to: i64,
    /// How precisely it was written.
    pub precision: Precision,
    /// Whether it names its zone.
    pub zoned: bool,
}

/// Reads a date of any precision; without zone it is taken as UTC. Refuses days and hours that do not exist.
pub fn read(text: &str) -> Option<When> {
    let bytes = text.as_bytes();
    let year = number(bytes, 0, 4)?;
    if year == 0 {
        return None;
    }
    if bytes.len() == 4 {
        return Some(stretch(days(year, 1, 1) * DAY, days(year + 1, 1, 1) * DAY, Precision::Year));
    }
    expect(bytes, 4, b'-')?;
    let month = number(bytes, 5, 2).filter(|m| (1..=12).contains(m))?;
    if bytes.len() == 7 {
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        let end = days(next_year, next_month, 1) * DAY;
        return Some(stretch(days(year, month, 1) * DAY, end, Precision::Month));
    }
    expect(bytes, 7, b'-')?;
    let day = number(bytes, 8, 2).filter(|d| (1..=days_of_month(year, month)).contains(d))?;
    let midnight = days(year, month, day) * DAY;
    if bytes.len() == 10 {
        return Some(stretch(midnight, midnight + DAY, Precision::Day));
    }
    expect(bytes, 10, b'T')?;
    time_of_day(bytes, midnight)
}

impl When {
    /// The same with a time that names no zone read in this one: `2024-02-07` is the day as the clocks there go.
    pub fn in_zone(self, zone: &TimeZone) -> When {
        if self.zoned || *zone == TimeZone::UTC {
            return self;
        }
        let there = |micros: i64| {
            let clock = jiff::Timestamp::from_microsecond(micros).ok()?.to_zoned(TimeZone::UTC).datetime();
            Some(clock.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond())
        };
        match (there(self.from), there(self.to)) {
            (Some(from), Some(to)) if from < to => When { from, to, ..self },
            // Skipped by the clocks there (or outside of all zones' time): as long as it is written.
            (Some(from), _) => When { from, to: from + (self.to - self.from), ..self },
            (None, _) => self,
        }
    }
}

/// Reads a time that was read before in the zone that counts for it.
pub(crate) fn zoned(time: &mut Timestamp, zone: &TimeZone) {
    if let Some(when) = read(&time.text).map(|when| when.in_zone(zone)) {
        (time.from, time.to) = (when.from, when.to);
    }
}

/// Reads a time and keeps its text.
pub fn timestamp(text: &str) -> Option<Timestamp> {
    read(text).map(|when| Timestamp { text: text.to_owned(), from: when.from, to: when.to })
}

/// Writes microseconds since 1970 as a FHIR instant with milliseconds.
pub fn instant(micros: i64) -> String {
    let (day, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (year, month, date) = civil(day);
    let (seconds, millis) = (rest / SECOND, rest % SECOND / 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

fn stretch(from: i64, to: i64, precision: Precision) -> When {
    When { from, to, precision, zoned: false }
}

fn time_of_day(bytes: &[u8], midnight: i64) -> Option<When> {
    let hour = number(bytes, 11, 2).filter(|h| *h < 24)?;
    expect(bytes, 13, b':')?;
    let minute = number(bytes, 14, 2).filter(|m| *m < 60)?;
    let mut at = 16;
    let (mut micros, mut width, mut precision) = (0, 60 * SECOND, Precision::Minute);
    if bytes.get(at) == Some(&b':') {
        // A leap second is legal in FHIR; it counts into the next minute.
        let second = number(bytes, 17, 2).filter(|s| *s <= 60)?;
        (micros, width, precision) = (second * SECOND, SECOND, Precision::Second);
        at = 19;
        if bytes.get(at) == Some(&b'.') {
            let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            for digit in &bytes[at + 1..at + 1 + digits] {
                width /= 10;
                micros += i64::from(digit - b'0') * width;
            }
            width = width.max(1);
            at += 1 + digits;
        }
    }
    let (offset, zoned) = zone(&bytes[at.min(bytes.len())..])?;
    let from = midnight + (hour * 3600 + minute * 60) * SECOND + micros - offset * SECOND;
    Some(When { from, to: from + width, precision, zoned })
}

/// Offset in seconds, and whether one is given.
fn zone(bytes: &[u8]) -> Option<(i64, bool)> {
    match bytes {
        [] => Some((0, false)),
        b"Z" => Some((0, true)),
        [sign @ (b'+' | b'-'), ..] if bytes.len() == 6 => {
            let hours = number(bytes, 1, 2).filter(|h| *h <= 14)?;
            expect(bytes, 3, b':')?;
            let minutes = number(bytes, 4, 2).filter(|m| *m < 60)?;
            let offset = hours * 3600 + minutes * 60;
            Some((if *sign == b'-' { -offset } else { offset }, true))
        }
        _ => None,
    }
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<i64> {
    let digits = bytes.get(at..at + length)?;
    digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<()> {
    (bytes.get(at) == Some(&byte)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_stands_for_its_whole_day() {
        let day = read("2015-02-07").unwrap();
        assert_eq!((day.to - day.from, day.precision), (DAY, Precision::Day));
        assert_eq!(instant(day.from), "2015-02-07T00:00:00.000Z");
    }

    #[test]
    fn an_instant_keeps_its_milliseconds_and_zone() {
        let when = read("2015-02-07T13:28:17.239+02:00").unwrap();
        assert_eq!(instant(when.from), "2015-02-07T11:28:17.239Z");
        assert_eq!(when.to - when.from, 1000);
        assert!(when.zoned);
    }

    #[test]
    fn nanoseconds_are_cut_to_microseconds() {
        let when = read("2026-04-21T10:41:50.973968993Z").unwrap();
        assert_eq!((when.from % SECOND, when.to - when.from), (973_968, 1));
    }

    #[test]
    fn years_and_months_are_stretches() {
        assert_eq!(instant(read("2024-12").unwrap().to), "2025-01-01T00:00:00.000Z");
        assert_eq!(instant(read("1969").unwrap().from), "1969-01-01T00:00:00.000Z");
    }

    #[test]
    fn impossible_dates_are_refused() {
        for text in [
            "2024-02-30",
            "2024-13-45T99:99:99Z",
            "2023-02-29",
            "2024-00",
            "0000",
            "20240101",
            "2024-1-1",
            "2024-01-01T",
            "2024-01-01T10",
            "2024-01-01T10:00:00+25:00",
            "2024-01-01T10:00:00.Z",
            "",
            "2024-01-01T10:00:00ZZ",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_zone_is_read_in_the_zone_of_the_server() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let day = read("2024-03-31").unwrap().in_zone(&berlin);
        assert_eq!(
            (instant(day.from), day.to - day.from),
            ("2024-03-30T23:00:00.000Z".to_owned(), 23 * DAY / 24)
        );
        let minute = read("2024-07-01T10:30").unwrap().in_zone(&berlin);
        assert_eq!(instant(minute.from), "2024-07-01T08:30:00.000Z");
        for zoned in ["2024-07-01T10:30:00Z", "2024-07-01T10:30:00+05:00"] {
            assert_eq!(read(zoned).unwrap().in_zone(&berlin), read(zoned).unwrap());
        }
        let skipped = read("2024-03-31T02:30:00").unwrap().in_zone(&berlin);
        assert_eq!(skipped.to - skipped.from, SECOND);
        for edge in ["0001", "9999-12-31", "9999"] {
            assert!(read(edge).unwrap().in_zone(&berlin).from < read(edge).unwrap().in_zone(&berlin).to);
        }
    }

    #[test]
    fn leap_days_exist() {
        assert!(read("2024-02-29").is_some());
        assert!(read("2000-02-29").is_some());
        assert!(read("1900-02-29").is_none());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(millis in -62_000_000_000_000i64..250_000_000_000_000) {
            let micros = millis * 1000;
            proptest::prop_assert_eq!(read(&instant(micros)).map(|w| w.from), Some(micros));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,32}") {
            let _ = read(&text);
        }
    }
}
