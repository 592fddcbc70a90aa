//! Association: memberships and relations.

use xds::{Association, AssociationType, ObjectRef};

use super::part::{Parts, urn};
use crate::names::{association as name, object_type};
use crate::rim::Standing;
use crate::writer::Writer;

/// How a kind of association is written.
fn kind(kind: AssociationType) -> &'static str {
    match kind {
        AssociationType::HasMember => name::HAS_MEMBER,
        AssociationType::Replace => name::REPLACE,
        AssociationType::Transform => name::TRANSFORM,
        AssociationType::TransformReplace => name::TRANSFORM_REPLACE,
        AssociationType::Append => name::APPEND,
        AssociationType::Signs => name::SIGNS,
        AssociationType::IsSnapshotOf => name::IS_SNAPSHOT_OF,
    }
}

/// Writes a registered association: under its entryUUID, or its symbol where it has none.
pub fn write_association(out: &mut Writer, association: &Association, standing: &Standing) {
    let end = |reference: &ObjectRef| match reference {
        ObjectRef::Registered(uuid) => urn(uuid),
        ObjectRef::Symbol(symbol) => symbol.clone(),
        ObjectRef::Unique(identifier) => xds::identifier::unique_id_text(identifier),
    };
    let id = association.entry_uuid.as_ref().map(urn);
    let id = id.as_deref().unwrap_or(&association.symbol);
    write_as(out, association, standing, id, [&end(&association.source), &end(&association.target)]);
}

/// Writes an association under this id, from the first of these to the second.
pub(super) fn write_as(
    out: &mut Writer,
    association: &Association,
    standing: &Standing,
    id: &str,
    [source, target]: [&str; 2],
) {
    out.start("rim:Association");
    let mut parts = Parts::new(out, id, None);
    parts.head(standing, None);
    parts.out.attribute("objectType", object_type::ASSOCIATION);
    parts.out.attribute("associationType", kind(association.kind));
    parts.out.attribute("sourceObject", source).attribute("targetObject", target);
    if let Some(original) = standing.original {
        parts.slot("SubmissionSetStatus", &[if original { "Original" } else { "Reference" }]);
    }
    parts.extra(&association.extra);
    parts.names(None, None, standing.version);
    parts.codes(name::DOCUMENTATION, association.documentation.as_slice());
    out.end();
}
