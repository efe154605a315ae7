//! Payment card numbers: 13 to 19 digits that pass the Luhn check (ISO/IEC 7812-1), with spaces or dashes between groups.

use std::ops::Range;

/// Matches wherever thirteen digits follow each other, separators aside.
pub(super) const CANDIDATE: &str = "[0-9](?:[ -]?[0-9]){12}";

const SHORTEST: usize = 13;
const LONGEST: usize = 19;
/// Groups of printed numbers have 4 to 6 digits, the last one of a 19-digit number 3. Shorter groups are lists of
/// small numbers.
const SHORTEST_GROUP: usize = 3;

/// The byte ranges of all card numbers in `text`, ascending and disjoint. Overlapping ones count as one.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut run = Run::default();
    let mut at = 0;
    while let Some(next) = run.read(text.as_bytes(), at) {
        at = next;
        if run.digits.len() >= SHORTEST {
            run.find_cards(&mut found);
        }
    }
    found
}

/// Digits that follow each other with at most one separator between two of them.
#[derive(Default)]
struct Run {
    /// Value of each digit.
    digits: Vec<u8>,
    /// Byte position of each digit.
    positions: Vec<usize>,
    /// First digit of each group, and the number of digits as the last value.
    groups: Vec<usize>,
}

impl Run {
    /// Reads the next run that starts at byte `from` or later. Returns the position behind it.
    fn read(&mut self, text: &[u8], from: usize) -> Option<usize> {
        self.digits.clear();
        self.positions.clear();
        self.groups.clear();
        let mut at = from + text.get(from..)?.iter().position(u8::is_ascii_digit)?;
        self.groups.push(0);
        loop {
            self.digits.push(text[at] - b'0');
            self.positions.push(at);
            let digit_at = |position: usize| text.get(position).is_some_and(u8::is_ascii_digit);
            if digit_at(at + 1) {
                at += 1;
            } else if matches!(text.get(at + 1), Some(b' ' | b'-')) && digit_at(at + 2) {
                self.groups.push(self.digits.len());
                at += 2;
            } else {
                self.groups.push(self.digits.len());
                return Some(at + 1);
            }
        }
    }

    /// Appends the card numbers that consist of whole groups. Every start and every length is tried: a number next
    /// to a card must not hide it.
    fn find_cards(&self, found: &mut Vec<Range<usize>>) {
        for (index, &start) in self.groups.iter().enumerate() {
            for &end in self.groups[index + 1..].iter().take_while(|&&end| end - start <= LONGEST) {
                if self.is_card(index, start, end) {
                    push_merged(found, self.positions[start]..self.positions[end - 1] + 1);
                }
            }
        }
    }

    fn is_card(&self, first_group: usize, start: usize, end: usize) -> bool {
        let digits = &self.digits[start..end];
        // 0 and 1 begin no bank's or merchant's card, but nearly every time stamp of our days.
        digits.len() >= SHORTEST && digits[0] >= 2 && self.is_grouped_like_a_card(first_group, end) && luhn(digits)
    }

    fn is_grouped_like_a_card(&self, first_group: usize, end: usize) -> bool {
        self.groups[first_group..]
            .windows(2)
            .take_while(|group| group[1] <= end)
            .all(|group| group[1] - group[0] >= SHORTEST_GROUP)
    }
}

/// Appends a range, or extends the last one if both overlap.
fn push_merged(found: &mut Vec<Range<usize>>, range: Range<usize>) {
    match found.last_mut() {
        Some(last) if range.start < last.end => last.end = last.end.max(range.end),
        _ => found.push(range),
    }
}

/// Whether the digits pass the Luhn check. All zeros pass too, but no card is so.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match (index % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
