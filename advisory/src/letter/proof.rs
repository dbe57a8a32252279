//! Whether a sender is who it says: what our own mail server wrote into `Authentication-Results` (RFC 8601). Nobody else's
//! word counts, so without the name of our server nothing is proved; and of several such fields only the top-most, which is
//! the one that was added last.

/// What is known of the sender's domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Our server found that the domain in `From` stands behind the mail.
    Passed,
    /// Our server found that it does not.
    Failed,
    /// Nobody said anything.
    #[default]
    None,
}

/// Judges the fields of a mail that says it is from `domain`.
pub fn proof<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, authserv: Option<&str>, domain: &str) -> Proof {
    let (Some(authserv), false) = (authserv, domain.is_empty()) else { return Proof::None };
    let mut fields = headers.filter(|(name, _)| name.eq_ignore_ascii_case("authentication-results"));
    let ours = fields.find_map(|(_, value)| {
        let value = without_comments(value);
        let (server, results) = value.split_once(';')?;
        let server = server.split_whitespace().next()?;
        server.eq_ignore_ascii_case(authserv).then(|| results.to_ascii_lowercase())
    });
    let Some(results) = ours else { return Proof::None };
    let results: Vec<MethodResult<'_>> = results.split(';').filter_map(MethodResult::parse).collect();
    let of = |method: &'static str| results.iter().filter(move |one| one.method == method);
    // DMARC is the question that we ask; where our server answers it, nothing else is looked at.
    for one in of("dmarc") {
        let same = one.property("header.from").is_none_or(|from| from == domain);
        match one.result {
            "pass" if same => return Proof::Passed,
            "none" => {}
            _ => return Proof::Failed,
        }
    }
    let signed = of("dkim").any(|one| one.result == "pass" && one.property("header.d").is_some_and(|signer| stands_for(signer, domain)));
    let sent = of("spf").any(|one| {
        let from = one.property("smtp.mailfrom").map(|from| from.rsplit_once('@').map_or(from, |(_, domain)| domain));
        one.result == "pass" && from.is_some_and(|from| stands_for(from, domain))
    });
    let failed = results.iter().any(|one| ["dkim", "spf"].contains(&one.method) && ["fail", "softfail", "permerror"].contains(&one.result));
    // A signature or a path of another domain proves that one, and not the one that is claimed.
    let foreign = results.iter().any(|one| ["dkim", "spf"].contains(&one.method) && one.result == "pass");
    match () {
        () if signed || sent => Proof::Passed,
        () if failed || foreign => Proof::Failed,
        () => Proof::None,
    }
}

/// `spf=pass smtp.mailfrom=a@b.example`
struct MethodResult<'a> {
    method: &'a str,
    result: &'a str,
    properties: Vec<(&'a str, &'a str)>,
}

impl<'a> MethodResult<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut words = text.split_whitespace().filter_map(|word| word.split_once('='));
        let (method, result) = words.next()?;
        let method = method.split('/').next().unwrap_or(method);
        Some(Self {
            method,
            result,
            properties: words.map(|(name, value)| (name, value.trim_matches('"').trim_start_matches('@'))).collect(),
        })
    }

    fn property(&self, name: &str) -> Option<&'a str> {
        self.properties.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// A domain stands for itself and for what is below it; one word alone is nobody's domain.
fn stands_for(signer: &str, domain: &str) -> bool {
    let below = || domain.strip_suffix(signer).is_some_and(|rest| rest.ends_with('.')) && signer.contains('.');
    signer == domain || below()
}

/// Comments may hold anything, also what looks like a result. Nested ones are counted; a quoted string is none.
fn without_comments(value: &str) -> String {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => depth -= 1,
            // What is quoted is a value and separates nothing.
            ';' | '=' | ' ' if quoted => out.push('_'),
            _ if depth == 0 => out.push(if c.is_whitespace() { ' ' } else { c }),
            _ => {}
        }
    }
    out
}
