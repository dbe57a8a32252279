//! The demo's bodies: the 5 kreisfreie Städte, the 17 Landratsämter and 60 towns and municipalities of Thuringia with
//! their real names and Amtliche Gemeindeschlüssel (after the annex of the federal Mietniveau-Einstufungs-Verordnung,
//! as of 2021-01-25). People, addresses and everything that happens to them in the demo are invented.

use std::net::Ipv4Addr;

use ingest::body::{Ags, Body, BodyId, BodyKind, Contact, ContactId, KREISE, Site, SiteId};
use ingest::time::Timestamp;

/// Towns and municipalities: AGS, name, whether it is a Stadt.
const GEMEINDEN: [(&str, &str, bool); 60] = [
    ("16061115", "Leinefelde-Worbis", true),
    ("16061074", "Niederorschel", false),
    ("16061117", "Sonnenstein", false),
    ("16062041", "Nordhausen", true),
    ("16062064", "Heringen/Helme", true),
    ("16062062", "Hohenstein", false),
    ("16062063", "Werther", false),
    ("16063066", "Ruhla", true),
    ("16063076", "Treffurt", true),
    ("16063098", "Hörselberg-Hainich", false),
    ("16063101", "Krayenberggemeinde", false),
    ("16063103", "Werra-Suhl-Tal", true),
    ("16063092", "Wutha-Farnroda", false),
    ("16064046", "Mühlhausen/Thüringen", true),
    ("16064077", "Nottertal-Heilinger Höhen", true),
    ("16064074", "Südeichsfeld", false),
    ("16064071", "Unstruttal", false),
    ("16064075", "Vogtei", false),
    ("16065067", "Sondershausen", true),
    ("16065087", "Roßleben-Wiehe", true),
    ("16065085", "Kyffhäuserland", false),
    ("16066042", "Meiningen", true),
    ("16066063", "Schmalkalden", true),
    ("16066069", "Steinbach-Hallenberg", true),
    ("16066092", "Zella-Mehlis", true),
    ("16066086", "Wasungen", true),
    ("16066093", "Rhönblick", false),
    ("16067053", "Ohrdruf", true),
    ("16067072", "Waltershausen", true),
    ("16067088", "Hörsel", false),
    ("16067087", "Nesse-Apfelstädt", false),
    ("16068051", "Sömmerda", true),
    ("16068034", "Kölleda", true),
    ("16068058", "Weißensee", true),
    ("16069024", "Hildburghausen", true),
    ("16069062", "Römhild", true),
    ("16069043", "Schleusingen", true),
    ("16069061", "Masserberg", false),
    ("16070029", "Ilmenau", true),
    ("16070048", "Stadtilm", true),
    ("16071101", "Ilmtal-Weinstraße", false),
    ("16071046", "Kranichfeld", true),
    ("16072018", "Sonneberg", true),
    ("16072013", "Neuhaus am Rennweg", true),
    ("16073077", "Saalfeld/Saale", true),
    ("16073076", "Rudolstadt", true),
    ("16073109", "Uhlstädt-Kirchhasel", false),
    ("16073111", "Unterwellenborn", false),
    ("16074041", "Hermsdorf", true),
    ("16074094", "Stadtroda", true),
    ("16074044", "Kahla", true),
    ("16075085", "Pößneck", true),
    ("16075098", "Schleiz", true),
    ("16075073", "Neustadt an der Orla", true),
    ("16075134", "Remptendorf", false),
    ("16076087", "Zeulenroda-Triebes", true),
    ("16076079", "Weida", true),
    ("16076061", "Ronneburg", true),
    ("16077043", "Schmölln", true),
    ("16077032", "Meuselwitz", true),
];

const FIRST_NAMES: [&str; 12] = ["Anke", "Bernd", "Claudia", "Dirk", "Elke", "Frank", "Grit", "Heiko", "Ines", "Jens", "Katrin", "Lutz"];
const LAST_NAMES: [&str; 14] = [
    "Albrecht",
    "Böttcher",
    "Creutzburg",
    "Döring",
    "Eberhardt",
    "Franke",
    "Göbel",
    "Hartung",
    "Jahn",
    "Köhler",
    "Linke",
    "Möller",
    "Rudolph",
    "Schröter",
];

/// A body of the demo with all that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct DemoBody {
    pub(super) body: Body,
    pub(super) contacts: Vec<Contact>,
    pub(super) site: Site,
    /// Where its devices send from: 127.16.x.0/24, so that the demo's packets are told apart by their real source address.
    pub(super) network: Ipv4Addr,
    /// Its inner network in the log lines: 10.x.y.0/24.
    pub(super) inside: Ipv4Addr,
}

impl DemoBody {
    /// The device number `host` as a sender.
    pub(super) fn sender(&self, host: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.network.octets();
        Ipv4Addr::new(a, b, c, host)
    }

    pub(super) fn inner(&self, host: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.inside.octets();
        Ipv4Addr::new(a, b, c, host)
    }
}

/// All bodies with contacts and sites, in the order of their keys; identities are fresh.
pub(super) fn bodies(now: Timestamp) -> Vec<DemoBody> {
    let towns = KREISE.iter().filter(|kreis| kreis.kreisfrei).map(|kreis| {
        let ags = format!("{}000", kreis.key);
        (format!("Stadtverwaltung {}", kreis.name), BodyKind::KreisfreieStadt, ags, kreis.key)
    });
    let kreise = KREISE.iter().filter(|kreis| !kreis.kreisfrei).map(|kreis| {
        let name = format!("Landratsamt {}", kreis.name.trim_start_matches("Landkreis "));
        (name, BodyKind::Landratsamt, String::new(), kreis.key)
    });
    let gemeinden = GEMEINDEN.iter().map(|(ags, name, stadt)| {
        let office = if *stadt { "Stadtverwaltung" } else { "Gemeinde" };
        (format!("{office} {name}"), BodyKind::Gemeinde, (*ags).to_owned(), ags.get(..5).unwrap_or_default())
    });
    let all = towns.chain(kreise).chain(gemeinden);
    all.zip(0u8..).map(|((name, kind, ags, kreis), n)| demo_body(&name, kind, &ags, kreis, n, now)).collect()
}

fn demo_body(name: &str, kind: BodyKind, ags: &str, kreis: &str, n: u8, now: Timestamp) -> DemoBody {
    let id = BodyId::new(now);
    let slug = slug(name);
    let person = |place: usize| {
        let first = FIRST_NAMES.get((usize::from(n) + place * 5) % FIRST_NAMES.len()).copied().unwrap_or_default();
        let last = LAST_NAMES.get((usize::from(n) * 3 + place * 7) % LAST_NAMES.len()).copied().unwrap_or_default();
        format!("{first} {last}")
    };
    let domain = format!("{}.thueringen.example", slug.trim_start_matches("stadtverwaltung-").trim_start_matches("gemeinde-"));
    let contact = |role: &str, place: usize, confirmed_days: i64| Contact {
        id: ContactId::new(now),
        body: id,
        name: person(place),
        email: format!("{role}@{domain}"),
        role: role.to_owned(),
        confirmed_at: Some(now.plus(-confirmed_days * Timestamp::DAY)),
    };
    let age = i64::from(n) * 7 % 240;
    let network = Ipv4Addr::new(127, 16, n, 0);
    let site = Site {
        id: SiteId::new(now),
        name: slug,
        body: Some(id),
        prefixes: format!("{network}/24").parse().into_iter().collect(),
        certificates: vec![],
        tokens: vec![],
    };
    DemoBody {
        body: Body { id, name: name.to_owned(), kind, ags: ags.parse::<Ags>().ok(), kreis: kreis.to_owned(), population: 0 },
        contacts: vec![contact("isb", 0, age), contact("deputy", 1, age + 20)],
        site,
        network,
        inside: Ipv4Addr::new(10, 16, n, 0),
    }
}

/// A name as part of a site's name or a mail domain: ASCII, lower case, hyphens.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'ä' => slug.push_str("ae"),
            'ö' => slug.push_str("oe"),
            'ü' => slug.push_str("ue"),
            'ß' => slug.push_str("ss"),
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kreis_has_its_bodies_and_nothing_is_twice() {
        let all = bodies(Timestamp(0));
        assert_eq!(all.len(), 82);
        let names: HashSet<_> = all.iter().map(|b| b.body.name.as_str()).collect();
        let sites: HashSet<_> = all.iter().map(|b| b.site.name.as_str()).collect();
        let ags: HashSet<_> = all.iter().filter_map(|b| b.body.ags).collect();
        let kreise: HashSet<_> = all.iter().map(|b| b.body.kreis.as_str()).collect();
        assert_eq!((names.len(), sites.len(), ags.len(), kreise.len()), (82, 82, 65, 22));
        assert!(all.iter().all(|b| b.body.ags.is_none_or(|ags| ags.kreis_key() == b.body.kreis)));
        assert!(all.iter().all(|b| b.site.prefixes.len() == 1));
    }

    #[test]
    fn names_become_slugs() {
        assert_eq!(slug("Stadtverwaltung Mühlhausen/Thüringen"), "stadtverwaltung-muehlhausen-thueringen");
    }
}
