//! The table of shapes, as text for people, and as read for the check.

use std::sync::LazyLock;

use super::primitive::Primitive;

/// One shape a line: its sort, its name, its elements as `name:type`.
///
/// Sorts: `E` element, `B` backbone element, `R` resource, `D` domain resource; each brings what all of its sort have.
/// Marks: `!` required, `*` repeated, `+` both. `code(a|b)` lists the codes of a required binding. `name[x]:A|B` is a
/// choice, of any type where it says `ANY`. `entry` and `contained` are resources, `open` is looked through only.
///
/// What the profiles of MHD demand (status and content of a DocumentReference) is not marked: the codec says it under
/// the name of the XDS attribute.
const TABLE: &str = "
E Element
E Extension url!:uri value[x]:ANY
E Narrative status!:code(generated|extensions|additional|empty) div!:xhtml
E Meta versionId:id lastUpdated:instant source:uri profile*:canonical security*:Coding tag*:Coding
E Identifier use:code(usual|official|temp|secondary|old) type:CodeableConcept system:uri value:string period:Period assigner:Reference
E Coding system:uri version:string code:code display:string userSelected:boolean
E CodeableConcept coding*:Coding text:string
E Reference reference:string type:uri identifier:Identifier display:string
E Period start:dateTime end:dateTime
E HumanName use:code(usual|official|temp|nickname|anonymous|old|maiden) text:string family:string given*:string prefix*:string suffix*:string period:Period
E ContactPoint system:code(phone|fax|email|pager|url|sms|other) value:string use:code(home|work|temp|old|mobile) rank:positiveInt period:Period
E Address use:code(home|work|temp|old|billing) type:code(postal|physical|both) text:string line*:string city:string district:string state:string postalCode:string country:string period:Period
E Attachment contentType:code language:code data:base64Binary url:url size:unsignedInt hash:base64Binary title:string creation:dateTime
E Annotation author[x]:Reference|string time:dateTime text!:markdown
E Quantity value:decimal comparator:code(<|<=|>=|>) unit:string system:uri code:code
E Money value:decimal currency:code
E Range low:Quantity high:Quantity
E Ratio numerator:Quantity denominator:Quantity
R Bundle identifier:Identifier type!:code(document|message|transaction|transaction-response|batch|batch-response|history|searchset|collection) timestamp:instant total:unsignedInt link*:Bundle.link entry*:Bundle.entry signature:open
B Bundle.link relation!:string url!:uri
B Bundle.entry link*:Bundle.link fullUrl:uri resource:entry search:Bundle.entry.search request:Bundle.entry.request response:Bundle.entry.response
B Bundle.entry.search mode:code(match|include|outcome) score:decimal
B Bundle.entry.request method!:code(GET|HEAD|POST|PUT|DELETE|PATCH) url!:uri ifNoneMatch:string ifModifiedSince:instant ifMatch:string ifNoneExist:string
B Bundle.entry.response status!:string location:uri etag:string lastModified:instant outcome:entry
R Binary contentType!:code securityContext:Reference data:data
R Parameters parameter*:Parameters.parameter
B Parameters.parameter name!:string value[x]:ANY resource:entry part*:Parameters.parameter
D OperationOutcome issue+:OperationOutcome.issue
B OperationOutcome.issue severity!:code(fatal|error|warning|information) code!:code details:CodeableConcept diagnostics:string location*:string expression*:string
D DocumentReference masterIdentifier:Identifier identifier*:Identifier status:code(current|superseded|entered-in-error) docStatus:code(preliminary|final|amended|entered-in-error) type:CodeableConcept category*:CodeableConcept subject:Reference date:instant author*:Reference authenticator:Reference custodian:Reference relatesTo*:DocumentReference.relatesTo description:string securityLabel*:CodeableConcept content*:DocumentReference.content context:DocumentReference.context
B DocumentReference.relatesTo code!:code(replaces|transforms|signs|appends) target!:Reference
B DocumentReference.content attachment:Attachment format:Coding
B DocumentReference.context encounter*:Reference event*:CodeableConcept period:Period facilityType:CodeableConcept practiceSetting:CodeableConcept sourcePatientInfo:Reference related*:Reference
D List identifier*:Identifier status!:code(current|retired|entered-in-error) mode!:code(working|snapshot|changes) title:string code:CodeableConcept subject:Reference encounter:Reference date:dateTime source:Reference orderedBy:CodeableConcept note*:Annotation entry*:List.entry emptyReason:CodeableConcept
B List.entry flag:CodeableConcept deleted:boolean date:dateTime item!:Reference
D Patient identifier*:Identifier active:boolean name*:HumanName telecom*:ContactPoint gender:code(male|female|other|unknown) birthDate:date deceased[x]:boolean|dateTime address*:Address maritalStatus:CodeableConcept multipleBirth[x]:boolean|integer photo*:Attachment contact*:Patient.contact communication*:Patient.communication generalPractitioner*:Reference managingOrganization:Reference link*:Patient.link
B Patient.contact relationship*:CodeableConcept name:HumanName telecom*:ContactPoint address:Address gender:code(male|female|other|unknown) organization:Reference period:Period
B Patient.communication language!:CodeableConcept preferred:boolean
B Patient.link other!:Reference type!:code(replaced-by|replaces|refer|seealso)
D Practitioner identifier*:Identifier active:boolean name*:HumanName telecom*:ContactPoint address*:Address gender:code(male|female|other|unknown) birthDate:date photo*:Attachment qualification*:Practitioner.qualification communication*:CodeableConcept
B Practitioner.qualification identifier*:Identifier code!:CodeableConcept period:Period issuer:Reference
D PractitionerRole identifier*:Identifier active:boolean period:Period practitioner:Reference organization:Reference code*:CodeableConcept specialty*:CodeableConcept location*:Reference healthcareService*:Reference telecom*:ContactPoint availableTime*:PractitionerRole.availableTime notAvailable*:PractitionerRole.notAvailable availabilityExceptions:string endpoint*:Reference
B PractitionerRole.availableTime daysOfWeek*:code(mon|tue|wed|thu|fri|sat|sun) allDay:boolean availableStartTime:time availableEndTime:time
B PractitionerRole.notAvailable description!:string during:Period
D Organization identifier*:Identifier active:boolean type*:CodeableConcept name:string alias*:string telecom*:ContactPoint address*:Address partOf:Reference contact*:Organization.contact endpoint*:Reference
B Organization.contact purpose:CodeableConcept name:HumanName telecom*:ContactPoint address:Address
D Device identifier*:Identifier definition:Reference udiCarrier*:open status:code(active|inactive|entered-in-error|unknown) statusReason*:CodeableConcept distinctIdentifier:string manufacturer:string manufactureDate:dateTime expirationDate:dateTime lotNumber:string serialNumber:string deviceName*:Device.deviceName modelNumber:string partNumber:string type:CodeableConcept specialization*:open version*:open property*:open patient:Reference owner:Reference contact*:ContactPoint location:Reference url:uri note*:Annotation safety*:CodeableConcept parent:Reference
B Device.deviceName name!:string type!:code(udi-label-name|user-friendly-name|patient-reported-name|manufacturer-name|model-name|other)
D RelatedPerson identifier*:Identifier active:boolean patient!:Reference relationship*:CodeableConcept name*:HumanName telecom*:ContactPoint gender:code(male|female|other|unknown) birthDate:date address*:Address photo*:Attachment period:Period communication*:RelatedPerson.communication
B RelatedPerson.communication language!:CodeableConcept preferred:boolean
D Location identifier*:Identifier status:code(active|suspended|inactive) operationalStatus:Coding name:string alias*:string description:string mode:code(instance|kind) type*:CodeableConcept telecom*:ContactPoint address:Address physicalType:CodeableConcept position:Location.position managingOrganization:Reference partOf:Reference hoursOfOperation*:open availabilityExceptions:string endpoint*:Reference
B Location.position longitude!:decimal latitude!:decimal altitude:decimal
D Group identifier*:Identifier active:boolean type!:code(person|animal|practitioner|device|medication|substance) actual!:boolean code:CodeableConcept name:string quantity:unsignedInt managingEntity:Reference characteristic*:open member*:Group.member
B Group.member entity!:Reference period:Period inactive:boolean
D Encounter identifier*:Identifier status!:code(planned|arrived|triaged|in-progress|onleave|finished|cancelled|entered-in-error|unknown) statusHistory*:open class!:Coding classHistory*:open type*:CodeableConcept serviceType:CodeableConcept priority:CodeableConcept subject:Reference episodeOfCare*:Reference basedOn*:Reference participant*:open appointment*:Reference period:Period length:Quantity reasonCode*:CodeableConcept reasonReference*:Reference diagnosis*:open account*:Reference hospitalization:open location*:open serviceProvider:Reference partOf:Reference
";

/// The types an element of any type may have. Those without a line above are looked through only.
const ANY: &str = "base64Binary|boolean|canonical|code|date|dateTime|decimal|id|instant|integer|markdown|oid|positiveInt|string|time|unsignedInt|uri|url|uuid|Address|Age|Annotation|Attachment|CodeableConcept|Coding|ContactPoint|Count|Distance|Duration|HumanName|Identifier|Money|Period|Quantity|Range|Ratio|Reference|SampledData|Signature|Timing|ContactDetail|Contributor|DataRequirement|Expression|ParameterDefinition|RelatedArtifact|TriggerDefinition|UsageContext|Dosage|Meta";

/// The other resource types of R4: they may be contained, and are looked through only.
const OTHER_TYPES: &str = "Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic BiologicallyDerivedProduct BodyStructure CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest EffectEvidenceSynthesis Endpoint EnrollmentRequest EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit FamilyMemberHistory Flag Goal GraphDefinition GuidanceResponse HealthcareService ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder Observation ObservationDefinition OperationDefinition OrganizationAffiliation PaymentNotice PaymentReconciliation Person PlanDefinition Procedure Provenance Questionnaire QuestionnaireResponse RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities TestReport TestScript ValueSet VerificationResult VisionPrescription";

const ELEMENT: &str = "id:string extension*:Extension";
const BACKBONE: &str = "modifierExtension*:Extension";
const RESOURCE: &str = "id:id meta:Meta implicitRules:uri language:code";
const DOMAIN: &str = "text:Narrative contained*:contained extension*:Extension modifierExtension*:Extension";

/// What an element holds.
#[derive(Debug)]
pub(super) enum Kind {
    Primitive(Primitive),
    /// One of these codes.
    Code(Vec<String>),
    /// The shape at this index.
    Shape(usize),
    /// A resource of a Bundle.
    Entry,
    /// A contained resource.
    Contained,
    /// Looked through only.
    Open,
}

/// An element of a shape.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) many: bool,
    pub(super) required: bool,
    /// Number of the choice it is one form of.
    pub(super) choice: Option<u16>,
}

impl Field {
    pub(super) fn is_primitive(&self) -> bool {
        matches!(self.kind, Kind::Primitive(_) | Kind::Code(_))
    }
}

/// A resource or a data type.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) is_resource: bool,
    fields: Vec<Field>,
}

impl Shape {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.required)
    }
}

/// The table as it is read once.
#[derive(Debug)]
pub(super) struct Table {
    shapes: Vec<Shape>,
}

impl Table {
    pub(super) fn resource(&self, name: &str) -> Option<&Shape> {
        self.shapes.iter().find(|shape| shape.is_resource && shape.name == name)
    }

    pub(super) fn shape(&self, index: usize) -> &Shape {
        &self.shapes[index]
    }

    /// What extensions of a primitive hang on.
    pub(super) fn element(&self) -> &Shape {
        &self.shapes[0]
    }
}

/// The table of R4.
pub(super) fn r4() -> &'static Table {
    static READ: LazyLock<Table> = LazyLock::new(read);
    &READ
}

/// Whether R4 has a resource type of this name, with a table or without.
pub(super) fn is_r4_type(name: &str) -> bool {
    r4().resource(name).is_some() || OTHER_TYPES.split(' ').any(|known| known == name)
}

fn read() -> Table {
    let lines: Vec<(&str, &str, &str)> = TABLE.lines().filter_map(split_line).collect();
    let names: Vec<&str> = lines.iter().map(|(_, name, _)| *name).collect();
    let shapes = lines.iter().map(|(sort, name, own)| read_shape(sort, name, own, &names)).collect();
    Table { shapes }
}

fn split_line(line: &str) -> Option<(&str, &str, &str)> {
    let (sort, rest) = line.split_once(' ')?;
    let (name, own) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((sort, name, own))
}

fn read_shape(sort: &str, name: &str, own: &str, names: &[&str]) -> Shape {
    let common: &[&str] = match sort {
        "E" => &[ELEMENT],
        "B" => &[ELEMENT, BACKBONE],
        "D" => &[RESOURCE, DOMAIN],
        _ => &[RESOURCE],
    };
    let mut fields = Vec::new();
    // The elements of its own are looked for most.
    for line in std::iter::once(&own).chain(common) {
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            read_field(word, names, &mut fields);
        }
    }
    Shape { name: name.to_owned(), is_resource: matches!(sort, "R" | "D"), fields }
}

fn read_field(word: &str, names: &[&str], fields: &mut Vec<Field>) {
    let Some((name, kind)) = word.split_once(':') else { return };
    if let Some(stem) = name.strip_suffix("[x]") {
        let choice = u16::try_from(fields.len()).ok();
        let types = if kind == "ANY" { ANY } else { kind };
        for kind in types.split('|') {
            let (head, tail) = kind.split_at(1);
            let name = format!("{stem}{}{tail}", head.to_ascii_uppercase());
            fields.push(Field { name, kind: read_kind(kind, names), many: false, required: false, choice });
        }
        return;
    }
    let bare = name.trim_end_matches(['!', '*', '+']);
    let many = name.ends_with(['*', '+']);
    let required = name.ends_with(['!', '+']);
    fields.push(Field { name: bare.to_owned(), kind: read_kind(kind, names), many, required, choice: None });
}

fn read_kind(kind: &str, names: &[&str]) -> Kind {
    if let Some(codes) = kind.strip_prefix("code(") {
        return Kind::Code(codes.trim_end_matches(')').split('|').map(str::to_owned).collect());
    }
    if let Some(primitive) = Primitive::named(kind) {
        return Kind::Primitive(primitive);
    }
    let shape = match kind {
        "entry" => return Kind::Entry,
        "contained" => return Kind::Contained,
        "Age" | "Count" | "Distance" | "Duration" => "Quantity",
        other => other,
    };
    names.iter().position(|name| *name == shape).map_or(Kind::Open, Kind::Shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_the_table_names_has_a_line() {
        let open = ["open"];
        for (_, name, own) in TABLE.lines().filter_map(split_line) {
            for word in own.split(' ').filter(|word| !word.is_empty() && !word.contains("[x]")) {
                let (_, kind) = word.split_once(':').unwrap();
                let known = open.contains(&kind)
                    || kind.starts_with("code(")
                    || matches!(kind, "entry" | "contained")
                    || Primitive::named(kind).is_some()
                    || TABLE.lines().filter_map(split_line).any(|(_, shape, _)| shape == kind);
                assert!(known, "{name}: {word}");
            }
        }
    }

    #[test]
    fn choices_have_a_name_for_each_type() {
        let patient = r4().resource("Patient").unwrap();
        assert!(patient.field("deceasedBoolean").is_some() && patient.field("deceasedDateTime").is_some());
        assert!(patient.field("deceased").is_none());
    }

    #[test]
    fn no_element_has_two_lines() {
        for shape in &r4().shapes {
            let mut names: Vec<&str> = shape.fields.iter().map(|field| field.name.as_str()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{}", shape.name);
        }
    }
}
