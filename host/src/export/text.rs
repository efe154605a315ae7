//! Texts that several exporters write.

use std::borrow::Cow;

/// A configured text with the tenant in the place of `%{tenant}`.
pub(crate) fn for_tenant<'a>(text: &'a str, tenant: &str) -> Cow<'a, str> {
    match text.contains("%{tenant}") {
        true => Cow::Owned(text.replace("%{tenant}", tenant)),
        false => Cow::Borrowed(text),
    }
}

/// A double without any exponent, as Prometheus's `le` and `quantile` have it.
pub(crate) fn plain_double(number: f64) -> String {
    if number == f64::INFINITY {
        return "+Inf".into();
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_bounds_without_exponents() {
        assert_eq!(plain_double(1e-7), "0.0000001");
        assert_eq!(plain_double(f64::INFINITY), "+Inf");
        assert_eq!(plain_double(2.5), "2.5");
    }
}
