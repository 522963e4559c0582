"""Makes kurigram trust a cluster's RSA key, whatever its version."""

import base64
import hashlib

from pyrogram.crypto import rsa
from pyrogram.crypto.rsa import PublicKey


def trust(pem):
    """Adds a PKCS#1 key to those that the client trusts."""
    der = base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))

    def element(data):
        tag, length, rest = data[0], data[1], data[2:]
        if length & 0x80:
            count = length & 0x7F
            length, rest = int.from_bytes(rest[:count], "big"), rest[count:]
        return tag, rest[:length], rest[length:]

    _, body, _ = element(der)
    _, n, rest = element(body)
    _, e, _ = element(rest)
    n, e = int.from_bytes(n, "big"), int.from_bytes(e, "big")

    def tl_bytes(number):
        data = number.to_bytes((number.bit_length() + 7) // 8, "big")
        head = bytes([len(data)]) if len(data) < 254 else b"\xfe" + len(data).to_bytes(3, "little")
        return head + data + bytes(-(len(head) + len(data)) % 4)

    fingerprint = int.from_bytes(hashlib.sha1(tl_bytes(n) + tl_bytes(e)).digest()[-8:], "little", signed=True)
    rsa.server_public_keys[fingerprint] = PublicKey(n, e)
