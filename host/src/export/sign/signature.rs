//! The signature itself: pure, over the exact bytes that are sent.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign as sign_request,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sha2::{Digest, Sha256};

use super::{Scope, SignError};

/// Everything besides the headers that a signature depends on.
pub(super) struct Signing<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) body: &'a [u8],
    pub(super) credentials: &'a Credentials,
    pub(super) scope: &'a Scope,
    pub(super) time: SystemTime,
}

/// Adds `authorization`, `x-amz-date`, `x-amz-content-sha256` and, with temporary credentials, `x-amz-security-token`.
pub(super) fn sign(signing: Signing<'_>, headers: &mut HeaderMap) -> Result<(), SignError> {
    let settings = settings(&signing.scope.service);
    sign_with(signing, settings, headers)
}

/// S3 alone takes paths as they are: neither normalised nor encoded a second time.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    // OpenSearch Serverless refuses requests without it, and the others don't mind.
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    settings
}

fn sign_with(signing: Signing<'_>, settings: SigningSettings, headers: &mut HeaderMap) -> Result<(), SignError> {
    let Signing { method, uri, body, credentials, scope, time } = signing;
    let failed = |error: &dyn std::fmt::Display| SignError::Request(error.to_string());
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&scope.region)
        .name(&scope.service)
        .time(time)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let mut signed = Vec::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        let value = value.to_str().map_err(|_| SignError::Request(format!("header {name} is not ASCII")))?;
        signed.push((name.as_str(), value));
    }
    // The digest rather than the body: the signing library would write the body to its trace log.
    let body = SignableBody::Precomputed(hex::encode(Sha256::digest(body)));
    let request = SignableRequest::new(method.as_str(), uri.to_string(), signed.into_iter(), body);
    let request = request.map_err(|error| failed(&error))?;
    let (instructions, _) = sign_request(request, &params).map_err(|error| failed(&error))?.into_parts();
    for header in instructions.into_parts().0 {
        let mut value = HeaderValue::from_str(header.value()).map_err(|error| failed(&error))?;
        value.set_sensitive(header.sensitive() || header.name() == "authorization");
        headers.insert(HeaderName::from_static(header.name()), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
