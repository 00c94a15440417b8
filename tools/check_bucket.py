#!/usr/bin/env python3
"""Judges a bucket with boto3, which shares no code with unwipe.

  check_bucket.py objects ENDPOINT BUCKET PREFIX   what a vault wrote: is it locked, and can root destroy it?
  check_bucket.py enforces ENDPOINT BUCKET         which attacks the bucket resists, as JSON: {"delete-version": true, ...}

The credentials are those of tools/s3lockd.
"""

import base64
import datetime
import hashlib
import json
import sys
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MINUTE = datetime.timedelta(minutes=1)


def client(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="root",
        aws_secret_access_key="root-secret",
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            retries={"max_attempts": 1},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def refused(call, **arguments):
    """Returns whether the server refuses a call."""
    try:
        call(**arguments)
    except ClientError as error:
        return 400 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    return False


def intact(s3, bucket, key, version, until):
    """Returns whether a version is there with a compliance lock until then or later."""
    try:
        head = s3.head_object(Bucket=bucket, Key=key, VersionId=version)
    except ClientError:
        return False
    return head.get("ObjectLockMode") == "COMPLIANCE" and head["ObjectLockRetainUntilDate"] >= until


def attacks(s3, bucket, key, version, until):
    """Returns the attacks on one locked version by name."""
    one = {"Bucket": bucket, "Key": key, "VersionId": version}

    def lock(mode, date, **more):
        retention = {"Mode": mode, "RetainUntilDate": date} if mode else {}
        return lambda: s3.put_object_retention(**one, Retention=retention, **more)

    bypass = {"BypassGovernanceRetention": True}
    batch = {"Objects": [{"Key": key, "VersionId": version}]}
    return {
        "overwrite": lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"planted"),
        "delete-marker": lambda: s3.delete_object(Bucket=bucket, Key=key),
        "shorten": lock("COMPLIANCE", until - 5 * MINUTE),
        "shorten-bypass": lock("COMPLIANCE", until - 5 * MINUTE, **bypass),
        "downgrade": lock("GOVERNANCE", until + MINUTE, **bypass),
        "clear": lock(None, None, **bypass),
        "delete-version": lambda: s3.delete_object(**one),
        "delete-bypass": lambda: s3.delete_object(**one, **bypass),
        "delete-batch": lambda: s3.delete_objects(Bucket=bucket, Delete=batch, **bypass),
    }


def survives(s3, bucket, key, version, until, attack):
    """Runs an attack, whatever is answered, and looks at what is left."""
    try:
        attack()
    except ClientError:
        pass
    return intact(s3, bucket, key, version, until)


def objects(endpoint, bucket, prefix):
    s3 = client(endpoint)
    versions = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        versions += page.get("Versions", [])
        assert not page.get("DeleteMarkers"), "there are delete markers"
    versions = [version for version in versions if "/.attest/" not in version["Key"]]
    assert versions, "nothing was written"
    now = datetime.datetime.now(datetime.timezone.utc)
    for version in versions:
        key, number = version["Key"], version["VersionId"]
        head = s3.head_object(Bucket=bucket, Key=key, VersionId=number, ChecksumMode="ENABLED")
        content = s3.get_object(Bucket=bucket, Key=key, VersionId=number)["Body"].read()
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert head["ObjectLockMode"] == "COMPLIANCE", key
        until = head["ObjectLockRetainUntilDate"]
        assert until > now + datetime.timedelta(days=29), (key, until)
        assert head["ChecksumSHA256"] == digest, key
        for name, attack in attacks(s3, bucket, key, number, until).items():
            assert survives(s3, bucket, key, number, until, attack), (key, name)
        again = s3.get_object(Bucket=bucket, Key=key, VersionId=number)["Body"].read()
        assert again == content, key
    print(json.dumps({"objects": len(versions)}))


def enforces(endpoint, bucket):
    s3 = client(endpoint)
    folder = f"judge/{uuid.uuid4().hex}/"
    until = (datetime.datetime.now(datetime.timezone.utc) + 10 * MINUTE).replace(microsecond=0)
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    checksum = lambda body: base64.b64encode(hashlib.sha256(body).digest()).decode()
    body = b"a throw-away object"

    def target(name):
        put = s3.put_object(Bucket=bucket, Key=folder + name, Body=body, ChecksumSHA256=checksum(body), **lock)
        return folder + name, put["VersionId"]

    resisted = {}
    for name in attacks(s3, bucket, "", "", until):
        key, version = target(name)
        attack = attacks(s3, bucket, key, version, until)[name]
        resisted[name] = survives(s3, bucket, key, version, until, attack)
    put = lambda key, **more: refused(s3.put_object, Bucket=bucket, Key=folder + key, Body=body, **more)
    target("condition")
    resisted["if-none-match"] = put("condition", IfNoneMatch="*", ChecksumSHA256=checksum(body))
    resisted["wrong-sha256"] = put("wrong", ChecksumSHA256=checksum(b"other"), **lock)
    resisted["wrong-md5"] = put("wrong", ContentMD5=base64.b64encode(bytes(16)).decode(), **lock)
    past = dict(lock, ObjectLockRetainUntilDate=until - datetime.timedelta(hours=1))
    resisted["past-lock"] = put("past", ChecksumSHA256=checksum(body), **past)
    resisted["suspend-versioning"] = refused(
        s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
    )
    begun = s3.create_multipart_upload(Bucket=bucket, Key=folder + "parts", **lock)["UploadId"]
    upload = {"Bucket": bucket, "Key": folder + "parts", "UploadId": begun}
    part = s3.upload_part(**upload, PartNumber=1, Body=body)
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    done = s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    resisted["parts-locked"] = intact(s3, bucket, folder + "parts", done.get("VersionId"), until)
    print(json.dumps(resisted))


if __name__ == "__main__":
    verbs = {"objects": objects, "enforces": enforces}
    if len(sys.argv) < 4 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](*sys.argv[2:])
