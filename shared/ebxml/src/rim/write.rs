//! Writes objects as ebRIM: in the order of the schema, with every id and objectType (TF-3 4.2.3, ebRS 3.0 rim.xsd).

mod association;
mod document;
mod package;
mod part;
mod submission;

pub use association::write_association;
pub use document::write_document;
pub use package::{write_folder, write_submission_set};
pub use submission::{Ids, write_submission};

use crate::writer::Writer;

/// Writes the id of an object instead of the object: `rim:ObjectRef`.
pub fn write_object_reference(out: &mut Writer, id: &str, home: Option<&str>) {
    out.start("rim:ObjectRef").attribute("id", id).optional("home", home).end();
}
