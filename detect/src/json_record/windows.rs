//! An event of a Windows event log as tools turn it into JSON (`{"Event": {"System": …, "EventData": …}}`), under the
//! field names that Sigma's taxonomy gives it: `EventID`, `Channel`, `Provider_Name`, and the data under their own names.

use serde_json::{Map, Value};

/// Where a tool puts an element's attributes.
const ATTRIBUTES: &str = "#attributes";

/// The event's fields; `None` where the object is no such event.
pub(super) fn fields(object: &Map<String, Value>) -> Option<Vec<(String, &Value)>> {
    let event = object.get("Event")?.as_object()?;
    let system = event.get("System")?.as_object()?;
    let mut fields = Vec::new();
    // What stands beside the event (a collector's notes) keeps its name.
    fields.extend(object.iter().filter(|(name, _)| *name != "Event").map(|(name, value)| (name.clone(), value)));
    system.iter().for_each(|(name, value)| element(name, value, &mut fields));
    let time = fields.iter().find(|(name, _)| name == "TimeCreated_SystemTime").map(|(_, value)| *value);
    fields.extend(time.map(|time| ("@timestamp".to_owned(), time)));
    for (part, value) in event.iter().filter(|(part, _)| *part != "System") {
        match (part.as_str(), value.as_object()) {
            ("EventData", Some(data)) => data.iter().for_each(|(name, value)| element(name, value, &mut fields)),
            // User data has one element of the provider's own around its fields.
            ("UserData", Some(data)) => {
                let inner = data.values().filter_map(Value::as_object).flatten();
                inner.for_each(|(name, value)| element(name, value, &mut fields));
            }
            _ => element(part, value, &mut fields),
        }
    }
    Some(fields)
}

/// An XML element: its text under its name, its attributes under name and attribute joined by `_`.
fn element<'a>(name: &str, value: &'a Value, fields: &mut Vec<(String, &'a Value)>) {
    if name == ATTRIBUTES {
        // Those of a whole part name its schema.
        return;
    }
    let Some(parts) = value.as_object() else { return fields.push((name.to_owned(), value)) };
    for (part, value) in parts {
        match (part.as_str(), value.as_object()) {
            ("#text", _) => fields.push((name.to_owned(), value)),
            (ATTRIBUTES, Some(attributes)) => {
                fields.extend(attributes.iter().map(|(attribute, value)| (format!("{name}_{attribute}"), value)));
            }
            _ => fields.push((format!("{name}_{part}"), value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_and_attributes_get_sigmas_names() {
        let object = json!({
            "Event": {
                "#attributes": { "xmlns": "x" },
                "System": {
                    "Provider": { "#attributes": { "Name": "Sysmon" } },
                    "EventID": { "#text": 17, "#attributes": { "Qualifiers": 0 } },
                    "TimeCreated": { "#attributes": { "SystemTime": "2026-04-17T05:24:53.088849Z" } },
                    "Channel": "Microsoft-Windows-Sysmon/Operational",
                },
                "EventData": { "Image": "a.exe" },
                "UserData": { "LogFileCleared": { "#attributes": { "xmlns": "y" }, "SubjectUserName": "u" } },
            },
            "agent": "collector",
        });
        let mut found: Vec<String> =
            fields(object.as_object().unwrap()).unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        found.sort();
        let expected = [
            "@timestamp=\"2026-04-17T05:24:53.088849Z\"",
            "Channel=\"Microsoft-Windows-Sysmon/Operational\"",
            "EventID=17",
            "EventID_Qualifiers=0",
            "Image=\"a.exe\"",
            "Provider_Name=\"Sysmon\"",
            "SubjectUserName=\"u\"",
            "TimeCreated_SystemTime=\"2026-04-17T05:24:53.088849Z\"",
            "agent=\"collector\"",
        ];
        assert_eq!(found, expected);
        assert_eq!(fields(json!({ "Event": { "EventData": {} } }).as_object().unwrap()), None);
        assert_eq!(fields(json!({ "Event": "x" }).as_object().unwrap()), None);
    }
}
