//! Which service and region of AWS the requests to a host are signed for.

/// What a signature is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Such as `eu-west-1`.
    pub(crate) region: String,
    /// The name that the service signs with, such as `aps`.
    pub(crate) service: String,
}

impl Scope {
    /// What requests to a host are signed for: what is set, else what the host's name tells, else the default region.
    ///
    /// # Errors
    /// Names the key that nothing tells.
    pub(crate) fn find(
        host: &str,
        region: Option<&str>,
        service: Option<&str>,
        default_region: Option<&str>,
    ) -> Result<Self, &'static str> {
        let told = scope_of_host(host);
        let told_region = told.as_ref().map(|told| told.region.as_str());
        let told_service = told.as_ref().map(|told| told.service.as_str());
        Ok(Self {
            region: region.or(told_region).or(default_region).ok_or("region")?.to_owned(),
            service: service.or(told_service).ok_or("service")?.to_owned(),
        })
    }
}

/// A text that is set; an empty one means none.
pub(crate) fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The region of the environment, as AWS's tools look for it.
pub(crate) fn default_region(environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut regions = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().filter_map(environment);
    regions.find(|region| !region.is_empty())
}

/// Domains of AWS, those of China and of dual-stack endpoints included.
const DOMAINS: [&str; 5] =
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn", ".on.aws"];

/// The label of a host name that stands for a service, and the name that the service signs with.
const SERVICES: [(&str, &str); 8] = [
    ("aps-workspaces", "aps"),
    ("es", "es"),
    ("aos", "es"),
    ("aoss", "aoss"),
    ("xray", "xray"),
    ("logs", "logs"),
    ("monitoring", "monitoring"),
    ("execute-api", "execute-api"),
];

/// Finds service and region in a host name such as `aps-workspaces.eu-west-1.amazonaws.com`; endpoints in a VPC, FIPS
/// and dual-stack endpoints included.
pub(crate) fn scope_of_host(host: &str) -> Option<Scope> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let name = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain))?;
    // From the right: what stands in front is the user's own, and may look like anything.
    let labels = || name.rsplit('.');
    let region = labels().find(|label| is_region(label))?;
    let service = labels().find_map(|label| {
        let label = label.strip_suffix("-fips").unwrap_or(label);
        SERVICES.iter().find(|(known, _)| *known == label)
    })?;
    Some(Scope { region: region.to_owned(), service: service.1.to_owned() })
}

/// Letters and hyphens with a number at the end: `us-east-1`, `us-gov-west-1`, `ap-southeast-2`.
fn is_region(label: &str) -> bool {
    let mut parts = label.split('-');
    let geography = parts.next().unwrap_or_default();
    let words: Vec<&str> = parts.collect();
    let Some((number, directions)) = words.split_last() else { return false };
    let letters = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    letters(&geography)
        && !directions.is_empty()
        && directions.iter().all(letters)
        && !number.is_empty()
        && number.len() <= 2
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_service_and_region_in_host_names_of_aws() {
        let cases = [
            ("aps-workspaces.eu-west-1.amazonaws.com", "aps eu-west-1"),
            ("APS-Workspaces.EU-West-1.amazonaws.com.", "aps eu-west-1"),
            ("aps-workspaces-fips.us-gov-west-1.amazonaws.com", "aps us-gov-west-1"),
            ("aps-workspaces.cn-north-1.amazonaws.com.cn", "aps cn-north-1"),
            ("aps-workspaces.us-east-1.api.aws", "aps us-east-1"),
            ("vpce-0a1b-xyz.aps-workspaces.us-east-1.vpce.amazonaws.com", "aps us-east-1"),
            ("search-spans-abc123.us-west-2.es.amazonaws.com", "es us-west-2"),
            ("vpc-logs-abc123.ap-southeast-2.es.amazonaws.com", "es ap-southeast-2"),
            ("search-spans-abc123.aos.us-west-2.on.aws", "es us-west-2"),
            ("abc123.us-east-1.aoss.amazonaws.com", "aoss us-east-1"),
            ("xray.us-east-2.amazonaws.com", "xray us-east-2"),
            ("logs-fips.us-east-1.amazonaws.com", "logs us-east-1"),
            ("monitoring.us-east-1.amazonaws.com", "monitoring us-east-1"),
            ("a1b2c3.execute-api.eu-central-1.amazonaws.com", "execute-api eu-central-1"),
            ("xray.execute-api.eu-central-1.amazonaws.com", "execute-api eu-central-1"),
        ];
        for (host, expected) in cases {
            let scope = scope_of_host(host).map(|scope| format!("{} {}", scope.service, scope.region));
            assert_eq!(scope.as_deref(), Some(expected), "{host}");
        }
    }

    #[test]
    fn does_not_guess_for_other_hosts() {
        let hosts = [
            "localhost",
            "127.0.0.1",
            "",
            "amazonaws.com",
            "logs.eu-west-1.example.com",
            "logs.eu-west-1.notamazonaws.com",
            "logs.amazonaws.com",
            "s3.eu-west-1.amazonaws.com",
            "xray.eu-west.amazonaws.com",
            "xray.eu-1.amazonaws.com",
            "xray.eu-west-100.amazonaws.com",
        ];
        for host in hosts {
            assert_eq!(scope_of_host(host), None, "{host}");
        }
    }
}
