"""URLs that let anybody read one object of a private bucket for a while.

Signed here, because `obstore` signs neither the headers of the response nor a fixed moment. The moment is the full
hour, so that the same object has the same URL for an hour, and caches know it.

Source: AWS Signature Version 4, query parameters; every S3-compatible service knows it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from dreamina_ui.media.bucket import BucketAccess

VALID_S = 7200
"""How long a URL is valid from the full hour: for one hour at least."""

_HOUR_S = 3600


def presigned_url(access: BucketAccess, key: str, now: float, response_headers: Mapping[str, str]) -> str:
    """A URL for GET of an object, valid for one to two hours.

    Args:
        key: below the prefix.
        now: seconds since 1970.
        response_headers: what the service is to respond with, such as `{"content-type": "image/png"}`.
    """
    hour = time.gmtime(now - now % _HOUR_S)
    day, moment = time.strftime("%Y%m%d", hour), time.strftime("%Y%m%dT%H%M%SZ", hour)
    scope = f"{day}/{access.region}/s3/aws4_request"
    origin = origin_of(access)
    path = "/" + "/".join(filter(None, (access.bucket, access.prefix, key)))
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{access.key_id}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(VALID_S),
        "X-Amz-SignedHeaders": "host",
    } | {f"response-{name.lower()}": value for name, value in response_headers.items()}
    if access.session_token:
        query["X-Amz-Security-Token"] = access.session_token
    canonical = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    base_path = urlsplit(origin).path + quote(path)
    request = "\n".join(
        ["GET", base_path, canonical, f"host:{urlsplit(origin).netloc}", "", "host", "UNSIGNED-PAYLOAD"]
    )
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    secret = f"AWS4{access.secret}".encode()
    for part in (day, access.region, "s3", "aws4_request"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(secret, to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{origin}{quote(path)}?{canonical}&X-Amz-Signature={signature}"


def origin_of(access: BucketAccess) -> str:
    """Where presigned URLs of a bucket lead: scheme, host, and port."""
    return access.endpoint or f"https://s3.{access.region}.amazonaws.com"
