"""An HTTP server that takes only what is signed as AWS demands: botocore computes every signature again.

usage: verify_signatures.py PORT ACCESS_KEY SECRET_KEY [SESSION_TOKEN] [--skew SECONDS]

A request that verifies is answered with 200, any other with 403 and the reason. GET /received lists what verified.
With --skew the server's clock is so many seconds ahead, in what it accepts and in its Date header.
"""

import argparse
import datetime
import hashlib
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TOLERANCE = datetime.timedelta(minutes=5)
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<signed>[^,]+), Signature=(?P<signature>[0-9a-f]{64})$"
)


class Refused(Exception):
    """Why a request does not verify."""


def verify(method, target, headers, body, options):
    """Returns service and region that the request is signed for."""
    match = AUTHORIZATION.match(headers.get("authorization", ""))
    if match is None:
        raise Refused("MissingAuthenticationToken")
    if match["key"] != options.access_key:
        raise Refused("InvalidClientTokenId")
    if headers.get("x-amz-security-token") != options.session_token:
        raise Refused("UnrecognizedClientException: session token")
    signed = match["signed"].split(";")
    demanded = {"host", "x-amz-date", "x-amz-content-sha256"}
    demanded |= {name for name in headers if name.startswith("x-amz-") or name.startswith("content-")}
    missing = sorted(demanded - set(signed) - {"content-length"})
    if missing:
        raise Refused(f"not signed: {missing}")
    if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        raise Refused("XAmzContentSHA256Mismatch")
    check_time(headers["x-amz-date"], match["day"], options)
    if recompute(method, target, headers, body, signed, match, options) != match["signature"]:
        raise Refused("SignatureDoesNotMatch")
    return {"service": match["service"], "region": match["region"]}


def check_time(timestamp, day, options):
    time = datetime.datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if not timestamp.startswith(day) or abs(time - now(options)) > TOLERANCE:
        raise Refused("RequestTimeTooSkewed")


def recompute(method, target, headers, body, signed, match, options):
    request = AWSRequest(method=method, url=f"http://{headers['host']}{target}", data=body)
    for name in signed:
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    credentials = Credentials(options.access_key, options.secret_key, options.session_token)
    auth = SigV4Auth(credentials, match["service"], match["region"])
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def now(options):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=options.skew)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received = []
    options = None

    def do_GET(self):
        self.answer(200, self.received)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            scope = verify(self.command, self.path, headers, body, self.options)
        except Refused as refused:
            self.answer(403, {"message": str(refused)})
            return
        self.received.append({"path": self.path, "bytes": len(body), **scope})
        self.answer(200, scope)

    do_PUT = do_POST

    def date_time_string(self, timestamp=None):
        return super().date_time_string(now(self.options).timestamp())

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("access_key")
    parser.add_argument("secret_key")
    parser.add_argument("session_token", nargs="?")
    parser.add_argument("--skew", type=int, default=0)
    Handler.options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", Handler.options.port), Handler)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
