//! The base services of the Land: what many administrations stand on, so that a case says which of them it concerns.

/// (key, proper name) of each. A key is kept in cases for good; a service that ends keeps its row.
pub const SERVICES: [(&str, &str); 6] = [
    ("verwaltungsportal", "Verwaltungsportal"),
    ("servicekonto", "Servicekonto"),
    ("thavel", "ThAVEL"),
    ("e-rechnung", "E-Rechnung"),
    ("e-payment", "E-Payment"),
    ("landesdatennetz", "Landesdatennetz"),
];

/// A base service's name; `None` for what is none.
pub fn service_name(key: &str) -> Option<&'static str> {
    SERVICES.iter().find(|(known, _)| *known == key).map(|(_, name)| *name)
}

/// The known ones of `keys`, each once, in the order of the table.
pub fn services_known<'k>(keys: impl IntoIterator<Item = &'k str>) -> Vec<String> {
    let keys: Vec<&str> = keys.into_iter().collect();
    SERVICES.iter().filter(|(known, _)| keys.contains(known)).map(|(known, _)| (*known).to_owned()).collect()
}
