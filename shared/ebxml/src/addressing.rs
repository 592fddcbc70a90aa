//! WS-Addressing: who is asked what, and where the answer goes.

use crate::element::Element;
use crate::names::namespace::{ADDRESSING, SOAP};
use crate::writer::Writer;

/// The address that means: answer on this connection.
pub const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
/// The address that means: do not answer.
pub const NONE: &str = "http://www.w3.org/2005/08/addressing/none";
/// `wsa:Action` of a fault of WS-Addressing itself.
pub const FAULT: &str = "http://www.w3.org/2005/08/addressing/fault";
/// `wsa:Action` of any other fault.
pub const SOAP_FAULT: &str = "http://www.w3.org/2005/08/addressing/soap/fault";

/// The version before the recommendation, which some old clients still write.
pub(crate) const EARLIER: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
const EARLIER_ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";

/// The headers of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addressing {
    /// `wsa:Action`; none: not said, or said to be nothing.
    pub action: Option<String>,
    /// `wsa:MessageID`.
    pub message_id: Option<String>,
    /// `wsa:To`.
    pub to: Option<String>,
    /// Address of `wsa:ReplyTo`; none: on this connection.
    pub reply_to: Option<String>,
    /// Address of `wsa:FaultTo`; none: as `reply_to`.
    pub fault_to: Option<String>,
    /// `wsa:RelatesTo`.
    pub relates_to: Option<String>,
}

impl Addressing {
    /// Reads it from the blocks of a header.
    pub(crate) fn read(blocks: &[Element]) -> Addressing {
        let block = |name: &str| blocks.iter().find(|block| is_addressing(block) && &*block.name == name);
        let text =
            |name: &str| block(name).map(Element::trimmed).filter(|text| !text.is_empty()).map(str::to_owned);
        let address = |name: &str| {
            let endpoint = block(name)?;
            let address = endpoint.children.iter().find(|child| &*child.name == "Address");
            let address = address.map_or_else(|| endpoint.trimmed(), Element::trimmed);
            let here = address.is_empty() || [ANONYMOUS, EARLIER_ANONYMOUS].contains(&address);
            (!here).then(|| address.to_owned())
        };
        Addressing {
            // Some stacks write the word where they have nothing to say.
            action: text("Action").filter(|action| action != "None"),
            message_id: text("MessageID"),
            to: text("To"),
            reply_to: address("ReplyTo"),
            fault_to: address("FaultTo"),
            relates_to: text("RelatesTo"),
        }
    }

    /// Headers of an answer to a message.
    pub fn of_answer(action: &str, message_id: &str, request: &Addressing) -> Addressing {
        Addressing {
            action: Some(action.to_owned()),
            message_id: Some(message_id.to_owned()),
            to: request.reply_to.clone(),
            relates_to: request.message_id.clone(),
            ..Addressing::default()
        }
    }

    /// Headers of a request that is answered on its connection.
    pub fn of_request(action: &str, message_id: &str, to: &str) -> Addressing {
        Addressing {
            action: Some(action.to_owned()),
            message_id: Some(message_id.to_owned()),
            to: Some(to.to_owned()),
            reply_to: Some(ANONYMOUS.to_owned()),
            ..Addressing::default()
        }
    }

    pub(crate) fn write(&self, xml: &mut Writer) {
        if let Some(action) = &self.action {
            xml.start("wsa:Action").attribute("soap:mustUnderstand", "1").text(action).end();
        }
        for (name, value) in
            [("wsa:MessageID", &self.message_id), ("wsa:RelatesTo", &self.relates_to), ("wsa:To", &self.to)]
        {
            if let Some(value) = value {
                xml.leaf(name, value);
            }
        }
        for (name, value) in [("wsa:ReplyTo", &self.reply_to), ("wsa:FaultTo", &self.fault_to)] {
            if let Some(value) = value {
                xml.start(name).leaf("wsa:Address", value).end();
            }
        }
    }
}

/// Some clients write these under the prefix of the envelope, and thus in its namespace.
const MISPLACED: [&str; 4] = ["To", "Action", "MessageID", "ReplyTo"];

pub(crate) fn is_addressing(block: &Element) -> bool {
    let misplaced = &*block.namespace == SOAP && MISPLACED.contains(&&*block.name);
    misplaced || [ADDRESSING, EARLIER].contains(&&*block.namespace)
}

/// Whether a block must be understood by whoever the message is for in the end.
pub(crate) fn must_be_understood(block: &Element) -> bool {
    let must = matches!(block.attribute_in(SOAP, "mustUnderstand").map(str::trim), Some("1" | "true"));
    let role = block.attribute_in(SOAP, "role").unwrap_or_default();
    let mine = role.is_empty()
        || [
            "http://www.w3.org/2003/05/soap-envelope/role/next",
            "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
        ]
        .contains(&role);
    must && mine
}
