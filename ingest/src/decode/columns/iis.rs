//! IIS: W3C extended log files with any selection of its columns, and the same columns as events of the channel
//! `Microsoft-IIS-Logging/Logs`. Times are UTC whatever the server's zone. IIS writes blanks within a value as `+`.

use super::{Product, utc_stamp};
use crate::decode::draft::{Draft, address};
use crate::decode::part::some;
use crate::fields::{self, FieldId};
use crate::syslog::{self, Stamp};

pub(super) const PRODUCT: Product = Product {
    name: "iis",
    marks: &["cs-method", "cs-uri-stem"],
    prefix: "iis.access",
    fields: FIELDS,
    own: OWN,
    usual: &[
        // IIS 8 and later, IIS 7, IIS 6, Exchange's back end.
        "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken",
        "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status sc-substatus sc-win32-status time-taken",
        "#Fields: date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken",
        "#Fields: date time s-sitename s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status sc-substatus sc-win32-status",
        "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken X-Forwarded-For",
    ],
    finish: |row, draft| {
        utc_stamp(row, draft);
        finish(|name| row.get(name), draft);
    },
};

pub(super) const FIELDS: &[(&str, FieldId)] = &[
    ("s-ip", fields::DESTINATION_IP),
    ("s-port", fields::DESTINATION_PORT),
    ("c-ip", fields::SOURCE_IP),
    ("c-port", fields::SOURCE_PORT),
    ("cs-method", fields::HTTP_METHOD),
    ("cs-host", fields::URL_DOMAIN),
    ("sc-status", fields::HTTP_STATUS),
    ("sc-bytes", fields::HTTP_RESPONSE_BYTES),
    ("cs-bytes", fields::HTTP_REQUEST_BYTES),
    ("cs(Referer)", fields::HTTP_REFERRER),
    // The same columns as events spell them.
    ("csReferer", fields::HTTP_REFERRER),
];

const OWN: &[&str] =
    &["date", "time", "cs-uri-stem", "cs-uri-query", "cs-username", "cs-version", "cs(User-Agent)", "time-taken", "X-Forwarded-For"];

/// What the columns say together.
fn finish<'r>(get: impl Fn(&str) -> &'r str, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, "iis");
    draft.name(fields::EVENT_DATASET, "iis.access");
    draft.name(fields::EVENT_TYPE, "access");
    let status = draft.named_int(fields::HTTP_STATUS);
    let outcome = match status {
        Some(100..400) => "success",
        Some(400..600) => "failure",
        _ => "",
    };
    draft.event("web", "http_request", outcome);
    target(get("cs-uri-stem"), get("cs-uri-query"), draft);
    let user = get("cs-username");
    let (domain, name) = user.split_once('\\').unwrap_or(("", user));
    draft.str(fields::USER_DOMAIN, domain);
    draft.str(fields::USER_NAME, name);
    let version = get("cs-version");
    draft.str(fields::HTTP_VERSION, version.strip_prefix("HTTP/").unwrap_or(version));
    let agent = [get("cs(User-Agent)"), get("csUser-Agent")].into_iter().find(|agent| !agent.is_empty()).unwrap_or_default();
    if agent.contains('+') {
        draft.str(fields::USER_AGENT, &agent.replace('+', " "));
    } else {
        draft.str(fields::USER_AGENT, agent);
    }
    if let Ok(millis) = get("time-taken").parse::<i64>() {
        draft.int(fields::EVENT_DURATION, millis.saturating_mul(1_000_000));
    }
    // A header of the client's that any client can write: kept beside the address that really connected.
    for hop in get("X-Forwarded-For").split([',', '+', ' ']).take(FORWARDED_MAX) {
        let bare = hop.rsplit_once(':').filter(|(host, _)| host.contains('.')).map_or(hop, |(host, _)| host);
        if let Some(address) = address(bare) {
            draft.put_ip(fields::NETWORK_FORWARDED_IP, address);
        }
    }
}

/// More proxies than that are invented.
const FORWARDED_MAX: usize = 8;

/// Path and query, which IIS writes apart.
pub(super) fn target(path: &str, query: &str, draft: &mut Draft<'_>) {
    if query.is_empty() {
        draft.str(fields::URL_ORIGINAL, path);
    } else if !path.is_empty() {
        draft.str(fields::URL_ORIGINAL, &format!("{path}?{query}"));
    }
    draft.str(fields::URL_PATH, path);
    draft.str(fields::URL_QUERY, query);
}

/// The columns as an event's data, as the channel `Microsoft-IIS-Logging/Logs` has them.
pub(in crate::decode) fn event(data: &[(&str, &str)], draft: &mut Draft<'_>) {
    for (name, value) in data {
        if let Some((_, field)) = FIELDS.iter().find(|(known, _)| known == name) {
            draft.optional(*field, value);
        } else if let Some(key) = vendor_key(name) {
            draft.vendor("iis.access", key, some(value));
        }
    }
    let get = |wanted: &str| data.iter().find(|(name, _)| *name == wanted).map(|(_, value)| some(value)).unwrap_or_default();
    // The event's own time is when IIS wrote it, some seconds after the request.
    if let Some(Stamp::Civil(civil)) = syslog::whole_stamp(&format!("{} {}", get("date"), get("time")))
        && let Some(at) = civil.moment(0)
    {
        draft.stamp = Stamp::Moment(at);
    }
    finish(get, draft);
}

/// Elastic's names of columns that have no ECS field.
pub(super) fn vendor_key(name: &str) -> Option<&'static str> {
    Some(match name {
        "s-sitename" => "site_name",
        "s-computername" => "server_name",
        "sc-substatus" => "sub_status",
        "sc-win32-status" => "win32_status",
        "cs(Cookie)" => "cookie",
        _ => return None,
    })
}
