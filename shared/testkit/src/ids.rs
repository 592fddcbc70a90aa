//! Ids that nobody has used before.

use uuid::Uuid;

/// A fresh OID of the form `2.25.<decimal of a UUID>`.
pub fn oid() -> String {
    format!("2.25.{}", Uuid::new_v4().as_u128())
}

/// A fresh `urn:oid:2.25.…`.
pub fn urn_oid() -> String {
    format!("urn:oid:{}", oid())
}

/// A fresh `urn:uuid:…`.
pub fn urn_uuid() -> String {
    format!("urn:uuid:{}", Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ids_are_equal() {
        assert_ne!(oid(), oid());
        assert!(urn_oid().starts_with("urn:oid:2.25."));
        assert!(urn_uuid().starts_with("urn:uuid:"));
    }
}
