"""The embedded object store: boto3, curl, presigned URLs, and the FDS interface beside them."""
import base64
import datetime
import email.utils
import hashlib
import hmac
import http.client
import io
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import zlib

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1 << 20


def s3_client(server, secret_key=None):
    return boto3.client("s3", endpoint_url=server.url, region_name="us-east-1",
                        aws_access_key_id=server.access_key,
                        aws_secret_access_key=secret_key or server.secret_key,
                        config=Config(signature_version="s3v4", retries={"max_attempts": 1},
                                      s3={"addressing_style": "path"}))


@pytest.fixture
def s3(server):
    return s3_client(server)


@pytest.fixture
def bucket(s3):
    """An own bucket, removed with all that the test put into it."""
    name = "test-" + os.urandom(6).hex()
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for found in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=found["Key"])
    s3.delete_bucket(Bucket=name)


def code_of(call, **arguments):
    with pytest.raises(ClientError) as failed:
        call(**arguments)
    return failed.value.response["Error"]["Code"]


# ---- boto3

def test_buckets(s3, bucket):
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert code_of(s3.create_bucket, Bucket=bucket) == "BucketAlreadyOwnedByYou"
    assert code_of(s3.create_bucket, Bucket="cloud_ml-") == "InvalidBucketName"
    assert code_of(s3.head_bucket, Bucket="there-is-none") == "404"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert code_of(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"


@pytest.mark.parametrize("key", ["plain", "a b/c", "ü/名前", "plus+percent%41", "q?x=1&y#z", "~-._"])
def test_an_object_comes_back(s3, bucket, key):
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"hello", ContentType="text/plain",
                        CacheControl="max-age=3", Metadata={"colour": "red"})
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["CacheControl"]) == ("text/plain", "max-age=3")
    assert got["Metadata"] == {"colour": "red"}
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    head = s3.head_object(Bucket=bucket, Key=key)
    assert head["ContentLength"] == 5 and head["ETag"] == put["ETag"]


@pytest.mark.parametrize(("asked", "expected"), [
    ("bytes=0-0", b"0"), ("bytes=3-5", b"345"), ("bytes=7-", b"789"), ("bytes=-2", b"89"),
    ("bytes=8-99", b"89")])
def test_ranges(s3, bucket, asked, expected):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["Body"].read() == expected


def test_error_codes(s3, bucket, server):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert code_of(s3.get_object, Bucket=bucket, Key="none") == "NoSuchKey"
    assert code_of(s3.get_object, Bucket="there-is-none", Key="k") == "NoSuchBucket"
    assert code_of(s3.get_object, Bucket=bucket, Key="k", Range="bytes=10-") == "InvalidRange"
    assert code_of(s3.get_object, Bucket=bucket, Key="k", IfMatch='"x"') == "PreconditionFailed"
    assert code_of(s3.get_object, Bucket=bucket, Key="k",
                   IfNoneMatch='"781e5e245d69b566979b86e28d23f2c7"') == "304"
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"x",
                   ContentMD5=base64.b64encode(b"0" * 16).decode()) == "BadDigest"
    assert code_of(s3.get_bucket_acl, Bucket=bucket) == "NotImplemented"
    assert code_of(s3_client(server, "wrong").list_buckets) == "SignatureDoesNotMatch"
    assert code_of(s3_client(server, "wrong").put_object, Bucket=bucket, Key="k",
                   Body=b"x" * MIB) == "SignatureDoesNotMatch"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"0123456789"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_of_the_client(s3, bucket, algorithm):
    s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(b"hello"), ChecksumAlgorithm=algorithm)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_listing_page_by_page(s3, bucket):
    keys = [f"d{i % 3}/{i:02}" for i in range(20)] + ["top"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket,
                                                         PaginationConfig={"PageSize": 4})
    seen = [found["Key"] for page in pages for found in page.get("Contents", [])]
    assert seen == sorted(keys)
    top = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in top["CommonPrefixes"]] == ["d0/", "d1/", "d2/"]
    assert [o["Key"] for o in top["Contents"]] == ["top"]
    old = s3.get_paginator("list_objects").paginate(Bucket=bucket, Prefix="d1/",
                                                    PaginationConfig={"PageSize": 3})
    assert [o["Key"] for page in old for o in page["Contents"]] == [
        k for k in sorted(keys) if k.startswith("d1/")]


def test_multipart_upload_copy_and_download(s3, bucket):
    data = os.urandom(23 * MIB)
    parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_fileobj(io.BytesIO(data), bucket, "big", Config=parts)
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-5"')
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copy", Config=parts)
    got = io.BytesIO()
    s3.download_fileobj(bucket, "copy", got, Config=parts)
    assert got.getvalue() == data


def test_multipart_by_hand(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    asked = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    first = s3.upload_part(**asked, PartNumber=1, Body=b"x" * (5 * MIB))["ETag"]
    second = s3.upload_part(**asked, PartNumber=2, Body=b"tail")["ETag"]
    listed = s3.list_parts(**asked)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, 5 * MIB), (2, 4)]
    wrong = {"Parts": [{"PartNumber": 1, "ETag": second}]}
    assert code_of(s3.complete_multipart_upload, **asked, MultipartUpload=wrong) == "InvalidPart"
    right = {"Parts": [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]}
    s3.complete_multipart_upload(**asked, MultipartUpload=right)
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 5 * MIB + 4
    dropped = s3.create_multipart_upload(Bucket=bucket, Key="k2")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="k2", UploadId=dropped)
    assert code_of(s3.abort_multipart_upload, Bucket=bucket, Key="k2",
                   UploadId=dropped) == "NoSuchUpload"


def test_delete_many(s3, bucket):
    for key in ("a", "b&c", "d"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={
        "Objects": [{"Key": "a"}, {"Key": "b&c"}, {"Key": "never-there"}]})
    assert [d["Key"] for d in answer["Deleted"]] == ["a", "b&c", "never-there"]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["d"]


def test_presigned_urls(s3, bucket):
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b"})
    request = urllib.request.Request(put, data=b"presigned", method="PUT")
    assert urllib.request.urlopen(request).status == 200
    get = s3.generate_presigned_url("get_object", Params={
        "Bucket": bucket, "Key": "a b", "ResponseContentType": "text/csv"})
    answer = urllib.request.urlopen(get)
    assert answer.read() == b"presigned"
    assert answer.headers["Content-Type"] == "text/csv"
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(get.replace("a%20b", "a%20c"))
    assert failed.value.code == 403
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(urllib.request.Request(get, method="DELETE"))
    assert failed.value.code == 403


# ---- constant memory

def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def test_large_objects_take_no_memory(s3, server, bucket):
    class Zeros(io.RawIOBase):
        """A file of zeros that costs the test no memory either."""

        def __init__(self, size):
            super().__init__()
            self.size, self.at = size, 0

        def readable(self):
            return True

        def seekable(self):
            return True

        def seek(self, offset, whence=0):
            self.at = offset + (0, self.at, self.size)[whence]
            return self.at

        def tell(self):
            return self.at

        def read(self, n=-1):
            n = self.size - self.at if n is None or n < 0 else min(n, self.size - self.at)
            self.at += n
            return bytes(n)

    size = 256 * MIB
    before = resident(server.process.pid)
    s3.put_object(Bucket=bucket, Key="big", Body=Zeros(size), ContentLength=size)
    body = s3.get_object(Bucket=bucket, Key="big")["Body"]
    assert sum(len(piece) for piece in body.iter_chunks(MIB)) == size
    assert resident(server.process.pid) - before < 48 * MIB


# ---- curl

def curl(server, *arguments):
    run = subprocess.run(
        ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", "--aws-sigv4",
         "aws:amz:us-east-1:s3", "--user", f"{server.access_key}:{server.secret_key}", *arguments],
        capture_output=True, timeout=60, check=True)
    body, _, status = run.stdout.rpartition(b"\n")
    return int(status), body


def test_curl(server, bucket, tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"from curl")
    url = f"{server.url}/{bucket}/a%20b"
    unsigned = ["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]
    assert curl(server, *unsigned, "--upload-file", str(file), url)[0] == 200
    assert curl(server, url) == (200, b"from curl")
    status, listing = curl(server, f"{server.url}/{bucket}?list-type=2&prefix=a%20")
    assert status == 200 and b"<Key>a b</Key>" in listing
    status, refused = curl(server, "--upload-file", str(file), url)
    assert status == 400 and b"MissingContentSHA256" in refused
    assert curl(server, "--request", "DELETE", url)[0] == 204


# ---- aws-chunked bodies, signed by these tests

class Chunked:
    """A PUT whose chunks are signed, as the Amazon S3 API reference describes it."""

    def __init__(self, server, path, kind, length, headers=()):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.timestamp = now.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.timestamp[:8]}/us-east-1/s3/aws4_request"
        host = urllib.parse.urlsplit(server.url).netloc
        self.headers = {"host": host, "x-amz-date": self.timestamp, "x-amz-content-sha256": kind,
                        "x-amz-decoded-content-length": str(length), **dict(headers)}
        names = ";".join(sorted(self.headers))
        lines = "".join(f"{n}:{self.headers[n]}\n" for n in sorted(self.headers))
        canonical = f"PUT\n{path}\n\n{lines}\n{names}\n{kind}"
        key = b"AWS4" + server.secret_key.encode()
        for part in self.scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        self.key = key
        self.signature = self.sign("AWS4-HMAC-SHA256", self.sha(canonical.encode()))
        self.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={server.access_key}/{self.scope}, "
            f"SignedHeaders={names}, Signature={self.signature}")
        self.connection = http.client.HTTPConnection(host, timeout=30)
        self.path = path

    @staticmethod
    def sha(data):
        return hashlib.sha256(data).hexdigest()

    def sign(self, kind, *rest):
        text = "\n".join([kind, self.timestamp, self.scope, *rest])
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def body(self, chunks, trailer=""):
        body = b""
        previous = self.signature
        for chunk in [*chunks, b""]:
            previous = self.sign("AWS4-HMAC-SHA256-PAYLOAD", previous, self.sha(b""),
                                 self.sha(chunk))
            body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode()
            body += chunk + b"\r\n" if chunk else b""
        if trailer:
            signed = self.sign("AWS4-HMAC-SHA256-TRAILER", previous,
                               self.sha(f"{trailer}\n".encode()))
            body += f"{trailer}\r\nx-amz-trailer-signature:{signed}\r\n".encode()
        return body + b"\r\n"

    def send(self, body):
        self.connection.request("PUT", self.path, body=body, headers=self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def test_signed_chunks(server, s3, bucket):
    chunks = [b"a" * 65536, b"b" * 1000]
    upload = Chunked(server, f"/{bucket}/k", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", 66536)
    body = upload.body(chunks)
    assert upload.send(body)[0] == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"".join(chunks)
    status, refused = upload.send(body.replace(b"bbb", b"bbc", 1))
    assert status == 403 and b"SignatureDoesNotMatch" in refused
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"".join(chunks)


def test_signed_and_unsigned_trailers(server, s3, bucket):
    crc = base64.b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()
    announce = {"x-amz-trailer": "x-amz-checksum-crc32"}
    signed = Chunked(server, f"/{bucket}/signed", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", 5,
                     announce)
    assert signed.send(signed.body([b"hello"], f"x-amz-checksum-crc32:{crc}"))[0] == 200
    unsigned = Chunked(server, f"/{bucket}/unsigned", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", 5,
                       announce)
    frame = "5\r\n{}\r\n0\r\nx-amz-checksum-crc32:{}\r\n\r\n"
    assert unsigned.send(frame.format("hello", crc).encode())[0] == 200
    status, refused = unsigned.send(frame.format("hellO", crc).encode())
    assert status == 400 and b"BadDigest" in refused
    for key in ("signed", "unsigned"):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"hello"


# ---- FDS, as the published client's library signs it

def fds(server, method, target, body=b"", age=0, headers=()):
    headers = {"Date": email.utils.formatdate(datetime.datetime.now().timestamp() - age,
                                              usegmt=True), **dict(headers)}
    path, _, query = target.partition("?")
    signed = sorted(q for q in query.split("&") if q.split("=")[0] in (
        "acl", "quota", "uploads", "partNumber", "uploadId", "storageAccessToken", "metadata"))
    resource = urllib.parse.unquote(path) + ("?" + "&".join(signed) if signed else "")
    text = "\n".join([method, headers.get("Content-MD5", ""), headers.get("Content-Type", ""),
                      headers["Date"], resource])
    mac = hmac.new(server.secret_key.encode(), text.encode(), hashlib.sha1).digest()
    headers["Authorization"] = f"Galaxy-V2 {server.access_key}:{base64.b64encode(mac).decode()}"
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=30)
    connection.request(method, target, body=body, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_fds_what_the_client_does_before_a_submit(server, s3, bucket):
    target = f"/{bucket}/user_packages/t%201.tar.gz"
    assert fds(server, "HEAD", f"/{bucket}")[0] == 200
    assert fds(server, "HEAD", "/there-is-none")[0] == 404
    assert fds(server, "HEAD", target)[0] == 404
    status, answer = fds(server, "PUT", target, b"package")
    assert status == 200
    assert set(json.loads(answer)) >= {"bucketName", "objectName", "accessKeyId", "signature",
                                       "expires"}
    assert fds(server, "HEAD", target)[0] == 200
    assert fds(server, "GET", target) == (200, b"package")
    assert fds(server, "GET", target, headers={"Range": "bytes=4-"}) == (206, b"age")
    assert fds(server, "GET", target, age=16 * 60)[0] == 403
    got = s3.get_object(Bucket=bucket, Key="user_packages/t 1.tar.gz")
    assert got["Body"].read() == b"package"


def test_fds_multipart(server, s3, bucket):
    data = os.urandom(21 * MIB)
    status, answer = fds(server, "PUT", f"/{bucket}/big?uploads=true")
    assert status == 200
    upload = json.loads(answer)["uploadId"]
    parts = []
    for number, at in enumerate(range(0, len(data), 20 * MIB), start=1):
        status, answer = fds(server, "PUT",
                             f"/{bucket}/big?uploadId={upload}&partNumber={number}",
                             data[at:at + 20 * MIB])
        assert status == 200
        parts.append(json.loads(answer))
    assert [p["partSize"] for p in parts] == [20 * MIB, MIB]
    whole = json.dumps({"uploadPartResultList": parts}).encode()
    assert fds(server, "PUT", f"/{bucket}/big?uploadId={upload}", whole)[0] == 200
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == data
