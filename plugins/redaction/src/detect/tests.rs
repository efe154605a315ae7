use super::*;

fn masked(what: DetectorType, mask: DetectorMask, text: &str) -> String {
    let mut result = text.to_owned();
    let detector = Detector { what, mask };
    for range in detector.find(text).into_iter().rev() {
        result.replace_range(range, "#");
    }
    result
}

#[test]
fn finds_card_numbers_by_their_check_digit() {
    for (text, expected) in [
        ("", ""),
        ("4111111111111111", "#1111"),
        ("pay 4111 1111 1111 1111 now", "pay #1111 now"),
        ("4111-1111-1111-1111", "#1111"),
        ("3782 822463 10005", "#0005"),
        ("378282246310005", "#0005"),
        ("4222222222222", "#2222"),
        ("6304000000000000000", "#0000"),
        ("6304 0000 0000 0000 000", "#0 000"),
        ("6304 0000 0000 00 00 0", "6304 0000 0000 00 00 0"),
        ("4111111111111112", "4111111111111112"),
        ("a4111111111111111b5500000000000004", "a#1111b#0004"),
        ("no 123 4111 1111 1111 1111", "no 123 #1111"),
        ("4111 1111 1111 1111 123", "#1111 123"),
        ("4111  1111 1111 1111", "4111  1111 1111 1111"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
        ("0000000000000000", "0000000000000000"),
        ("https://shop/pay?card=4111111111111111&x=1", "https://shop/pay?card=#1111&x=1"),
        ("größe 4111111111111111 ✓", "größe #1111 ✓"),
    ] {
        assert_eq!(masked(DetectorType::Card, DetectorMask::Last4, text), expected, "{text}");
    }
}

#[test]
fn takes_card_numbers_of_13_to_19_digits() {
    for length in 11..=21_usize {
        let mut digits = vec!['4'; length - 1];
        let check = ('0'..='9').find(|&check| {
            digits.push(check);
            let sum = luhn_sum(&digits);
            digits.pop();
            sum.is_multiple_of(10)
        });
        digits.extend(check);
        let text: String = digits.into_iter().collect();
        let expected = if (13..=19).contains(&length) { "#" } else { text.as_str() };
        assert_eq!(masked(DetectorType::Card, DetectorMask::Full, &text), expected, "{length} digits");
    }
}

/// The Luhn sum as textbooks write it.
fn luhn_sum(digits: &[char]) -> u32 {
    let mut sum = 0;
    for (index, digit) in digits.iter().rev().enumerate() {
        let mut value = digit.to_digit(10).expect("a digit");
        if index % 2 == 1 {
            value *= 2;
            if value > 9 {
                value -= 9;
            }
        }
        sum += value;
    }
    sum
}

#[test]
fn a_time_stamp_is_no_card_number() {
    let text = "1700000000000 1700000000000000000 1699999999994";
    assert_eq!(masked(DetectorType::Card, DetectorMask::Full, text), text);
}

#[test]
fn a_number_beside_a_card_hides_nothing_of_it() {
    // The order number makes a second number of 15 digits that passes the check and ends inside the card.
    let order = (200..300).find(|order| {
        let digits: Vec<char> = format!("{order}550000000000").chars().collect();
        luhn_sum(&digits).is_multiple_of(10)
    });
    let text = format!("order {} 5500 0000 0000 0004", order.expect("one in ten"));
    assert_eq!(masked(DetectorType::Card, DetectorMask::Last4, &text), "order #0004");
}

#[test]
fn finds_account_numbers_by_country_length_and_remainder() {
    for (text, expected) in [
        ("", ""),
        ("DE89370400440532013000", "#3000"),
        ("DE89 3704 0044 0532 0130 00", "#30 00"),
        ("to DE89 3704 0044 0532 0130 00 EUR 5", "to #30 00 EUR 5"),
        ("DE89-3704-0044-0532-0130-00", "#30-00"),
        ("DE 89 3704 0044 0532 0130 00", "#30 00"),
        ("DE-89-370400440532013000", "#3000"),
        ("D E-8 9370400440532013000", "#3000"),
        ("DE  89 3704 0044 0532 0130 00", "DE  89 3704 0044 0532 0130 00"),
        ("A-DE 89 3704 0044 0532 0130 00", "A-#30 00"),
        ("de 89 3704 0044 0532 0130 00", "de 89 3704 0044 0532 0130 00"),
        ("retry no 45 of 20 for host web prod", "retry no 45 of 20 for host web prod"),
        ("ISO-8859-8 Hebrew model works", "ISO-8859-8 Hebrew model works"),
        ("GB82 WEST 1234 5698 7654 32", "#54 32"),
        ("gb82west12345698765432", "#5432"),
        ("NO9386011117947", "#7947"),
        ("MT84MALT011000012345MTLCAST001S", "#001S"),
        ("iban%20DE89370400440532013000", "iban%20#3000"),
        ("XX00 DE89370400440532013000", "XX00 #3000"),
        ("DE88370400440532013000", "DE88370400440532013000"),
        ("DE8937040044053201300", "DE8937040044053201300"),
        ("ZZ89370400440532013000", "ZZ89370400440532013000"),
        ("DE89  3704 0044 0532 0130 00", "DE89  3704 0044 0532 0130 00"),
        ("DE89", "DE89"),
        ("ÄDE89370400440532013000Ö", "Ä#3000Ö"),
    ] {
        assert_eq!(masked(DetectorType::Iban, DetectorMask::Last4, text), expected, "{text}");
    }
    assert_eq!(masked(DetectorType::Iban, DetectorMask::Full, "x DE89 3704 0044 0532 0130 00."), "x #.");
}

#[test]
fn finds_e_mail_addresses_and_keeps_their_domains() {
    for (text, domain, full) in [
        ("", "", ""),
        ("bob@example.com", "#@example.com", "#"),
        ("<bob.b+x@mail.example.co.uk>, 'al@x.org'", "<#@mail.example.co.uk>, '#@x.org'", "<#>, '#'"),
        ("o'brien@x.org", "#@x.org", "#"),
        ("to: !ex#am$ple@y.org", "to: !#@y.org", "to: !#"),
        ("**bob@x.org** `al@x.org` {eve@x.org}", "**#@x.org** `#@x.org` {#@x.org}", "**#** `#` {#}"),
        (
            "INFO|order-17|bob@x.org|ok user:${name}@x.org",
            "INFO|order-17|#@x.org|ok user:${name}@x.org",
            "INFO|order-17|#|ok user:${name}@x.org",
        ),
        ("/u?a=1&mail=bob@x.org", "/u?a=1&mail=#@x.org", "/u?a=1&mail=#"),
        ("mailto://bob@x.org", "mailto://#@x.org", "mailto://#"),
        ("****.b@x.org", "****#@x.org", "****#"),
        ("jörg@bücher.de.", "#@bücher.de.", "#."),
        ("/u?mail=bob%40example.com&y=1", "/u?mail=#%40example.com&y=1", "/u?mail=#&y=1"),
        ("%40a.de%40b%40c.de", "#%40c.de", "#"),
        ("a%40b%40c@d.de", "#@d.de", "#"),
        ("'a%40'b@d.de", "'#@d.de", "'#"),
        ("''%40'b@d.de", "''#@d.de", "''#"),
        ("bob@localhost", "bob@localhost", "bob@localhost"),
        ("bob@10.0.0.1", "bob@10.0.0.1", "bob@10.0.0.1"),
        ("@example.com", "@example.com", "@example.com"),
        ("a@b@c.de", "a@#@c.de", "a@#"),
        ("a@b.de@c.de", "#@b.de@c.de", "#@c.de"),
        ("bob@.com", "bob@.com", "bob@.com"),
        ("bob@x.c", "bob@x.c", "bob@x.c"),
        ("\"bob x\"@x.org bob@[10.0.0.1]", "\"bob x\"@x.org bob@[10.0.0.1]", "\"bob x\"@x.org bob@[10.0.0.1]"),
        ("a@b.com-1", "#@b.com-1", "#-1"),
        ("****@example.com", "****@example.com", "****@example.com"),
    ] {
        assert_eq!(masked(DetectorType::Email, DetectorMask::Domain, text), domain, "{text}");
        assert_eq!(masked(DetectorType::Email, DetectorMask::Full, text), full, "{text}");
    }
}

#[test]
fn looks_at_no_byte_again_for_each_of_many_at_signs() {
    // By steps that grow with the square of the length, any of these would take minutes.
    const SIGNS: usize = 1 << 17;
    let unfinished = "%40".repeat(SIGNS);
    assert_eq!(masked(DetectorType::Email, DetectorMask::Full, &unfinished), unfinished);
    assert_eq!(masked(DetectorType::Email, DetectorMask::Full, &format!("{unfinished}@x.de")), "#");
    let quoted = "'".repeat(SIGNS) + &"@".repeat(SIGNS);
    assert_eq!(masked(DetectorType::Email, DetectorMask::Full, &quoted), quoted);
}

#[test]
fn offers_only_masks_that_make_sense() {
    for (what, mask, expected) in [
        (DetectorType::Card, None, Ok(DetectorMask::Last4)),
        (DetectorType::Iban, None, Ok(DetectorMask::Last4)),
        (DetectorType::Email, None, Ok(DetectorMask::Domain)),
        (DetectorType::Card, Some(DetectorMask::Full), Ok(DetectorMask::Full)),
        (DetectorType::Email, Some(DetectorMask::Full), Ok(DetectorMask::Full)),
        (
            DetectorType::Card,
            Some(DetectorMask::Domain),
            Err("mask \"domain\" does not go with type card; use last4 or full"),
        ),
        (
            DetectorType::Email,
            Some(DetectorMask::Last4),
            Err("mask \"last4\" does not go with type email; use domain or full"),
        ),
    ] {
        let result = Detector::new(&DetectorConfig { what, mask });
        assert_eq!(result.map(|detector| detector.mask), expected.map_err(str::to_owned));
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn expected_end(found: &[std::ops::Range<usize>]) -> usize {
        found.last().map_or(0, |range| range.end)
    }

    proptest! {
        /// What the host's search does not report is never looked at, so it must report every text with a finding.
        #[test]
        fn the_candidate_pattern_misses_nothing(text in "[a-zé]{0,2}(DE|no|4|@|%40|x\\.com|[0-9]{1,6}|[ -]|[A-Z]){0,14}") {
            for what in [DetectorType::Card, DetectorType::Iban, DetectorType::Email] {
                let detector = Detector { what, mask: DetectorMask::Full };
                let found = detector.find(&text);
                let candidate = regex::Regex::new(&detector.candidate_pattern()).expect("valid").is_match(&text);
                prop_assert!(candidate || found.is_empty());
                let mut end = 0;
                for range in found {
                    prop_assert!(range.start >= end && range.start < range.end);
                    prop_assert!(text.get(range.clone()).is_some());
                    end = range.end;
                }
            }
        }

        #[test]
        fn finds_the_e_mail_addresses_that_looking_back_from_each_at_sign_finds(
            text in "(@|%40|%|4|'|!|é|b|\\.de|\\.| ){0,16}",
        ) {
            let local = regex::Regex::new(r"[\p{Alphabetic}\p{N}._%+'!#$-]*$").expect("valid");
            let domain = regex::Regex::new(r"^[\p{Alphabetic}\p{N}.-]*").expect("valid");
            let sign = regex::Regex::new("@|%40").expect("valid");
            let end = regex::Regex::new(r"^.+\.\p{Alphabetic}{2,}").expect("valid");
            let (mut expected, mut free) = (Vec::new(), 0);
            while let Some(sign) = sign.find_at(&text, free.max(expected_end(&expected))) {
                free = sign.end();
                let from = expected_end(&expected);
                let before = local.find(&text[from..sign.start()]).map_or("", |found| found.as_str());
                let before = before.trim_start_matches(['\'', '!']);
                let behind = domain.find(&text[sign.end()..]).map_or("", |found| found.as_str());
                if let Some(found) = end.find(behind).filter(|_| !before.is_empty()) {
                    expected.push(sign.start() - before.len()..sign.end() + found.end());
                }
            }
            let detector = Detector { what: DetectorType::Email, mask: DetectorMask::Full };
            prop_assert_eq!(detector.find(&text), expected);
        }

        #[test]
        fn a_card_number_is_found_wherever_it_stands(before in "[a-z ]{0,5}", prefix in "[2-9][0-9]{11,17}", after in "[a-z ]{0,5}") {
            let digits: Vec<char> = prefix.chars().chain(['0']).collect();
            let check = (10 - luhn_sum(&digits) % 10) % 10;
            let text = format!("{before}{prefix}{check}{after}");
            prop_assert_eq!(masked(DetectorType::Card, DetectorMask::Full, &text), format!("{before}#{after}"));
        }
    }
}
