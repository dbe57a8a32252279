//! Events to put to rules, four kinds: Windows' process creation with its fields named, Sysmon's file events, Cisco syslog
//! lines, and the events that were recorded for public rules, long as Windows writes them. The first three are made by a
//! counter and so the same in each run; one in fifty of the Windows ones is made of a recorded event, so that rules match.

use std::path::Path;

use serde_json::{Map, Value, json};

/// What the events of a kind are of, in Sigma's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    pub(crate) product: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) service: Option<String>,
}

/// One event, flat, with the source that is given with it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) source: Source,
    pub(crate) event: Map<String, Value>,
}

/// A kind of events by the name that reports call it.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) events: Vec<Given>,
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.roll(16) as u32, 16).unwrap_or('0').to_ascii_uppercase()).collect()
    }
}

pub(crate) fn kinds(corpora: &Path, events: usize) -> Vec<Kind> {
    let recorded = recorded(corpora);
    let of = |category: &str| recorded.iter().filter(|given| given.source.category.as_deref() == Some(category)).cloned().collect();
    let (processes, files): (Vec<Given>, Vec<Given>) = (of("process_creation"), of("file_event"));
    let mut dice = Dice(2026);
    let mut make = |one: fn(&mut Dice) -> Map<String, Value>, source: Source, spice: &[Given]| -> Vec<Given> {
        let mut all = Vec::with_capacity(events);
        while all.len() < events {
            let event = match dice.roll(50) {
                0 if !spice.is_empty() => spice[dice.roll(spice.len())].event.clone(),
                _ => one(&mut dice),
            };
            all.push(Given { source: source.clone(), event });
        }
        all
    };
    let windows = |category: &str| Source { product: Some("windows".into()), category: Some(category.into()), service: None };
    let cisco = Source { product: Some("cisco".into()), category: None, service: None };
    vec![
        Kind { name: "Windows, Prozessstart", events: make(process, windows("process_creation"), &processes) },
        Kind { name: "Sysmon, Datei", events: make(file, windows("file_event"), &files) },
        Kind { name: "Cisco-Syslog", events: make(cisco_line, cisco, &[]) },
        Kind { name: "Windows, aufgezeichnet", events: recorded.iter().cycle().take(events).cloned().collect() },
    ]
}

const USERS: [&str; 6] =
    ["SCHMALKALDEN\\m.kurz", "NT AUTHORITY\\SYSTEM", "KREIS-SOK\\svc_backup", "RATHAUS\\anna.weber", "GERA\\t.lang", "GERA\\adm-lang"];
const PARENTS: [&str; 8] = [
    r"C:\Windows\explorer.exe",
    r"C:\Windows\System32\svchost.exe",
    r"C:\Windows\System32\services.exe",
    r"C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE",
    r"C:\Windows\System32\cmd.exe",
    r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
    r"C:\Program Files (x86)\Matrix42\Agent\matrix42agent.exe",
    r"C:\Windows\System32\taskhostw.exe",
];
/// Program and the arguments that it is ordinarily called with.
const PROGRAMS: [(&str, &[&str]); 12] = [
    (r"C:\Windows\System32\svchost.exe", &["-k netsvcs -p -s Schedule", "-k LocalService -p", "-k wsappx -p -s ClipSVC"]),
    (
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        &["--type=renderer --lang=de --device-scale-factor=1", "--type=gpu-process"],
    ),
    (r"C:\Windows\System32\cmd.exe", &["/c echo fertig > C:\\ProgramData\\lauf.txt", "/c ver", "/d /s /c \"node install.js\""]),
    (
        r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
        &["-NoProfile -File C:\\Skripte\\inventar.ps1", "-ExecutionPolicy Bypass -File D:\\Wartung\\bereinigen.ps1", "Get-Service Spooler"],
    ),
    (r"C:\Windows\System32\conhost.exe", &["0xffffffff -ForceV1", "0x4"]),
    (r"C:\Windows\System32\msiexec.exe", &["/i \"\\\\fs01\\Software\\Acrobat.msi\" /qn /norestart", "/V"]),
    (
        r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE",
        &["/n \"C:\\Users\\a.weber\\Documents\\Bescheid 2026-114.docx\" /o \"\""],
    ),
    (r"C:\Windows\System32\rundll32.exe", &["C:\\Windows\\System32\\shell32.dll,Control_RunDLL desk.cpl", "printui.dll,PrintUIEntry /ga"]),
    (r"C:\Program Files (x86)\AKDB\OK.EWO\okewo.exe", &["/mandant:GERA /modus:dialog", ""]),
    (r"C:\Windows\System32\taskhostw.exe", &["", "-RegisterDevice -ProtectionStateChanged -FreeNetworkOnly"]),
    (r"C:\Windows\System32\wbem\WmiPrvSE.exe", &["-secured -Embedding"]),
    (r"C:\Windows\System32\net.exe", &["use H: \\\\fs01\\home$ /persistent:no", "time \\\\dc01"]),
];

fn process(dice: &mut Dice) -> Map<String, Value> {
    let (image, arguments) = PROGRAMS[dice.roll(PROGRAMS.len())];
    let (parent, arguments) = (dice.pick(&PARENTS), dice.pick(arguments));
    let name = image.rsplit('\\').next().unwrap_or_default();
    let event = json!({
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "EventID": 1,
        "Computer": format!("PC-{:04}.gera.example", dice.roll(4_000)),
        "UtcTime": "2026-11-21 09:14:03.112",
        "ProcessGuid": format!("{{{}-0F3A-6740-A102-000000002E00}}", dice.hex(8)),
        "ProcessId": 1_000 + dice.roll(30_000),
        "Image": image,
        "OriginalFileName": name,
        "CommandLine": format!("\"{image}\" {arguments} {}", dice.hex(6)),
        "CurrentDirectory": r"C:\Windows\system32\",
        "User": dice.pick(&USERS),
        "LogonId": format!("0x{}", dice.hex(6)),
        "IntegrityLevel": if dice.roll(3) == 0 { "System" } else { "Medium" },
        "Hashes": format!("SHA256={},IMPHASH={}", dice.hex(64), dice.hex(32)),
        "ParentProcessId": 400 + dice.roll(9_000),
        "ParentImage": parent,
        "ParentCommandLine": format!("\"{parent}\""),
    });
    flat(event)
}

fn file(dice: &mut Dice) -> Map<String, Value> {
    let folder = dice.pick(&[
        r"C:\Users\a.weber\AppData\Local\Temp\",
        r"C:\Windows\Temp\",
        r"C:\ProgramData\Matrix42\Cache\",
        r"D:\Ablage\Bauamt\2026\",
        r"C:\Users\t.lang\AppData\Local\Google\Chrome\User Data\Default\Cache\",
    ]);
    let ending = dice.pick(&["tmp", "log", "docx", "pdf", "dat", "etl", "xlsx", "json"]);
    let event = json!({
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "EventID": 11,
        "Computer": format!("PC-{:04}.gera.example", dice.roll(4_000)),
        "UtcTime": "2026-11-21 09:14:03.112",
        "ProcessGuid": format!("{{{}-0F3A-6740-A102-000000002E00}}", dice.hex(8)),
        "ProcessId": 1_000 + dice.roll(30_000),
        "Image": PROGRAMS[dice.roll(PROGRAMS.len())].0,
        "TargetFilename": format!("{folder}{}.{ending}", dice.hex(8)),
        "CreationUtcTime": "2026-11-21 09:14:03.110",
        "User": dice.pick(&USERS),
    });
    flat(event)
}

fn cisco_line(dice: &mut Dice) -> Map<String, Value> {
    let (a, b) = (dice.roll(250), dice.roll(250));
    let port = 1_024 + dice.roll(60_000);
    let text = match dice.roll(5) {
        0 => format!(
            "%ASA-6-302013: Built outbound TCP connection {port} for outside:198.51.100.{a}/443 (198.51.100.{a}/443) to inside:10.20.{b}.7/{port}"
        ),
        1 => format!(
            "%ASA-6-302014: Teardown TCP connection {port} for outside:198.51.100.{a}/443 to inside:10.20.{b}.7/{port} duration 0:00:07 bytes 5312"
        ),
        2 => format!(
            "%ASA-4-106023: Deny tcp src outside:203.0.113.{a}/{port} dst inside:10.20.{b}.9/445 by access-group \"AUSSEN\" [0x0, 0x0]"
        ),
        3 => format!(
            "%SEC_LOGIN-5-LOGIN_SUCCESS: Login Success [user: netz] [Source: 10.20.{b}.4] [localport: 22] at 09:14:03 MEZ Sat Nov 21 2026"
        ),
        _ => format!("%PARSER-5-CFGLOG_LOGGEDCMD: User:netz  logged command:interface GigabitEthernet0/{}", a % 48),
    };
    flat(json!({ "message": text }))
}

fn flat(event: Value) -> Map<String, Value> {
    let Value::Object(event) = event else { return Map::new() };
    event
}

/// The events below `sigma/regression`, their fields beside each other, with the source of the rule that each is for.
fn recorded(corpora: &Path) -> Vec<Given> {
    let mut all = Vec::new();
    let mut open = vec![corpora.join("sigma/regression")];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let events = serde_json::Deserializer::from_str(&text).into_iter::<Value>().flatten();
                all.extend(events.filter_map(|event| given(&event)));
            }
        }
    }
    all
}

/// Sysmon's categories by event number, as far as events of them were recorded.
const SYSMON: [(i64, &str); 12] = [
    (1, "process_creation"),
    (3, "network_connection"),
    (6, "driver_load"),
    (7, "image_load"),
    (8, "create_remote_thread"),
    (10, "process_access"),
    (11, "file_event"),
    (13, "registry_set"),
    (15, "create_stream_hash"),
    (17, "pipe_created"),
    (18, "pipe_created"),
    (22, "dns_query"),
];

fn given(event: &Value) -> Option<Given> {
    let system = event.get("Event")?.get("System")?;
    let mut fields = Map::new();
    for (name, value) in system.as_object()? {
        match value {
            Value::Object(inner) => {
                let inner = inner.get("#attributes").and_then(Value::as_object).unwrap_or(inner);
                let text = inner.get("#text").filter(|_| name == "EventID");
                text.into_iter().for_each(|id| drop(fields.insert(name.clone(), id.clone())));
                fields.extend(inner.iter().filter(|(key, _)| *key != "#text").map(|(key, value)| (format!("{name}_{key}"), value.clone())));
            }
            other => drop(fields.insert(name.clone(), other.clone())),
        }
    }
    let data = event.get("Event")?.as_object()?.iter().filter(|(name, _)| ["EventData", "UserData"].contains(&name.as_str()));
    for (name, value) in data.flat_map(|(_, data)| data.as_object().into_iter().flatten()) {
        match value {
            Value::Object(inner) => fields.extend(inner.iter().map(|(name, value)| (name.clone(), value.clone()))),
            other => drop(fields.insert(name.clone(), other.clone())),
        }
    }
    fields.retain(|_, value| !value.is_object() && !value.is_array());
    let number = fields.get("EventID").and_then(Value::as_i64);
    let channel = fields.get("Channel").and_then(Value::as_str).unwrap_or_default();
    let sysmon = channel == "Microsoft-Windows-Sysmon/Operational";
    let category = SYSMON.iter().find(|(id, _)| sysmon && Some(*id) == number).map(|(_, category)| (*category).to_owned());
    let service = match channel {
        "Security" => Some("security".to_owned()),
        "System" => Some("system".to_owned()),
        "Application" => Some("application".to_owned()),
        _ => None,
    };
    Some(Given { source: Source { product: Some("windows".into()), category, service }, event: fields })
}
