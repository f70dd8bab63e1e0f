"""A photo that is posted: a multipart form with a limit and a time of its own, larger than other bodies."""

import asyncio

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from centre.rules.cases import PHOTO_BYTES_MAX
from centre.rules.refusals import Refused

UPLOAD_S_MAX = 30.0
UPLOADS_MAX = 4  # at once: a photo is held in memory while it comes
_FIELD_BYTES_MAX = 1024
_PARTS_MAX = 8
_CHUNK_BYTES = 16 * 1024
_PHOTO = web.RequestKey("photo", bytes)
_waiting = 0


async def read_upload(request: web.Request) -> dict[str, str]:
    """Read the form's fields but for the photo, which `photo_of` then has.

    Raises Refused: malformed_form, too_large, too_slow, busy.
    """
    global _waiting
    if not request.content_type.startswith("multipart/form-data"):
        return {}
    if _waiting >= UPLOADS_MAX:
        raise Refused("busy")
    _waiting += 1
    try:
        async with asyncio.timeout(UPLOAD_S_MAX):
            return await _read(request)
    except TimeoutError:
        raise Refused("too_slow") from None
    except (ValueError, LookupError, HttpProcessingError):  # no boundary, no end, a header that is none
        raise Refused("malformed_form") from None
    finally:
        _waiting -= 1


async def photo_of(request: web.Request) -> bytes:
    """Empty where none was posted. Raises as `read_upload`, which has perhaps not read it yet."""
    if _PHOTO not in request:
        await read_upload(request)
    photo: bytes = request.get(_PHOTO, b"")
    return photo


async def _read(request: web.Request) -> dict[str, str]:
    fields: dict[str, str] = {}
    request[_PHOTO] = b""
    reader = await request.multipart()
    for _ in range(_PARTS_MAX):
        part = await reader.next()
        if part is None:
            return fields
        if not isinstance(part, BodyPartReader):
            break  # a form within a form
        if part.name == "photo":
            request[_PHOTO] = await _content(part, PHOTO_BYTES_MAX)
        elif part.name:
            fields[part.name] = (await _content(part, _FIELD_BYTES_MAX)).decode()
    raise Refused("malformed_form")


async def _content(part: BodyPartReader, at_most: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        content += chunk
        if len(content) > at_most:
            raise Refused("too_large")
    return bytes(content)
