//! Times (DTM, TF-3 4.2.3.1.7): `YYYY[MM[DD[hh[mm[ss]]]]]`, in UTC.

use crate::calendar::{DAY, SECOND, civil, days, days_of_month};
use crate::types::Timestamp;

/// Reads a time and the stretch it stands for. Some senders add a fraction or an offset: both are understood.
pub fn read(text: &str) -> Option<Timestamp> {
    let (digits, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    if digits.len() < 4 || digits.len() > 14 || digits.len() % 2 == 1 {
        return None;
    }
    let (fraction, rest) = fraction(rest)?;
    if fraction.is_some() && digits.len() < 14 {
        return None;
    }
    let offset = offset(rest)?;
    let field = |at: usize| digits.get(at..at + 2).map(|pair| pair.parse::<i64>().unwrap_or_default());
    let year: i64 = digits[..4].parse().ok()?;
    if year == 0 {
        return None;
    }
    let month = within(field(4), 1, 12)?;
    let day = within(field(6), 1, days_of_month(year, month.unwrap_or(1)))?;
    let hour = within(field(8), 0, 23)?;
    let minute = within(field(10), 0, 59)?;
    let second = within(field(12), 0, 59)?;
    let midnight = |year, month, day| days(year, month, day) * DAY;
    let (from, to) = match (month, day) {
        (None, _) => (midnight(year, 1, 1), midnight(year + 1, 1, 1)),
        (Some(month), None) => {
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            (midnight(year, month, 1), midnight(next_year, next_month, 1))
        }
        (Some(month), Some(day)) => {
            let seconds = hour.unwrap_or(0) * 3600 + minute.unwrap_or(0) * 60 + second.unwrap_or(0);
            let (micros, width) = match (hour, minute, second, fraction) {
                (None, ..) => (0, DAY),
                (_, None, ..) => (0, 3600 * SECOND),
                (_, _, None, _) => (0, 60 * SECOND),
                (_, _, _, None) => (0, SECOND),
                (_, _, _, Some((micros, width))) => (micros, width),
            };
            let from = midnight(year, month, day) + seconds * SECOND + micros;
            (from, from + width)
        }
    };
    Some(Timestamp { text: text.to_owned(), from: from - offset, to: to - offset })
}

/// Writes a time: as it is, if it is a DTM; a date of FHIR with its own digits, a time of FHIR in UTC and to the second.
pub fn write(time: &Timestamp) -> String {
    if is_dtm(&time.text) {
        return time.text.clone();
    }
    let bytes = time.text.as_bytes();
    let is_date = matches!(bytes.len(), 7 | 10)
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
    if is_date {
        return time.text.replace('-', "");
    }
    of_micros(time.from)
}

/// Writes microseconds since 1970, to the second.
pub fn of_micros(micros: i64) -> String {
    let (year, month, day) = civil(micros.div_euclid(DAY));
    let second = micros.rem_euclid(DAY) / SECOND;
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// Whether a text is a DTM by the letter.
pub fn is_dtm(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && read(text).is_some()
}

fn within(value: Option<i64>, least: i64, most: i64) -> Option<Option<i64>> {
    match value {
        Some(value) => (least..=most).contains(&value).then_some(Some(value)),
        None => Some(None),
    }
}

/// A fraction of a second in microseconds and its width, and what follows it.
fn fraction(rest: &str) -> Option<(Option<(i64, i64)>, &str)> {
    let Some(after) = rest.strip_prefix('.') else { return Some((None, rest)) };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let (mut micros, mut width) = (0, SECOND);
    for digit in after.bytes().take(digits.min(6)) {
        width /= 10;
        micros += i64::from(digit - b'0') * width;
    }
    Some((Some((micros, width)), &after[digits..]))
}

/// An offset in microseconds.
fn offset(rest: &str) -> Option<i64> {
    let (sign, digits) = match rest.as_bytes() {
        [] => return Some(0),
        [b'+', ..] => (1, &rest[1..]),
        [b'-', ..] => (-1, &rest[1..]),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60) * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stands_for_the_stretch_it_is_written_for() {
        let width = |text: &str| read(text).map(|time| (time.to - time.from) / SECOND);
        assert_eq!(width("2004"), Some(366 * 86_400));
        assert_eq!(width("200412"), Some(31 * 86_400));
        assert_eq!(width("20041225"), Some(86_400));
        assert_eq!(width("2004122523"), Some(3600));
        assert_eq!(width("200412252350"), Some(60));
        assert_eq!(width("20041225235011"), Some(1));
        assert_eq!(read("20041225235011+0200").unwrap().from, read("20041225215011").unwrap().from);
        assert_eq!(read("20041225235011.5").unwrap().to - read("20041225235011").unwrap().from, 600_000);
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for text in [
            "",
            "200",
            "20041",
            "20041325",
            "20040230",
            "2004122524",
            "20041225235060",
            "2004-12-25",
            "x",
            "0000",
            "20041225.5",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_fhir_wrote_is_written_in_utc() {
        let time = |text: &str, from| Timestamp { text: text.to_owned(), from, to: from + 1 };
        assert_eq!(write(&time("2004-12-25", 0)), "20041225");
        assert_eq!(write(&time("2004-12", 0)), "200412");
        assert_eq!(write(&time("2004", 0)), "2004");
        let from = read("20041225215011").unwrap().from;
        assert_eq!(write(&time("2004-12-25T23:50:11+02:00", from)), "20041225215011");
        assert_eq!(write(&time("20041225235011+0200", from)), "20041225215011");
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in -62_000_000_000i64..250_000_000_000) {
            let micros = seconds * SECOND;
            proptest::prop_assert_eq!(read(&of_micros(micros)).map(|time| time.from), Some(micros));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,24}") {
            let _ = read(&text);
        }
    }
}
