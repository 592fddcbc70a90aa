//! What HL7 v2 and v3 tell of a person, as FHIR says it.

use jiff::civil::Date;

/// A text for people: without control characters, and without those that turn the direction of what follows.
pub(super) fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !c.is_control() && !turns(*c)).collect::<String>().trim().to_owned()
}

/// A time of HL7 (`YYYY[MM[DD…]]`) as a FHIR date; none if there is no such day.
pub(super) fn birth_date(text: &str) -> Option<String> {
    let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
    let part = |from: usize, to: usize| digits.get(from..to);
    let year = part(0, 4).filter(|year| *year != "0000")?;
    let (month, day) = (part(4, 6), part(6, 8));
    let number = |text: Option<&str>| text.map_or(Some(1), |text| text.parse::<i8>().ok());
    Date::new(year.parse().ok()?, number(month)?, number(day)?).ok()?;
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
            ("75", None),
            ("", None),
        ] {
            assert_eq!(birth_date(told).as_deref(), date, "{told}");
        }
    }

    #[test]
    fn a_name_holds_nothing_a_terminal_obeys() {
        assert_eq!(clean(" \u{1b}[2J<b>\u{202E}Ida\u{7} "), "[2J<b>Ida");
    }
}
