"""Reading what a client sends, within bounds of size and time, whatever it sends."""

import asyncio
import zlib

from aiohttp import HttpVersion11, web

from services.inference.web.problems import ProblemError

# 50,000 records of the built-in example are 8 MB.
MAX_BODY_BYTES = 32 * 1024 * 1024
# A body that trickles in is cut: this long, and longer in proportion to what has arrived.
BODY_GRACE_S = 12.0
MIN_BYTES_PER_S = 64 * 1024
_ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 47}


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body, decompressed. Raises ProblemError where it is too large, too slow, or badly compressed."""
    content = request.content
    if content.is_eof() and content.total_bytes <= MAX_BODY_BYTES:
        # It came in one piece with its head, as nearly all do.
        body = content.read_nowait(-1)
    else:
        body = await _read_in_pieces(request)
    encoding = request.headers.get("Content-Encoding")
    if encoding and encoding.lower() != "identity":
        return _decompress(body, encoding.lower())
    return body


async def _read_in_pieces(request: web.BaseRequest) -> bytes:
    if (
        request.headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in request.headers.get("Connection", "").lower()
    ):
        # The parser has stopped at the head: the body cannot be read.
        raise ProblemError(400, "this server speaks no WebSocket; send the request without Upgrade", close=True)
    length = request.content_length
    if length is not None and length > MAX_BODY_BYTES:
        raise too_large()
    tell_to_send(request)
    pieces = []
    received = 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + BODY_GRACE_S
    try:
        async with asyncio.timeout_at(deadline) as limit:
            while not request.content.at_eof():
                piece = await request.content.readany()
                pieces.append(piece)
                received += len(piece)
                if received > MAX_BODY_BYTES:
                    raise too_large()
                limit.reschedule(deadline + received / MIN_BYTES_PER_S)
    except TimeoutError as error:
        raise ProblemError(408, f"the body was not complete after {BODY_GRACE_S:.0f} s", close=True) from error
    except web.RequestPayloadError as error:
        raise ProblemError(400, "the body ended early or is badly framed", close=True) from error
    return b"".join(pieces)


def tell_to_send(request: web.BaseRequest) -> None:
    """Answers `Expect: 100-continue`, with which a client waits before it sends the body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
        transport = request.transport
        if transport is not None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def too_large() -> ProblemError:
    """The refusal of a body beyond the limit."""
    return ProblemError(
        413, f"the body is larger than {MAX_BODY_BYTES} bytes; send the records in several requests", close=True
    )


def _decompress(body: bytes, encoding: str) -> bytes:
    """The body as it was before compression, never more than the limit of it."""
    if encoding not in _ENCODINGS:
        raise ProblemError(415, f"Content-Encoding {encoding!r} is not understood; known are gzip, deflate, identity")
    engine = zlib.decompressobj(wbits=_ENCODINGS[encoding])
    try:
        plain = engine.decompress(body, MAX_BODY_BYTES)
    except zlib.error as error:
        raise ProblemError(400, f"the body is no valid {encoding} data") from error
    if engine.unconsumed_tail:
        raise too_large()
    if engine.unused_data:
        raise ProblemError(400, f"the body goes on behind its {encoding} data")
    if not engine.eof:
        raise ProblemError(400, f"the {encoding} data of the body end early")
    return plain


def media_type(request: web.BaseRequest) -> str:
    """The body's media type in lower case. Raises ProblemError for a charset other than UTF-8."""
    value = request.headers.get("Content-Type", "")
    if value == "application/json":
        return value
    kind, _, parameters = value.partition(";")
    for parameter in parameters.split(";"):
        name, _, charset = parameter.partition("=")
        if name.strip().lower() == "charset" and charset.strip().strip('"').lower() not in {
            "utf-8",
            "utf8",
            "us-ascii",
        }:
            raise ProblemError(415, f"charset {charset.strip()!r} is not understood; send UTF-8")
    return kind.strip().lower()


def must_be_json(kind: str) -> None:
    """Raises ProblemError 415 for a body of another kind."""
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise ProblemError(415, f"the body's type is {kind or 'not stated'}; send Content-Type: application/json")
