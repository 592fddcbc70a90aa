//! One object of an answer, taken apart no further than its answer needs.

use store::{Kind, Row};

use crate::records::association::{Association, Object};
use crate::records::{DOCUMENT, DOCUMENT_PAST, LIST, LIST_PAST};

/// One object.
#[derive(Debug)]
pub(super) enum Item {
    /// As the store gave it.
    Row(Kind, Row),
    /// Taken apart.
    Object(Object),
    /// An association.
    Association(Association),
}

impl Item {
    /// Whose it is, by the id of this domain.
    pub(super) fn partition(&self) -> &str {
        match self {
            Item::Row(_, row) => &row.partition,
            Item::Object(object) => &object.row().partition,
            Item::Association(association) => &association.patient,
        }
    }

    pub(super) fn is_association(&self) -> bool {
        matches!(self, Item::Association(_))
    }
}

/// The kind of record an object lies in.
pub(super) fn kind_of(object: &Object) -> Kind {
    match object {
        Object::Document(..) if object.is_past() => DOCUMENT_PAST,
        Object::Document(..) => DOCUMENT,
        Object::Folder(..) if object.is_past() => LIST_PAST,
        Object::Folder(..) | Object::Set(..) => LIST,
    }
}
