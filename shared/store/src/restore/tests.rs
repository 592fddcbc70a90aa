use super::*;

#[test]
fn a_note_is_read_as_it_was_written() {
    let note = Note::Moving { to: "replaced.3".to_owned() };
    let bytes = serde_json::to_vec(&note).unwrap();
    assert_eq!(serde_json::from_slice::<Note>(&bytes).unwrap(), note);
    assert_eq!(bytes, br#"{"step":"moving","to":"replaced.3"}"#);
}
