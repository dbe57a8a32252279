//! Where a letter belongs: a pure function of the letter and of what is known, read from top to bottom.
//!
//! A letter opens a case by itself only where a registered contact of a body is proved to have sent it; everything else that
//! belongs to no case waits for a person. Spam, a stranger and somebody who only says who he is must not be able to make
//! work for the whole house, and a case in a body's name is a claim about that body.

use detect::incident::IncidentId;
use ingest::body::{BodyId, ContactId};

use super::{Letter, Proof};

/// Letters of one sender within an hour that may open cases; more come from a program, or from somebody who floods.
pub(super) const OPENED_PER_HOUR_MAX: usize = 5;

/// What the stores know about a letter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// It is ours: our own address, or a mail that went out from here.
    pub ours: bool,
    /// The case of a mail of ours that it answers. Its identity has 80 random bits, so who names it has seen the mail.
    pub thread: Option<IncidentId>,
    /// The case whose number stands in the subject, and whose it is.
    pub named: Option<(IncidentId, Option<BodyId>)>,
    /// Whose registered contact the sender's address is; none where it is several bodies'.
    pub contact: Option<(BodyId, ContactId)>,
    /// A good OpenPGP signature by that contact's key.
    pub signed: bool,
    /// Cases that letters of this sender opened within the last hour.
    pub opened: usize,
}

/// What is to be done with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Case(IncidentId),
    /// A new case of this body.
    Open(BodyId),
    /// A person says where it belongs.
    Tray,
    /// Kept, and of no interest.
    Aside,
}

/// Why it is so; a sentence on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It answers a mail of the case.
    Answer,
    /// It names the case, and the body's contact proved to have sent it.
    Number,
    /// A body's contact reports something new.
    Contact,
    /// It says it is from somebody whose domain does not stand behind it.
    Forged,
    /// Nobody proved who sent it.
    Unproved,
    /// No body has this contact.
    Stranger,
    /// It names a case of another body.
    ForeignNumber,
    /// This sender opened many cases in a short time.
    Flood,
    /// A program wrote it.
    Automatic,
    /// It came back to us.
    Loop,
    /// It tells what became of a mail.
    Report,
}

impl Why {
    pub const ALL: [Self; 11] = [
        Self::Answer,
        Self::Number,
        Self::Contact,
        Self::Forged,
        Self::Unproved,
        Self::Stranger,
        Self::ForeignNumber,
        Self::Flood,
        Self::Automatic,
        Self::Loop,
        Self::Report,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Number => "number",
            Self::Contact => "contact",
            Self::Forged => "forged",
            Self::Unproved => "unproved",
            Self::Stranger => "stranger",
            Self::ForeignNumber => "foreign_number",
            Self::Flood => "flood",
            Self::Automatic => "automatic",
            Self::Loop => "loop",
            Self::Report => "report",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == text)
    }
}

/// Who sent it, as far as it is proved; shown beside every letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A body's contact, proved.
    Proved,
    /// A contact's address, and nobody said whether it is true.
    Unproved,
    /// A claim that was found untrue.
    Forged,
    /// Nobody's contact.
    Stranger,
}

impl Sender {
    pub const ALL: [Self; 4] = [Self::Proved, Self::Unproved, Self::Forged, Self::Stranger];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Unproved => "unproved",
            Self::Forged => "forged",
            Self::Stranger => "stranger",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sender| sender.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub place: Place,
    pub why: Why,
    pub sender: Sender,
}

/// Says where a letter belongs.
pub fn judge(letter: &Letter, known: &Known) -> Judgement {
    let sender = match (known.contact, letter.proof) {
        // Also where a signature holds: what was signed once can be sent again by anybody, from anywhere.
        (_, Proof::Failed) => Sender::Forged,
        (Some(_), _) if known.signed => Sender::Proved,
        (Some(_), Proof::Passed) => Sender::Proved,
        (Some(_), Proof::None) => Sender::Unproved,
        (None, _) => Sender::Stranger,
    };
    let (place, why) = place(letter, known, sender);
    Judgement { place, why, sender }
}

fn place(letter: &Letter, known: &Known, sender: Sender) -> (Place, Why) {
    let thread = |why| known.thread.map_or((Place::Aside, why), |case| (Place::Case(case), why));
    if letter.report.is_some() {
        return thread(Why::Report);
    }
    if known.ours {
        return (Place::Aside, Why::Loop);
    }
    if sender == Sender::Forged {
        return (Place::Tray, Why::Forged);
    }
    if letter.automatic.is_some() {
        return thread(Why::Automatic);
    }
    if let Some(case) = known.thread {
        return (Place::Case(case), Why::Answer);
    }
    let (Some((body, _)), Sender::Proved) = (known.contact, sender) else {
        return (Place::Tray, if known.contact.is_some() { Why::Unproved } else { Why::Stranger });
    };
    match known.named {
        Some((case, owner)) if owner == Some(body) => (Place::Case(case), Why::Number),
        Some(_) => (Place::Tray, Why::ForeignNumber),
        None if known.opened >= OPENED_PER_HOUR_MAX => (Place::Tray, Why::Flood),
        None => (Place::Open(body), Why::Contact),
    }
}
