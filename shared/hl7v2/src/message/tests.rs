use proptest::prelude::*;

use super::*;
use crate::identifier::{Authority, Cx};

const LIMITS: Limits = Limits {
    segments: (5, "max_segments"),
    fields: (20, "max_fields"),
    field_bytes: (200, "max_field_bytes"),
    repetitions: (3, "max_repetitions"),
};

fn read(text: &str) -> Message {
    Message::read(text.as_bytes(), &LIMITS).expect("it is a message")
}

fn refused(text: &str) -> Refusal {
    Message::read(text.as_bytes(), &LIMITS).expect_err("it is no message").refusal
}

const FEED: &str = "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|id-1|P|2.3.1\rEVN|A01\rPID|1||7^^^NS&1.2.3&ISO~8^^^X||Wei\\T\\\\X41\\ss^Ida\r";

#[test]
fn fields_have_repetitions_components_and_subcomponents() {
    let message = read(FEED);
    let header = message.header();
    assert_eq!((header.message_type.as_str(), header.event.as_str()), ("ADT", "A01"));
    assert_eq!((header.control_id.as_str(), header.version.as_str()), ("id-1", "2.3.1"));
    let ids: Vec<Cx> = message.field("PID", 3).repetitions().map(Cx::read).collect();
    let authority = |namespace: &str, id: &str, kind: &str| Authority {
        namespace: namespace.to_owned(),
        universal_id: id.to_owned(),
        universal_id_type: kind.to_owned(),
    };
    let expected = [
        Cx { id: "7".to_owned(), authority: authority("NS", "1.2.3", "ISO") },
        Cx { id: "8".to_owned(), authority: authority("X", "", "") },
    ];
    assert_eq!(ids, expected);
    assert_eq!(message.field("PID", 5).component(1).text(), "Wei&Ass");
    assert!(message.field("PID", 30).is_empty() && message.field("ZZZ", 1).is_empty());
    assert_eq!(message.field("PID", 30).repetitions().count(), 0);
}

#[test]
fn a_batch_and_several_messages_in_one_frame_are_refused_in_so_many_words() {
    let refused = |text: String| {
        let unread = Message::read(text.as_bytes(), &Limits::AMPLE).expect_err("it is refused");
        (unread.refusal.text, unread.header.map(|header| header.control_id))
    };
    let one = |id: &str| format!("MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{id}|P|2.5\rPID|||{id}\r");
    let (text, to) = refused(one("1") + &one("2"));
    assert!(text.starts_with("there are 2 messages (MSH) in one frame"), "{text}");
    assert_eq!(to.as_deref(), Some("1"));
    let (text, _) = refused(format!("FHS|^~\\&|A\rBHS|^~\\&|A\r{}", one("1")));
    assert!(text.starts_with("this is a batch"), "{text}");
}

#[test]
fn any_line_end_and_a_byte_order_mark_are_read() {
    let expected = read(FEED);
    for end in ["\n", "\r\n", "\r\r", "\n\r"] {
        assert_eq!(read(&FEED.replace('\r', end)), expected, "{end:?}");
    }
    assert_eq!(read(&format!("\u{FEFF}{FEED}")), expected);
    assert_eq!(read(&format!("\n\n{}", FEED.trim_end())), expected);
}

#[test]
fn other_separators_are_those_of_the_message() {
    let message = read("MSH#*+!%#A##C####ADT*A40#1#P#2.5\nPID###5***N%1.2%ISO+6");
    assert_eq!(message.header().event, "A40");
    assert_eq!(Cx::read(message.field("PID", 3)).authority.universal_id, "1.2");
}

#[test]
fn a_header_broken_over_lines_is_put_together() {
    let message = read("MSH|^~\\&|A|B|C|\nD|20260101||ADT^A01|id\n-1|P|2.3.1\nPID|1||7");
    assert_eq!((message.header().control_id.as_str(), message.count("PID")), ("id-1", 1));
}

#[test]
fn an_identifier_is_never_put_together() {
    let refusal = refused("MSH|^~\\&|A|B|C|D|||ADT^A01|1|P|2.3.1\nPID|1||12\n34^^^X");
    assert_eq!((refusal.condition.code(), refusal.location), (100, Some(Location::segment("PID"))));
    let message = read("MSH|^~\\&|A|B|C|D|||ADT^A01|1|P|2.3.1\nPID|1||7\nNTE|1||a note\nof two lines");
    assert_eq!(message.field("NTE", 3).text(), "a note of two lines");
}

#[test]
fn what_is_no_message_is_refused() {
    assert_eq!(refused("EVN|A01").condition, Condition::SegmentSequence);
    assert_eq!(refused("").condition, Condition::SegmentSequence);
    assert_eq!(refused("MSH").location, Some(Location::field("MSH", 1)));
    assert_eq!(refused("MSH|||&|A").location, Some(Location::field("MSH", 2)));
    assert_eq!(refused("MSH|^~^&|A").location, Some(Location::field("MSH", 2)));
    assert_eq!(refused("MSH|^~\\&\u{e9}|A").location, Some(Location::field("MSH", 2)));
}

#[test]
fn limits_are_told_with_their_keys() {
    let refusal = refused("MSH|^~\\&|A\rPID|a~b~c~d");
    assert!(refusal.text.contains("PID-1 has 4 repetitions; at most 3 are read (max_repetitions)"));
    let refusal = refused(&format!("MSH|^~\\&|A\rPID{}", "|".repeat(21)));
    assert!(refusal.text.contains("the PID segment has 21 fields; at most 20 are read (max_fields)"));
    let refusal = refused(&format!("MSH|^~\\&|A\rPID|||7||{}", "A".repeat(201)));
    assert!(refusal.text.contains("PID-5 has 201 bytes; at most 200 are read (max_field_bytes)"));
    assert_eq!(refusal.location, Some(Location::field("PID", 5)));
    let refusal = refused("MSH|^~\\&|A\rZZ1\rZZ2\rZZ3\rZZ4\rZZ5");
    assert!(refusal.text.contains("6 segments; at most 5 are read (max_segments)"), "{}", refusal.text);
}

#[test]
fn whom_to_answer_is_known_of_a_message_that_is_refused() {
    let text = "MSH|^~\\&|A|B|C|D|||ADT^A01|id-9|P|2.5||||||ISO IR87\rPID|1||7";
    let unread = Message::read(text.as_bytes(), &LIMITS).expect_err("it is in Japanese");
    assert_eq!(unread.header.map(|header| header.control_id).as_deref(), Some("id-9"));
}

#[test]
fn null_is_not_nothing() {
    let message = read("MSH|^~\\&|A\rPID|||\"\"^^^&2.71&ISO");
    let id = message.field("PID", 3);
    assert!(id.component(1).is_null() && !id.is_empty());
    assert_eq!(Cx::read(id).id, "");
}

proptest! {
    #[test]
    fn what_is_escaped_reads_as_it_was(text in "[ -~äß€\n]{0,40}") {
        let separators = Separators::default();
        let escaped = separators.escape(&text);
        prop_assert!(!escaped.contains(['|', '^', '~', '&', '\r', '\n']));
        prop_assert_eq!(separators.unescape(&escaped), text);
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let with_head = [b"MSH|^~\\&|".as_slice(), &bytes].concat();
        for bytes in [&bytes, &with_head] {
            if let Ok(message) = Message::read(bytes, &LIMITS) {
                let text = message.field("PID", 3).text();
                prop_assert!(text.len() <= bytes.len() * 4);
            }
        }
    }
}
