//! What feeds of HL7 v2 and v3 tell of a person, made fit to be kept: texts for people, and days.

use crate::calendar::days_of_month;

/// A text for people, in one line: without control characters, and without those that turn the direction of what follows.
/// Where a line ends, words are parted: what stood in two lines is not one word.
pub fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let lines = text.split(['\n', '\r', '\t']).map(|line| {
        line.chars().filter(|c| !c.is_control() && !turns(*c)).collect::<String>().trim().to_owned()
    });
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A time of HL7 (`YYYY[MM[DD…]]`) as a FHIR date, as exact as it was told; none if there is no such day.
pub fn birth_date(text: &str) -> Option<String> {
    let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
    let part = |from: usize, to: usize| digits.get(from..to);
    let year = part(0, 4).filter(|year| *year != "0000")?;
    let (month, day) = (part(4, 6), part(6, 8));
    let number = |text: Option<&str>| text.map_or(Some(1), |text| text.parse::<i64>().ok());
    let (y, m, d) = (year.parse().ok()?, number(month)?, number(day)?);
    if !(1..=12).contains(&m) || !(1..=days_of_month(y, m)).contains(&d) {
        return None;
    }
    Some([Some(year), month, day].into_iter().flatten().collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birth_date_is_as_exact_as_it_was_told() {
        for (told, date) in [
            ("19750228", Some("1975-02-28")),
            ("197502281530+0100", Some("1975-02-28")),
            ("197502", Some("1975-02")),
            ("1975", Some("1975")),
            ("19750229", None),
            ("19751301", None),
            ("75", None),
            ("", None),
        ] {
            assert_eq!(birth_date(told).as_deref(), date, "{told}");
        }
    }

    #[test]
    fn a_name_holds_nothing_a_terminal_obeys() {
        assert_eq!(clean(" \u{1b}[2J<b>\u{202E}Ida\u{7} "), "[2J<b>Ida");
        assert_eq!(clean("Lime Street 1\r\n  Flat 2\n"), "Lime Street 1 Flat 2");
        assert_eq!(clean("two  blanks"), "two  blanks");
    }
}
