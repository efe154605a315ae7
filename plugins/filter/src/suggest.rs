//! The nearest known name for one that is not known.

/// ", did you mean X?" for the known name nearest to `name`, or nothing if none is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let wanted = name.to_ascii_lowercase();
    let nearest = known
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_ascii_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, candidate)) if distance <= (name.len() / 3).max(1) => format!(", did you mean `{candidate}`?"),
        _ => String::new(),
    }
}

/// How many letters must be added, removed or changed; swapping two neighbours counts as one change.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_of_the_known() {
        let known = ["IsMatch", "IsMap", "HasPrefix"];
        let cases = [
            ("IsMacth", ", did you mean `IsMatch`?"),
            ("ismatch", ", did you mean `IsMatch`?"),
            ("HasPrefx", ", did you mean `HasPrefix`?"),
            ("Sqrt", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(did_you_mean(name, known), expected, "{name}");
        }
    }
}
