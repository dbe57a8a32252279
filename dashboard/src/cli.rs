//! The command line as clap sees it: names, arguments and their help. What the commands do stands in `command`.
//! Names and exit codes are stable (scripts use them): 0 done, 1 some input failed, 2 wrong usage or configuration.

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueHint};

/// Wartburg: die Sicherheitsplattform von ThüringenCERT.
#[derive(Debug, Parser)]
#[command(
    name = "wartburg",
    version,
    about = "Wartburg: vom Syslog der Kommunen über Vorfälle und Warnungen bis zu den Kennzahlen",
    long_about = "Wartburg nimmt Logs und Flussdaten der Kommunen entgegen, erkennt Angriffe, führt Vorfälle bis zur \
                  Eindämmung, verteilt Warnungen und rechnet die Kennzahlen daraus.\n\n\
                  Zum Kennenlernen:   wartburg demo\n\
                  Im Betrieb:         wartburg serve --config wartburg.toml\n\
                  Eine Datei prüfen:  wartburg import auth.log && wartburg incidents",
    disable_help_subcommand = true,
    disable_help_flag = true,
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Datenverzeichnis
    #[arg(long, global = true, env = "WARTBURG_DATA", value_name = "ORDNER", value_hint = ValueHint::DirPath)]
    pub data: Option<PathBuf>,
    /// Konfigurationsdatei (TOML); `wartburg check-config --example` zeigt eine
    #[arg(long, global = true, value_name = "DATEI", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Zeigt diese Hilfe; -h die kurze
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Zeigt die Version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub command: Command,
}

/// Reads the command line; on `--help` or wrong usage it says so and ends the program.
pub fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The definition with its headings in German.
pub fn command() -> clap::Command {
    german(Cli::command())
}

fn german(command: clap::Command) -> clap::Command {
    command
        .help_template("{about-with-newline}\nAufruf: {usage}\n\n{all-args}{after-help}")
        .subcommand_help_heading("Befehle")
        .mut_args(|arg| arg.help_heading("Angaben"))
        .mut_subcommands(german)
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Startet alles in einem Prozess: Empfang, Speicher, Regeln, Warndienst, Oberfläche
    Serve(ServeArgs),
    /// Führt Wartburg mit erfundenen Daten vor, in einem frischen Verzeichnis
    #[command(long_about = "Legt ein frisches Datenverzeichnis an: 82 Stellen, zwei Jahre Vorgeschichte, laufender Verkehr aus echten \
                            Paketen und alle drei Minuten ein Angriff. Nennt Adresse und Anmeldungen. Ende mit Strg+C.")]
    Demo(DemoArgs),
    /// Liest Dateien ein, auf demselben Weg wie aus dem Netz, und wartet, bis alles auffindbar ist
    #[command(long_about = "Liest Logdateien (eine Zeile oder ein JSON-Objekt je Zeile) oder Fluss-Datagramme ein; gzip und zstd werden \
                            erkannt, - ist die Standardeingabe. Dieselbe Datei zweimal ändert nichts; eine gewachsene wird fortgesetzt. \
                            Ist eine Datei nicht lesbar, gehen die anderen weiter, und der Befehl endet mit 1.")]
    Import(ImportArgs),
    /// Zeigt, was aus Zeilen oder Datagrammen wird, ohne etwas zu speichern
    Decode(DecodeArgs),
    /// Sucht in den Ereignissen
    #[command(
        long_about = "Sucht in den Ereignissen, neueste zuerst, oder fasst sie hinter | zu einer Tabelle zusammen: count, top, rare, \
                            distinct, stats, histogram und patterns, danach sort, head und fields. Zeiten: @timestamp:>now-24h, \
                            @timestamp:2026-11-21, @timestamp:[2026-11-21T14:00 TO now]. Beispiele:\n  \
                            wartburg search 'event.action:ssh_login AND event.outcome:failure'\n  \
                            wartburg search 'source.ip:10.0.0.0/8 AND \"Failed password\"' --from 2026-11-01\n  \
                            wartburg search 'event.outcome:failure | count by site, user.name | head 20'\n  \
                            wartburg search '@timestamp:>now-7d | histogram 1h by event.module' --json\n  \
                            wartburg search '* | stats p95(network.bytes), dc(source.ip) by site'\n  \
                            wartburg search '_defect:no_header' --json"
    )]
    Search(SearchArgs),
    /// Zeigt neue Ereignisse, sobald sie empfangen werden
    #[command(
        long_about = "Liest neben dem laufenden Dienst im Journal mit und zeigt jede neue Zeile, zu der die Anfrage passt, einmal und in \
                            der Reihenfolge des Empfangs. Ändert nichts. Ende mit Strg+C. Beispiele:\n  \
                            wartburg tail 'event.outcome:failure'\n  \
                            wartburg tail 'source.ip:203.0.113.0/24' --from 15m --json"
    )]
    Tail(TailArgs),
    /// Zeigt Flussdaten oder die größten nach einem Feld
    Flows(FlowsArgs),
    /// Listet die Vorfälle, gibt einen weiter oder liest Meldungen anderer ein
    #[command(args_conflicts_with_subcommands = true)]
    Incidents {
        #[command(flatten)]
        list: ListArgs,
        #[command(subcommand)]
        command: Option<IncidentsCommand>,
    },
    /// Listet die Alarme
    Alerts(ListArgs),
    /// Listet die Quellen und wann sie zuletzt sendeten
    #[command(args_conflicts_with_subcommands = true)]
    Sources {
        #[command(flatten)]
        list: ListArgs,
        #[command(subcommand)]
        command: Option<SourcesCommand>,
    },
    /// Sagt, was dem Dienst und seinen Daten fehlt und was zu tun ist
    #[command(long_about = "Sieht von außen nach, auch neben einem laufenden Dienst: Platte, Journal, Rückstand, verstummte Quellen, \
                            unbekannte Absender, Zertifikat, Grenzen des Systems, und ob alles Empfangene verbucht ist. Ändert nichts. \
                            Endet mit 1, wenn etwas zu tun ist.")]
    Doctor(ListArgs),
    /// Liest Listen von Indikatoren ein und sagt, was sie enthalten und was sie trafen
    #[command(
        long_about = "Liest Listen (Zeilen, CSV), MISP- und STIX-2.1-Dateien und Warnlisten ein, auch neben einem laufenden Dienst: \
                            Was sich ändert, gilt dort binnen Sekunden, und Neues wird in dem gesucht, was gespeichert ist. Quellen, die \
                            von selbst abgefragt werden, stehen in der Konfiguration ([[indicators.feeds]])."
    )]
    Indicators {
        #[command(subcommand)]
        command: IndicatorsCommand,
    },
    /// Prüft Regeln und ihre Belege
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Liest Playbooks anderer ein
    Playbooks {
        #[command(subcommand)]
        command: PlaybooksCommand,
    },
    /// Prüft Warnungen (CSAF)
    Advisory {
        #[command(subcommand)]
        command: AdvisoryCommand,
    },
    /// Zeigt und prüft das Journal, auch neben einem laufenden Server
    Journal {
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Zeigt, prüft und repariert den Ereignisspeicher; Sperren gegen das Löschen
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Prüft, ob alles noch so ist, wie es geschrieben wurde
    #[command(long_about = "Prüft das Journal: jede Prüfsumme, die lückenlose Nummerierung und die Kette der Siegel, an der sich zeigt, \
                            wenn etwas Versiegeltes später geändert, entfernt oder vertauscht wurde. Nennt zuletzt das Ende der Kette; \
                            wer es anderswo notiert, kann später mit --chain beweisen, dass niemand die Kette neu geschrieben hat. \
                            Prüft dann das Protokoll: jede Zeile, ihre Kette, die täglich unterschriebenen Stände (audit-roots/roots.txt) \
                            und deren Unterschriften. Eine anderswo aufbewahrte Zeile daraus prüft --root. \
                            Geht neben einem laufenden Server. Endet mit 1, wenn etwas nicht stimmt.")]
    Verify(VerifyAllArgs),
    /// Zeigt, erneuert und vernichtet die Schlüssel der Pseudonyme
    Pseudonyms {
        #[command(subcommand)]
        command: PseudonymsCommand,
    },
    /// Richtet OpenPGP ein: den eigenen Schlüssel und die der Ansprechpersonen
    Openpgp {
        #[command(subcommand)]
        command: OpenpgpCommand,
    },
    /// Legt Konten an
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Prüft die Konfigurationsdatei
    CheckConfig {
        /// Gibt eine kommentierte Beispieldatei aus
        #[arg(long)]
        example: bool,
    },
    /// Gibt Vervollständigungen für die Shell aus
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Ordner mit dem Original-Theme von KERN; geht vor web.theme_dir
    #[arg(long, value_name = "ORDNER", value_hint = ValueHint::DirPath)]
    pub theme_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Port der Oberfläche
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Spielt den Angriff einmal, wartet auf seinen Vorfall und endet (für Abnahme und CI)
    #[arg(long)]
    pub once: bool,
    /// Pseudonymisiert Konten, E-Mail-Adressen und interne Adressen im Ereignisspeicher
    #[arg(long)]
    pub pseudonyms: bool,
    /// Ordner mit dem Original-Theme von KERN
    #[arg(long, value_name = "ORDNER", value_hint = ValueHint::DirPath)]
    pub theme_dir: Option<PathBuf>,
    /// Startwert des Zufalls
    #[arg(long, default_value_t = 16, hide = true)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Dateien; - für die Standardeingabe
    #[arg(required = true, value_name = "DATEI", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Standort, dem die Daten gehören
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// Die Dateien sind Fluss-Datagramme (NetFlow), je Datei eines
    #[arg(long)]
    pub flow: bool,
    /// Zahlen als JSON, ein Objekt je Zeile
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// Dateien; - für die Standardeingabe
    #[arg(required = true, value_name = "DATEI", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Die Dateien sind Fluss-Datagramme (NetFlow v5 und v9, IPFIX, sFlow), je Datei eines, in der Reihenfolge ihres Eingangs
    #[arg(long)]
    pub flow: bool,
    /// Mit --flow --json auch, was kein Fluss ist: Angaben zum Exporteur, Zähler von Schnittstellen, Unbekanntes
    #[arg(long, requires = "flow")]
    pub all: bool,
    /// Ein JSON-Objekt je Zeile, Felder mit ECS-Namen: "source.ip"
    #[arg(long, group = "form")]
    pub json: bool,
    /// Ein JSON-Dokument je Zeile, verschachtelt wie ECS es meint: {"source":{"ip":…}}
    #[arg(long, group = "form")]
    pub ecs: bool,
    /// Eine Tabelle je Zeile, mit deutschen Namen und was zu tun ist (Vorgabe)
    #[arg(long, group = "form")]
    pub table: bool,
}

#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// Gibt einen Vorfall in einer Form aus, die andere lesen
    #[command(
        long_about = "Gibt einen Vorfall als STIX-2.1-Bundle, MISP-Event, IODEF-2-Dokument (RFC 7970) oder CSV aus. Notizen, Entwürfe und \
                            Bearbeitung bleiben hier; was der Ereignisspeicher verbirgt, bleibt verborgen. Ein zweiter Export trägt dieselben \
                            Kennungen und ersetzt beim Empfänger den ersten. Steht im Protokoll."
    )]
    Export {
        /// Die Nummer, etwa TC-2026-000123
        number: String,
        /// Form der Datei
        #[arg(long, value_parser = ["stix", "misp", "iodef", "csv"])]
        format: String,
        /// Auch einen Vorfall mit TLP:RED
        #[arg(long)]
        red: bool,
    },
    /// Schreibt den Fallbericht als PDF
    #[command(
        long_about = "Schreibt den Fallbericht: was die Seite des Vorfalls dem ThüringenCERT zeigt, mit Notizen, Maßnahmen, Meldepflichten, \
                            Beweismitteln und Verlauf. Was der Ereignisspeicher verbirgt, bleibt verborgen. Derselbe Stand ergibt dieselbe \
                            Datei, Byte für Byte. Steht im Protokoll."
    )]
    Report {
        /// Die Nummer, etwa TC-2026-000123
        number: String,
        /// Wohin
        #[arg(short, long, value_name = "DATEI", value_hint = ValueHint::FilePath)]
        output: PathBuf,
        /// Auch einen Vorfall mit TLP:RED
        #[arg(long)]
        red: bool,
    },
    /// Liest Meldungen anderer als Alarme ein: IntelMQ, Shadowserver, MISP, STIX 2.1
    #[command(
        long_about = "Liest Tabellen von IntelMQ und Shadowserver, MISP-Events und STIX-2.1-Bundles. Jede Zeile wird ein Alarm der Stelle, zu \
                            deren Netzen ihre Adresse gehört; Alarme werden zu Vorfällen gruppiert. Dieselbe Datei zweimal ändert nichts. Was \
                            nicht lesbar ist, wird mit Zeile, Spalte und Wert genannt, der Rest wird übernommen. Die Art eines Berichts von \
                            Shadowserver steht in seinem Dateinamen, oder in --report."
    )]
    Import(IncidentImportArgs),
}

#[derive(Debug, Args)]
pub struct IncidentImportArgs {
    /// Dateien; gzip und zstd werden erkannt
    #[arg(required = true, value_name = "DATEI", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Art des Berichts von Shadowserver, wo der Dateiname sie nicht nennt (scan_rdp)
    #[arg(long, value_name = "ART")]
    pub report: Option<String>,
    /// Sagt nur, was geschähe
    #[arg(long)]
    pub preview: bool,
    /// Zahlen als JSON, ein Objekt je Datei
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// Fasst die Zeilen, die niemand versteht, zu Mustern mit Anzahl zusammen
    #[command(long_about = "Liest das Journal und fasst die Zeilen, die kein Decoder versteht oder von denen er nur den Kopf liest, zu \
                            Mustern zusammen, die häufigsten zuerst. <*> steht für das, was von Zeile zu Zeile anders ist. Ändert nichts.")]
    Unparsed(UnparsedArgs),
}

#[derive(Debug, Args)]
pub struct UnparsedArgs {
    /// Nur dieser Standort
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// Nach der Zeit des Empfangs
    #[command(flatten)]
    pub span: Span,
    /// Höchstens so viele Muster
    #[arg(long, default_value_t = 50, value_name = "ANZAHL")]
    pub limit: usize,
    /// Ein JSON-Objekt je Zeile
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Anfrage, etwa 'user.name:root AND NOT site:rathaus' oder 'failed | count by site'; * findet alles
    pub query: String,
    #[command(flatten)]
    pub span: Span,
    /// Höchstens so viele Treffer (Vorgabe 100) oder Zeilen einer Tabelle (Vorgabe alle)
    #[arg(long, value_name = "ANZAHL")]
    pub limit: Option<usize>,
    /// Ein JSON-Objekt je Zeile
    #[arg(long)]
    pub json: bool,
    /// Alle Treffer in diese Datei, .csv, .ndjson oder .parquet; --limit gilt dann nicht
    #[arg(long, value_name = "DATEI", conflicts_with = "json")]
    pub export: Option<PathBuf>,
    /// Mit --export: die ältesten zuerst
    #[arg(long, requires = "export")]
    pub oldest_first: bool,
}

#[derive(Debug, Args)]
pub struct TailArgs {
    /// Anfrage, etwa 'user.name:root AND NOT site:rathaus'; * zeigt alles
    #[arg(default_value = "*")]
    pub query: String,
    /// Nach der Zeit des Empfangs; ohne --from nur, was ab jetzt kommt
    #[command(flatten)]
    pub span: Span,
    /// Endet nach so vielen Zeilen
    #[arg(long, value_name = "ANZAHL")]
    pub limit: Option<usize>,
    /// Ein JSON-Objekt je Zeile
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct FlowsArgs {
    /// Anfrage, etwa 'destination.port:3389' oder 'site:rathaus-a | top 20 source.ip by bytes'; * findet alles
    #[arg(default_value = "*")]
    pub query: String,
    /// Die Anfrage ist ein Filter in nfdumps Schreibweise, etwa 'src ip 10.0.0.0/8 and dst port 3389 and bytes > 1M'
    #[arg(long)]
    pub nfdump: bool,
    /// Die größten nach diesem Feld, etwa source.ip; kurz für '… | top 20 source.ip by bytes'
    #[arg(long, value_name = "FELD")]
    pub top: Option<String>,
    #[command(flatten)]
    pub span: Span,
    /// Höchstens so viele Zeilen; ohne Angabe 20 Flüsse, von einer Tabelle alle
    #[arg(long, value_name = "ANZAHL")]
    pub limit: Option<usize>,
    /// Ein JSON-Objekt je Zeile
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Span {
    /// Ab hier: 2026-11-21, 2026-11-21T14:00:00Z oder rückwärts 15m, 2h, 7d
    #[arg(long, value_name = "ZEIT")]
    pub from: Option<String>,
    /// Bis hier, ausschließlich
    #[arg(long, value_name = "ZEIT")]
    pub to: Option<String>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Ein JSON-Objekt je Zeile
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum IndicatorsCommand {
    /// Liest eine Datei in eine Liste ein und sagt, was davon nicht übernommen wurde und warum
    Import(IndicatorImportArgs),
    /// Listet die Listen mit ihren Arten und die Warnlisten
    Ls(ListArgs),
    /// Sagt, ob ein Wert bekannt ist; endet mit 1, wenn nicht
    Find {
        /// Adresse, Netz, Name, URL, Hash oder E-Mail-Adresse, wie auch immer geschrieben
        value: String,
        /// Ein JSON-Objekt je Zeile
        #[arg(long)]
        json: bool,
    },
    /// Nimmt eine Liste oder Warnliste mit allen Einträgen weg
    Remove {
        /// Ihr Name, wie `indicators ls` ihn zeigt
        list: String,
    },
    /// Sagt, wie die Feeds stehen; endet mit 1, wenn einer nichts bringt
    Feeds(ListArgs),
    /// Gibt aus, was getroffen wurde, für die, die davor warnten
    Sightings {
        /// misp (je Zeile eine Anfrage an /sightings/add) oder stix (ein Bundle)
        #[arg(long, default_value = "misp", value_parser = ["misp", "stix"])]
        format: String,
        /// Nur diese Liste
        #[arg(long, value_name = "NAME")]
        list: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct IndicatorImportArgs {
    /// Die Datei; gzip und zstd werden erkannt
    #[arg(value_name = "DATEI", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Name der Liste (oder Warnliste)
    #[arg(long, value_name = "NAME")]
    pub list: String,
    /// Form der Datei; ohne Angabe wird sie erkannt
    #[arg(long, default_value = "auto", value_parser = ["auto", "text", "misp", "stix", "warnliste"])]
    pub format: String,
    /// Wer Einträge sehen darf, zu denen die Datei nichts sagt
    #[arg(long, default_value = "amber", value_name = "TLP")]
    pub tlp: String,
    /// Vertrauen in Prozent, wo die Datei nichts sagt
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "PROZENT")]
    pub confidence: u8,
    /// Tage, die Einträge gelten, wo die Datei kein Ende nennt
    #[arg(long, value_name = "TAGE")]
    pub valid_days: Option<u32>,
    /// Spalte mit den Werten, wo ihr Name es nicht verrät
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// Die Datei ist die ganze Liste: Was sie nicht mehr enthält, entfällt
    #[arg(long)]
    pub whole: bool,
    /// Zahlen als JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PlaybooksCommand {
    /// Macht aus einem CACAO-2.0-Playbook eines in unserem YAML
    #[command(
        long_about = "Gibt das Playbook als YAML aus: die Aktionen in der Reihenfolge des Ablaufs, Bedingungen als Text davor. Was nicht \
                            übernommen wurde, steht als Kommentar darüber und auf der Fehlerausgabe. Geprüft und ergänzt kommt die Datei in den \
                            Ordner `playbooks` des Datenverzeichnisses und gilt ab dem nächsten Start."
    )]
    Import {
        /// CACAO-Datei (JSON)
        #[arg(value_name = "DATEI", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Name des Playbooks, statt eines aus dem Titel
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Regel, deren Vorfälle es bekommen, auch mehrmals
        #[arg(long, value_name = "REGEL")]
        rule: Vec<String>,
        /// RSIT-Klasse, deren Vorfälle es bekommen, etwa fraud/phishing; auch mehrmals
        #[arg(long, value_name = "KLASSE")]
        rsit: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Übersetzt alle Regeln und sagt, was wo falsch ist
    Check {
        #[arg(value_name = "ORDNER", value_hint = ValueHint::DirPath)]
        dirs: Vec<PathBuf>,
        /// Regeln für Ereignisse mit eigenen Feldnamen (`CommandLine`), wie `rules run` sie liest
        #[arg(long)]
        raw: bool,
    },
    /// Führt die Belege jeder Regel aus: was treffen muss und was nicht
    Test {
        #[arg(value_name = "ORDNER", value_hint = ValueHint::DirPath)]
        dirs: Vec<PathBuf>,
    },
    /// Wertet Ereignisse aus einer NDJSON-Datei aus
    Run {
        /// Ordner mit Regeln, auch mehrmals
        #[arg(long, required = true, value_name = "ORDNER", value_hint = ValueHint::DirPath)]
        rules: Vec<PathBuf>,
        /// Ereignisse, ein JSON-Objekt je Zeile
        #[arg(value_name = "DATEI", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Sagt zu Zeilen, welche Regeln auf sie anschlagen und an welchen Feldern
    #[command(long_about = "Liest Zeilen aus einer Datei (- für die Eingabe) oder eine Zeile, die gleich dasteht: JSON-Objekte mit \
                            ECS-Namen oder rohe Protokollzeilen, wie Geräte sie senden. Sagt zu jeder, welche Regeln anschlagen und \
                            welche Auswahl, welches Feld und welcher Teil des Wertes den Ausschlag geben; bei Bausteinen, wer sie zählt. \
                            Mit dem Namen einer Regel davor (`wartburg rules explain REGEL < ZEILEN`) sagt diese zu jeder Zeile auch, \
                            woran es lag, dass sie nicht anschlägt. Es gelten die mitgelieferten Regeln und \
                            die aus rules.dirs oder --rules.")]
    Explain {
        /// Datei, - für die Eingabe, oder die Zeile selbst; oder der Name einer Regel, dann sagt die, warum sie schweigt
        #[arg(value_name = "DATEI|ZEILE|REGEL")]
        what: String,
        /// Hinter einer Regel: Datei oder Zeile, sonst die Eingabe
        #[arg(value_name = "DATEI|ZEILE")]
        line: Option<String>,
        /// Ordner mit weiteren Regeln, auch mehrmals
        #[arg(long, value_name = "ORDNER", value_hint = ValueHint::DirPath)]
        rules: Vec<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Zeigt, welche ATT&CK-Techniken die Regeln beobachten
    Coverage {
        /// Ordner mit weiteren Regeln; ohne Angabe die aus rules.dirs
        #[arg(value_name = "ORDNER", value_hint = ValueHint::DirPath)]
        dirs: Vec<PathBuf>,
        #[arg(long)]
        json: bool,
        /// Eine Ebene für den ATT&CK Navigator statt der Tabelle
        #[arg(long, conflicts_with = "json")]
        layer: bool,
    },
    /// Führt eine Regel über die gespeicherten Ereignisse aus: was sie gemeldet hätte
    #[command(long_about = "Führt die Regeln einer Datei über die gespeicherten Ereignisse aus, auch neben einem laufenden Server, und \
                            sagt, wann sie angeschlagen hätten. Es entsteht kein Alarm. Regeln in Kraft dürfen genannt werden; eine \
                            mit gleichem Namen wird für diesen Test ersetzt. Regeln für Datenflüsse (category: network_connection, \
                            product: flow) laufen über die gespeicherten Datenflüsse.")]
    Backtest {
        /// Datei mit einer oder mehreren Sigma-Regeln
        #[arg(value_name = "DATEI", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Wie weit zurück
        #[arg(long, value_name = "TAGE", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=400))]
        days: i64,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum AdvisoryCommand {
    /// Prüft CSAF-Dateien gegen die Tests der Norm
    Validate {
        #[arg(required = true, value_name = "DATEI", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Listet die Segmente: Nummern, Zeitspanne, Größe, Siegel
    Ls(ListArgs),
    /// Gibt die Einträge aus, wie sie empfangen wurden
    Cat(CatArgs),
    /// Prüft Prüfsummen, Nummern und Siegel
    Verify(VerifyArgs),
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Listet die Tage je Aufbewahrungsklasse: Ereignisse, Größe, Siegel, Schäden
    Ls(ListArgs),
    /// Prüft die Dateien: versiegelte Tage gegen ihr Siegel, die anderen gegen ihre Prüfsummen
    #[command(long_about = "Prüft die Dateien jedes Tages: versiegelte gegen ihr Siegel (Größe, CRC32C, SHA-256), die anderen gegen die \
                            Prüfsummen des Index. Geht neben einem laufenden Server. Endet mit 1, wenn etwas nicht stimmt; \
                            `wartburg store rebuild` baut beschädigte Tage aus dem Journal neu auf.")]
    Verify(StoreDayArgs),
    /// Baut beschädigte (oder die genannten) Tage aus dem Journal neu auf, ohne die Suche anzuhalten
    #[command(long_about = "Baut Tage aus dem Journal neu auf: alle beschädigten, oder den mit --class und --day genannten. Läuft ein \
                            Server, tut er es und dieser Befehl sieht zu; die Suche geht weiter. Was das Journal nicht mehr hat, wird \
                            gesagt. Der alte Stand bleibt unter events/.aside liegen.")]
    Rebuild(StoreDayArgs),
    /// Legt Sperren an, listet sie und hebt sie auf: Was gesperrt ist, wird nicht gelöscht
    Hold {
        #[command(subcommand)]
        command: HoldCommand,
    },
    /// Löscht die Ereignisse einer Person (Art. 17 DSGVO) endgültig und mit Nachweis
    #[command(long_about = "Löscht endgültig, was eine Anfrage findet, aus allen Tagen des Ereignisspeichers, und schreibt seine Dateien \
                            neu. Der Nachweis (`store deletions`) nennt Anzahl, Tage und eine Prüfsumme, nicht den Inhalt; die Anfrage \
                            wird nach dem Löschen verworfen. Weder ein Neuaufbau noch ein Neustart holt es zurück. Was gesperrt ist, \
                            wird nicht gelöscht: Dann geschieht nichts. Das Journal behält seine Kopie bis zum Ende seiner Frist; \
                            der Nachweis sagt, bis wann. Vorher mit `wartburg search` ansehen, was die Anfrage findet.")]
    Forget(ForgetArgs),
    /// Listet, was gelöscht wurde: Klasse, Tag, Anzahl, wann und warum
    Deletions(ListArgs),
}

#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Anfrage, etwa 'user.name:"e.muster"'; alles, was sie findet, wird gelöscht
    #[arg(required_unless_present = "user")]
    pub query: Option<String>,
    /// Kurz für die Anfrage user.name:"NAME"
    #[arg(long, value_name = "NAME", conflicts_with = "query")]
    pub user: Option<String>,
    #[command(flatten)]
    pub span: Span,
    /// Anmeldename der Leitung oder Administration, die es angeordnet hat; steht im Protokoll
    #[arg(long, value_name = "LOGIN")]
    pub by: String,
    /// Weshalb, etwa ein Aktenzeichen; steht im Protokoll. Keine Namen
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Ohne dies wird nur gesagt, was geschähe
    #[arg(long)]
    pub yes: bool,
    /// Ein JSON-Objekt
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct StoreDayArgs {
    /// Nur diese Aufbewahrungsklasse
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// Nur dieser Tag (UTC), etwa 2026-11-21
    #[arg(long, value_name = "TAG")]
    pub day: Option<String>,
    /// Ein JSON-Objekt je Zeile
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Sperrt, was eine Anfrage findet, oder einzelne Ereignisse
    Add {
        /// Anfrage, etwa 'source.ip:10.1.2.3'; alles, was sie findet, ist gesperrt
        query: Option<String>,
        #[command(flatten)]
        span: Span,
        /// Einzelne Ereignisse: ihre Nummern, mit Komma getrennt
        #[arg(long, value_name = "NUMMERN", value_delimiter = ',')]
        seqs: Vec<u64>,
        /// Weshalb; steht im Protokoll
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Der Vorfall, zu dem es gehört
        #[arg(long, value_name = "NUMMER")]
        incident: Option<String>,
        /// Anmeldename der Leitung oder Administration, die es angeordnet hat; steht im Protokoll
        #[arg(long, value_name = "LOGIN")]
        by: Option<String>,
    },
    /// Listet die Sperren
    Ls(ListArgs),
    /// Hebt eine Sperre auf; was keine andere mehr hält, wird gelöscht, wenn seine Zeit um ist
    Release {
        /// Ihre Nummer, wie `store hold ls` sie zeigt
        id: String,
        /// Anmeldename der Leitung oder Administration, die es angeordnet hat; steht im Protokoll
        #[arg(long, value_name = "LOGIN")]
        by: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct CatArgs {
    /// Ab dieser Nummer
    #[arg(long, value_name = "NUMMER")]
    pub from: Option<u64>,
    /// Bis zu dieser Nummer, einschließlich
    #[arg(long, value_name = "NUMMER")]
    pub to: Option<u64>,
    /// Höchstens so viele Einträge
    #[arg(long, value_name = "ANZAHL")]
    pub limit: Option<usize>,
    /// Ein JSON-Objekt je Zeile
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyAllArgs {
    #[command(flatten)]
    pub journal: VerifyArgs,
    /// Ein anderswo aufbewahrter unterschriebener Stand: eine Zeile aus audit-roots/roots.txt oder ihre Unterschrift
    #[arg(long, value_name = "ZEILE")]
    pub root: Option<String>,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Ein früher notiertes Ende der Kette: es muss noch darin stehen
    #[arg(long, value_name = "WERT")]
    pub chain: Option<String>,
    /// Ein JSON-Objekt je Zeile: jeder Fehler, zuletzt das Ergebnis
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PseudonymsCommand {
    /// Sagt, was seit wann pseudonymisiert wird, und listet die Schlüssel
    Ls(ListArgs),
    /// Bildet Pseudonyme ab jetzt mit einem neuen Schlüssel; alte lassen sich weiter suchen und aufdecken
    Rotate,
    /// Vernichtet einen Schlüssel: Was mit ihm gebildet wurde, lässt sich nie wieder aufdecken
    Forget {
        /// Der Name des Schlüssels, wie `pseudonyms ls` ihn zeigt
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum OpenpgpCommand {
    /// Erzeugt den eigenen Schlüssel (Ed25519 und Curve25519) für den Absender aus mail.from
    Generate,
    /// Übernimmt einen vorhandenen eigenen Schlüssel ohne Passphrase
    Import {
        /// Datei mit dem geheimen Schlüssel (ASCII-Armor)
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Gibt den eigenen öffentlichen Schlüssel aus, zum Weitergeben
    Export,
    /// Zeigt den eigenen Schlüssel und die hinterlegten
    Ls(ListArgs),
    /// Hinterlegt den öffentlichen Schlüssel einer Ansprechperson
    Add {
        /// Mailadresse der Ansprechperson
        email: String,
        /// Datei mit dem öffentlichen Schlüssel (ASCII-Armor)
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Entfernt einen hinterlegten Schlüssel
    Remove {
        /// Mailadresse der Ansprechperson
        email: String,
        /// Fingerabdruck, wie `openpgp ls` ihn zeigt
        fingerprint: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Legt ein Konto an; das Kennwort wird von der Standardeingabe gelesen
    Add {
        /// Anmeldename
        name: String,
        /// analyst, lead, municipality, steering …
        #[arg(long)]
        role: String,
        /// Stelle, für Konten von Kommunen
        #[arg(long, value_name = "NAME")]
        body: Option<String>,
        /// Anzeigename
        #[arg(long, value_name = "NAME")]
        full_name: Option<String>,
    },
    /// Legt ein Konto ohne Kennwort an und gibt den Link aus, mit dem die Person eines setzt (48 Stunden, einmal)
    Invite {
        /// Anmeldename
        login: String,
        /// Name der Person
        #[arg(long, value_name = "NAME")]
        name: String,
        /// analyst, lead, municipality, provider, steering, auditor, admin
        #[arg(long)]
        role: String,
        /// Stelle, für Konten von Kommunen; für Dienstleister das erste Mandat
        #[arg(long, value_name = "NAME")]
        body: Option<String>,
    },
    /// Verwirft das Kennwort eines Kontos, meldet es überall ab und gibt einen neuen Link aus
    Reset {
        /// Anmeldename
        login: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_a_help_line() {
        for command in command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
