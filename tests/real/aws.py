"""AWS for the tests of signing: moto issues credentials, and botocore checks what was signed with them.

usage: aws.py PORT

moto runs with its authentication switched on. On PORT stands a server that answers every POST and PUT as a service of
AWS does: 200 if botocore, with the secret that moto issued, comes to the same signature, 403 if not. To `_bulk` it
answers as OpenSearch, with a result for each document. A second one in front of it changes requests on their way.

It also stands in for what only AWS's own machines have, with sessions of that STS: the agent of ECS and EKS that has a
container's credentials, and the metadata service of an instance (version 2).

GET /account says where everything is; GET /seen what came in and what STS was asked for; POST /control takes
    {"moto": "stop" | "start"}, {"unchecked": how many actions moto lets pass}, {"tamper": one of TAMPERS},
    {"expire": "now" | "always"}, {"skew": by how many seconds the checker's clock is ahead}
"""
import datetime
import gzip
import hashlib
import http.client
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer
from moto.sts.models import sts_backends

ACCOUNT, PARTITION, REGION = "123456789012", "aws", "eu-west-1"
USER, ROLE, EXTERNAL_ID = "sidecar", "telemetry-writer", "acme-7391"
LONGEST_SKEW = datetime.timedelta(minutes=5)
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


# Where credentials are had without a key, and by what token.
CONTAINER = "/container"
INSTANCES = "/latest/meta-data/iam/security-credentials/"
INSTANCE = INSTANCES + ROLE
TOKENS = {CONTAINER: "token-of-the-pod", INSTANCES: "token-of-the-instance", INSTANCE: "token-of-the-instance"}


class Refused(Exception):
    """The name that AWS gives to a refusal."""


def now():
    """As moto writes times: UTC, without saying so."""
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


def roles():
    return sts_backends[ACCOUNT][PARTITION].assumed_roles


def issued(access_key, token):
    """The credentials that moto issued under this key."""
    for role in roles():
        if role.access_key_id == access_key:
            if token != role.session_token:
                raise Refused("InvalidToken")
            if role.expiration <= now():
                raise Refused("ExpiredToken")
            return Credentials(access_key, role.secret_access_key, token)
    for key in iam_backends[ACCOUNT][PARTITION].users[USER].access_keys:
        if key.access_key_id == access_key and token is None:
            return Credentials(access_key, key.secret_access_key)
    raise Refused("UnrecognizedClientException")


def check(method, path, headers, body, skew, report):
    match = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not match:
        raise Refused("MissingAuthenticationToken")
    access_key, day, report["region"], report["service"], signed, signature = match.groups()
    report["access_key"] = access_key
    token = headers.get("x-amz-security-token")
    report["session_token"] = token is not None
    report["signed"] = signed = signed.split(";")
    credentials = issued(access_key, token)

    date = headers.get("x-amz-date", "")
    sent = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ")
    if abs(now() + skew - sent) > LONGEST_SKEW:
        raise Refused("RequestTimeTooSkewed")
    if not date.startswith(day):
        raise Refused("SignatureDoesNotMatch")

    must = {"host", "content-type"} | {n.lower() for n in headers if n.lower().startswith(("x-amz-", "content-"))}
    must -= {"content-length"}
    if "x-amz-content-sha256" not in must or not must <= set(signed):
        raise Refused("IncompleteSignature")
    if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        raise Refused("XAmzContentSHA256Mismatch")

    covered = {name: headers[name] for name in signed if name in headers}
    request = AWSRequest(method, f"http://{headers['host']}{path}", headers=covered, data=body)
    request.context["timestamp"] = date
    auth = SigV4Auth(credentials, report["service"], report["region"])
    if auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) != signature:
        raise Refused("SignatureDoesNotMatch")


def stored(headers, body):
    """What OpenSearch says of documents that it has stored: lines of actions, each followed by its document."""
    text = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
    actions = [json.loads(line) for line in text.splitlines()[::2]]
    return {"took": 1, "errors": False, "items": [{name: {"status": 201}} for action in actions for name in action]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        body = body if isinstance(body, bytes) else json.dumps(body, default=str).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers["content-length"]))


class Checker(Handler):
    state = None

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + self.state.skew.total_seconds())

    def do_GET(self):
        pages = {"/account": self.state.account, "/seen": self.state.seen_page}
        if page := pages.get(self.path):
            return self.answer(200, page())
        token = self.headers.get("authorization" if self.path == CONTAINER else "x-aws-ec2-metadata-token")
        if self.path not in TOKENS or token != TOKENS[self.path]:
            self.answer(401 if self.path in TOKENS else 404, {})
        elif self.path == INSTANCES:
            self.answer(200, ROLE.encode())
        else:
            self.answer(200, self.state.session("container" if self.path == CONTAINER else "instance"))

    def do_POST(self):
        body = self.body()
        if self.path == "/control":
            self.state.control(json.loads(body))
            return self.answer(200, {})
        self.judge("POST", body)

    def do_PUT(self):
        if self.path == "/latest/api/token":
            ttl = self.headers["x-aws-ec2-metadata-token-ttl-seconds"]
            return self.answer(200, TOKENS[INSTANCE].encode(), x_aws_ec2_metadata_token_ttl_seconds=ttl)
        self.judge("PUT", self.body())

    def judge(self, method, body):
        report = {"method": method, "path": self.path, "bytes": len(body), "verified": True, "reason": None}
        try:
            if self.state.always_expired:
                raise Refused("ExpiredToken")
            check(method, self.path, self.headers, body, self.state.skew, report)
            if self.path.startswith("/_bulk"):
                self.answer(200, stored(self.headers, body), content_type="application/json")
            else:
                self.answer(200, b"", content_type="application/x-protobuf")
        except Refused as refused:
            report |= {"verified": False, "reason": str(refused)}
            self.answer(403, {"message": str(refused)}, content_type="application/json", x_amzn_ErrorType=str(refused))
        finally:
            self.state.seen.append(report)


def other_body(headers, body, path):
    return headers, body[:-1] + bytes([body[-1] ^ 1]), path


def other_digest(headers, body, path):
    headers, body, path = other_body(headers, body, path)
    return headers | {"x-amz-content-sha256": hashlib.sha256(body).hexdigest()}, body, path


TAMPERS = {
    "nothing": lambda headers, body, path: (headers, body, path),
    "body": other_body,
    "digest": other_digest,
    "header": lambda headers, body, path: (headers | {"content-type": "text/plain"}, body, path),
    "path": lambda headers, body, path: (headers, body, path + "x"),
    "date": lambda headers, body, path: (headers | {"x-amz-date": "20150830T123600Z"}, body, path),
    "token": lambda headers, body, path: ({n: v for n, v in headers.items() if n != "x-amz-security-token"}, body, path),
    "digest removed": lambda headers, body, path: (
        {n: v for n, v in headers.items() if n != "x-amz-content-sha256"}, body, path),
}


class Tamperer(Handler):
    """Passes requests on to the checker; the host's name stays the one that was signed."""

    state = None

    def do_POST(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers, body, path = TAMPERS[self.state.tamper](headers, self.body(), self.path)
        connection = http.client.HTTPConnection("127.0.0.1", self.state.port)
        connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        kept = {n: v for n, v in reply.getheaders() if n.lower() in ("content-type", "x-amzn-errortype")}
        self.answer(reply.status, reply.read(), **kept)


class State:
    def __init__(self, port):
        self.port = port
        self.seen = []
        self.tamper = "nothing"
        self.always_expired = False
        self.skew = datetime.timedelta()
        self.moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.moto.start()
        self.moto_port = self.moto.get_host_and_port()[1]
        self.set_up()
        self.tamperer = serve(Tamperer, self, 0)

    def url(self):
        return f"http://127.0.0.1:{self.moto_port}"

    def set_up(self):
        iam = boto3.client("iam", endpoint_url=self.url(), region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
        user = iam.create_user(UserName=USER)["User"]
        self.key = iam.create_access_key(UserName=USER)["AccessKey"]
        allowed = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName=USER, PolicyName="assume", PolicyDocument=policy)
        trusted = {
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": user["Arn"]},
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
        self.role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        # From here on moto checks signatures, permissions and the trust policy.
        self.let_pass(0)

    def let_pass(self, actions):
        requests.post(f"{self.url()}/moto-api/reset-auth", data=str(actions)).raise_for_status()

    def session(self, name):
        """What STS gives the user for the role, as agents and metadata services write it."""
        sts = boto3.client(
            "sts", endpoint_url=self.url(), region_name=REGION,
            aws_access_key_id=self.key["AccessKeyId"], aws_secret_access_key=self.key["SecretAccessKey"],
        )
        given = sts.assume_role(RoleArn=self.role, RoleSessionName=name, ExternalId=EXTERNAL_ID)["Credentials"]
        expiration = given["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"], "Token": given["SessionToken"],
            "Expiration": expiration, "LastUpdated": expiration,
        }

    def account(self):
        return {
            "moto": self.url(), "tamperer": f"http://127.0.0.1:{self.tamperer.server_port}", "region": REGION,
            "access_key": self.key["AccessKeyId"], "secret": self.key["SecretAccessKey"],
            "role": self.role, "external_id": EXTERNAL_ID,
        }

    def seen_page(self):
        sessions = [
            {"role": role.role_arn, "session_name": role.session_name, "external_id": role.external_id,
             "access_key": role.access_key_id, "secret": role.secret_access_key, "token": role.session_token}
            for role in roles()
        ]
        return {"requests": self.seen, "sessions": sessions}

    def control(self, wish):
        match wish:
            case {"moto": "stop"}:
                self.moto.stop()
                # moto leaves the socket open, so that clients would wait instead of being refused.
                self.moto._server.server_close()
            case {"moto": "start"}:
                self.moto = ThreadedMotoServer("127.0.0.1", self.moto_port, verbose=False)
                self.moto.start()
            case {"unchecked": actions}:
                # moto fails at an action without a signature as long as it checks, as web identities have it.
                self.let_pass(actions)
            case {"tamper": what}:
                self.tamper = what if what in TAMPERS else sys.exit(f"no such tampering: {what}")
            case {"expire": "now"}:
                for role in roles():
                    role.expiration = now()
            case {"expire": "always"}:
                self.always_expired = True
            case {"skew": seconds}:
                self.skew = datetime.timedelta(seconds=seconds)


def serve(handler, state, port):
    server = ThreadingHTTPServer(("127.0.0.1", port), type(handler.__name__, (handler,), {"state": state}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever).start()
    return server


if __name__ == "__main__":
    port = int(sys.argv[1])
    serve(Checker, State(port), port)
