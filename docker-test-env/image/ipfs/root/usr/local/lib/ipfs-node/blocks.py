"""Where a repository keeps the block that a CID names.

Owns: the forms of a CID, and the layout of Kubo's flatfs (`next-to-last/2`). Reads no file.
"""

import base64

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class Malformed(Exception):
    """It is no CID, or none in a base that is known here."""


def path(cid):
    """The block's file below `blocks`."""
    key = base64.b32encode(multihash(cid)).decode().rstrip("=")
    return f"{key[-3:-1]}/{key}.data"


def multihash(cid):
    """The hash in a CID, version 0 or 1, with what says which function made it."""
    try:
        if len(cid) == 46 and cid.startswith("Qm"):
            return _base58(cid)
        content = _decoded(cid)
        version, content = _number(content)
        if version != 1:
            raise Malformed(f"invalid cid: {cid}: version {version}")
        _codec, content = _number(content)
        return content
    except (ValueError, IndexError):
        raise Malformed(f"invalid cid: {cid}") from None


def _decoded(cid):
    if cid.startswith("b"):
        return base64.b32decode(cid[1:].upper() + "=" * (-(len(cid) - 1) % 8))
    if cid.startswith("z"):
        return _base58(cid[1:])
    raise Malformed(f"invalid cid: {cid}")


def _base58(text):
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _number(content):
    """An unsigned varint, and what follows."""
    value = shift = 0
    for index, byte in enumerate(content):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, content[index + 1 :]
    raise ValueError
