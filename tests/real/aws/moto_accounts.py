"""Makes a user and a role in moto, and prints the user's keys and the role's ARN as JSON.

usage: moto_accounts.py ENDPOINT

The user may assume the role, and the role may use CloudWatch Logs; afterwards moto checks every signature and policy
(POST /moto-api/reset-auth).
"""

import json
import sys
import urllib.request

import boto3

ALLOW_ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
ALLOW_LOGS = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def main(endpoint):
    keys = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup", "region_name": "us-east-1"}
    iam = boto3.client("iam", endpoint_url=endpoint, **keys)
    iam.create_user(UserName="sidecar")
    iam.put_user_policy(UserName="sidecar", PolicyName="assume", PolicyDocument=policy(ALLOW_ASSUME))
    key = iam.create_access_key(UserName="sidecar")["AccessKey"]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "tenant-42"}},
    }
    role = iam.create_role(RoleName="writer", AssumeRolePolicyDocument=policy(trust))["Role"]
    iam.put_role_policy(RoleName="writer", PolicyName="logs", PolicyDocument=policy(ALLOW_LOGS))
    headers = {"Content-Type": "text/plain"}
    reset = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=b"0", headers=headers, method="POST")
    urllib.request.urlopen(reset).read()
    print(json.dumps({"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"], "role": role["Arn"]}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
