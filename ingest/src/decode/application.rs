//! Applications that say in a sentence who failed to log in and from where: one table of sentences instead of a decoder
//! for each. A sentence is a pattern: text as it stands in the line, and places such as `$user` and `$ip`. Nothing else of
//! such a line is read; the raw line has it all.
//!
//! A user name is the attacker's text. Where the address stands behind the name, the last place that an address follows
//! ends the name, so that `x' from 192.0.2.1` as a name does not blame somebody else.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::Look;
use super::draft::{Draft, address};
use super::http_access::put_request;
use super::part::host_port;
use crate::fields;
use crate::syslog::{self, Stamp};

/// One sentence of one application.
struct Sentence {
    module: &'static str,
    /// Stands in every such line; what does not have it is not looked at further.
    mark: &'static str,
    /// `$user`, `$ip` (with a port or without), `$port`, `$to` (address of the server), `$why`, `$agent`, `$from` and `$rcpt`
    /// (mail), `$request` (of HTTP), `$any` (skipped). An address is followed at once by the pattern's next text.
    pattern: &'static str,
    means: Means,
}

#[derive(Clone, Copy)]
enum Means {
    LoginFailed,
    LoggedIn,
    Blocked,
    /// Anything else, under its action.
    Seen(&'static str),
}

use Means::{Blocked, LoggedIn, LoginFailed, Seen};

/// The first that fits is taken.
const SENTENCES: &[Sentence] = &[
    // General forms first: what several applications say in the same words.
    s("", "Failed password for ", "Failed password for $user from $ip port $port", LoginFailed),
    s("apereo-cas", "|AUTHENTICATION_FAILED|", "|AUTHENTICATION_FAILED|$user|$ip|", LoginFailed),
    s("apereo-cas", "|AUTHENTICATION_SUCCESS|", "|AUTHENTICATION_SUCCESS|$user|$ip|", LoggedIn),
    s("audiobookshelf", "Failed login attempt for username ", "username \"$user\" from ip $ip ($why)", LoginFailed),
    s("authelia", " authentication attempt by user '", "authentication attempt by user '$user'$any remote_ip=$ip", LoginFailed),
    s("authelia", " authentication attempt made by user '", "attempt made by user '$user'$any remote_ip=$ip", LoggedIn),
    s("authelia", " user with username input '", "username input '$user' which usually$any remote_ip=$ip", LoginFailed),
    s("authelia", " authentication attempt by user '", "authentication attempt by user '$user'", LoginFailed),
    s("authelia", " authentication attempt made by user '", "attempt made by user '$user'", LoggedIn),
    s("authelia", " user with username input '", "username input '$user' which usually", LoginFailed),
    s("bitwarden", "] Failed login attempt, 2FA invalid. ", "attempt, $why. $ip", LoginFailed),
    s("bitwarden", "] Failed login attempt. ", "Failed login attempt. $ip", LoginFailed),
    s("calibre-web", "Login failed for user \"", "Login failed for user \"$user\" IP-address: $ip", LoginFailed),
    s("cowrie", "New connection: ", "New connection: $ip ($to) [session", Seen("honeypot_connection")),
    s("dropbear", "Bad password attempt for '", "password attempt for '$user' from $ip", LoginFailed),
    s("dropbear", "Login attempt for nonexistent user", "nonexistent user from $ip", LoginFailed),
    s("dropbear", "auth succeeded for '", "auth succeeded for '$user' from $ip", LoggedIn),
    s("pure-ftpd", "Authentication failed for user [", "@$ip) [WARNING] Authentication failed for user [$user]", LoginFailed),
    s("mssql", "Login failed for user '", "Login failed for user '$user'. Reason: $why [CLIENT: $ip]", LoginFailed),
    s("synology", " failed to log in via [", "User [$user] from [$ip] failed to log in via [$any] due to $why", LoginFailed),
    s("samba", "status [NT_STATUS_OK]", "user [$any]\\[$user] at$any remote host [ipv4:$ip]", LoggedIn),
    s("samba", "status [NT_STATUS_", "user [$any]\\[$user] at$any remote host [ipv4:$ip]", LoginFailed),
    s("cpanel", "FAILED LOGIN", "] $ip - $user \"$request\" FAILED LOGIN $why", LoginFailed),
    s("csf", " login from ", "Failed $any login from $ip (", LoginFailed),
    s("endlessh", " ACCEPT host=", "ACCEPT host=$ip port=$port fd", Seen("honeypot_connection")),
    s("endlessh", " CLOSE host=", "CLOSE host=$ip port=$port fd", Seen("honeypot_disconnection")),
    s("firefly-iii", "Attempt for user \"", "Attempt for user \"$user\" failed. ($ip ", LoginFailed),
    s("firefly-iii", "trying to login using \"", "trying to login using \"$user\" ($ip ", Seen("login_attempt")),
    s("firefly-iii", "MFA failure count", "MFA failure count$any. ($ip ($user) ", LoginFailed),
    s("freeswitch", "SIP auth failure", "SIP auth failure ($any) on sofia profile '$any' for [$user] from ip $ip", LoginFailed),
    s("freeswitch", "Can't find user [", "Can't find user [$user] from $ip", LoginFailed),
    s("freeswitch", " Rejected by ", "IP $ip Rejected by $why", Blocked),
    s("gitea", "Failed authentication attempt for ", "authentication attempt for $user from $ip: $why", LoginFailed),
    s("grafana", "Invalid username or password", "remote_addr=$ip", LoginFailed),
    s("grafana", "[password-auth.failed]", "remote_addr=$ip", LoginFailed),
    s("harbor", ": failed to authenticate user:", "client IP=\"$ip$any: failed to authenticate user:$user, error:$why", LoginFailed),
    s("home-assistant", "with invalid authentication from ", "authentication from $any ($ip). ($agent)", LoginFailed),
    s("home-assistant", "with invalid authentication from ", "authentication from $any ($ip). Requested URL$any. ($agent)", LoginFailed),
    s("home-assistant", "with invalid authentication from ", "authentication from $any ($ip)", LoginFailed),
    s("immich", "Failed login attempt for user ", "attempt for user $user from ip address $ip", LoginFailed),
    s("jellyfin", "Authentication request for \"", "request for \"$user\" has been denied (IP: \"$ip\"", LoginFailed),
    s("jellyfin", "Authentication request for ", "request for $user has been denied (IP: $ip)", LoginFailed),
    s("joplin", " password: {\"email\"", "/api/sessions: $ip: $why: {\"email\":\"$user\"}", LoginFailed),
    s("litespeed", "Failed Login Attempt - username:", "username:$user ip:$ip url:", LoginFailed),
    s("magento", "_LOGIN_FAILED\"", "_LOGIN_FAILED\",\"ip\":\"$ip\"", LoginFailed),
    s("magento", "_LOGIN_SUCCESS\"", "_LOGIN_SUCCESS\",\"ip\":\"$ip\"", LoggedIn),
    s("magento", "crowdsec-events.", "\"ip\":\"$ip\"", Seen("shop_event")),
    s("mailcow", ": Banning ", "Banning $ip", Blocked),
    s("mailcow", " to denylist", "Added host/network $ip to denylist", Blocked),
    s("mailscanner", " is spam", "from $ip ($from) to $rcpt is $why", Seen("spam")),
    s("mailu", "Authentication attempt from ", "attempt from $ip for $user has been rate-limited", LoginFailed),
    s("mailu", "Authentication attempt from ", "attempt from $ip has been rate-limited", LoginFailed),
    s("mealie", "Incorrect username or password from ", "username or password from $ip", LoginFailed),
    s("odoo", "Login failed for db:", "Login failed for db:$any login:$user from $ip", LoginFailed),
    s("odoo", "Login successful for db:", "Login successful for db:$any login:$user from $ip", LoggedIn),
    s("ombi", "Failed login attempt by IP: ", "attempt by IP: $ip", LoginFailed),
    s("overseerr", "Failed sign-in attempt ", "{\"ip\":\"$ip\",\"email\":\"$user\"", LoginFailed),
    s("jellyseerr", "Failed login attempt from user ", "{\"ip\":\"$ip\",\"email\":\"$user\",\"password\"", LoginFailed),
    s("paperless-ngx", "Login failed for user `", "Login failed for user `$user` from private IP `$ip", LoginFailed),
    s("paperless-ngx", "Login failed for user `", "Login failed for user `$user` from IP `$ip", LoginFailed),
    s("proftpd", " (Login failed): ", " ($any[$ip])$any USER $user (Login failed): $why", LoginFailed),
    s("proftpd", ": no such user found from ", " ($any[$ip])$any USER $user: $why from ", LoginFailed),
    s("proftpd", ": Login successful.", " ($any[$ip])$any USER $user: Login successful.", LoggedIn),
    s("proxmox", "authentication failure; rhost=", "rhost=$ip user=$user msg=$why", LoginFailed),
    s("pterodactyl", "failed to validate user credentials ", "credentials ($why) ip=$ip subsystem=sftp username=$user", LoginFailed),
    s("qbittorrent", "login failure. Reason: ", "Reason: $why, attempt count: $any, IP: $ip, username: $user", LoginFailed),
    s("qbittorrent", "login failure. Reason: ", "Reason: $why, IP: $ip, username: $user", LoginFailed),
    s("qbittorrent", "login success. IP: ", "login success. IP: $ip", LoggedIn),
    s("redmine", " WARN -- : Failed login for '", "Failed login for '$user' from $ip at ", LoginFailed),
    s("redmine", "Successful authentication for '", "authentication for '$user' from $ip at ", LoggedIn),
    s("servarr", "Auth-Failure ip ", "Auth-Failure ip $ip username '$user'", LoginFailed),
    s("servarr", "Auth-Success ip ", "Auth-Success ip $ip username '$user'", LoggedIn),
    s("sftpgo", "\" logged in with \"", "User \"$user\" logged in with \"$any\" from ip \"$ip\"", LoggedIn),
    s("sftpgo", "\" logged in with \"", "User \"$user\" logged in with \"$any\", from ip \"$ip\"", LoggedIn),
    s("sshesame", "] authentication for user ", "[$ip] authentication for user \"$user\" with ", Seen("honeypot_login")),
    s("sshesame", "[channel ", "[$ip] [channel $any] $why", Seen("honeypot_channel")),
    s("sshesame", "] connection with client version ", "[$ip] connection with client version $why", Seen("honeypot_connection")),
    s("sshesame", "] authentication for user ", "[$ip] authentication for user \"$user\"", Seen("honeypot_login")),
    s("sympa", "[client ", " [client $ip] [user $user] $why", Seen("web_request")),
    s("sympa", "[client ", " [client $ip]$why", Seen("web_request")),
    s("technitium", "Invalid username or password for user: ", "] [$ip] DnsServerCore$anypassword for user: $user", LoginFailed),
    s("traefik", "Handling UDP stream from ", "stream from $ip to $to", Seen("connection")),
    s("traefik", "Handling TCP connection from ", "connection from $ip to $to", Seen("connection")),
    s("uptime-kuma", "Incorrect username or password for user ", "password for user $user. IP=$ip", LoginFailed),
    s("uptime-kuma", "Invalid token provided for user ", "provided for user $user. IP=$ip", LoginFailed),
    s("vaultwarden", "Username or password is incorrect. ", " IP: $ip. Username: $user.", LoginFailed),
    s("vaultwarden", "Invalid admin token. IP: ", "Invalid admin token. IP: $ip", LoginFailed),
    s("vaultwarden", "Invalid TOTP code! ", " IP: $ip", LoginFailed),
    s("vaultwarden", "] Token is invalid! IP: ", "] Token is invalid! IP: $ip", LoginFailed),
    s("vsftpd", "] FAIL LOGIN: ", "] [$user] FAIL LOGIN: Client \"$ip\"", LoginFailed),
    s("vsftpd", "] OK LOGIN: ", "] [$user] OK LOGIN: Client \"$ip\"", LoggedIn),
    s("vsftpd", "] FTP response: Client ", "] [$user] FTP response: Client \"$ip\", $why", Seen("ftp_response")),
    s("webmin", "miniserv.pl \"failed\"", "] $user $any $ip global miniserv.pl \"failed\" \"$any\" \"$why\"", LoginFailed),
    s("webmin", "miniserv.pl \"", "] $user $any $ip global miniserv.pl \"$why\"", Seen("web_administration")),
    s("zimbra", "authentication failed for [", "oip=$ip;$anyauthentication failed for [$user], $why", LoginFailed),
    s("zimbra", "authentication failed for [", "[ip=$ip;$anyauthentication failed for [$user], $why", LoginFailed),
    s("zimbra", "SoapEngine - handler exception", "[name=$user;oip=$ip;", Seen("soap_error")),
    s("zoneminder", "[Could not retrieve user ", "[$ip] [Could not retrieve user $user details]", LoginFailed),
    s("zoneminder", "[Login denied for user \"", "[$ip] [Login denied for user \"$user\"]", LoginFailed),
    s("zoneminder", "[Login successful for user \"", "[$ip] [Login successful for user \"$user\"]", LoggedIn),
    s("asterisk", " failed for '", "Registration from '$user' failed for '$ip' - $why", LoginFailed),
];

const fn s(module: &'static str, mark: &'static str, pattern: &'static str, means: Means) -> Sentence {
    Sentence { module, mark, pattern, means }
}

/// Each mark holds one of these (a test sees to it), so that a line without them costs a few searches and no more.
const GATES: [&str; 30] = [
    "ogin",
    " log in via ",
    "NT_STATUS_",
    "uth",
    "LOGIN",
    "AUTH",
    "assword",
    "onnection",
    "redential",
    " user ",
    "UDP stream",
    " host=",
    "[client ",
    "[channel ",
    "SecurityEvent=",
    "failed for '",
    " Rejected by ",
    ": Banning ",
    " to denylist",
    " is spam",
    "MFA failure",
    "sign-in",
    "SoapEngine",
    "logged in with",
    "FTP response",
    "TOTP code",
    "admin token",
    "Token is invalid",
    "miniserv.pl",
    "crowdsec-events.",
];
/// Where a pattern's beginning stands several times in a line, this many of its places are tried.
const STARTS_MAX: usize = 4;
/// Of the places where a name might end, this many are tried.
const ENDS_MAX: usize = 16;

/// Asked of every line that nobody else took: one pass for all of them.
static GATE: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(GATES).ok());

pub(super) fn first_look(look: &Look<'_>) -> bool {
    GATE.as_ref().is_some_and(|gate| gate.is_match(look.text))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    put(look, draft)
}

/// Reads a sentence, whatever stands around it.
pub(super) fn put(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let text = look.text;
    if text.contains("SecurityEvent=\"") {
        return look.is_of(&["asterisk", "pbx"]) && asterisk(text, draft);
    }
    if let Some(rest) = text.strip_suffix(" failed to login") {
        return hestia(rest, draft);
    }
    for sentence in SENTENCES {
        if !text.contains(sentence.mark) || !may_say(look.app, sentence) {
            continue;
        }
        let Some(read) = fits(sentence.pattern, text) else { continue };
        put_read(sentence, &read, draft);
        put_stamp(text, draft);
        return true;
    }
    false
}

/// Whether a program may say a sentence. That somebody got in, only the application itself: any program may log a text
/// that somebody sent it, and a success that never was is what an attacker would wish us to believe.
fn may_say(app: &str, sentence: &Sentence) -> bool {
    !matches!(sentence.means, LoggedIn) || app.is_empty() || app.to_ascii_lowercase().contains(sentence.module)
}

#[derive(Clone, Copy, Default)]
struct Read<'t> {
    user: &'t str,
    ip: &'t str,
    port: &'t str,
    to: &'t str,
    why: &'t str,
    agent: &'t str,
    from: &'t str,
    rcpt: &'t str,
    request: &'t str,
}

fn put_read(sentence: &Sentence, read: &Read<'_>, draft: &mut Draft<'_>) {
    if !draft.has(fields::EVENT_MODULE) && !sentence.module.is_empty() {
        draft.name(fields::EVENT_MODULE, sentence.module);
    }
    match sentence.means {
        LoginFailed => draft.event("authentication", "login", "failure"),
        LoggedIn => draft.event("authentication", "login", "success"),
        Blocked => {
            draft.event("intrusion_detection", "blocked", "success");
            draft.name(fields::EVENT_TYPE, "denied");
        }
        Seen("spam") => draft.event("email", "spam", ""),
        Seen(action) => draft.event("network", action, ""),
    }
    if !draft.has(fields::USER_NAME) {
        draft.str(fields::USER_NAME, read.user);
    }
    if !draft.has(fields::SOURCE_IP) && !read.ip.is_empty() {
        draft.source_endpoint(read.ip);
    }
    if !draft.has(fields::SOURCE_PORT) {
        draft.optional(fields::SOURCE_PORT, read.port);
    }
    if !read.to.is_empty() {
        draft.destination_endpoint(read.to);
    }
    draft.str(fields::EVENT_REASON, read.why.trim());
    draft.str(fields::USER_AGENT, read.agent);
    draft.str(fields::EMAIL_FROM, read.from);
    draft.str(fields::EMAIL_TO, read.rcpt);
    if !read.request.is_empty() {
        put_request(read.request, draft);
    }
}

/// `[2026-03-14 08:00:00,123] …`, `W, [2026-03-14T08:00:00.245316 #1] …`, `[Mar 14 08:00:00] …`, `Sat Mar 14 08:00:00 2026 [pid 1] …` and
/// Webmin's `1773471600.216.0 …`, where no header had a time.
fn put_stamp(text: &str, draft: &mut Draft<'_>) {
    if draft.stamp != Stamp::Absent {
        return;
    }
    let inner = text.split_once('[').filter(|(before, _)| before.len() <= "W, ".len()).and_then(|(_, rest)| rest.split_once(']'));
    let bracketed = inner.and_then(|(inner, _)| syslog::whole_stamp(inner).or_else(|| syslog::whole_stamp(inner.rsplit_once(' ')?.0)));
    let weekday = || text.split_once(" [").and_then(|(before, _)| syslog::weekday_stamp(before));
    let epoch = || text.split_once('.').and_then(|(seconds, _)| syslog::epoch_text(seconds)).map(Stamp::Moment);
    draft.stamp = bracketed.or_else(weekday).or_else(epoch).unwrap_or_default();
}

fn fits<'t>(pattern: &str, text: &'t str) -> Option<Read<'t>> {
    let (first, places) = pattern.split_once('$')?;
    let mut rest = text;
    for _ in 0..STARTS_MAX {
        (_, rest) = rest.split_once(first)?;
        if let Some(read) = follow(places, rest, Read::default()) {
            return Some(read);
        }
    }
    None
}

/// `places` begins with a place's name; the text of that place is read from the start of `rest`.
fn follow<'t>(places: &str, rest: &'t str, mut read: Read<'t>) -> Option<Read<'t>> {
    let end = places.bytes().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(places.len());
    let (name, behind) = places.split_at_checked(end)?;
    let (literal, next) = behind.split_once('$').map_or((behind, None), |(literal, next)| (literal, Some(next)));
    if matches!(name, "ip" | "to" | "port") {
        let end = if name == "port" { rest.bytes().take_while(u8::is_ascii_digit).count() } else { endpoint_end(rest)? };
        let (value, behind) = rest.split_at_checked(end)?;
        *read.place(name)? = value;
        let behind = behind.strip_prefix(literal)?;
        return next.map_or(Some(read), |next| follow(next, behind, read));
    }
    if name.starts_with("any") && name.len() > "any".len() {
        // A place runs into the text behind it: `$anyauthentication`.
        return follow_any(places.get("any".len()..)?, rest, read);
    }
    let Some(next) = next else {
        let value = if literal.is_empty() { rest } else { rest.get(..rest.rfind(literal)?)? };
        *read.place(name)? = value;
        return Some(read);
    };
    if name == "any" {
        let (_, behind) = rest.split_once(literal)?;
        return follow(next, behind, read);
    }
    if next.starts_with("ip") {
        for (at, _) in rest.rmatch_indices(literal).take(ENDS_MAX) {
            let mut read = read;
            *read.place(name)? = rest.get(..at)?;
            if let Some(found) = follow(next, rest.get(at + literal.len()..)?, read) {
                return Some(found);
            }
        }
        return None;
    }
    let (value, behind) = rest.split_once(literal)?;
    *read.place(name)? = value;
    follow(next, behind, read)
}

/// Skips to a text that begins with letters.
fn follow_any<'t>(behind: &str, rest: &'t str, read: Read<'t>) -> Option<Read<'t>> {
    let (literal, next) = behind.split_once('$')?;
    let (_, rest) = rest.split_once(literal)?;
    follow(next, rest, read)
}

impl<'t> Read<'t> {
    fn place(&mut self, name: &str) -> Option<&mut &'t str> {
        Some(match name {
            "user" => &mut self.user,
            "ip" => &mut self.ip,
            "port" => &mut self.port,
            "to" => &mut self.to,
            "why" => &mut self.why,
            "agent" => &mut self.agent,
            "from" => &mut self.from,
            "rcpt" => &mut self.rcpt,
            "request" => &mut self.request,
            "any" => &mut self.why,
            _ => return None,
        })
    }
}

/// How long the address at the start of a text is, with its port where it has one; `None` where there is none.
fn endpoint_end(text: &str) -> Option<usize> {
    let stops = |char: char| !(char.is_ascii_hexdigit() || matches!(char, '.' | ':' | '%'));
    let end = match text.strip_prefix('[') {
        Some(inner) => {
            let close = inner.find(']')? + 2;
            let port = text.get(close..).and_then(|rest| rest.strip_prefix(':'));
            close + port.map_or(0, |port| 1 + port.bytes().take_while(u8::is_ascii_digit).count())
        }
        None => text.find(stops).unwrap_or(text.len()),
    };
    let bare = text.get(..end)?.trim_end_matches(['.', ':']);
    address(host_port(bare).0).map(|_| bare.len())
}

/// `SecurityEvent="InvalidPassword",…,Service="PJSIP",…,AccountID="6001",…,RemoteAddress="IPV4/UDP/192.0.2.1/5060",…`
fn asterisk(text: &str, draft: &mut Draft<'_>) -> bool {
    let value = |name: &str| {
        let at = text.find(name).filter(|at| *at == 0 || matches!(text.as_bytes().get(at - 1), Some(b',' | b' ')))?;
        text.get(at + name.len()..)?.split_once('"').map(|(value, _)| value)
    };
    let Some(event) = value("SecurityEvent=\"") else { return false };
    draft.name(fields::EVENT_MODULE, "asterisk");
    let outcome = match event {
        "SuccessfulAuth" => "success",
        "ChallengeSent" => "",
        _ => "failure",
    };
    draft.event("authentication", if outcome.is_empty() { "login_challenge" } else { "login" }, outcome);
    draft.str(fields::EVENT_REASON, event);
    draft.str(fields::NETWORK_APPLICATION, value("Service=\"").unwrap_or_default());
    draft.str(fields::USER_NAME, value("AccountID=\"").unwrap_or_default());
    let peer = |name: &str| {
        let mut parts = value(name).unwrap_or_default().split('/').skip(2);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    let (host, port) = peer("RemoteAddress=\"");
    draft.source(host);
    draft.optional(fields::SOURCE_PORT, port);
    let (host, port) = peer("LocalAddress=\"");
    draft.optional(fields::DESTINATION_IP, host);
    draft.optional(fields::DESTINATION_PORT, port);
    if let Some(stamp) = value("EventTV=\"").and_then(syslog::whole_stamp) {
        draft.stamp = stamp;
    }
    true
}

/// HestiaCP: `2026-03-14 08:00:00 anna 192.0.2.1 failed to login`, without its end.
fn hestia(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((before, host)) = text.rsplit_once(' ').filter(|(_, host)| address(host).is_some()) else { return false };
    draft.name(fields::EVENT_MODULE, "hestiacp");
    draft.event("authentication", "login", "failure");
    draft.str(fields::USER_NAME, before.splitn(3, ' ').nth(2).unwrap_or_default());
    draft.source(host);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_passes_a_gate() {
        for sentence in SENTENCES {
            assert!(GATES.iter().any(|gate| sentence.mark.contains(gate)), "{}", sentence.mark);
            let first = sentence.pattern.split('$').next().unwrap();
            assert!(!first.is_empty(), "{}", sentence.pattern);
        }
    }

    #[test]
    fn a_name_cannot_blame_another_address() {
        let read =
            fits("Failed login for '$user' from $ip at ", "Failed login for 'x' from 192.0.2.9 at ' from 198.51.100.7 at now").unwrap();
        assert_eq!((read.user, read.ip), ("x' from 192.0.2.9 at ", "198.51.100.7"));
        assert!(fits("Failed login for '$user' from $ip at ", "Failed login for 'x' from nowhere at now").is_none());
    }

    #[test]
    fn addresses_end_where_they_end() {
        for (text, expected) in [
            ("192.0.2.1: why", Some("192.0.2.1")),
            ("192.0.2.1:4711: why", Some("192.0.2.1:4711")),
            ("[2001:db8::1]:0: why", Some("[2001:db8::1]:0")),
            ("[2001:db8::1] x", Some("[2001:db8::1]")),
            ("2001:db8::1`.", Some("2001:db8::1")),
            ("192.0.2.1. Username", Some("192.0.2.1")),
            ("nobody", None),
            ("", None),
        ] {
            assert_eq!(endpoint_end(text).and_then(|end| text.get(..end)), expected, "{text}");
        }
    }
}
