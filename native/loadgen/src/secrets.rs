//! The current and all earlier values of secrets.

use crate::plan::Encoding;
use crate::template::{self, Secrets};

/// The current values of secrets, and every value so far (for masking).
#[derive(Debug, Default, Clone)]
pub struct SecretStore {
    /// By slot.
    pub current: Secrets,
    /// Values of four characters and more, longest first.
    pub known: Vec<String>,
}

impl SecretStore {
    /// Sets a slot.
    pub fn set(&mut self, slot: &str, value: &str) {
        self.current.insert(slot.to_owned(), value.to_owned());
        add_forms(&mut self.known, value);
    }
}

/// Adds the written forms of a secret of four characters and more; the longest come first.
pub(crate) fn add_forms(known: &mut Vec<String>, value: &str) {
    let mut forms =
        [Encoding::Raw, Encoding::Percent, Encoding::Json].map(|each| template::encoded(value, each)).to_vec();
    // A body that is echoed inside JSON is escaped twice.
    forms.push(template::encoded(&forms[2], Encoding::Json));
    for form in forms {
        if form.chars().count() >= 4 && !known.contains(&form) {
            known.push(form);
        }
    }
    // A secret may contain another one: mask the longer first.
    known.sort_by_key(|known| std::cmp::Reverse(known.len()));
}
