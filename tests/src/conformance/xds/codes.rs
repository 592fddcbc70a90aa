//! The codes of the cases' own documents, beside those of the toolkit.

/// A `codes.xml`.
pub(in crate::conformance) const CODES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Codes>
  <CodeType name="contentTypeCode" classScheme="urn:uuid:aa543740-bdda-424e-8c96-df4873be8500">
    <Code code="11369-6" display="History of immunization" codingScheme="2.16.840.1.113883.6.1" system="http://loinc.org"/>
  </CodeType>
  <CodeType name="classCode" classScheme="urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a">
    <Code code="11369-6" display="History of immunization" codingScheme="2.16.840.1.113883.6.1" system="http://loinc.org"/>
  </CodeType>
  <CodeType name="typeCode" classScheme="urn:uuid:f0306f51-975f-434e-a61c-c59651d33983">
    <Code code="60591-5" display="Patient summary" codingScheme="2.16.840.1.113883.6.1" system="http://loinc.org"/>
  </CodeType>
  <CodeType name="confidentialityCode" classScheme="urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f">
    <Code code="N" display="normal" codingScheme="2.16.840.1.113883.5.25" system="http://terminology.hl7.org/CodeSystem/v3-Confidentiality"/>
    <Code code="R" display="restricted" codingScheme="2.16.840.1.113883.5.25" system="http://terminology.hl7.org/CodeSystem/v3-Confidentiality"/>
  </CodeType>
  <CodeType name="formatCode" classScheme="urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d">
    <Code code="urn:ihe:iti:xds-sd:text:2008" display="text" codingScheme="1.3.6.1.4.1.19376.1.2.3" system="http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"/>
  </CodeType>
  <CodeType name="eventCodeList" classScheme="urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4">
    <Code code="35971002" display="Ambulatory care" codingScheme="2.16.840.1.113883.6.96" system="http://snomed.info/sct"/>
  </CodeType>
  <CodeType name="healthcareFacilityTypeCode" classScheme="urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1">
    <Code code="82242000" display="Hospital" codingScheme="2.16.840.1.113883.6.96" system="http://snomed.info/sct"/>
  </CodeType>
  <CodeType name="practiceSettingCode" classScheme="urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead">
    <Code code="408467006" display="Mental health" codingScheme="2.16.840.1.113883.6.96" system="http://snomed.info/sct"/>
  </CodeType>
  <CodeType name="mimeType"><Code code="text/plain" ext="txt"/></CodeType>
</Codes>
"#;
