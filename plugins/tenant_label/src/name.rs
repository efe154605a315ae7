//! Names of tenants: what they may look like, since directories, indices and metric labels bear them.

/// Why a name can't be a tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is empty.
    Empty,
    /// It is longer than this.
    TooLong(usize),
    /// It begins with this character.
    Start(char),
    /// It contains this character.
    Character(char),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => write!(f, "a tenant's name must not be empty"),
            Self::TooLong(limit) => write!(f, "a tenant's name must not be longer than {limit} characters"),
            Self::Start(character) => write!(f, "a tenant's name must not begin with {character:?}"),
            Self::Character(character) => write!(
                f,
                "a tenant's name must not contain {character:?}; use letters a-z, A-Z, digits, dot, hyphen, underscore"
            ),
        }
    }
}

/// Checks a name.
pub(crate) fn check(name: &str, max_length: usize) -> Result<(), Fault> {
    let first = name.chars().next().ok_or(Fault::Empty)?;
    if let Some(character) = name.chars().find(|character| !is_allowed(*character)) {
        return Err(Fault::Character(character));
    }
    if !may_start(first) {
        return Err(Fault::Start(first));
    }
    // All characters are ASCII here.
    if name.len() > max_length {
        return Err(Fault::TooLong(max_length));
    }
    Ok(())
}

/// The nearest valid name: underscores for what is not allowed, cut where it is too long. Different names may become
/// the same.
pub(crate) fn repair(name: &str, max_length: usize) -> String {
    let repaired = name.chars().take(max_length).enumerate().map(|(i, character)| {
        let fits = is_allowed(character) && (i > 0 || may_start(character));
        if fits { character } else { '_' }
    });
    repaired.collect()
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_')
}

/// A leading dot would hide a directory or leave it (`..`), a leading hyphen looks like an option.
fn may_start(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_that_are_safe_everywhere() {
        for (name, expected) in [
            ("acme", Ok(())),
            ("Team_42.eu-west-1", Ok(())),
            ("_", Ok(())),
            ("7", Ok(())),
            ("12345678901234567890", Ok(())),
            ("123456789012345678901", Err(Fault::TooLong(20))),
            ("", Err(Fault::Empty)),
            ("..", Err(Fault::Start('.'))),
            ("-rf", Err(Fault::Start('-'))),
            ("a/b", Err(Fault::Character('/'))),
            ("a b", Err(Fault::Character(' '))),
            ("a\0", Err(Fault::Character('\0'))),
            ("münchen", Err(Fault::Character('ü'))),
        ] {
            assert_eq!(check(name, 20), expected, "{name:?}");
        }
    }

    #[test]
    fn repairs_to_names_that_it_takes() {
        for (name, expected) in [
            ("a/b c", "a_b_c"),
            ("../etc", "_._etc"),
            ("-rf", "_rf"),
            ("münchen", "m_nchen"),
            ("a\u{1f600}b", "a_b"),
            ("123456789012345678901", "12345678901234567890"),
        ] {
            let repaired = repair(name, 20);
            assert_eq!((repaired.as_str(), check(&repaired, 20)), (expected, Ok(())), "{name:?}");
        }
    }
}
