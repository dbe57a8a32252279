//! Access points: hostapd's lines as UniFi, OpenWrt and others forward them, `wifi2ap6: STA 00:00:5e:00:53:01 IEEE 802.11: associated (aid 1)`.

use super::Look;
use super::draft::Draft;
use super::part::word;
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app == "hostapd"
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((interface, rest)) = look.text.split_once(": ") else { return false };
    let Some((kind, rest)) = word(rest) else { return false };
    let (mac, what) = word(rest).unwrap_or((rest, ""));
    let (action, outcome) = match (kind, what) {
        ("AP-STA-CONNECTED", _) => ("wlan_connected", "success"),
        ("AP-STA-DISCONNECTED", _) => ("wlan_disconnected", ""),
        ("STA", _) => sta(what),
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "hostapd");
    draft.event("network", action, outcome);
    draft.vendor("hostapd", "interface", interface);
    draft.str(fields::SOURCE_MAC, mac);
    // `RADIUS: … User-Name 'anna'`, where the network asks for names.
    if let Some((user, _)) = super::part::between(what, "STA identity '", "'") {
        draft.str(fields::USER_NAME, user);
    }
    true
}

fn sta(what: &str) -> (&'static str, &'static str) {
    let (_, what) = what.split_once(": ").unwrap_or(("", what));
    match what {
        _ if what.starts_with("associated") => ("wlan_associated", "success"),
        _ if what.starts_with("disassociated") || what.starts_with("deauthenticated") => ("wlan_disconnected", ""),
        _ if what.starts_with("authenticated") => ("wlan_authenticated", "success"),
        _ if what.contains("handshake completed") => ("wlan_connected", "success"),
        _ if what.contains("authentication failed") => ("wlan_authenticated", "failure"),
        _ => ("wlan", ""),
    }
}
