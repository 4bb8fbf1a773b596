"""The bucket's HTTP side: the calls of S3 that a store of dumps makes."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape

from aiohttp import web

from sandbox.s3.bucket import Bucket, RefusedError, Stored
from sandbox.s3.signatures import is_signed

_MOST_BYTES = 5 * 1024**3
_PART_NUMBER = re.compile(rb"<PartNumber>(\d+)</PartNumber>")


@dataclass(frozen=True)
class S3:
    """A bucket that answers."""

    endpoint: str
    name: str
    bucket: Bucket


@asynccontextmanager
async def serving(name: str, keys: Mapping[str, str]) -> AsyncGenerator[S3]:
    """Serve one bucket, by paths, on a port of this machine; keys are access key -> secret."""
    bucket = Bucket()
    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_route("*", "/{path:.*}", _Calls(name, bucket, keys).answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield S3(f"http://{host}:{port}", name, bucket)
    finally:
        await runner.cleanup()


class _Calls:
    def __init__(self, name: str, bucket: Bucket, keys: Mapping[str, str]) -> None:
        self._name, self._bucket, self._keys = name, bucket, keys

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        body = await request.read()
        raw_path, _, query = request.raw_path.partition("?")
        bucket, _, key = unquote(raw_path).lstrip("/").partition("/")
        self._bucket.requests.append(f"{request.method} {key}")
        try:
            signed = is_signed(request.method, raw_path, query, request.headers, body, self._keys)
            self._admit(bucket, signed=signed)
            return await self._call(request, key, body)
        except RefusedError as error:
            text = f"<Error><Code>{error.code}</Code><Key>{escape(key)}</Key></Error>"
            return web.Response(status=error.status, text=text, content_type="application/xml")

    def _admit(self, bucket: str, *, signed: bool) -> None:
        if not signed:
            raise RefusedError(403, "SignatureDoesNotMatch")
        if bucket != self._name:
            raise RefusedError(404, "NoSuchBucket")

    async def _call(self, request: web.Request, key: str, body: bytes) -> web.StreamResponse:
        only_new = request.headers.get("If-None-Match") == "*"
        query = request.query
        match request.method:
            case "GET" if not key:
                return self._list(query.get("prefix", ""), query.get("delimiter", ""))
            case "GET":
                return await self._get(request, key)
            case "HEAD":
                stored = self._stored(key)
                return web.Response(headers=_headers(stored) | {"Content-Length": str(len(stored.content))})
            case "PUT" if "uploadId" in query:
                return await self._part(query["uploadId"], int(query["partNumber"]), body)
            case "PUT":
                stored = self._bucket.put(key, body, only_new=only_new)
                self._fail("loses_answers_to_documents")
                return web.Response(headers={"ETag": stored.etag})
            case "POST" if "uploads" in query:
                upload = uuid.uuid4().hex
                self._bucket.uploads[upload] = {}
                return _xml(
                    f"<InitiateMultipartUploadResult><Bucket>{self._name}</Bucket><Key>{escape(key)}</Key>"
                    f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
                )
            case "POST" if "uploadId" in query:
                numbers = [int(number) for number in _PART_NUMBER.findall(body)]
                stored = self._bucket.complete(key, query["uploadId"], numbers, only_new=only_new)
                return _xml(
                    f"<CompleteMultipartUploadResult><Bucket>{self._name}</Bucket><Key>{escape(key)}</Key>"
                    f"<ETag>{escape(stored.etag)}</ETag></CompleteMultipartUploadResult>"
                )
            case "DELETE" if "uploadId" in query:
                self._bucket.uploads.pop(query["uploadId"], None)
                return web.Response(status=204)
            case "DELETE":
                self._bucket.objects.pop(key, None)
                return web.Response(status=204)
        raise RefusedError(501, "NotImplemented")

    def _stored(self, key: str) -> Stored:
        if key not in self._bucket.objects:
            raise RefusedError(404, "NoSuchKey")
        return self._bucket.objects[key]

    def _fail(self, fault: str) -> None:
        left = getattr(self._bucket.faults, fault)
        if left > 0:
            setattr(self._bucket.faults, fault, left - 1)
            raise RefusedError(500, "InternalError")

    async def _part(self, upload: str, number: int, body: bytes) -> web.Response:
        await asyncio.sleep(self._bucket.faults.part_seconds)
        self._fail("part_errors")
        if upload not in self._bucket.uploads:
            raise RefusedError(404, "NoSuchUpload")
        self._bucket.uploads[upload][number] = body
        return web.Response(headers={"ETag": f'"{upload}-{number}"'})

    async def _get(self, request: web.Request, key: str) -> web.StreamResponse:
        stored = self._stored(key)
        self._fail("read_errors")
        response = web.StreamResponse(headers=_headers(stored))
        content = stored.content
        if (span := request.http_range).start is not None:
            response.set_status(206)
            content = content[span]
            start = span.start
            whole = len(stored.content)
            response.headers["Content-Range"] = f"bytes {start}-{start + len(content) - 1}/{whole}"
        response.content_length = len(content)
        await response.prepare(request)
        cut = self._bucket.faults.cut_reads_at
        if cut is not None and cut < len(content):
            await response.write(content[:cut])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(content)
        return response

    def _list(self, prefix: str, delimiter: str) -> web.Response:
        entries, folders = "", set()
        for key, stored in sorted(self._bucket.objects.items()):
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in key[len(prefix) :]:
                folders.add(key[: key.index(delimiter, len(prefix)) + 1])
                continue
            entries += (
                f"<Contents><Key>{escape(key)}</Key><Size>{len(stored.content)}</Size>"
                f"<LastModified>{stored.changed_at.isoformat()}</LastModified>"
                f"<ETag>{escape(stored.etag)}</ETag></Contents>"
            )
        for folder in sorted(folders):
            entries += f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
        return _xml(
            f"<ListBucketResult><Name>{self._name}</Name><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        )


def _headers(stored: Stored) -> dict[str, str]:
    return {
        "ETag": stored.etag,
        "Last-Modified": format_datetime(stored.changed_at, usegmt=True),
        "Content-Type": "application/octet-stream",
    }


def _xml(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/xml")
